//! What is told of a change, to whom.

use api::notification::resource_snapshot::Resource;
use api::notification::{Event, EventEnvelope, ResourceSnapshot};
use clock::{Time, Uuid};
use cloud::TenantId;
use prost::Message as _;

/// A change to tell both sides about.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// `{resource}.{verb}`: `delegation.granted`.
    pub kind: &'static str,
    /// The resource changed.
    pub resource: String,
    /// The customer concerned.
    pub customer: &'a TenantId,
    /// The partner concerned.
    pub partner: &'a TenantId,
    /// Who changed it.
    pub actor: &'a str,
    /// Why, in the actor's words.
    pub reason: &'a str,
    /// The resource before.
    pub before: Option<Resource>,
    /// The resource after.
    pub after: Option<Resource>,
}

impl Change<'_> {
    /// The event as the outbox keeps it.
    #[must_use]
    pub fn envelope(self, id: Uuid, time: Time, cloud: &str, traceparent: String) -> Vec<u8> {
        let event = Event {
            name: String::new(),
            sequence: 0,
            r#type: self.kind.to_owned(),
            resource: self.resource,
            event_time: Some(super::timestamp(time)),
            actor: self.actor.to_owned(),
            reason: self.reason.to_owned(),
            cloud: cloud.to_owned(),
            before: self.before.map(snapshot),
            after: self.after.map(snapshot),
        };
        let envelope = EventEnvelope {
            event_id: id.to_string(),
            feeds: vec![format!("customers/{}", self.customer), format!("partners/{}", self.partner)],
            event: Some(event),
            traceparent,
        };
        envelope.encode_to_vec()
    }
}

fn snapshot(resource: Resource) -> ResourceSnapshot {
    ResourceSnapshot { resource: Some(resource) }
}
