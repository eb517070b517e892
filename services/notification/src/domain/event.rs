//! Events: on arrival, and as kept in a feed.

use std::collections::BTreeMap;
use std::fmt;

use clock::{Time, Uuid};

use super::feed::{Feed, Feeds};

/// How many events arrive in one call at most.
pub const ARRIVALS_MAX: usize = 500;

/// What happened: `{resource}.{verb}`, such as `relationship.established`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType(String);

impl EventType {
    /// The longest type, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// This type, if it is two words of letters with a dot between.
    #[must_use]
    pub fn parse(text: &str) -> Option<EventType> {
        let (resource, verb) = text.split_once('.')?;
        let word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        };
        let fits = text.len() <= EventType::LENGTH_MAX && word(resource) && word(verb);
        fits.then(|| EventType(text.to_owned()))
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An event that wants to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its id, by which repeats are recognized.
    pub id: Uuid,
    /// The feeds it goes to.
    pub feeds: Feeds,
    /// What happened.
    pub event_type: EventType,
    /// When it happened.
    pub event_time: Time,
    /// What is told of it.
    pub payload: Vec<u8>,
}

/// An event in its place in a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place, from 1, without gaps.
    pub sequence: i64,
    /// Its id, the same in both feeds.
    pub id: Uuid,
    /// What is told of it.
    pub payload: Vec<u8>,
}

/// The arrivals of each feed, in the order in which they arrived. The order of the feeds is the same whatever arrives, so that
/// two writers that lock them one by one never wait for each other.
#[must_use]
pub fn by_feed(arrivals: &[Arrival]) -> BTreeMap<&Feed, Vec<&Arrival>> {
    let mut feeds: BTreeMap<&Feed, Vec<&Arrival>> = BTreeMap::new();
    for arrival in arrivals {
        for feed in arrival.feeds.iter() {
            feeds.entry(feed).or_default().push(arrival);
        }
    }
    feeds
}
