-- How often the receiver refused an event, and since when it waits by the clock of the database. The version before writes neither.
ALTER TABLE outbox ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN create_time_us BIGINT;

-- Events that were refused for good, with the reason, and later ones of the same key, which wait behind them without one.
CREATE TABLE outbox_parked (
    id UUID PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    time_us BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    tries BIGINT NOT NULL,
    reason TEXT,
    park_time_us BIGINT NOT NULL
);
CREATE INDEX outbox_parked_by_key ON outbox_parked (key, time_us, id);
CREATE INDEX outbox_parked_refused ON outbox_parked (key, time_us, id) WHERE reason IS NOT NULL;

-- Events that were delivered, for as long as they can be delivered again.
CREATE TABLE outbox_delivered (
    id UUID PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    time_us BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    deliver_time_us BIGINT NOT NULL
);
CREATE INDEX outbox_delivered_by_time ON outbox_delivered (deliver_time_us, id);
