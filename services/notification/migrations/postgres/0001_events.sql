-- How far each feed has come. The row is locked while events are added to its feed, so sequences have no gaps.
CREATE TABLE feeds (
    feed TEXT COLLATE "C" PRIMARY KEY,
    last_sequence BIGINT NOT NULL
);

-- Events, once in each feed they concern, as they will be sent but for name and sequence.
CREATE TABLE events (
    feed TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    id UUID NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    event_time_us BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    ingest_time_us BIGINT NOT NULL,
    PRIMARY KEY (feed, sequence),
    UNIQUE (feed, id)
);
CREATE INDEX events_by_type ON events (feed, type, sequence);
