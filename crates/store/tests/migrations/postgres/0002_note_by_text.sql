CREATE INDEX IF NOT EXISTS note_by_text ON note (text);
