ALTER SYSTEM RESET log_statement;
SELECT pg_reload_conf();
