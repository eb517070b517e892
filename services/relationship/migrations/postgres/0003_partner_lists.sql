-- The lists of a partner, which may have a million customers: a page reads the rows it shows and no others, whichever state it
-- asks for. A relationship stands in the index of its state only, and in the first while it is in force.
CREATE INDEX IF NOT EXISTS relationships_in_force_by_partner ON relationships (partner, customer, id) WHERE state <> 'TERMINATED';
CREATE INDEX IF NOT EXISTS relationships_active_by_partner ON relationships (partner, customer, id) WHERE state = 'ACTIVE';
CREATE INDEX IF NOT EXISTS relationships_terminating_by_partner ON relationships (partner, customer, id) WHERE state = 'TERMINATING';
CREATE INDEX IF NOT EXISTS relationships_terminated_by_partner ON relationships (partner, customer, id) WHERE state = 'TERMINATED';
