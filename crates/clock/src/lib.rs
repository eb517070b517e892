//! The only place that reads the time and mints ids, so that tests can hold both still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

pub use uuid::Uuid;

/// A moment: microseconds since 1970-01-01 UTC, which is what the databases keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The moment so many microseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Time {
        Time(micros)
    }

    /// The moment so many seconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 UTC, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment so much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Reads the time and mints ids. Cheap to clone; clones share what they read.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Held>),
}

#[derive(Debug)]
struct Held {
    micros: AtomicI64,
    minted: AtomicU64,
}

impl Clock {
    /// The clock of the machine, with random ids.
    #[must_use]
    pub const fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands still until it is told to move, and mints the same ids in every run.
    #[must_use]
    pub fn manual(start: Time) -> Clock {
        Clock(Source::Manual(Arc::new(Held { micros: AtomicI64::new(start.0), minted: AtomicU64::new(0) })))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(held) => Time(held.micros.load(Ordering::SeqCst)),
        }
    }

    /// A new id (UUID version 7). Ids sort by the time they were minted, to the millisecond.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let now = self.now();
        let millis = u64::try_from(now.0.div_euclid(1000)).unwrap_or_default();
        let random = match &self.0 {
            Source::System => random_bytes(),
            Source::Manual(held) => {
                let mut bytes = [0; 10];
                bytes[2..].copy_from_slice(&held.minted.fetch_add(1, Ordering::SeqCst).to_be_bytes());
                bytes
            }
        };
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// Moves a manual clock.
    ///
    /// # Panics
    /// When this is the clock of the machine, which nobody may move.
    pub fn advance(&self, duration: Duration) {
        match &self.0 {
            Source::System => panic!("the clock of the machine cannot be moved"),
            Source::Manual(held) => {
                let micros = i64::try_from(duration.as_micros())
                    .expect("a test moves the clock by less than 292 thousand years");
                held.micros.fetch_add(micros, Ordering::SeqCst);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that reads the time")]
fn system_now() -> Time {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since_epoch.map(|duration| duration.as_micros()).unwrap_or_default();
    Time(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn random_bytes() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&Uuid::new_v4().as_bytes()[..10]);
    // Version and variant of the version 4 id are fixed bits: replace those two bytes by random ones.
    let more = Uuid::new_v4();
    bytes[6] = more.as_bytes()[0];
    bytes[8] = more.as_bytes()[1];
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_moved() {
        let clock = Clock::manual(Time::from_seconds(1_700_000_000));
        let same = clock.clone();
        assert_eq!(clock.now(), same.now());
        clock.advance(Duration::from_secs(90));
        assert_eq!(same.now().seconds(), 1_700_000_090);
    }

    #[test]
    fn ids_of_a_manual_clock_are_reproducible_and_ordered() {
        let mint = || {
            let clock = Clock::manual(Time::from_seconds(1_700_000_000));
            [clock.id(), clock.id(), clock.id()]
        };
        assert_eq!(mint(), mint());
        assert!(mint().is_sorted());
    }

    #[test]
    fn ids_of_the_machine_are_version_7_and_differ() {
        let clock = Clock::system();
        let (first, second) = (clock.id(), clock.id());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
    }

    #[test]
    fn seconds_round_down_before_the_epoch_too() {
        assert_eq!(Time::from_micros(-1).seconds(), -1);
    }
}
