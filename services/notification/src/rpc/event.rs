//! Reading events that were kept.

use std::sync::Arc;

use api::notification::{Event, GetEventRequest, ListEventsRequest, ListEventsResponse};
use server::Caller;

use super::Calls;
use crate::domain::feed::Feed;
use crate::error::Error;
use crate::store::event::{self, Range};
use crate::wire;

/// I12: a feed of others is not there, whether it is or not. `name` is what the caller asked for.
pub(super) fn check_reader(caller: &Caller, feed: &Feed, name: &str) -> Result<(), Error> {
    if wire::feed::reader(caller).may_read(feed) {
        return Ok(());
    }
    Err(Error::not_found(name))
}

/// Returns an event.
pub(super) async fn get_event(calls: Calls, caller: Arc<Caller>, request: GetEventRequest) -> Result<Event, Error> {
    let (feed, id) = wire::event::name(&request.name)?;
    check_reader(&caller, &feed, &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let Some(kept) = event::find(&mut tx, &feed, id).await? else {
        return Err(Error::not_found(request.name));
    };
    Ok(wire::event::event(&feed, &kept)?)
}

/// Lists the events of a feed.
pub(super) async fn list_events(
    calls: Calls,
    caller: Arc<Caller>,
    request: ListEventsRequest,
) -> Result<ListEventsResponse, Error> {
    let mut list = wire::event::list(&request)?;
    check_reader(&caller, &list.feed, &request.parent)?;
    let range = Range { after: list.after, limit: list.page.limit(), event_type: list.event_type.as_ref() };
    let mut tx = store::read(&calls.pool).await?;
    let kept = event::list(&mut tx, &list.feed, range).await?;
    drop(tx);
    let fitting = event::fitting(&kept);
    if fitting < kept.len() {
        list.page.size = list.page.size.min(fitting);
    }
    let (kept, next_page_token) = list.page.cut(kept, |kept| kept.sequence.to_string());
    let events: Result<Vec<Event>, _> = kept.iter().map(|kept| wire::event::event(&list.feed, kept)).collect();
    Ok(ListEventsResponse { events: events?, next_page_token })
}
