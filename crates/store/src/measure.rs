//! What the database does, in numbers: connections, transactions, retries, and where reads went.
//!
//! Names follow the semantic conventions of OpenTelemetry where they have one. Attributes are names of pools and transactions and a
//! few fixed words, so that their number is bounded by the code. Without a collector nothing is counted.

use std::sync::OnceLock;
use std::time::Instant;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use sqlx::pool::PoolConnection;
use sqlx::{Database, Postgres, Sqlite};

/// Bounds of durations in seconds.
const BOUNDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const POOL_NAME: &str = "db.client.connection.pool.name";

struct Instruments {
    wait_time: Histogram<f64>,
    timeouts: Counter<u64>,
    duration: Histogram<f64>,
    retries: Counter<u64>,
    failures: Counter<u64>,
    replica_reads: Counter<u64>,
}

/// Made with the first connection, which comes after telemetry has started.
fn instruments() -> &'static Instruments {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    INSTRUMENTS.get_or_init(|| {
        let meter = global::meter("mandate");
        let seconds = |name, description| {
            let histogram = meter.f64_histogram(name).with_description(description).with_unit("s");
            histogram.with_boundaries(BOUNDS.to_vec()).build()
        };
        let count =
            |name, description, unit| meter.u64_counter(name).with_description(description).with_unit(unit).build();
        Instruments {
            wait_time: seconds("db.client.connection.wait_time", "How long it took to get a connection."),
            timeouts: count(
                "db.client.connection.timeouts",
                "How often no connection could be had in time.",
                "{timeout}",
            ),
            duration: seconds("mandate.transaction.duration", "How long transactions took, with all their tries."),
            retries: count("mandate.transaction.retries", "How often transactions were tried again.", "{retry}"),
            failures: count("mandate.database.failures", "How often the database failed, and by what.", "{failure}"),
            replica_reads: count(
                "mandate.replica.reads",
                "Reads that the replica could serve, and whether it did.",
                "{read}",
            ),
        }
    })
}

/// An engine whose pools have names.
pub(crate) trait Named: Database {
    fn name_of(options: &<Self::Connection as sqlx::Connection>::Options) -> String;
}

impl Named for Postgres {
    fn name_of(options: &sqlx::postgres::PgConnectOptions) -> String {
        options.get_database().unwrap_or(options.get_username()).to_owned()
    }
}

impl Named for Sqlite {
    fn name_of(options: &sqlx::sqlite::SqliteConnectOptions) -> String {
        // With its folder: one process may serve several clouds, each with a file of that name.
        let file = options.get_filename().with_extension("");
        let parts: Vec<_> = file.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    }
}

/// The name of the database that a pool leads to.
pub(crate) fn name<DB: Named>(pool: &sqlx::Pool<DB>) -> String {
    DB::name_of(&pool.connect_options())
}

/// Shows how many connections a pool has, for as long as it is open.
pub(crate) fn observe<DB: Database>(pool: &sqlx::Pool<DB>, name: &str, connections_max: u32) {
    instruments();
    let meter = global::meter("mandate");
    let with_state =
        |state| [KeyValue::new(POOL_NAME, name.to_owned()), KeyValue::new("db.client.connection.state", state)];
    let (idle, used) = (with_state("idle"), with_state("used"));
    let (counted, max) = (pool.clone(), pool.clone());
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_description("Connections, by what they do.")
        .with_unit("{connection}")
        .with_callback(move |observer| {
            if counted.is_closed() {
                return;
            }
            let resting = i64::try_from(counted.num_idle()).unwrap_or(i64::MAX);
            observer.observe(resting, &idle);
            observer.observe((i64::from(counted.size()) - resting).max(0), &used);
        })
        .build();
    let attributes = [KeyValue::new(POOL_NAME, name.to_owned())];
    meter
        .i64_observable_up_down_counter("db.client.connection.max")
        .with_description("Connections at most.")
        .with_unit("{connection}")
        .with_callback(move |observer| {
            if !max.is_closed() {
                observer.observe(i64::from(connections_max), &attributes);
            }
        })
        .build();
}

/// Takes a connection, and measures the wait for it.
pub(crate) async fn acquire<DB: Named>(pool: &sqlx::Pool<DB>) -> Result<PoolConnection<DB>, sqlx::Error> {
    let begun = Instant::now();
    let acquired = pool.acquire().await;
    let attributes = [KeyValue::new(POOL_NAME, name(pool))];
    match &acquired {
        Ok(_) => instruments().wait_time.record(begun.elapsed().as_secs_f64(), &attributes),
        Err(sqlx::Error::PoolTimedOut) => instruments().timeouts.add(1, &attributes),
        Err(_) => {}
    }
    acquired
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Committed,
    /// The work itself said no.
    Refused,
    /// The database failed.
    Failed,
}

pub(crate) fn ended(transaction: &'static str, outcome: Outcome, begun: Instant) {
    let outcome = match outcome {
        Outcome::Committed => "committed",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
    };
    let attributes = [KeyValue::new("transaction", transaction), KeyValue::new("outcome", outcome)];
    instruments().duration.record(begun.elapsed().as_secs_f64(), &attributes);
}

pub(crate) fn retried(transaction: &'static str, reason: &'static str) {
    let attributes = [KeyValue::new("transaction", transaction), KeyValue::new("reason", reason)];
    instruments().retries.add(1, &attributes);
}

pub(crate) fn failed(reason: &'static str) {
    instruments().failures.add(1, &[KeyValue::new("reason", reason)]);
}

pub(crate) fn replica_read(outcome: &'static str) {
    instruments().replica_reads.add(1, &[KeyValue::new("outcome", outcome)]);
}
