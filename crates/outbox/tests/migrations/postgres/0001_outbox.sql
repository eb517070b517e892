CREATE TABLE requests (
    caller TEXT COLLATE "C" NOT NULL,
    request_id UUID NOT NULL,
    method TEXT NOT NULL,
    digest BYTEA NOT NULL,
    answer BYTEA,
    create_time_us BIGINT NOT NULL,
    PRIMARY KEY (caller, request_id)
);
CREATE INDEX requests_by_time ON requests (create_time_us);
CREATE TABLE change_order (
    key TEXT COLLATE "C" PRIMARY KEY,
    time_us BIGINT NOT NULL
);
CREATE TABLE outbox (
    id UUID PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    time_us BIGINT NOT NULL,
    payload BYTEA NOT NULL
);
CREATE INDEX outbox_by_time ON outbox (time_us, id);
