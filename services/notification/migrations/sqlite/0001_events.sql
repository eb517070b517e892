-- How far each feed has come. The row is written while events are added to its feed, so sequences have no gaps.
CREATE TABLE feeds (
    feed TEXT PRIMARY KEY,
    last_sequence INTEGER NOT NULL
) STRICT;

-- Events, once in each feed they concern, as they will be sent but for name and sequence.
CREATE TABLE events (
    feed TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    event_time_us INTEGER NOT NULL,
    payload BLOB NOT NULL,
    ingest_time_us INTEGER NOT NULL,
    PRIMARY KEY (feed, sequence),
    UNIQUE (feed, id)
) STRICT;
CREATE INDEX events_by_type ON events (feed, type, sequence);
