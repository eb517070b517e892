//! The only place that reads the time and mints ids, so that tests can hold both still.

use std::path::{Path, PathBuf};
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
    File(Arc<Moved>),
}

#[derive(Debug)]
struct Held {
    micros: AtomicI64,
    minted: AtomicU64,
}

/// How far a file says to be from the clock of the machine, and what it said last.
#[derive(Debug)]
struct Moved {
    path: PathBuf,
    micros: AtomicI64,
}

impl Moved {
    /// What the file says now, or said last.
    fn offset(&self) -> i64 {
        if let Some(micros) = offset(&self.path) {
            self.micros.store(micros, Ordering::SeqCst);
        }
        self.micros.load(Ordering::SeqCst)
    }
}

/// A clock file that cannot be used.
#[derive(Debug)]
pub struct NoClockFile {
    path: PathBuf,
}

impl std::fmt::Display for NoClockFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        write!(formatter, "{path} is no clock file; expected a file with a number of seconds, such as 3600 or -0.5")
    }
}

impl std::error::Error for NoClockFile {}

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

    /// A clock that is as many seconds ahead of the machine as a file says, or behind when the number is negative. The file is
    /// read each time, so whoever writes it moves the clocks of all processes that share it. For development alone.
    ///
    /// # Errors
    /// When the file holds no number. Later the last number stands that could be read.
    pub fn file(path: &Path) -> Result<Clock, NoClockFile> {
        let micros = offset(path).ok_or_else(|| NoClockFile { path: path.to_owned() })?;
        Ok(Clock(Source::File(Arc::new(Moved { path: path.to_owned(), micros: AtomicI64::new(micros) }))))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::File(moved) => Time(system_now().0.saturating_add(moved.offset())),
            Source::System => system_now(),
            Source::Manual(held) => Time(held.micros.load(Ordering::SeqCst)),
        }
    }

    /// How many microseconds this clock was told to be ahead of the machine's, for whoever asks another machine what time it is: 0 for
    /// the clock of the machine. `None` for a manual clock, which knows no machine.
    #[must_use]
    pub fn offset_micros(&self) -> Option<i64> {
        match &self.0 {
            Source::System => Some(0),
            Source::Manual(_) => None,
            Source::File(moved) => Some(moved.offset()),
        }
    }

    /// A new id (UUID version 7). Ids sort by the time they were minted, to the millisecond.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let now = self.now();
        let millis = u64::try_from(now.0.div_euclid(1000)).unwrap_or_default();
        let random = match &self.0 {
            Source::System | Source::File(_) => random_bytes(),
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
    /// When this is the clock of the machine, which nobody may move, or of a file, which is moved by writing it.
    pub fn advance(&self, duration: Duration) {
        match &self.0 {
            Source::System | Source::File(_) => panic!("only a manual clock can be moved"),
            Source::Manual(held) => {
                let micros = i64::try_from(duration.as_micros())
                    .expect("a test moves the clock by less than 292 thousand years");
                held.micros.fetch_add(micros, Ordering::SeqCst);
            }
        }
    }
}

fn offset(path: &Path) -> Option<i64> {
    let seconds: f64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    // Not more than a century either way: sums of it with any time still fit.
    (seconds.abs() <= 100.0 * 366.0 * 86_400.0).then_some((seconds * 1e6) as i64)
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
    fn a_clock_file_moves_every_clock_that_reads_it() {
        let path = std::env::temp_dir().join(format!("clock-{}", Uuid::new_v4()));
        let refused = Clock::file(&path).unwrap_err().to_string();
        assert!(refused.ends_with("expected a file with a number of seconds, such as 3600 or -0.5"), "{refused}");
        std::fs::write(&path, "-7200\n").unwrap();
        let (one, other) = (Clock::file(&path).unwrap(), Clock::file(&path).unwrap());
        let behind = Clock::system().now().seconds() - one.now().seconds();
        assert!((7199..=7201).contains(&behind), "{behind}");
        std::fs::write(&path, "86400.5").unwrap();
        let ahead = other.now().seconds() - Clock::system().now().seconds();
        assert!((86_399..=86_401).contains(&ahead), "{ahead}");
        std::fs::write(&path, "").unwrap();
        let still_ahead = other.now().seconds() - Clock::system().now().seconds();
        assert!((86_399..=86_401).contains(&still_ahead), "what cannot be read moves nothing: {still_ahead}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn seconds_round_down_before_the_epoch_too() {
        assert_eq!(Time::from_micros(-1).seconds(), -1);
    }
}
