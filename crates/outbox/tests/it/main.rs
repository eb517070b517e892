//! Changes and their relay, on both engines: idempotent, in order, and told exactly as often as they happened.

mod change;
mod park;
mod purge;
mod redeliver;
mod relay;
mod timer;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clock::{Clock, Time, Uuid};
use outbox::inspect::{self, Status};
use outbox::{Change, Delivery, Outbox, Record, Request, Reused, Scope};
use store::{Failure, HasFailure, Pool, Schema, Settings};
use testkit::Database;

/// An outbox over a fresh database, with a clock that stands still.
async fn outbox(database: &Database) -> Outbox {
    Outbox::new(pool(database).await, clock())
}

fn clock() -> Clock {
    Clock::manual(Time::from_seconds(1_700_000_000))
}

async fn pool(database: &Database) -> Pool {
    pool_of(Settings { connections_max: 20, ..Settings::new(database.url()) }).await
}

async fn pool_of(settings: Settings) -> Pool {
    let schema = Schema {
        postgres: sqlx::migrate!("tests/migrations/postgres"),
        sqlite: sqlx::migrate!("tests/migrations/sqlite"),
    };
    Pool::migrate(&settings, &schema).await.expect("the database is fresh")
}

/// A change that says how often it ran, by telling that many events.
struct Tell {
    key: String,
    words: Vec<&'static str>,
    refuse: bool,
}

impl Tell {
    fn new(key: &str, words: &[&'static str]) -> Tell {
        Tell { key: key.to_owned(), words: words.to_vec(), refuse: false }
    }
}

#[derive(Debug)]
enum TellError {
    Refused,
    Reused,
    Store(Failure),
}

impl From<Failure> for TellError {
    fn from(failure: Failure) -> TellError {
        TellError::Store(failure)
    }
}

impl From<Reused> for TellError {
    fn from(_: Reused) -> TellError {
        TellError::Reused
    }
}

impl std::fmt::Display for TellError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for TellError {}

impl HasFailure for TellError {
    fn failure(&self) -> Option<&Failure> {
        match self {
            TellError::Store(failure) => Some(failure),
            TellError::Refused | TellError::Reused => None,
        }
    }
}

impl Change for Tell {
    const NAME: &'static str = "tell";
    /// The time of the change.
    type Answer = prost_types::Timestamp;
    type Error = TellError;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<prost_types::Timestamp, TellError> {
        for word in &self.words {
            scope.emit(|_, time| format!("{} {word} {}", self.key, time.micros()).into_bytes()).await?;
        }
        if self.refuse {
            return Err(TellError::Refused);
        }
        let seconds = scope.now.micros();
        Ok(prost_types::Timestamp { seconds, nanos: 0 })
    }
}

fn request(id: Option<u128>, digest: u8) -> Request<'static> {
    Request { caller: "partners/p/users/u", method: "Tell", id: id.map(Uuid::from_u128), digest: [digest; 32] }
}

/// Takes in what is delivered; fails as often as told, and refuses what holds a poisoned word.
#[derive(Default)]
struct Inbox {
    records: Mutex<Vec<Record>>,
    /// How many came at a time.
    counts: Mutex<Vec<usize>>,
    failures: Mutex<u32>,
    /// It is asked and says neither yes nor no.
    hangs: AtomicBool,
    /// How often something was brought, taken or not.
    calls: AtomicUsize,
    poison: Mutex<Option<&'static str>>,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("not now")]
    Now,
    #[error("never: {0}")]
    Ever(&'static str),
}

impl Delivery for Inbox {
    type Error = Failed;

    fn is_refusal(error: &Failed) -> bool {
        match error {
            Failed::Now => false,
            Failed::Ever(_) => true,
        }
    }

    async fn deliver(&self, records: Vec<Record>) -> Result<(), Failed> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let mut failures = self.failures.lock().expect("no panic holds it");
        if *failures > 0 {
            *failures -= 1;
            return Err(Failed::Now);
        }
        let poison = *self.poison.lock().expect("no panic holds it");
        if let Some(word) = poison
            && records.iter().any(|record| text(record).contains(word))
        {
            return Err(Failed::Ever(word));
        }
        self.counts.lock().expect("no panic holds it").push(records.len());
        self.records.lock().expect("no panic holds it").extend(records);
        Ok(())
    }
}

fn text(record: &Record) -> String {
    String::from_utf8(record.payload.clone()).expect("it is text")
}

impl Inbox {
    /// One that refuses what holds this word.
    fn refusing(word: &'static str) -> Inbox {
        Inbox { poison: Mutex::new(Some(word)), ..Inbox::default() }
    }

    /// Takes everything from now on.
    fn accept(&self) {
        *self.poison.lock().expect("no panic holds it") = None;
    }

    fn texts(&self) -> Vec<String> {
        self.records.lock().expect("no panic holds it").iter().map(text).collect()
    }

    /// The words that came, in their order, without keys and times.
    fn words(&self) -> Vec<String> {
        let word = |text: String| text.split(' ').nth(1).expect("key, word and time").to_owned();
        self.texts().into_iter().map(word).collect()
    }

    /// Runs the relay until so many records have come.
    async fn receive(&self, outbox: &Outbox, count: usize) -> Vec<String> {
        self.relay_until(outbox, async |_| self.records.lock().expect("no panic holds it").len() >= count).await;
        self.texts()
    }

    /// Runs the relay until nothing waits.
    async fn deliver_all(&self, outbox: &Outbox) {
        self.relay_until(outbox, async |status| status.waiting == 0).await;
    }

    /// Runs the relay until something can be said of the outbox.
    async fn relay_until(&self, outbox: &Outbox, done: impl AsyncFn(Status) -> bool) {
        let reached = async {
            while !done(inspect::status(outbox.pool()).await.expect("it is counted")).await {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            tokio::select! {
                () = outbox.relay(self, &[]) => {}
                () = reached => {}
            }
        });
        waited.await.expect("it comes to that");
    }
}
