//! Reading, removing and reassigning delegations.

use std::sync::Arc;

use api::event::Change;
use api::field;
use api::notification::resource_snapshot::Resource;
use api::page::Page;
use api::relationship as wire;
use clock::Uuid;
use cloud::TenantId;
use outbox::{Done, Scope};
use server::Caller;

use super::relationship::page_id;
use super::{Calls, View, both, change_request, expect_customer, view_of};
use crate::domain::delegation::{self as domain, Delegation, End, HandOver, Verb};
use crate::domain::relationship;
use crate::error::Error;
use crate::store::delegation as table;
use crate::wire::delegation as convert;

pub(super) async fn get_delegation(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetDelegationRequest,
) -> Result<wire::Delegation, Error> {
    let name = convert::name("name", &request.name)?;
    let view = view_of(&caller, &name.customer, &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let found = table::find(&mut tx, &name.customer, name.relationship, name.id).await?;
    let found = found.filter(|found| match &view {
        View::All => true,
        View::Partner(partner) => found.delegation.partner == *partner, // I12
    });
    let found = found.ok_or(Error::NotFound(request.name))?;
    Ok(convert::delegation(&found.delegation, &found.partner_display_name))
}

pub(super) async fn list_delegations(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListDelegationsRequest,
) -> Result<wire::ListDelegationsResponse, Error> {
    let (customer, relationship) = convert::parent("parent", &request.parent)?;
    let mut filter = convert::filter(&request.filter, relationship)?;
    if let View::Partner(own) = view_of(&caller, &customer, &request.parent)? {
        // I12: a partner that asks about another sees nothing.
        if filter.partner.as_ref().is_some_and(|asked| *asked != own) {
            return Ok(wire::ListDelegationsResponse::default());
        }
        filter.partner = Some(own);
    }
    let scope = format!("delegations {customer} {filter:?}");
    let page = Page::parse(scope, request.page_size, &request.page_token)?;
    let after = match page.after.split_once(' ') {
        Some((service, id)) => (service, page_id(id)?),
        None => ("", Uuid::nil()),
    };
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::list(&mut tx, &customer, &filter, after, page.limit()).await?;
    let (rows, next_page_token) =
        page.cut(rows, |found| format!("{} {}", found.delegation.service, found.delegation.id));
    let delegations = rows.iter().map(|found| convert::delegation(&found.delegation, &found.partner_display_name));
    Ok(wire::ListDelegationsResponse { delegations: delegations.collect(), next_page_token })
}

pub(super) async fn remove_delegation(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::RemoveDelegationRequest,
) -> Result<Done<wire::Delegation>, Error> {
    let name = convert::name("name", &request.name)?;
    expect_customer(&caller, &name.customer, &request.name)?;
    let actor = caller.user_name();
    let change = Remove {
        calls: &calls,
        key: format!("customers/{}", name.customer),
        name,
        etag: &request.etag,
        reason: field::reason(&request.reason)?,
        actor: &actor,
    };
    let asked = change_request(&actor, "RemoveDelegation", &request.request_id, &request)?;
    calls.outbox.change(&asked, &change).await
}

struct Remove<'a> {
    calls: &'a Calls,
    key: String,
    name: convert::Name,
    etag: &'a str,
    reason: &'a str,
    actor: &'a str,
}

impl outbox::Change for Remove<'_> {
    const NAME: &'static str = "remove_delegation";
    type Answer = wire::Delegation;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Delegation, Error> {
        let held = held(scope, &self.name, self.etag).await?;
        let end = End { time: scope.now, by: self.actor.to_owned(), reason: self.reason.to_owned() };
        let name = held.delegation.name();
        let ended = held.delegation.after(Verb::Remove, end);
        let ended = ended.map_err(|end| Error::DelegationEnded { delegation: name, end })?;
        let before = (&held.delegation, held.partner_display_name.as_str());
        write_end(self.calls, scope, "delegation.removedByCustomer", before, &ended).await
    }
}

/// The delegation as it stands, when it is still as the caller read it.
async fn held(scope: &mut Scope<'_>, name: &convert::Name, etag: &str) -> Result<domain::Found, Error> {
    let found = table::find(scope.tx, &name.customer, name.relationship, name.id).await?;
    let found = found.ok_or_else(|| {
        let relationship = relationship::name(&name.customer, name.relationship);
        Error::NotFound(format!("{relationship}/delegations/{}", name.id))
    })?;
    field::check_etag(&found.delegation.name(), etag, found.delegation.version)?;
    Ok(found)
}

/// Writes the end of a delegation with its event, and gives it as it travels.
pub(super) async fn write_end(
    calls: &Calls,
    scope: &mut Scope<'_>,
    event: &'static str,
    (before, partner_display_name): (&Delegation, &str),
    ended: &Delegation,
) -> Result<wire::Delegation, Error> {
    if !table::end(scope.tx, ended).await? {
        return Err(Error::ConcurrentAcceptance(ended.name()));
    }
    let after = convert::delegation(ended, partner_display_name);
    let end = ended.end.as_ref();
    let change = Change {
        kind: event,
        resource: ended.name(),
        feeds: both(&ended.customer, &ended.partner),
        actor: end.map(|end| end.by.as_str()).unwrap_or_default(),
        reason: end.map(|end| end.reason.as_str()).unwrap_or_default(),
        before: Some(Resource::Delegation(convert::delegation(before, partner_display_name))),
        after: Some(Resource::Delegation(after.clone())),
    };
    calls.emit(scope, change).await?;
    Ok(after)
}

/// Writes a new delegation with its event, and gives it as it travels.
pub(super) async fn write_grant(
    calls: &Calls,
    scope: &mut Scope<'_>,
    granted: &Delegation,
    partner_display_name: &str,
    actor: &str,
) -> Result<wire::Delegation, Error> {
    if !table::insert(scope.tx, granted).await? {
        return Err(Error::ConcurrentAcceptance(format!("customers/{}", granted.customer)));
    }
    let after = convert::delegation(granted, partner_display_name);
    let change = Change {
        kind: "delegation.granted",
        resource: granted.name(),
        feeds: both(&granted.customer, &granted.partner),
        actor,
        reason: "",
        before: None,
        after: Some(Resource::Delegation(after.clone())),
    };
    calls.emit(scope, change).await?;
    Ok(after)
}

pub(super) async fn reassign_delegation(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ReassignDelegationRequest,
) -> Result<Done<wire::ReassignDelegationResponse>, Error> {
    let name = convert::name("name", &request.name)?;
    expect_customer(&caller, &name.customer, &request.name)?;
    let actor = caller.user_name();
    let change = Reassign {
        calls: &calls,
        key: format!("customers/{}", name.customer),
        name,
        to: crate::wire::partner("to_partner", &request.to_partner)?,
        etag: &request.etag,
        reason: field::reason(&request.reason)?,
        actor: &actor,
    };
    let asked = change_request(&actor, "ReassignDelegation", &request.request_id, &request)?;
    calls.outbox.change(&asked, &change).await
}

struct Reassign<'a> {
    calls: &'a Calls,
    key: String,
    name: convert::Name,
    to: TenantId,
    etag: &'a str,
    reason: &'a str,
    actor: &'a str,
}

impl outbox::Change for Reassign<'_> {
    const NAME: &'static str = "reassign_delegation";
    type Answer = wire::ReassignDelegationResponse;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::ReassignDelegationResponse, Error> {
        let held = held(scope, &self.name, self.etag).await?;
        let customer = &self.name.customer;
        let receivers = crate::store::relationship::in_force(scope.tx, customer, &self.to).await?;
        let receiver = receivers.iter().find(|receiver| receiver.state == relationship::State::Active);
        let active = table::active(scope.tx, customer).await?;
        let active: Vec<Delegation> = active.into_iter().map(|found| found.delegation).collect();
        let to = crate::store::directory::partner(scope.tx, &self.to).await?;
        let policy = &self.calls.process.policy;
        let receiver_may_act = to.as_ref().is_some_and(|partner| partner.may_act(&policy.partner_contract.id));
        let exclusive_holder = policy.delegation.exclusive_holder;
        let over = HandOver { receiver, receiver_may_act, active: &active, exclusive_holder };
        let end = End { time: scope.now, by: self.actor.to_owned(), reason: self.reason.to_owned() };
        let (ended, granted) = domain::reassign(&held.delegation, &over, scope.id(), end)
            .map_err(|why| Error::CannotReassign { delegation: held.delegation.name(), to: self.to.clone(), why })?;
        let to_display_name = to.map(|partner| partner.display_name).unwrap_or_default();
        let before = (&held.delegation, held.partner_display_name.as_str());
        let ended = write_end(self.calls, scope, "delegation.reassigned", before, &ended).await?;
        let granted = write_grant(self.calls, scope, &granted, &to_display_name, self.actor).await?;
        Ok(wire::ReassignDelegationResponse { ended: Some(ended), granted: Some(granted) })
    }
}
