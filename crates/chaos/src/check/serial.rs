//! Whether one order of the changes explains everything: the order of each customer's feed, which must fit when each call was made,
//! and in which each answer and each refusal must have been right at some moment while its call was under way.

use std::collections::BTreeMap;

use anyhow::Result;
use api::invitation as links;
use api::notification::Event;
use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use cloud::Policy;
use prost::Message as _;

use super::World;
use super::answers::{Told, Window, message};
use crate::history::{Call, Outcome};
use crate::kind::Kind;
use state::{Asked, State};

mod state;

/// Whether an outcome is right at a moment.
type Rightness = Box<dyn Fn(&State) -> bool>;

/// The moments of one customer: before its first event, and after each.
struct Moments<'a> {
    customer: &'a str,
    states: Vec<State>,
    /// Of each event: no earlier, and no later than this.
    windows: Vec<Window>,
    /// The first moment after a delegation was removed, by the name of that.
    removed: BTreeMap<&'a str, usize>,
}

/// What no order explains.
///
/// # Errors
/// When a request or an answer is no message of its method.
pub(super) fn check(calls: &[Call], told: &Told, world: &World, policy: &Policy) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for (customer, events) in world.feeds.iter().filter(|(feed, _)| feed.starts_with("customers/")) {
        let moments = Moments::of(customer, events, told, policy, &mut broken);
        moments.ends_with(world, &mut broken);
        for call in calls {
            if let Some(problem) = moments.unexplained(call, told, policy)? {
                broken.push(format!("{problem} ({:?} from {} to {} µs)", call.kind, call.begin_us, call.end_us));
            }
        }
    }
    Ok(broken)
}

impl<'a> Moments<'a> {
    fn of(
        customer: &'a str,
        events: &'a [Event],
        told: &Told,
        policy: &Policy,
        broken: &mut Vec<String>,
    ) -> Moments<'a> {
        let mut states = vec![State::default()];
        let mut windows: Vec<Window> = Vec::new();
        let mut removed = BTreeMap::new();
        for event in events {
            let mut state = states.last().cloned().unwrap_or_default();
            if let Err(problem) = state.apply(event, policy) {
                broken.push(format!("{} cannot have happened then: {problem}", event.name));
            }
            states.push(state);
            windows.push(window(event, told));
            if event.r#type == "delegation.removedByCustomer" {
                removed.insert(event.resource.as_str(), windows.len());
            }
        }
        // What comes later in the order cannot have happened earlier.
        let mut begin_us = 0;
        for (window, event) in windows.iter_mut().zip(events) {
            begin_us = begin_us.max(window.begin_us);
            if begin_us > window.end_us {
                let end_us = window.end_us;
                broken.push(format!(
                    "{} was answered by {end_us} µs and comes after what was asked for at {begin_us} µs",
                    event.name
                ));
            }
            window.begin_us = begin_us;
        }
        let mut end_us = u64::MAX;
        for window in windows.iter_mut().rev() {
            end_us = end_us.min(window.end_us);
            window.end_us = end_us;
        }
        Moments { customer, states, windows, removed }
    }

    /// The last moment is what there is.
    fn ends_with(&self, world: &World, broken: &mut Vec<String>) {
        let Some(last) = self.states.last() else { return };
        let below = format!("{}/", self.customer);
        let mut state = State { agreed: last.agreed, ..State::default() };
        let own = world.relationships.iter().filter(|it| it.name.starts_with(&below));
        for relationship in own.filter(|it| it.state() != wire::RelationshipState::Terminated) {
            let is_ending = relationship.state() == wire::RelationshipState::Terminating;
            let bond = (relationship.name.clone(), is_ending);
            state.partners.insert(relationship.partner.clone(), bond);
        }
        let held = world.delegations.iter().filter(|it| it.name.starts_with(&below));
        for held in held.filter(|held| held.state() == wire::DelegationState::Active) {
            state.active.insert(held.name.clone(), (held.partner.clone(), held.service.clone()));
        }
        if state != *last {
            broken.push(format!("the history of {} leads to {last:?}, and there is {state:?}", self.customer));
        }
    }

    /// The moments that had begun before a call ended.
    fn until(&self, call: &Call) -> impl Iterator<Item = &State> {
        let begun = self.windows.iter().take_while(|window| window.begin_us <= call.end_us).count();
        self.states.iter().take(begun + 1)
    }

    /// The moments at which a call can have been decided.
    fn during(&self, call: &Call) -> impl Iterator<Item = &State> {
        let over = self.windows.iter().take_while(|window| window.end_us < call.begin_us).count();
        self.until(call).skip(over)
    }

    /// Why a call of this customer was wrong at every moment; `None` when it was right at one.
    fn unexplained(&self, call: &Call, told: &Told, policy: &Policy) -> Result<Option<String>> {
        let refused = match &call.outcome {
            Outcome::Refused(refusal) => refusal.reasons.as_slice(),
            Outcome::Answered(_) => &[],
            Outcome::Unknown(_) => return Ok(None),
        };
        let below = format!("{}/", self.customer);
        let is_right: Rightness = match call.kind {
            Kind::Accept => {
                let request = links::AcceptInvitationRequest::decode(call.request.clone())?;
                if request.customer != self.customer {
                    return Ok(None);
                }
                let Some(answer) = message::<links::AcceptInvitationResponse>(call)? else {
                    let Some(link) = told.links.get(&request.token) else { return Ok(None) };
                    return Ok(self.of_refusal(call, refused, &Asked { request, link, policy }));
                };
                let partner = answer.relationship.map(|relationship| relationship.partner).unwrap_or_default();
                let agreement_due = policy.required_agreement.is_some();
                Box::new(move |state| {
                    let holds = |held: &wire::Delegation| state.active.contains_key(&held.name);
                    state.partners.contains_key(&partner)
                        && answer.delegations.iter().all(holds)
                        && (state.agreed || !agreement_due)
                })
            }
            Kind::Remove => {
                let name = wire::RemoveDelegationRequest::decode(call.request.clone())?.name;
                if !name.starts_with(&below) {
                    return Ok(None);
                }
                ended(refused, name, None, policy)
            }
            Kind::Reassign => {
                let request = wire::ReassignDelegationRequest::decode(call.request.clone())?;
                if !request.name.starts_with(&below) {
                    return Ok(None);
                }
                ended(refused, request.name, Some(request.to_partner), policy)
            }
            Kind::Terminate | Kind::CancelTermination => match parted(call, refused, &below)? {
                Some(is_right) => is_right,
                None => return Ok(None),
            },
            Kind::CheckAccess => return self.checked(call, told, policy),
            Kind::RotateLink
            | Kind::DisableLink
            | Kind::UpdateSubscription
            | Kind::CreatePartner
            | Kind::CreateCustomer
            | Kind::CreateUser
            | Kind::UpdatePartner
            | Kind::UpdateCustomer
            | Kind::Read
            | Kind::Repeat => return Ok(None),
        };
        let explained = self.during(call).any(is_right);
        Ok((!explained).then(|| format!("no moment of {} explains {:?}", self.customer, call.outcome)))
    }

    /// A refused acceptance: what it names must have stood in its way at one moment, all at once.
    fn of_refusal(&self, call: &Call, reasons: &[String], asked: &Asked<'_>) -> Option<String> {
        let explained = self.during(call).any(|state| reasons.iter().all(|reason| state.refuses(reason, asked)));
        (!explained).then(|| format!("no moment of {} explains the refusal for {reasons:?}", self.customer))
    }

    /// Why the answer of an access check was wrong at every moment that it may speak of: those of the call for one that is as
    /// fresh as can be, any since the removal for one that shows the token of that.
    fn checked(&self, call: &Call, told: &Told, policy: &Policy) -> Result<Option<String>> {
        let request = wire::CheckAccessRequest::decode(call.request.clone())?;
        let (Some(answer), Some(Target::Service(service))) =
            (message::<wire::CheckAccessResponse>(call)?, request.target)
        else {
            return Ok(None);
        };
        if request.customer != self.customer {
            return Ok(None);
        }
        let asked = (request.partner, service);
        let agreement_due = policy.required_agreement.is_some();
        let is_right = |state: &State| {
            let holds =
                state.active.iter().any(|(name, held)| *held == asked && (!answer.allowed || *name == answer.grant));
            answer.allowed == (holds && (state.agreed || !agreement_due))
        };
        let explained = match request.consistency.and_then(|consistency| consistency.requirement) {
            Some(Requirement::FullyConsistent(())) => self.during(call).any(is_right),
            Some(Requirement::AtLeastAsFresh(token)) => {
                let removals = told.removals.get(&token).into_iter().flatten();
                let known = removals.filter(|(_, end_us)| *end_us <= call.begin_us);
                let Some(first) = known.filter_map(|(name, _)| self.removed.get(name.as_str())).max() else {
                    return Ok(Some(format!("{} has no removal with the token {token}", self.customer)));
                };
                self.until(call).skip(*first).any(is_right)
            }
            Some(Requirement::MinimizeLatency(())) | None => return Ok(None),
        };
        Ok((!explained).then(|| format!("no moment of {} explains {answer:?} for {asked:?}", self.customer)))
    }
}

/// What must be so for an end that was answered, or was refused for this.
fn ended(refused: &[String], name: String, to: Option<String>, policy: &Policy) -> Rightness {
    let reason = refused.first().cloned();
    let exclusive = policy.delegation.exclusive_holder;
    Box::new(move |state| {
        let held = state.active.get(&name);
        // One of which notice was given gets nothing more.
        let is_related = to.as_ref().is_some_and(|to| state.partners.get(to).is_some_and(|(_, is_ending)| !is_ending));
        match reason.as_deref() {
            // An etag was read while it was active, and changes when that ends.
            Some("DELEGATION_NOT_ACTIVE" | "ETAG_MISMATCH") => held.is_none(),
            Some("RELATIONSHIP_REQUIRED") => held.is_some() && !is_related,
            Some("SERVICE_ALREADY_DELEGATED") => held.is_some_and(|(_, service)| {
                let mut holders = state.active.iter().filter(|(_, (_, other))| other == service);
                is_related
                    && holders
                        .any(|(other, (partner, _))| Some(partner) == to.as_ref() || (exclusive && *other != name))
            }),
            // Whether the partner was suspended then is not the customer's to tell.
            Some("PARTNER_NOT_ACTIVE") => held.is_some() && is_related,
            Some(_) => false,
            // Its own event is one of the moments; before it, the delegation was active.
            None => held.is_some(),
        }
    })
}

/// What must be so for a termination or the cancelling of one that was answered, or was refused for this: that notice was given
/// before, or not.
fn parted(call: &Call, refused: &[String], below: &str) -> Result<Option<Rightness>> {
    let was_ending = call.kind == Kind::CancelTermination;
    let name = if was_ending {
        wire::CancelTerminationRequest::decode(call.request.clone())?.name
    } else {
        wire::RequestTerminationRequest::decode(call.request.clone())?.name
    };
    if !name.starts_with(below) {
        return Ok(None);
    }
    let reason = refused.first().cloned();
    Ok(Some(Box::new(move |state| {
        let bond = state.partners.values().find(|(bond, _)| *bond == name);
        let fits = bond.is_some_and(|(_, is_ending)| *is_ending == was_ending);
        match reason.as_deref() {
            Some("RELATIONSHIP_NOT_ACTIVE" | "RELATIONSHIP_NOT_TERMINATING") => !fits,
            Some("TERMINATION_BLOCKED" | "TERMINATION_OF_OTHER_SIDE") | None => fits,
            // The etag is held against the versions.
            Some(_) => true,
        }
    })))
}

fn window(event: &Event, told: &Told) -> Window {
    let etag = match event.after.as_ref().and_then(|after| after.resource.as_ref()) {
        Some(Resource::Delegation(after)) => after.etag.clone(),
        Some(Resource::Relationship(after)) if event.r#type != "relationship.established" => after.etag.clone(),
        Some(Resource::Relationship(_) | Resource::AgreementAcceptance(_) | Resource::InvitationLink(_)) | None => {
            String::new()
        }
    };
    let found = told
        .events
        .iter()
        .find(|((kind, resource, of), _)| *kind == event.r#type && *resource == event.resource && *of == etag);
    found.map_or(Window { begin_us: 0, end_us: u64::MAX }, |(_, window)| *window)
}

#[cfg(test)]
mod tests;
