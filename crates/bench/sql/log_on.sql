-- The prefix tells sessions apart.
ALTER SYSTEM SET log_line_prefix = '%p|';
ALTER SYSTEM SET log_statement = 'all';
SELECT pg_reload_conf();
