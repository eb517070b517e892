//! Whether one order of the changes explains everything: the order of each customer's feed, which must fit when each call was made,
//! and in which each answer and each refusal must have been right at some moment while its call was under way.

use std::collections::BTreeMap;

use anyhow::Result;
use api::invitation as links;
use api::notification::Event;
use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use cloud::Policy;
use prost::Message as _;

use super::World;
use super::answers::{Told, Window, message};
use crate::history::{Call, Outcome};
use crate::operation::Kind;

/// What one customer's relationships come to at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// Relationships in force, by partner: their name, and whether notice was given.
    partners: BTreeMap<String, (String, bool)>,
    /// Active delegations: by name, partner and service.
    active: BTreeMap<String, (String, String)>,
    /// Whether the agreement was accepted.
    agreed: bool,
}

/// Whether an outcome is right at a moment.
type Rightness = Box<dyn Fn(&State) -> bool>;

/// The moments of one customer: before its first event, and after each.
struct Moments<'a> {
    customer: &'a str,
    states: Vec<State>,
    /// Of each event: no earlier, and no later than this.
    windows: Vec<Window>,
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
            if let Some(problem) = moments.unexplained(call, policy)? {
                broken.push(format!("{problem} ({:?} from {} to {} µs)", call.kind, call.begin_us, call.end_us));
            }
        }
    }
    Ok(broken)
}

impl<'a> Moments<'a> {
    fn of(customer: &'a str, events: &[Event], told: &Told, policy: &Policy, broken: &mut Vec<String>) -> Moments<'a> {
        let mut states = vec![State::default()];
        let mut windows: Vec<Window> = Vec::new();
        for event in events {
            let mut state = states.last().cloned().unwrap_or_default();
            if let Err(problem) = state.apply(event, policy) {
                broken.push(format!("{} cannot have happened then: {problem}", event.name));
            }
            states.push(state);
            windows.push(window(event, told));
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
        Moments { customer, states, windows }
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

    /// The moments at which a call can have been decided.
    fn during(&self, call: &Call) -> impl Iterator<Item = &State> {
        let (begin_us, end_us) = (call.begin_us, call.end_us);
        self.states.iter().enumerate().filter_map(move |(index, state)| {
            let has_begun = index == 0 || self.windows[index - 1].begin_us <= end_us;
            let is_not_over = self.windows.get(index).is_none_or(|next| next.end_us >= begin_us);
            (has_begun && is_not_over).then_some(state)
        })
    }

    /// Why a call of this customer was wrong at every moment; `None` when it was right at one.
    fn unexplained(&self, call: &Call, policy: &Policy) -> Result<Option<String>> {
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
                    return Ok(self.of_refusal(call, refused, &request));
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
                ended(refused, name, None)
            }
            Kind::Reassign => {
                let request = wire::ReassignDelegationRequest::decode(call.request.clone())?;
                if !request.name.starts_with(&below) {
                    return Ok(None);
                }
                ended(refused, request.name, Some(request.to_partner))
            }
            Kind::Terminate | Kind::CancelTermination => match parted(call, refused, &below)? {
                Some(is_right) => is_right,
                None => return Ok(None),
            },
            Kind::CheckAccess => match self.checked(call, policy)? {
                Some(is_right) => is_right,
                None => return Ok(None),
            },
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
    fn of_refusal(&self, call: &Call, reasons: &[String], request: &links::AcceptInvitationRequest) -> Option<String> {
        let stands = |state: &State| {
            reasons.iter().all(|reason| match reason.as_str() {
                "AGREEMENT_REQUIRED" => !state.agreed && request.agreement.is_none(),
                "REPLACEMENT_INVALID" => request.replace.iter().any(|name| state.cannot_replace(name)),
                // Somebody else holds something that the customer does not give up.
                "SERVICE_ALREADY_DELEGATED" => state.active.keys().any(|name| !request.replace.contains(name)),
                // Of links and partners the history of the customer says nothing.
                _ => true,
            })
        };
        let explained = self.during(call).any(stands);
        (!explained).then(|| format!("no moment of {} explains the refusal for {reasons:?}", self.customer))
    }

    /// What must be so for the answer of an access check that is as fresh as can be.
    fn checked(&self, call: &Call, policy: &Policy) -> Result<Option<Rightness>> {
        let request = wire::CheckAccessRequest::decode(call.request.clone())?;
        let Some(answer) = message::<wire::CheckAccessResponse>(call)? else {
            return Ok(None);
        };
        let requirement = request.consistency.and_then(|consistency| consistency.requirement);
        let is_fresh = matches!(requirement, Some(wire::consistency::Requirement::FullyConsistent(())));
        let Some(wire::check_access_request::Target::Service(service)) = request.target else {
            return Ok(None);
        };
        if request.customer != self.customer || !is_fresh {
            return Ok(None);
        }
        let (partner, agreement_due) = (request.partner, policy.required_agreement.is_some());
        Ok(Some(Box::new(move |state| {
            let holds = state.active.iter().any(|(name, held)| {
                *held == (partner.clone(), service.clone()) && (!answer.allowed || *name == answer.grant)
            });
            answer.allowed == (holds && (state.agreed || !agreement_due))
        })))
    }
}

/// What must be so for an end that was answered, or was refused for this.
fn ended(refused: &[String], name: String, to: Option<String>) -> Rightness {
    let reason = refused.first().cloned();
    Box::new(move |state| {
        let is_active = state.active.contains_key(&name);
        match reason.as_deref() {
            Some("DELEGATION_NOT_ACTIVE" | "ETAG_MISMATCH") => !is_active,
            Some("RELATIONSHIP_REQUIRED") => {
                to.as_ref().is_some_and(|to| state.partners.get(to).is_none_or(|(_, is_ending)| *is_ending))
            }
            // Refused for the partner itself, or for what it holds: nothing of the customer's to compare.
            Some(_) => true,
            // Its own event is one of the moments; before it, the delegation was active.
            None => is_active,
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

impl State {
    /// Whether a delegation cannot be replaced by one of another partner: it has ended, or somebody else holds its service too,
    /// who may be that partner.
    fn cannot_replace(&self, name: &str) -> bool {
        let Some((_, service)) = self.active.get(name) else {
            return true;
        };
        self.active.values().filter(|(_, other)| other == service).count() > 1
    }

    /// What an event makes of it.
    fn apply(&mut self, event: &Event, policy: &Policy) -> Result<(), String> {
        let after = event.after.as_ref().and_then(|after| after.resource.as_ref());
        match (event.r#type.as_str(), after) {
            ("relationship.established", Some(Resource::Relationship(after))) => {
                if self.partners.insert(after.partner.clone(), (after.name.clone(), false)).is_some() {
                    return Err(format!("{} had a relationship in force", after.partner));
                }
            }
            (
                "relationship.terminationRequested" | "relationship.terminationCancelled",
                Some(Resource::Relationship(after)),
            ) => {
                let is_ending = after.state() == wire::RelationshipState::Terminating;
                match self.partners.get_mut(&after.partner) {
                    Some((name, was_ending)) if *name == after.name && *was_ending != is_ending => {
                        *was_ending = is_ending;
                    }
                    Some(_) | None => return Err("it was not in force, or was so already".to_owned()),
                }
            }
            ("relationship.terminated", Some(Resource::Relationship(after))) => {
                let below = format!("{}/", after.name);
                if self.active.keys().any(|held| held.starts_with(&below)) {
                    return Err("a delegation on it was active".to_owned());
                }
                if self.partners.remove(&after.partner).is_none_or(|(name, _)| name != after.name) {
                    return Err("it was not in force".to_owned());
                }
            }
            ("agreement.accepted", Some(_)) => {
                if std::mem::replace(&mut self.agreed, true) {
                    return Err("the agreement had been accepted".to_owned());
                }
            }
            ("delegation.granted", Some(Resource::Delegation(after))) => {
                let exclusive = policy.delegation.exclusive_holder;
                let holder = self
                    .active
                    .values()
                    .find(|(partner, service)| *service == after.service && (exclusive || *partner == after.partner));
                if let Some((partner, service)) = holder {
                    return Err(format!("{partner} held {service}"));
                }
                if !self.partners.contains_key(&after.partner) {
                    return Err(format!("{} had no relationship", after.partner));
                }
                self.active.insert(after.name.clone(), (after.partner.clone(), after.service.clone()));
            }
            (
                "delegation.removedByCustomer" | "delegation.reassigned" | "delegation.closed",
                Some(Resource::Delegation(after)),
            ) => {
                if self.active.remove(&after.name).is_none() {
                    return Err("it was not active".to_owned());
                }
            }
            (kind, _) => return Err(format!("{kind} is nothing that happens to a customer here")),
        }
        Ok(())
    }
}
