-- What every service that changes state needs: answers by request id, the order of changes, events to deliver.
CREATE TABLE requests (
    caller TEXT NOT NULL,
    request_id BLOB NOT NULL,
    method TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer BLOB,
    create_time_us INTEGER NOT NULL,
    PRIMARY KEY (caller, request_id)
) STRICT;
CREATE INDEX requests_by_time ON requests (create_time_us);
CREATE TABLE change_order (
    key TEXT PRIMARY KEY,
    time_us INTEGER NOT NULL
) STRICT;
CREATE TABLE outbox (
    id BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX outbox_by_time ON outbox (time_us, id);

-- The directory.
CREATE TABLE partners (
    id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    verified_domain TEXT NOT NULL,
    country TEXT NOT NULL,
    tier TEXT NOT NULL,
    signed_contract TEXT NOT NULL,
    status TEXT NOT NULL,
    create_time_us INTEGER NOT NULL,
    update_time_us INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE TABLE customers (
    id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    country TEXT NOT NULL,
    domain TEXT NOT NULL,
    create_time_us INTEGER NOT NULL,
    update_time_us INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE TABLE users (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    create_time_us INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

-- Relationships and what stands on them.
CREATE TABLE relationships (
    id BLOB PRIMARY KEY,
    customer TEXT NOT NULL REFERENCES customers (id),
    partner TEXT NOT NULL REFERENCES partners (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    origin_link TEXT NOT NULL,
    accept_time_us INTEGER NOT NULL,
    acceptor TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX relationships_in_force ON relationships (customer, partner, kind) WHERE state <> 'TERMINATED';
CREATE INDEX relationships_by_customer ON relationships (customer, id);
CREATE INDEX relationships_by_partner ON relationships (partner, customer, id);

CREATE TABLE delegations (
    id BLOB PRIMARY KEY,
    relationship BLOB NOT NULL REFERENCES relationships (id),
    customer TEXT NOT NULL,
    partner TEXT NOT NULL,
    service TEXT NOT NULL,
    exclusive INTEGER NOT NULL,
    state TEXT NOT NULL,
    create_time_us INTEGER NOT NULL,
    end_time_us INTEGER,
    ended_by TEXT NOT NULL,
    end_reason TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;
-- R24: one holder per service, also under concurrent acceptances.
CREATE UNIQUE INDEX delegations_one_holder ON delegations (customer, service) WHERE exclusive AND state = 'ACTIVE';
CREATE UNIQUE INDEX delegations_active ON delegations (relationship, service) WHERE state = 'ACTIVE';
CREATE INDEX delegations_by_customer ON delegations (customer, service, id);
CREATE INDEX delegations_by_partner ON delegations (partner, customer, service) WHERE state = 'ACTIVE';

CREATE TABLE agreement_acceptances (
    id BLOB PRIMARY KEY,
    customer TEXT NOT NULL REFERENCES customers (id),
    agreement TEXT NOT NULL,
    version TEXT NOT NULL,
    method TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    phone TEXT NOT NULL,
    accept_time_us INTEGER NOT NULL,
    create_time_us INTEGER NOT NULL
) STRICT;
CREATE INDEX agreement_acceptances_by_customer ON agreement_acceptances (customer, agreement, id);

CREATE TABLE subscriptions (
    customer TEXT NOT NULL REFERENCES customers (id),
    id TEXT NOT NULL,
    service TEXT NOT NULL,
    status TEXT NOT NULL,
    original_reseller TEXT,
    partner_of_record TEXT,
    provisioned_by TEXT,
    update_time_us INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (customer, id)
) STRICT;
