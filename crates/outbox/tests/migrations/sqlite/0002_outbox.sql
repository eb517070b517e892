-- How often the receiver refused an event, and since when it waits by the clock of the database. The version before writes neither.
ALTER TABLE outbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN create_time_us INTEGER;

-- Events that were refused for good, with the reason, and later ones of the same key, which wait behind them without one.
CREATE TABLE outbox_parked (
    id BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    payload BLOB NOT NULL,
    tries INTEGER NOT NULL,
    reason TEXT,
    park_time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_parked_by_key ON outbox_parked (key, time_us, id);
CREATE INDEX outbox_parked_refused ON outbox_parked (key, time_us, id) WHERE reason IS NOT NULL;

-- Events that were delivered, for as long as they can be delivered again.
CREATE TABLE outbox_delivered (
    id BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    payload BLOB NOT NULL,
    deliver_time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_delivered_by_time ON outbox_delivered (deliver_time_us, id);
