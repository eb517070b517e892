CREATE TABLE requests (
    caller TEXT NOT NULL,
    request_id BLOB NOT NULL,
    method TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer BLOB,
    create_time_us INTEGER NOT NULL,
    PRIMARY KEY (caller, request_id)
) STRICT;
CREATE INDEX requests_by_time ON requests (create_time_us);
CREATE TABLE change_order (
    key TEXT PRIMARY KEY,
    time_us INTEGER NOT NULL
) STRICT;
CREATE TABLE outbox (
    id BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX outbox_by_time ON outbox (time_us, id);
