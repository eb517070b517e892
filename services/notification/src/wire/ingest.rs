//! Events on their way in.

use api::field::{self, Invalid};
use api::notification::{Event, EventEnvelope};
use clock::Time;
use prost::Message as _;

use super::{event, feed};
use crate::domain::event::{ARRIVALS_MAX, Arrival, EventType};
use crate::domain::feed::{Feed, Feeds};
use crate::error::Error;

/// Reads all envelopes of a call.
///
/// # Errors
/// Every field of every envelope that can never be taken.
pub fn arrivals(envelopes: &[EventEnvelope], cloud: &str) -> Result<Vec<Arrival>, Error> {
    if envelopes.len() > ARRIVALS_MAX {
        return Err(Error::invalid("envelopes", "send 500 at most in one call"));
    }
    let mut arrivals = Vec::with_capacity(envelopes.len());
    let mut violations = Vec::new();
    for (index, envelope) in envelopes.iter().enumerate() {
        match arrival(envelope, cloud) {
            Ok(arrival) => arrivals.push(arrival),
            Err((field, problem)) => violations.push(Invalid::new(format!("envelopes[{index}].{field}"), problem)),
        }
    }
    let mut violations = violations.into_iter();
    match violations.next() {
        Some(first) => Err(Error::Invalid(first, violations.collect())),
        None => Ok(arrivals),
    }
}

type Fault = (&'static str, &'static str);

fn arrival(envelope: &EventEnvelope, cloud: &str) -> Result<Arrival, Fault> {
    let id = event::id(&envelope.event_id).ok_or(("event_id", "give a UUID, in lower case with hyphens"))?;
    let feeds: Option<Vec<Feed>> = envelope.feeds.iter().map(|name| feed::parse(name)).collect();
    let feeds = feeds.and_then(Feeds::of);
    let feeds =
        feeds.ok_or(("feeds", "give one or two different ones of partners/{partner} and customers/{customer}"))?;
    let event = envelope.event.as_ref().ok_or(("event", "give what happened"))?;
    let event_type = EventType::parse(&event.r#type)
        .ok_or(("event.type", "give {resource}.{verb}, as in relationship.established"))?;
    let event_time = event.event_time.as_ref().and_then(|time| field::micros("event_time", time).ok());
    let event_time = event_time.ok_or(("event.event_time", "give when it happened"))?;
    // N69: clouds do not mix, whatever the certificates say.
    if !event.cloud.is_empty() && event.cloud != cloud {
        return Err(("event.cloud", "send events of this cloud only"));
    }
    let payload = Event { name: String::new(), sequence: 0, ..event.clone() }.encode_to_vec();
    Ok(Arrival { id, feeds, event_type, event_time: Time::from_micros(event_time), payload })
}
