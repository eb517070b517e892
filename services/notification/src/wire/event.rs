//! Events and lists of them.

use api::filter;
use api::notification::{Event, ListEventsRequest, WatchEventsResponse, watch_events_response};
use api::page::{self, Page};
use clock::Uuid;
use prost::Message as _;
use store::Failure;

use super::feed;
use crate::domain::event::{EventType, Kept};
use crate::domain::feed::Feed;
use crate::error::Error;

/// The id of an event, in the one form that names use.
#[must_use]
pub fn id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.to_string() == text).then_some(id)
}

/// `{feed}/events/{event}`.
///
/// # Errors
/// When it is not the name of an event.
pub fn name(name: &str) -> Result<(Feed, Uuid), Error> {
    let parts = name.split_once("/events/");
    let parsed = parts.and_then(|(parent, event)| Some((feed::parse(parent)?, id(event)?)));
    parsed.ok_or_else(|| {
        Error::invalid("name", "give partners/{partner}/events/{event} or customers/{customer}/events/{event}")
    })
}

/// A list asked for.
#[derive(Clone, Debug)]
pub struct List {
    /// Of which feed.
    pub feed: Feed,
    /// Which page of it.
    pub page: Page,
    /// After which sequence the page begins.
    pub after: i64,
    /// Of which type the events shall be; of any when there is none.
    pub event_type: Option<EventType>,
}

/// Reads what a list is asked for.
///
/// # Errors
/// When a field is malformed.
pub fn list(request: &ListEventsRequest) -> Result<List, Error> {
    let feed = feed::parent(&request.parent)?;
    let event_type = event_type(&request.filter)?;
    let wanted = event_type.as_ref().map_or("", EventType::as_str);
    let page = Page::parse(format!("events {feed} {wanted}"), request.page_size, &request.page_token)?;
    let after = if page.after.is_empty() { 0 } else { page.after.parse().map_err(|_| page::not_ours())? };
    Ok(List { feed, page, after, event_type })
}

fn event_type(filter: &str) -> Result<Option<EventType>, Error> {
    let pairs = filter::parse(filter, &["type"])
        .map_err(|_| Error::invalid("filter", "leave it out, or give a type: type = \"relationship.established\""))?;
    let wanted = pairs.get("type").map(|wanted| {
        EventType::parse(wanted)
            .ok_or_else(|| Error::invalid("filter", "a type is {resource}.{verb}, as in relationship.established"))
    });
    wanted.transpose()
}

/// An event of a feed as it is sent.
///
/// # Errors
/// When what was kept is no event.
pub fn event(feed: &Feed, kept: &Kept) -> Result<Event, Failure> {
    let event = Event::decode(kept.payload.as_slice());
    let event = event.map_err(|error| Failure::inconsistent("events", format!("{}: {error}", kept.id)))?;
    Ok(Event { name: format!("{feed}/events/{}", kept.id), sequence: kept.sequence, ..event })
}

/// An event of a feed as a watch sends it.
///
/// # Errors
/// When what was kept is no event.
pub fn watched(feed: &Feed, kept: &Kept) -> Result<WatchEventsResponse, Failure> {
    Ok(WatchEventsResponse { response: Some(watch_events_response::Response::Event(event(feed, kept)?)) })
}
