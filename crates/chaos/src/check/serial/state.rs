//! What one customer's relationships come to, event by event.

use std::collections::BTreeMap;

use api::invitation as links;
use api::notification::Event;
use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use cloud::Policy;

use crate::check::answers::Link;

/// What one customer's relationships come to at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Relationships in force, by partner: their name, and whether notice was given.
    pub(super) partners: BTreeMap<String, (String, bool)>,
    /// Active delegations: by name, partner and service.
    pub(super) active: BTreeMap<String, (String, String)>,
    /// Whether the agreement was accepted.
    pub(super) agreed: bool,
}

/// What was refused to be accepted.
pub(super) struct Asked<'a> {
    pub(super) request: links::AcceptInvitationRequest,
    pub(super) link: &'a Link,
    pub(super) policy: &'a Policy,
}

impl State {
    /// Whether an acceptance is refused for this now.
    pub(super) fn refuses(&self, reason: &str, asked: &Asked<'_>) -> bool {
        let Asked { request, link, policy } = asked;
        let wanted = |service: &String| {
            link.services.contains(service)
                && !self.active.values().any(|(partner, held)| held == service && partner == link.partner())
        };
        match reason {
            "AGREEMENT_REQUIRED" => policy.required_agreement.is_some() && !self.agreed && request.agreement.is_none(),
            // It has ended, or the link does not ask for its service, or that partner has it already.
            "REPLACEMENT_INVALID" => {
                request.replace.iter().any(|name| !self.active.get(name).is_some_and(|(_, service)| wanted(service)))
            }
            // Somebody else holds what is asked for, and the customer does not give it up.
            "SERVICE_ALREADY_DELEGATED" => {
                let mut kept = self.active.iter().filter(|(name, _)| !request.replace.contains(name));
                policy.delegation.exclusive_holder && kept.any(|(_, (_, service))| wanted(service))
            }
            // Of links and partners the history of the customer says nothing, nor of changes that met.
            "LINK_DISABLED" | "PARTNER_NOT_ACTIVE" | "CONCURRENT_ACCEPTANCE" => true,
            _ => false,
        }
    }

    /// What an event makes of it.
    pub(super) fn apply(&mut self, event: &Event, policy: &Policy) -> Result<(), String> {
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
