//! Names of feeds, who reads them, and from where.

use api::notification::{Heartbeat, WatchEventsRequest, WatchEventsResponse, watch_events_response};
use api::rule::PrincipalKind;
use cloud::TenantId;
use server::Caller;

use crate::domain::feed::{Feed, Reader, Start};
use crate::error::Error;

/// `partners/{partner}` or `customers/{customer}`.
#[must_use]
pub fn parse(name: &str) -> Option<Feed> {
    let tenant = |collection| {
        let [id] = api::name::ids(name, [collection])?;
        TenantId::parse(id).ok()
    };
    tenant("partners").map(Feed::Partner).or_else(|| tenant("customers").map(Feed::Customer))
}

/// The feed that a request names as its parent.
///
/// # Errors
/// When it is not the name of a feed.
pub fn parent(name: &str) -> Result<Feed, Error> {
    parse(name).ok_or_else(|| Error::invalid("parent", "give partners/{partner} or customers/{customer}"))
}

/// Who calls, as far as feeds are concerned.
#[must_use]
pub fn reader(caller: &Caller) -> Reader {
    match caller.kind {
        PrincipalKind::Partner => Reader::Partner(caller.tenant.clone()),
        PrincipalKind::Customer => Reader::Customer(caller.tenant.clone()),
        PrincipalKind::Operator => Reader::Operator,
        PrincipalKind::Workload | PrincipalKind::Unspecified => Reader::Stranger,
    }
}

/// The feed to watch, and from where.
///
/// # Errors
/// When either is malformed.
pub fn watch(request: &WatchEventsRequest) -> Result<(Feed, Start), Error> {
    let feed = parent(&request.parent)?;
    match request.after_sequence {
        -1 => Ok((feed, Start::Next)),
        after if after >= 0 => Ok((feed, Start::After(after))),
        _ => {
            Err(Error::invalid("after_sequence", "give the last sequence seen, 0 for all events, -1 for those to come"))
        }
    }
}

/// A sign of life that says where to resume.
#[must_use]
pub fn heartbeat(sequence: i64) -> WatchEventsResponse {
    WatchEventsResponse { response: Some(watch_events_response::Response::Heartbeat(Heartbeat { sequence })) }
}
