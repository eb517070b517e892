//! Delegations.

use api::field;
use api::relationship as wire;
use clock::Uuid;
use cloud::TenantId;

use crate::domain::delegation::{Delegation, Filter, State};
use crate::error::Error;

/// The name of a delegation, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The customer.
    pub customer: TenantId,
    /// The relationship it stands on.
    pub relationship: Uuid,
    /// Its id.
    pub id: Uuid,
}

/// `customers/{customer}/relationships/{relationship}/delegations/{delegation}`.
pub fn name(field: &str, name: &str) -> Result<Name, Error> {
    let ids = api::name::ids(name, ["customers", "relationships", "delegations"]);
    let ids = ids.and_then(|[customer, relationship, id]| {
        Some(Name {
            customer: TenantId::parse(customer).ok()?,
            relationship: Uuid::try_parse(relationship).ok()?,
            id: Uuid::try_parse(id).ok()?,
        })
    });
    let pattern = "give customers/{customer}/relationships/{relationship}/delegations/{delegation}";
    ids.ok_or_else(|| Error::invalid(field, pattern))
}

/// `customers/{customer}/relationships/{relationship}`, or `-` for all relationships of the customer.
pub fn parent(field: &str, name: &str) -> Result<(TenantId, Option<Uuid>), Error> {
    let ids = api::name::ids(name, ["customers", "relationships"]);
    let ids = ids.and_then(|[customer, relationship]| {
        let relationship = match relationship {
            "-" => None,
            id => Some(Uuid::try_parse(id).ok()?),
        };
        Some((TenantId::parse(customer).ok()?, relationship))
    });
    ids.ok_or_else(|| Error::invalid(field, "give customers/{customer}/relationships/{relationship}, or - for all"))
}

/// A filter of a list.
pub fn filter(text: &str, relationship: Option<Uuid>) -> Result<Filter, Error> {
    let pairs = api::filter::parse(text, &["state", "service", "partner"])?;
    let state = pairs.get("state").map(|text| state_filter(text)).transpose()?;
    let service = pairs.get("service").map(|id| super::service("filter", id)).transpose()?;
    let partner = pairs.get("partner").map(|name| super::partner("filter", name)).transpose()?;
    Ok(Filter { partner, state, service, relationship })
}

fn state_filter(text: &str) -> Result<State, Error> {
    let state = State::ALL.into_iter().find(|state| state.text() == text);
    state.ok_or_else(|| {
        let all: Vec<&str> = State::ALL.into_iter().map(State::text).collect();
        Error::invalid("filter", format!("state is one of {}", all.join(", ")))
    })
}

fn state(state: State) -> wire::DelegationState {
    match state {
        State::Active => wire::DelegationState::Active,
        State::RemovedByCustomer => wire::DelegationState::RemovedByCustomer,
        State::Reassigned => wire::DelegationState::Reassigned,
        State::Relinquished => wire::DelegationState::Relinquished,
        State::Expired => wire::DelegationState::Expired,
        State::Lapsed => wire::DelegationState::Lapsed,
        State::Closed => wire::DelegationState::Closed,
    }
}

/// A delegation on the wire.
#[must_use]
pub fn delegation(delegation: &Delegation, partner_display_name: &str) -> wire::Delegation {
    let end = delegation.end.as_ref();
    wire::Delegation {
        name: delegation.name(),
        partner: format!("partners/{}", delegation.partner),
        partner_display_name: partner_display_name.to_owned(),
        service: delegation.service.to_string(),
        profile: Some(wire::DelegationProfile { kind: wire::DelegationProfileKind::Full.into(), roles: Vec::new() }),
        state: state(delegation.state).into(),
        create_time: Some(super::timestamp(delegation.create_time)),
        end_time: end.map(|end| super::timestamp(end.time)),
        expire_time: None,
        ended_by: end.map(|end| end.by.clone()).unwrap_or_default(),
        end_reason: end.map(|end| end.reason.clone()).unwrap_or_default(),
        etag: field::etag(delegation.version),
    }
}
