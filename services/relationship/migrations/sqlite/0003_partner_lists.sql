-- The lists of a partner, which may have a million customers: a page reads the rows it shows and no others.
CREATE INDEX relationships_in_force_by_partner ON relationships (partner, customer, id) WHERE state <> 'TERMINATED';
CREATE INDEX relationships_by_partner_and_state ON relationships (partner, state, customer, id);
