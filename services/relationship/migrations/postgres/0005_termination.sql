-- How a relationship ends: who requested it and why, when it takes effect, and when it ended. All absent while nobody has.
ALTER TABLE relationships ADD COLUMN termination_side TEXT;
ALTER TABLE relationships ADD COLUMN termination_by TEXT;
ALTER TABLE relationships ADD COLUMN termination_reason TEXT;
ALTER TABLE relationships ADD COLUMN termination_request_time_us BIGINT;
ALTER TABLE relationships ADD COLUMN termination_effective_time_us BIGINT;
ALTER TABLE relationships ADD COLUMN terminate_time_us BIGINT;
