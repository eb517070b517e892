//! What the answers say must have happened: each event that they imply, and when that can have been.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use api::invitation as links;
use api::relationship as wire;
use prost::Message;

use crate::history::{Call, Outcome};
use crate::operation::Kind;

/// When something happened: after the first request that speaks of it was sent, before the first answer that does came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Not before, in microseconds of the round.
    pub(super) begin_us: u64,
    /// Not after.
    pub(super) end_us: u64,
}

/// An event by its type, its resource and, for what has versions, the etag after it.
pub(super) type EventKey = (&'static str, String, String);

/// All that was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The events that the answers imply.
    pub(super) events: BTreeMap<EventKey, Window>,
    /// Delegations as answers say they ended, by name.
    pub(super) ended: BTreeMap<String, wire::Delegation>,
    /// Relationships of which an answer spoke, by name.
    pub(super) relationships: BTreeMap<String, wire::Relationship>,
}

/// The message of an answer.
///
/// # Errors
/// When it is none of this type.
pub(super) fn message<A: Message + Default>(call: &Call) -> Result<Option<A>> {
    let Outcome::Answered(answer) = &call.outcome else {
        return Ok(None);
    };
    let decoded = A::decode(answer.message.clone());
    decoded.map(Some).with_context(|| format!("the answer of {} is something else", call.path))
}

impl Told {
    /// What these calls were told.
    ///
    /// # Errors
    /// When an answer is no message of its method.
    pub(super) fn of(calls: &[Call]) -> Result<Told> {
        let mut told = Told::default();
        for call in calls {
            match call.kind {
                Kind::Accept => told.accepted(call)?,
                Kind::Remove => {
                    if let Some(ended) = message::<wire::Delegation>(call)? {
                        told.end("delegation.removedByCustomer", ended, call);
                    }
                }
                Kind::Reassign => told.reassigned(call)?,
                Kind::Terminate | Kind::CancelTermination => told.parted(call)?,
                Kind::RotateLink => told.linked("invitationLink.rotated", call)?,
                Kind::DisableLink => told.linked("invitationLink.disabled", call)?,
                Kind::UpdateSubscription
                | Kind::CreatePartner
                | Kind::CreateCustomer
                | Kind::CreateUser
                | Kind::UpdatePartner
                | Kind::UpdateCustomer
                | Kind::CheckAccess
                | Kind::Read
                | Kind::Repeat => {}
            }
        }
        Ok(told)
    }

    fn accepted(&mut self, call: &Call) -> Result<()> {
        let Some(answer) = message::<links::AcceptInvitationResponse>(call)? else {
            return Ok(());
        };
        if let Some(relationship) = answer.relationship {
            self.event(("relationship.established", relationship.name.clone(), String::new()), call);
            self.relationships.entry(relationship.name.clone()).or_insert(relationship);
        }
        if let Some(agreement) = answer.agreement_acceptance {
            self.event(("agreement.accepted", agreement.name, String::new()), call);
        }
        for held in answer.delegations {
            self.event(("delegation.granted", held.name, held.etag), call);
        }
        for ended in answer.replaced {
            self.end("delegation.reassigned", ended, call);
        }
        Ok(())
    }

    fn reassigned(&mut self, call: &Call) -> Result<()> {
        let Some(answer) = message::<wire::ReassignDelegationResponse>(call)? else {
            return Ok(());
        };
        if let Some(ended) = answer.ended {
            self.end("delegation.reassigned", ended, call);
        }
        if let Some(granted) = answer.granted {
            self.event(("delegation.granted", granted.name, granted.etag), call);
        }
        Ok(())
    }

    /// The delegations that ended with a relationship are in no answer: the history tells of them.
    fn parted(&mut self, call: &Call) -> Result<()> {
        let Some(relationship) = message::<wire::Relationship>(call)? else {
            return Ok(());
        };
        let kind = match relationship.state() {
            wire::RelationshipState::Terminated => "relationship.terminated",
            wire::RelationshipState::Terminating => "relationship.terminationRequested",
            wire::RelationshipState::Active | wire::RelationshipState::Unspecified => {
                "relationship.terminationCancelled"
            }
        };
        self.event((kind, relationship.name, relationship.etag), call);
        Ok(())
    }

    fn linked(&mut self, kind: &'static str, call: &Call) -> Result<()> {
        if let Some(link) = message::<links::InvitationLink>(call)? {
            self.event((kind, link.name, link.etag), call);
        }
        Ok(())
    }

    fn end(&mut self, kind: &'static str, ended: wire::Delegation, call: &Call) {
        self.event((kind, ended.name.clone(), ended.etag.clone()), call);
        self.ended.insert(ended.name.clone(), ended);
    }

    fn event(&mut self, key: EventKey, call: &Call) {
        let window = Window { begin_us: call.begin_us, end_us: call.end_us };
        let kept = self.events.entry(key).or_insert(window);
        kept.begin_us = kept.begin_us.min(window.begin_us);
        kept.end_us = kept.end_us.min(window.end_us);
    }
}
