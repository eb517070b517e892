-- What happens by itself when its time has come.
CREATE TABLE timers (
    id UUID PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    due_time_us BIGINT NOT NULL
);
CREATE INDEX timers_by_due_time ON timers (due_time_us, id);
CREATE UNIQUE INDEX timers_by_subject ON timers (subject, kind, due_time_us);
