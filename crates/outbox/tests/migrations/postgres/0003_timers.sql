-- What happens by itself when its time has come. What failed is tried again at another time than it was due.
CREATE TABLE timers (
    id UUID PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    due_time_us BIGINT NOT NULL,
    try_time_us BIGINT NOT NULL
);
CREATE INDEX timers_by_try_time ON timers (try_time_us, id);
CREATE UNIQUE INDEX timers_by_subject ON timers (subject, kind, due_time_us);
