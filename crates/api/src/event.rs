//! What is told of a change, as the outbox of a service keeps it and the notification service takes it in.

use prost::Message as _;
use uuid::Uuid;

use crate::field;
use crate::notification::resource_snapshot::Resource;
use crate::notification::{Event, EventEnvelope, ResourceSnapshot};

/// A change to tell about.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// `{resource}.{verb}`: `delegation.granted`.
    pub kind: &'static str,
    /// The name of the resource changed.
    pub resource: String,
    /// Whom it concerns: one or two of `partners/{partner}` and `customers/{customer}`.
    pub feeds: Vec<String>,
    /// Who changed it.
    pub actor: &'a str,
    /// Why, in the actor's words.
    pub reason: &'a str,
    /// The resource before. `None` when it is new.
    pub before: Option<Resource>,
    /// The resource after.
    pub after: Option<Resource>,
}

/// Where and when a change happened.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// The id of the event.
    pub id: Uuid,
    /// When, in microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// In which cloud.
    pub cloud: &'a str,
    /// In which trace.
    pub traceparent: String,
}

impl Change<'_> {
    /// The event, encoded. Name and sequence it gets where it is kept.
    #[must_use]
    pub fn envelope(self, occasion: Occasion<'_>) -> Vec<u8> {
        let snapshot = |resource| ResourceSnapshot { resource: Some(resource) };
        let event = Event {
            name: String::new(),
            sequence: 0,
            r#type: self.kind.to_owned(),
            resource: self.resource,
            event_time: Some(field::timestamp(occasion.time_us)),
            actor: self.actor.to_owned(),
            reason: self.reason.to_owned(),
            cloud: occasion.cloud.to_owned(),
            before: self.before.map(snapshot),
            after: self.after.map(snapshot),
        };
        let envelope = EventEnvelope {
            event_id: occasion.id.to_string(),
            feeds: self.feeds,
            event: Some(event),
            traceparent: occasion.traceparent,
        };
        envelope.encode_to_vec()
    }
}
