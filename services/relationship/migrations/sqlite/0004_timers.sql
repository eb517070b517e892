-- What happens by itself when its time has come.
CREATE TABLE timers (
    id BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX timers_by_due_time ON timers (due_time_us, id);
CREATE UNIQUE INDEX timers_by_subject ON timers (subject, kind, due_time_us);
