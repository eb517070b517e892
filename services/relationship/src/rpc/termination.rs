//! Ending relationships: by request, by the time of a notice, and with the last thing that blocked it.

use std::sync::Arc;

use api::event::Change;
use api::field;
use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use clock::{Time, Uuid};
use cloud::TenantId;
use outbox::{Done, Scope};
use server::Caller;
use store::{Failure, Tx};

use super::delegation::write_end;
use super::relationship::shown;
use super::{Calls, both, change_request};
use crate::domain::delegation::Delegation;
use crate::domain::relationship::{Found, Relationship, State};
use crate::domain::termination::{self as domain, Blocker, Outcome, SYSTEM, Side, Standing, Wish};
use crate::error::Error;
use crate::store::{delegation, relationship as table, subscription};
use crate::wire::relationship as convert;

/// The kind of the timer that ends a relationship of which notice was given.
pub(crate) const TERMINATE: &str = "relationship.terminate";

/// A relationship, what stands on it, and what blocks its end.
struct Case {
    found: Found,
    active: Vec<Delegation>,
    blockers: Vec<Blocker>,
}

impl Case {
    async fn of(calls: &Calls, tx: &mut Tx, found: Found) -> Result<Case, Error> {
        let Relationship { customer, partner, .. } = &found.relationship;
        let active = delegation::active_of_pair(tx, customer, partner).await?;
        let blockers = blockers_of(calls, tx, &found.relationship).await?;
        Ok(Case { active: active.into_iter().map(|held| held.delegation).collect(), found, blockers })
    }

    fn standing(&self) -> Standing<'_> {
        Standing { relationship: &self.found.relationship, active: &self.active, blockers: &self.blockers }
    }

    /// The same relationship as it will be.
    fn with(&self, relationship: Relationship) -> Found {
        Found { relationship, ..self.found.clone() }
    }
}

async fn blockers_of(calls: &Calls, tx: &mut Tx, relationship: &Relationship) -> Result<Vec<Blocker>, Failure> {
    let subscriptions = subscription::of_customers(tx, &[relationship.customer.as_str()]).await?;
    Ok(domain::blockers(relationship, &subscriptions, &calls.process.policy.termination))
}

/// What blocks the end of a relationship, where that was requested.
pub(super) async fn blockers(calls: &Calls, tx: &mut Tx, relationship: &Relationship) -> Result<Vec<Blocker>, Failure> {
    match relationship.state {
        State::Terminating => blockers_of(calls, tx, relationship).await,
        State::Active | State::Terminated => Ok(Vec::new()),
    }
}

/// A relationship of the caller, and the side that it is on. For others there is none (I12).
async fn own(tx: &mut Tx, caller: &Caller, customer: &TenantId, id: Uuid) -> Result<(Found, Side), Error> {
    let found = table::find(tx, customer, id).await?;
    let own = found.and_then(|found| {
        let side = if caller.is_partner(&found.relationship.partner) {
            Side::Partner
        } else if caller.is_customer(&found.relationship.customer) {
            Side::Customer
        } else {
            return None;
        };
        Some((found, side))
    });
    own.ok_or_else(|| Error::NotFound(crate::domain::relationship::name(customer, id)))
}

pub(super) async fn request_termination(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::RequestTerminationRequest,
) -> Result<Done<wire::Relationship>, Error> {
    let (customer, id) = convert::name("name", &request.name)?;
    let effective_time = request.effective_time.as_ref().map(|time| field::micros("effective_time", time));
    let actor = caller.user_name();
    let change = RequestTermination {
        calls: &calls,
        caller: &caller,
        key: format!("customers/{customer}"),
        name: (customer, id),
        etag: &request.etag,
        reason: field::reason(&request.reason)?,
        effective_time: effective_time.transpose()?.map(Time::from_micros),
        actor: &actor,
    };
    let asked = change_request(&actor, "RequestTermination", &request.request_id, &request)?;
    if request.validate_only {
        let mut tx = store::read(&calls.pool).await?;
        let (case, outcome) = change.decide(&mut tx, calls.process.clock.now()).await?;
        let mut answer = shown(&calls, &mut tx, &case.with(outcome.relationship)).await?;
        if answer.state() == wire::RelationshipState::Terminated {
            answer.delegated_services.clear();
        }
        return Ok(Done { answer, position: None });
    }
    calls.outbox.change(&asked, &change).await
}

struct RequestTermination<'a> {
    calls: &'a Calls,
    caller: &'a Caller,
    key: String,
    name: (TenantId, Uuid),
    etag: &'a str,
    reason: &'a str,
    effective_time: Option<Time>,
    actor: &'a str,
}

impl RequestTermination<'_> {
    async fn decide(&self, tx: &mut Tx, now: Time) -> Result<(Case, Outcome), Error> {
        let (found, side) = own(tx, self.caller, &self.name.0, self.name.1).await?;
        let name = found.relationship.name();
        field::check_etag(&name, self.etag, found.relationship.version)?;
        let case = Case::of(self.calls, tx, found).await?;
        let wish = Wish { side, by: self.actor, reason: self.reason, effective_time: self.effective_time };
        let outcome = domain::request(case.standing(), &wish, &self.calls.process.policy.termination, now);
        let outcome = outcome.map_err(|why| Error::CannotTerminate { relationship: name, why })?;
        Ok((case, outcome))
    }
}

impl outbox::Change for RequestTermination<'_> {
    const NAME: &'static str = "request_termination";
    type Answer = wire::Relationship;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Relationship, Error> {
        let (case, outcome) = self.decide(scope.tx, scope.now).await?;
        let answer = write(self.calls, scope, &case, &outcome, (self.actor, self.reason)).await?;
        ask_for_end(scope, &outcome.relationship).await?;
        Ok(answer)
    }
}

/// Asks to be reminded when the time of a notice has come.
async fn ask_for_end(scope: &mut Scope<'_>, relationship: &Relationship) -> Result<(), Failure> {
    match (relationship.state, &relationship.termination) {
        (State::Terminating, Some(notice)) => scope.at(notice.effective_time, TERMINATE, &relationship.name()).await,
        (State::Active | State::Terminating | State::Terminated, _) => Ok(()),
    }
}

/// Writes what becomes of a relationship, with one event for it and one for each delegation that ends with it. Those come first:
/// at no moment of the history is a delegation active on what has ended (I1).
async fn write(
    calls: &Calls,
    scope: &mut Scope<'_>,
    case: &Case,
    outcome: &Outcome,
    (actor, reason): (&str, &str),
) -> Result<wire::Relationship, Error> {
    let before = shown(calls, scope.tx, &case.found).await?;
    for closed in &outcome.closed {
        let held = case.active.iter().find(|held| held.id == closed.id).unwrap_or(closed);
        write_end(calls, scope, "delegation.closed", (held, &case.found.partner_display_name), closed).await?;
    }
    let relationship = &outcome.relationship;
    if !table::end(scope.tx, relationship).await? {
        return Err(Error::EtagMismatch(relationship.name()));
    }
    let after = shown(calls, scope.tx, &case.with(relationship.clone())).await?;
    let change = Change {
        kind: match relationship.state {
            State::Active => "relationship.terminationCancelled",
            State::Terminating => "relationship.terminationRequested",
            State::Terminated => "relationship.terminated",
        },
        resource: relationship.name(),
        feeds: both(&relationship.customer, &relationship.partner),
        actor,
        reason,
        before: Some(Resource::Relationship(before)),
        after: Some(Resource::Relationship(after.clone())),
    };
    calls.emit(scope, change).await?;
    Ok(after)
}

pub(super) async fn cancel_termination(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::CancelTerminationRequest,
) -> Result<Done<wire::Relationship>, Error> {
    let (customer, id) = convert::name("name", &request.name)?;
    let actor = caller.user_name();
    let change = CancelTermination {
        calls: &calls,
        caller: &caller,
        key: format!("customers/{customer}"),
        name: (customer, id),
        etag: &request.etag,
        reason: field::reason(&request.reason)?,
        actor: &actor,
    };
    let asked = change_request(&actor, "CancelTermination", &request.request_id, &request)?;
    calls.outbox.change(&asked, &change).await
}

struct CancelTermination<'a> {
    calls: &'a Calls,
    caller: &'a Caller,
    key: String,
    name: (TenantId, Uuid),
    etag: &'a str,
    reason: &'a str,
    actor: &'a str,
}

impl outbox::Change for CancelTermination<'_> {
    const NAME: &'static str = "cancel_termination";
    type Answer = wire::Relationship;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Relationship, Error> {
        let (found, side) = own(scope.tx, self.caller, &self.name.0, self.name.1).await?;
        let name = found.relationship.name();
        field::check_etag(&name, self.etag, found.relationship.version)?;
        let relationship = domain::cancel(&found.relationship, side);
        let relationship = relationship.map_err(|why| Error::CannotCancel { relationship: name, why })?;
        let case = Case::of(self.calls, scope.tx, found).await?;
        let outcome = Outcome { relationship, closed: Vec::new() };
        write(self.calls, scope, &case, &outcome, (self.actor, self.reason)).await
    }
}

pub(super) async fn list_termination_blockers(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListTerminationBlockersRequest,
) -> Result<wire::ListTerminationBlockersResponse, Error> {
    let (customer, id) = convert::name("name", &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let (found, _) = own(&mut tx, &caller, &customer, id).await?;
    let blockers = blockers_of(&calls, &mut tx, &found.relationship).await?;
    Ok(wire::ListTerminationBlockersResponse { blockers: blockers.iter().map(convert::blocker).collect() })
}

/// The time of a notice has come, or that of one taken back since: ends the relationship if nothing blocks it. If something does,
/// the change that removes it ends the relationship ([`end_unblocked`]).
pub(crate) async fn end_due(calls: &Calls, scope: &mut Scope<'_>, subject: &str) -> Result<(), Error> {
    let (customer, id) = convert::name("timers.subject", subject)?;
    let Some(found) = table::find(scope.tx, &customer, id).await? else { return Ok(()) };
    if domain::is_due(&found.relationship, scope.now) {
        return end_if_free(calls, scope, found).await;
    }
    // It is due later, or the clock was set back since it was found due: then it comes again.
    Ok(ask_for_end(scope, &found.relationship).await?)
}

/// Ends the relationships of a customer whose time has come and which nothing blocks any more. For every change that can take
/// away what blocked one. None is missed: the time of a change is later than that of the timer that found it blocked.
pub(super) async fn end_unblocked(calls: &Calls, scope: &mut Scope<'_>, customer: &TenantId) -> Result<(), Error> {
    for found in table::ending(scope.tx, customer, scope.now).await? {
        end_if_free(calls, scope, found).await?;
    }
    Ok(())
}

async fn end_if_free(calls: &Calls, scope: &mut Scope<'_>, found: Found) -> Result<(), Error> {
    let case = Case::of(calls, scope.tx, found).await?;
    let Some(outcome) = domain::end_due(case.standing(), scope.now) else { return Ok(()) };
    let reason = outcome.relationship.termination.as_ref().map(|notice| notice.reason.as_str()).unwrap_or_default();
    write(calls, scope, &case, &outcome, (SYSTEM, reason)).await?;
    Ok(())
}
