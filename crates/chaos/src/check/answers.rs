//! What the answers say must have happened: each event that they imply, and when that can have been.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use api::invitation as links;
use api::relationship as wire;
use prost::Message;

use super::version;
use crate::history::{Call, Outcome};
use crate::kind::Kind;
use crate::operation::GET_LINK;

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

/// A link by which customers can accept, for as long as it is neither rotated nor disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Its name.
    pub(super) name: String,
    /// The services that it asks for, ordered.
    pub(super) services: Vec<String>,
    /// The version of the link at which its token leads to it, and at no other.
    live: u64,
}

impl Link {
    fn of(link: links::InvitationLink) -> Link {
        let number = version(&link.etag);
        // A link that is disabled still shows the token that it had before.
        let is_disabled = link.state() == links::InvitationLinkState::Disabled;
        let live = if is_disabled { number.saturating_sub(1) } else { number };
        Link { name: link.name, services: link.services, live }
    }

    /// Whose it is.
    pub(super) fn partner(&self) -> &str {
        self.name.split("/invitationLinks/").next().unwrap_or_default()
    }
}

/// What a partner was from one version on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    status: wire::PartnerStatus,
    since: Window,
}

/// All that was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The events that the answers imply.
    pub(super) events: BTreeMap<EventKey, Window>,
    /// Delegations as answers say they ended, by name.
    pub(super) ended: BTreeMap<String, wire::Delegation>,
    /// Relationships of which an answer spoke, by name.
    pub(super) relationships: BTreeMap<String, wire::Relationship>,
    /// Links, by the tokens that lead to them.
    pub(super) links: BTreeMap<String, Link>,
    /// The delegations that were removed and when that was answered, in microseconds, by the token of the answer. Those that were
    /// committed together share one, and on files all may.
    pub(super) removals: BTreeMap<String, Vec<(String, u64)>>,
    /// Partners by name and version.
    partners: BTreeMap<String, BTreeMap<u64, Standing>>,
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
                Kind::Remove => told.removed(call)?,
                Kind::Reassign => told.reassigned(call)?,
                Kind::Terminate | Kind::CancelTermination => told.parted(call)?,
                Kind::RotateLink => told.linked("invitationLink.rotated", call)?,
                Kind::DisableLink => told.linked("invitationLink.disabled", call)?,
                Kind::CreatePartner | Kind::UpdatePartner => told.standing(call)?,
                Kind::Read if call.path == GET_LINK => told.link(call)?,
                Kind::UpdateSubscription
                | Kind::CreateCustomer
                | Kind::CreateUser
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

    fn removed(&mut self, call: &Call) -> Result<()> {
        if let Some(ended) = message::<wire::Delegation>(call)? {
            if let Outcome::Answered(answer) = &call.outcome
                && let Some(token) = &answer.token
            {
                self.removals.entry(token.clone()).or_default().push((ended.name.clone(), call.end_us));
            }
            self.end("delegation.removedByCustomer", ended, call);
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
        self.link(call)
    }

    fn link(&mut self, call: &Call) -> Result<()> {
        if let Some(link) = message::<links::InvitationLink>(call)? {
            self.links.insert(link.token.clone(), Link::of(link));
        }
        Ok(())
    }

    fn standing(&mut self, call: &Call) -> Result<()> {
        if let Some(partner) = message::<wire::Partner>(call)? {
            let since = Window { begin_us: call.begin_us, end_us: call.end_us };
            let standing = Standing { status: partner.status(), since };
            self.partners.entry(partner.name).or_default().insert(version(&partner.etag), standing);
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

    /// When a link was rotated or disabled, so that its token leads nowhere; `None` when it was not.
    fn death(&self, link: &Link) -> Option<Window> {
        let etag = format!("v{}", link.live + 1);
        let kinds = ["invitationLink.rotated", "invitationLink.disabled"];
        kinds.into_iter().find_map(|kind| self.events.get(&(kind, link.name.clone(), etag.clone())).copied())
    }

    /// Whether customers can have accepted through this link at some moment of the call.
    pub(super) fn can_be_live(&self, link: &Link, call: &Call) -> bool {
        link.live > 0 && self.death(link).is_none_or(|death| death.end_us >= call.begin_us)
    }

    /// Whether this link can have led nowhere at some moment of the call.
    pub(super) fn can_be_dead(&self, link: &Link, call: &Call) -> bool {
        self.death(link).is_some_and(|death| death.begin_us <= call.end_us)
    }

    /// Whether a partner can have been this at some moment of the call.
    pub(super) fn can_be(&self, partner: &str, status: wire::PartnerStatus, call: &Call) -> bool {
        let Some(standings) = self.partners.get(partner) else { return false };
        standings.iter().any(|(number, standing)| {
            let until_us = standings.get(&(number + 1)).map_or(u64::MAX, |next| next.since.end_us);
            standing.status == status && standing.since.begin_us <= call.end_us && until_us >= call.begin_us
        })
    }
}
