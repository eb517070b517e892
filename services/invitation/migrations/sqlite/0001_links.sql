-- What every service that changes state needs: answers by request id, the order of changes, events to deliver.
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

-- Links, from their first read on. There is no column for a customer (R17), nor for a URI: it follows from the others.
CREATE TABLE links (
    partner TEXT NOT NULL,
    slug TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    key_id TEXT NOT NULL,
    create_time_us INTEGER NOT NULL,
    update_time_us INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (partner, slug)
) STRICT;
