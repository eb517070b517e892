-- What happens by itself when its time has come. What failed is tried again at another time than it was due.
CREATE TABLE timers (
    id BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_time_us INTEGER NOT NULL,
    try_time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX timers_by_try_time ON timers (try_time_us, id);
CREATE UNIQUE INDEX timers_by_subject ON timers (subject, kind, due_time_us);
