//! Events in their feeds.

use std::collections::BTreeSet;

use clock::{Time, Uuid};
use failpoint::Point;
use futures_util::TryStreamExt as _;
use store::{Failure, Tx, Work, on};

use super::feed;
use crate::domain::event::{Arrival, EventType, Kept, by_feed};
use crate::domain::feed::Feed;

/// The feed is locked, so the only conflict there can be is that of a repeat.
const INSERT: &str = "INSERT INTO events (feed, sequence, id, type, event_time_us, payload, ingest_time_us)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (feed, id) DO NOTHING";
const FIND: &str = "SELECT sequence, id, payload FROM events WHERE feed = $1 AND id = $2";
const LIST: &str =
    "SELECT sequence, id, payload FROM events WHERE feed = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
/// A text of its own: with an optional condition in its place, no plan fits both, and the index by type would go unused.
const LIST_OF_TYPE: &str = "SELECT sequence, id, payload FROM events WHERE feed = $1 AND type = $4 AND sequence > $2
     ORDER BY sequence LIMIT $3";

/// How many bytes of events are read at a time. A page that reaches it ends there.
pub const READ_MAX_BYTES: usize = 1024 * 1024;

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    id: Uuid,
    payload: Vec<u8>,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Kept {
        Kept { sequence: row.sequence, id: row.id, payload: row.payload }
    }
}

/// The transaction that keeps events: all of them or none, each once in each of its feeds.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// In the order in which they happened.
    pub arrivals: &'a [Arrival],
    /// When they arrived.
    pub now: Time,
}

/// What became of events that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many were new.
    pub new_count: usize,
    /// How far the feeds have come that got any.
    pub advanced: Vec<(Feed, i64)>,
}

impl Work for Keep<'_> {
    const NAME: &'static str = "ingest_events";
    type Answer = Outcome;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<Outcome, Failure> {
        let mut new = BTreeSet::new();
        let mut advanced = Vec::new();
        for (feed, arrivals) in by_feed(self.arrivals) {
            let before = feed::lock(tx, feed).await?;
            let mut last = before;
            for arrival in arrivals {
                if insert(tx, feed, last + 1, arrival, self.now).await? {
                    last += 1;
                    new.insert(arrival.id);
                }
            }
            if last > before {
                feed::advance(tx, feed, last).await?;
                advanced.push((feed.clone(), last));
            }
        }
        failpoint::reach(Point::IngestWritten);
        Ok(Outcome { new_count: new.len(), advanced })
    }
}

/// False when the feed has the event.
async fn insert(tx: &mut Tx, feed: &Feed, sequence: i64, arrival: &Arrival, now: Time) -> Result<bool, Failure> {
    let rows = on!(tx, tx => sqlx::query(INSERT)
        .bind(feed.to_string())
        .bind(sequence)
        .bind(arrival.id)
        .bind(arrival.event_type.as_str())
        .bind(arrival.event_time.micros())
        .bind(&arrival.payload)
        .bind(now.micros())
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}

/// The event of a feed with this id.
pub async fn find(tx: &mut Tx, feed: &Feed, id: Uuid) -> Result<Option<Kept>, Failure> {
    let row: Option<Row> =
        on!(tx, tx => sqlx::query_as(FIND).bind(feed.to_string()).bind(id).fetch_optional(&mut **tx).await?);
    Ok(row.map(Kept::from))
}

/// Which events of a feed to read.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Those after this sequence.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
    /// Of this type only, if one is given.
    pub event_type: Option<&'a EventType>,
}

/// Events of a feed, in order. Stops early with the first event that does not fit in [`READ_MAX_BYTES`] beside those before it;
/// [`fitting`] tells how many do.
pub async fn list(tx: &mut Tx, feed: &Feed, range: Range<'_>) -> Result<Vec<Kept>, Failure> {
    let text = if range.event_type.is_some() { LIST_OF_TYPE } else { LIST };
    let mut events: Vec<Kept> = Vec::new();
    let mut bytes = 0;
    on!(tx, tx => {
        let mut query = sqlx::query_as::<_, Row>(text).bind(feed.to_string()).bind(range.after).bind(range.limit);
        if let Some(event_type) = range.event_type {
            query = query.bind(event_type.as_str());
        }
        let mut rows = query.fetch(&mut **tx);
        while (events.len() < 2 || bytes <= READ_MAX_BYTES) && let Some(row) = rows.try_next().await? {
            bytes += row.payload.len();
            events.push(row.into());
        }
    });
    Ok(events)
}

/// How many of the events read fit together; the first always does.
#[must_use]
pub fn fitting(events: &[Kept]) -> usize {
    let mut bytes = 0;
    let fits = events.iter().take_while(|event| {
        bytes += event.payload.len();
        bytes <= READ_MAX_BYTES
    });
    fits.count().max(1).min(events.len())
}
