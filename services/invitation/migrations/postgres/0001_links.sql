-- What every service that changes state needs: answers by request id, the order of changes, events to deliver.
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

-- Links, from their first read on. There is no column for a customer (R17), nor for a URI: it follows from the others.
CREATE TABLE links (
    partner TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    create_time_us BIGINT NOT NULL,
    update_time_us BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (partner, slug)
);
