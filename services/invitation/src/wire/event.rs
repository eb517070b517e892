//! What is told of a change, to the partner alone: links concern no customer (R17).

use api::notification::resource_snapshot::Resource;
use api::notification::{Event, EventEnvelope, ResourceSnapshot};
use clock::{Time, Uuid};
use prost::Message as _;

use crate::domain::link::Link;

/// A change of a link to tell about.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// `{resource}.{verb}`: `invitationLink.rotated`.
    pub kind: &'static str,
    /// The link before.
    pub before: &'a Link,
    /// The link after.
    pub after: &'a Link,
    /// Who changed it.
    pub actor: &'a str,
    /// Why, in the actor's words.
    pub reason: &'a str,
}

impl Change<'_> {
    /// The event as the outbox keeps it.
    #[must_use]
    pub fn envelope(self, id: Uuid, time: Time, cloud: &str, traceparent: String) -> Vec<u8> {
        let event = Event {
            name: String::new(),
            sequence: 0,
            r#type: self.kind.to_owned(),
            resource: self.after.name(),
            event_time: Some(super::timestamp(time)),
            actor: self.actor.to_owned(),
            reason: self.reason.to_owned(),
            cloud: cloud.to_owned(),
            before: Some(snapshot(self.before)),
            after: Some(snapshot(self.after)),
        };
        let envelope = EventEnvelope {
            event_id: id.to_string(),
            feeds: vec![format!("partners/{}", self.after.partner)],
            event: Some(event),
            traceparent,
        };
        envelope.encode_to_vec()
    }
}

/// A link as an event carries it.
fn snapshot(link: &Link) -> ResourceSnapshot {
    ResourceSnapshot { resource: Some(Resource::InvitationLink(super::link::record(link))) }
}
