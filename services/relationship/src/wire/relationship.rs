//! Relationships and the customers of a partner.

use api::field;
use api::relationship as wire;
use clock::Uuid;
use cloud::{Policy, TenantId};

use crate::domain::relationship::{Found, PartnerCustomer, State, Type};
use crate::domain::termination::{Blocker, Termination};
use crate::error::Error;

/// `customers/{customer}/relationships/{relationship}`.
pub fn name(field: &str, name: &str) -> Result<(TenantId, Uuid), Error> {
    let ids = api::name::ids(name, ["customers", "relationships"]);
    let ids = ids.and_then(|[customer, id]| Some((TenantId::parse(customer).ok()?, Uuid::try_parse(id).ok()?)));
    ids.ok_or_else(|| Error::invalid(field, "give customers/{customer}/relationships/{relationship}"))
}

/// `partners/{partner}/customers/{customer}`.
pub fn partner_customer_name(field: &str, name: &str) -> Result<(TenantId, TenantId), Error> {
    let ids = api::name::ids(name, ["partners", "customers"]);
    let ids =
        ids.and_then(|[partner, customer]| Some((TenantId::parse(partner).ok()?, TenantId::parse(customer).ok()?)));
    ids.ok_or_else(|| Error::invalid(field, "give partners/{partner}/customers/{customer}"))
}

/// A state in a filter: `ACTIVE`.
pub fn state_filter(text: &str) -> Result<State, Error> {
    let state = State::ALL.into_iter().find(|state| state.text() == text);
    state.ok_or_else(|| Error::invalid("filter", "state is ACTIVE, TERMINATING or TERMINATED"))
}

/// A type on the wire.
#[must_use]
pub fn kind(kind: Type) -> wire::RelationshipType {
    match kind {
        Type::Reseller => wire::RelationshipType::Reseller,
        Type::Advisor => wire::RelationshipType::Advisor,
        Type::IndirectProvider => wire::RelationshipType::IndirectProvider,
        Type::IndirectReseller => wire::RelationshipType::IndirectReseller,
    }
}

fn state(state: State) -> wire::RelationshipState {
    match state {
        State::Active => wire::RelationshipState::Active,
        State::Terminating => wire::RelationshipState::Terminating,
        State::Terminated => wire::RelationshipState::Terminated,
    }
}

/// What binds the partner, delegations or none (R28-R30, R47, I4).
fn obligations(policy: &Policy) -> Vec<wire::RelationshipObligation> {
    let duties = policy.obligations.iter().map(|duty| wire::RelationshipObligation {
        id: duty.id.clone(),
        title: duty.title.clone(),
        uri: duty.uri.clone(),
        rule: duty.rule.to_string(),
    });
    duties.collect()
}

/// What a relationship shows of others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The services delegated on it now, ordered.
    pub delegated_services: &'a [String],
    /// What blocks its end, where that was requested.
    pub blockers: &'a [Blocker],
}

/// A relationship on the wire.
#[must_use]
pub fn relationship(found: &Found, around: Around<'_>, policy: &Policy) -> wire::Relationship {
    let relationship = &found.relationship;
    let binds = relationship.state.is_in_force();
    wire::Relationship {
        name: relationship.name(),
        partner: format!("partners/{}", relationship.partner),
        partner_display_name: found.partner_display_name.clone(),
        partner_verified_domain: found.partner_verified_domain.clone(),
        r#type: kind(relationship.kind).into(),
        state: state(relationship.state).into(),
        obligations: if binds { obligations(policy) } else { Vec::new() },
        origin_link: relationship.origin_link.clone(),
        origin_invitation: String::new(),
        accept_time: Some(super::timestamp(relationship.accept_time)),
        acceptor: relationship.acceptor.clone(),
        delegated_services: around.delegated_services.to_vec(),
        etag: field::etag(relationship.version),
        termination: relationship.termination.as_ref().map(|it| termination(it, around.blockers)),
        terminate_time: relationship.terminate_time.map(super::timestamp),
    }
}

fn termination(termination: &Termination, blockers: &[Blocker]) -> wire::Termination {
    wire::Termination {
        requested_by: termination.by.clone(),
        reason: termination.reason.clone(),
        request_time: Some(super::timestamp(termination.request_time)),
        effective_time: Some(super::timestamp(termination.effective_time)),
        blockers: blockers.iter().map(blocker).collect(),
    }
}

/// What blocks the end of a relationship, on the wire.
#[must_use]
pub fn blocker(blocker: &Blocker) -> wire::TerminationBlocker {
    wire::TerminationBlocker {
        kind: wire::TerminationBlockerKind::Subscription.into(),
        resource: blocker.subscription.clone(),
        rule: blocker.rule.to_string(),
        description: crate::error::unblock(blocker).to_owned(),
    }
}

/// A customer of a partner on the wire.
#[must_use]
pub fn partner_customer(customer: &PartnerCustomer, delegated_services: &[String]) -> wire::PartnerCustomer {
    wire::PartnerCustomer {
        name: format!("partners/{}/customers/{}", customer.partner, customer.customer),
        customer: format!("customers/{}", customer.customer),
        display_name: customer.display_name.clone(),
        country: customer.country.clone(),
        relationship: crate::domain::relationship::name(&customer.customer, customer.relationship),
        relationship_state: state(customer.state).into(),
        relationship_type: kind(customer.kind).into(),
        delegated_services: delegated_services.to_vec(),
        accept_time: Some(super::timestamp(customer.accept_time)),
    }
}
