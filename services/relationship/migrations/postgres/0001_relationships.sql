-- What every service that changes state needs: answers by request id, the order of changes, events to deliver.
CREATE TABLE requests (
    caller TEXT COLLATE "C" NOT NULL,
    request_id UUID NOT NULL,
    method TEXT NOT NULL,
    digest BYTEA NOT NULL,
    answer BYTEA,
    create_time_us BIGINT NOT NULL,
    PRIMARY KEY (caller, request_id)
);
CREATE INDEX requests_by_time ON requests (create_time_us);
CREATE TABLE change_order (
    key TEXT COLLATE "C" PRIMARY KEY,
    time_us BIGINT NOT NULL
);
CREATE TABLE outbox (
    id UUID PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    time_us BIGINT NOT NULL,
    payload BYTEA NOT NULL
);
CREATE INDEX outbox_by_time ON outbox (time_us, id);

-- The directory.
CREATE TABLE partners (
    id TEXT COLLATE "C" PRIMARY KEY,
    display_name TEXT NOT NULL,
    verified_domain TEXT NOT NULL,
    country TEXT NOT NULL,
    tier TEXT NOT NULL,
    signed_contract TEXT NOT NULL,
    status TEXT NOT NULL,
    create_time_us BIGINT NOT NULL,
    update_time_us BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE TABLE customers (
    id TEXT COLLATE "C" PRIMARY KEY,
    display_name TEXT NOT NULL,
    country TEXT NOT NULL,
    domain TEXT NOT NULL,
    create_time_us BIGINT NOT NULL,
    update_time_us BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE TABLE users (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    create_time_us BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- Relationships and what stands on them.
CREATE TABLE relationships (
    id UUID PRIMARY KEY,
    customer TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    partner TEXT COLLATE "C" NOT NULL REFERENCES partners (id),
    kind TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    origin_link TEXT NOT NULL,
    accept_time_us BIGINT NOT NULL,
    acceptor TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX relationships_in_force ON relationships (customer, partner, kind) WHERE state <> 'TERMINATED';
CREATE INDEX relationships_by_customer ON relationships (customer, id);
CREATE INDEX relationships_by_partner ON relationships (partner, customer, id);

CREATE TABLE delegations (
    id UUID PRIMARY KEY,
    relationship UUID NOT NULL REFERENCES relationships (id),
    customer TEXT COLLATE "C" NOT NULL,
    partner TEXT COLLATE "C" NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    exclusive BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    create_time_us BIGINT NOT NULL,
    end_time_us BIGINT,
    ended_by TEXT NOT NULL,
    end_reason TEXT NOT NULL,
    version BIGINT NOT NULL
);
-- R24: one holder per service, also under concurrent acceptances.
CREATE UNIQUE INDEX delegations_one_holder ON delegations (customer, service) WHERE exclusive AND state = 'ACTIVE';
CREATE UNIQUE INDEX delegations_active ON delegations (relationship, service) WHERE state = 'ACTIVE';
CREATE INDEX delegations_by_customer ON delegations (customer, service, id);
CREATE INDEX delegations_by_partner ON delegations (partner, customer, service) WHERE state = 'ACTIVE';

CREATE TABLE agreement_acceptances (
    id UUID PRIMARY KEY,
    customer TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    agreement TEXT COLLATE "C" NOT NULL,
    version TEXT NOT NULL,
    method TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    phone TEXT NOT NULL,
    accept_time_us BIGINT NOT NULL,
    create_time_us BIGINT NOT NULL
);
CREATE INDEX agreement_acceptances_by_customer ON agreement_acceptances (customer, agreement, id);

CREATE TABLE subscriptions (
    customer TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    id TEXT COLLATE "C" NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL,
    original_reseller TEXT COLLATE "C",
    partner_of_record TEXT COLLATE "C",
    provisioned_by TEXT COLLATE "C",
    update_time_us BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (customer, id)
);
