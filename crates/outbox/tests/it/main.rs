//! Changes and their relay, on both engines: idempotent, in order, and told exactly as often as they happened.

mod change;
mod purge;
mod relay;
mod timer;

use std::sync::Mutex;

use clock::{Clock, Time, Uuid};
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
    let schema = Schema {
        postgres: sqlx::migrate!("tests/migrations/postgres"),
        sqlite: sqlx::migrate!("tests/migrations/sqlite"),
    };
    let settings = Settings { url: database.url().to_owned(), password_file: None, connections_max: 20 };
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

/// Takes in what is delivered; refuses as often as told.
#[derive(Default)]
struct Inbox {
    records: Mutex<Vec<Record>>,
    /// How many came at a time.
    counts: Mutex<Vec<usize>>,
    refusals: Mutex<u32>,
}

#[derive(Debug)]
struct Refusal;

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not now")
    }
}

impl std::error::Error for Refusal {}

impl Delivery for Inbox {
    type Error = Refusal;

    async fn deliver(&self, records: Vec<Record>) -> Result<(), Refusal> {
        let mut refusals = self.refusals.lock().expect("no panic holds it");
        if *refusals > 0 {
            *refusals -= 1;
            return Err(Refusal);
        }
        self.counts.lock().expect("no panic holds it").push(records.len());
        self.records.lock().expect("no panic holds it").extend(records);
        Ok(())
    }
}

impl Inbox {
    fn texts(&self) -> Vec<String> {
        let records = self.records.lock().expect("no panic holds it");
        let text = |record: &Record| String::from_utf8(record.payload.clone()).expect("it is text");
        records.iter().map(text).collect()
    }

    /// Runs the relay until so many records have come.
    async fn receive(&self, outbox: &Outbox, count: usize) -> Vec<String> {
        let arrived = async {
            while self.records.lock().expect("no panic holds it").len() < count {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), async {
            tokio::select! {
                () = outbox.relay(self) => {}
                () = arrived => {}
            }
        });
        waited.await.expect("the events arrive");
        self.texts()
    }
}
