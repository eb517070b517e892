-- Relationships :first to :last as an acceptance leaves them: each row is a copy of one that was really written for the customer
-- `template`, but for its ids. A tenth of all customers are those of `partner-00`; the others are spread over 99 partners. Ids of
-- customers are spread over their range as those of real ones are, and those of rows follow time.
BEGIN;
CREATE TEMPORARY TABLE seeds ON COMMIT DROP AS
SELECT i,
       'c' || lpad(to_hex((i * 2654435761) % 4294967296), 8, '0') AS customer,
       CASE WHEN i % 10 = 0 THEN 'partner-00' ELSE 'partner-' || lpad(CAST(1 + i % 99 AS TEXT), 2, '0') END AS partner,
       '019f' || lpad(to_hex(i), 8, '0') || '70008000' AS id
FROM generate_series(CAST(:first AS BIGINT), CAST(:last AS BIGINT)) AS i;

INSERT INTO customers
SELECT r.* FROM seeds s JOIN customers t ON t.id = 'template',
     LATERAL jsonb_populate_record(t, jsonb_build_object('id', s.customer)) r;
INSERT INTO relationships
SELECT r.* FROM seeds s JOIN relationships t ON t.customer = 'template',
     LATERAL jsonb_populate_record(t, jsonb_build_object('id', s.id || '000000000001', 'customer', s.customer,
         'partner', s.partner)) r;
INSERT INTO delegations
SELECT r.* FROM seeds s
     CROSS JOIN (SELECT d AS row, row_number() OVER (ORDER BY service) AS place FROM delegations d WHERE customer = 'template') t,
     LATERAL jsonb_populate_record(t.row, jsonb_build_object('id', s.id || '00000000001' || t.place, 'customer', s.customer,
         'partner', s.partner, 'relationship', s.id || '000000000001')) r;
INSERT INTO agreement_acceptances
SELECT r.* FROM seeds s JOIN agreement_acceptances t ON t.customer = 'template',
     LATERAL jsonb_populate_record(t, jsonb_build_object('id', s.id || '000000000002', 'customer', s.customer)) r;
INSERT INTO change_order
SELECT r.* FROM seeds s JOIN change_order t ON t.key = 'customers/template',
     LATERAL jsonb_populate_record(t, jsonb_build_object('key', 'customers/' || s.customer)) r;
INSERT INTO requests
SELECT r.* FROM seeds s JOIN requests t ON t.caller = 'customers/template/users/gwen',
     LATERAL jsonb_populate_record(t, jsonb_build_object('caller', 'customers/' || s.customer || '/users/gwen',
         'request_id', s.id || '000000000003')) r;
INSERT INTO outbox_delivered
SELECT r.* FROM seeds s
     CROSS JOIN (SELECT d AS row, row_number() OVER (ORDER BY time_us, id) AS place FROM outbox_delivered d
         WHERE key = 'customers/template') t,
     LATERAL jsonb_populate_record(t.row, jsonb_build_object('id', s.id || '00000000002' || t.place,
         'key', 'customers/' || s.customer)) r;
COMMIT;
VACUUM ANALYZE;
