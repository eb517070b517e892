-- Customers :first to :last who have no partner yet. Those of Mandate begin with `a`; those of pgbench are numbers of as many
-- digits as the others have characters, because pgbench counts and does not write words.
INSERT INTO customers
SELECT r.* FROM generate_series(CAST(:first AS BIGINT), CAST(:last AS BIGINT)) AS i
     JOIN customers t ON t.id = 'template',
     LATERAL jsonb_populate_record(t, jsonb_build_object('id', CASE WHEN :numbers = 1 THEN CAST(100000000 + i AS TEXT)
         ELSE 'a' || lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') END)) r;
VACUUM ANALYZE;
