//! Watching a feed: what was kept, then what comes, in order.
//!
//! An answer is made only when the client has taken the one before, so a slow client holds one batch and nothing queues up for
//! it; when the client is gone the watch is dropped, and nothing runs on its behalf.

use std::collections::VecDeque;
use std::sync::Arc;

use api::notification::{WatchEventsRequest, WatchEventsResponse};
use futures_util::stream;
use server::{Answers as _, Caller};
use store::Failure;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior};

use super::event::check_reader;
use super::positions::Subscription;
use super::{Calls, Watched};
use crate::domain::event::Kept;
use crate::domain::feed::{AheadOfFeed, Feed};
use crate::error::Error;
use crate::store::event::{self, Range};
use crate::store::feed;
use crate::wire;

/// How many events a watch reads at a time.
const BATCH_MAX: i64 = 200;

/// How many feeds are asked for at a time.
const POLLED_FEEDS_MAX: usize = 1000;

/// Streams the events of a feed as they come.
pub(super) async fn watch_events(
    calls: Calls,
    caller: Arc<Caller>,
    request: WatchEventsRequest,
) -> Result<Watched, Error> {
    let (feed, start) = wire::feed::watch(&request)?;
    check_reader(&caller, &feed, &request.parent)?;
    let permit = Arc::clone(&calls.watches).try_acquire_owned().map_err(|_| Error::TooManyWatches)?;
    // Subscribed first: what is kept from now on is heard of, what was kept before is read.
    let subscription = calls.positions.subscribe(&feed);
    let last = last(&calls, &feed).await?;
    calls.positions.advance(&feed, last);
    let after = start.position(last).map_err(|AheadOfFeed { last }| Error::AheadOfFeed { last })?;
    let watch = Watch { calls, feed, after, ready: VecDeque::new(), subscription, last_answer: None, _permit: permit };
    Ok(Box::pin(stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(answer) => Some((Ok(answer), Some(watch))),
            // The watch is dropped here: an error is the last that a client hears.
            Err(error) => Some((Err(watch.calls.status(error)), None)),
        }
    })))
}

struct Watch {
    calls: Calls,
    feed: Feed,
    /// The sequence of the last event sent.
    after: i64,
    /// Read and not yet sent.
    ready: VecDeque<Kept>,
    subscription: Subscription,
    /// When something was sent last, if anything was.
    last_answer: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    async fn next(&mut self) -> Result<WatchEventsResponse, Error> {
        let Some(last_answer) = self.last_answer else {
            return Ok(self.heartbeat());
        };
        let silence_end = last_answer + self.calls.watch.heartbeat_seconds.0;
        loop {
            if self.calls.process.shutdown.has_begun() {
                return Err(Error::Draining);
            }
            if self.ready.is_empty() && self.subscription.last() > self.after {
                self.read().await?;
            }
            if let Some(kept) = self.ready.pop_front() {
                self.after = kept.sequence;
                self.last_answer = Some(Instant::now());
                return Ok(wire::event::watched(&self.feed, &kept)?);
            }
            tokio::select! {
                () = self.calls.process.shutdown.begun() => {}
                () = self.subscription.changed() => {}
                () = tokio::time::sleep_until(silence_end) => return Ok(self.heartbeat()),
            }
        }
    }

    fn heartbeat(&mut self) -> WatchEventsResponse {
        self.last_answer = Some(Instant::now());
        wire::feed::heartbeat(self.after)
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let _turn = self.calls.watch_reads.acquire().await.expect("it is never closed");
        let mut tx = store::read(&self.calls.pool).await?;
        let range = Range { after: self.after, limit: BATCH_MAX, event_type: None };
        self.ready = event::list(&mut tx, &self.feed, range).await?.into();
        Ok(())
    }
}

async fn last(calls: &Calls, feed: &Feed) -> Result<i64, Failure> {
    let _turn = calls.watch_reads.acquire().await.expect("it is never closed");
    let mut tx = store::read(&calls.pool).await?;
    feed::last(&mut tx, feed).await
}

/// Looks now and then how far the watched feeds have come, since other replicas keep events too.
pub(super) async fn poll_feeds(calls: Calls) {
    let mut ticks = tokio::time::interval(calls.watch.poll_seconds.0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = calls.process.shutdown.begun() => return,
            _ = ticks.tick() => {}
        }
        if let Err(failure) = poll(&calls).await {
            tracing::warn!(error = server::failure::chain(&failure), "watched feeds cannot be looked at");
        }
    }
}

async fn poll(calls: &Calls) -> Result<(), Failure> {
    for feeds in calls.positions.watched().chunks(POLLED_FEEDS_MAX) {
        let mut tx = store::read(&calls.pool).await?;
        for (feed, last) in feed::last_of_many(&mut tx, feeds).await? {
            calls.positions.advance(feed, last);
        }
    }
    Ok(())
}
