SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM outbox_delivered WHERE key = 'customers/template') = 0;
