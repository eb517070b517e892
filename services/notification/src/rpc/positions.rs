//! How far each watched feed has come, as far as this process knows, so that an event wakes its watchers and nobody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::feed::Feed;

/// One entry for each feed that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Positions {
    watched: Mutex<BTreeMap<Feed, Entry>>,
}

#[derive(Debug)]
struct Entry {
    last: watch::Sender<i64>,
    subscriptions: usize,
}

impl Positions {
    /// Wants to know how far a feed comes.
    pub(super) fn subscribe(self: &Arc<Positions>, feed: &Feed) -> Subscription {
        let mut watched = self.lock();
        let entry =
            watched.entry(feed.clone()).or_insert_with(|| Entry { last: watch::Sender::new(0), subscriptions: 0 });
        entry.subscriptions += 1;
        Subscription { positions: Arc::clone(self), feed: feed.clone(), receiver: entry.last.subscribe() }
    }

    /// A feed has come so far. It never goes back: who tells late is not heard.
    pub(super) fn advance(&self, feed: &Feed, last: i64) {
        if let Some(entry) = self.lock().get(feed) {
            entry.last.send_if_modified(|known| {
                let news = last > *known;
                *known = last.max(*known);
                news
            });
        }
    }

    /// The feeds that somebody watches.
    pub(super) fn watched(&self) -> Vec<Feed> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Feed, Entry>> {
        // Every change of the map is one step, so a panic elsewhere leaves nothing half done.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of one feed until it is dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    positions: Arc<Positions>,
    feed: Feed,
    receiver: watch::Receiver<i64>,
}

impl Subscription {
    /// How far the feed has come, as far as this process knows.
    pub(super) fn last(&mut self) -> i64 {
        *self.receiver.borrow_and_update()
    }

    /// Waits for more than [`Subscription::last`] has told.
    pub(super) async fn changed(&mut self) {
        self.receiver.changed().await.expect("the map keeps the sender for as long as there is a subscription");
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = self.positions.lock();
        if let Some(entry) = watched.get_mut(&self.feed) {
            entry.subscriptions -= 1;
            if entry.subscriptions == 0 {
                watched.remove(&self.feed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cloud::TenantId;

    use super::*;

    fn feed(id: &str) -> Feed {
        Feed::Partner(TenantId::parse(id).unwrap())
    }

    #[test]
    fn a_feed_is_remembered_for_as_long_as_somebody_watches_it() {
        let positions = Arc::new(Positions::default());
        let first = positions.subscribe(&feed("a"));
        let second = positions.subscribe(&feed("a"));
        drop(first);
        assert_eq!(positions.watched(), [feed("a")]);
        drop(second);
        assert_eq!(positions.watched(), []);
    }

    #[test]
    fn a_position_never_goes_back() {
        let positions = Arc::new(Positions::default());
        let mut subscription = positions.subscribe(&feed("a"));
        positions.advance(&feed("a"), 5);
        positions.advance(&feed("a"), 3);
        positions.advance(&feed("b"), 9);
        assert_eq!(subscription.last(), 5);
    }
}
