//! Every wait has a number, and the numbers in force are those of the settings.

use std::collections::BTreeSet;

use store::{Failure, Pool, Settings, Tx, Work, on};
use testkit::Database;

use crate::measure::value;
use crate::{Note, pool, pool_with};

testkit::on_both!(a_call_that_finds_no_free_connection_is_refused_in_time);

#[test]
fn settings_out_of_range_are_named_with_the_range() {
    let postgres = Settings::new("postgres://mandate@db/relationship");
    assert_eq!(postgres.check(10), Ok(()));
    for (key, broken) in [
        ("connections_max", Settings { connections_max: 2, ..postgres.clone() }),
        ("connections_max", Settings { connections_max: 1001, ..postgres.clone() }),
        ("wait_max_ms", Settings { wait_max_ms: 0, ..postgres.clone() }),
        ("statement_max_ms", Settings { statement_max_ms: 60_001, ..postgres.clone() }),
        ("lock_max_ms", Settings { lock_max_ms: 9, ..postgres.clone() }),
        ("idle_in_transaction_max_ms", Settings { idle_in_transaction_max_ms: 20_000, ..postgres.clone() }),
        ("sqlite_pages_max", Settings { sqlite_pages_max: Some(0), ..postgres.clone() }),
    ] {
        let unusable = broken.check(3).unwrap_err();
        assert_eq!(unusable.key, key);
        assert!(unusable.problem.contains(" is out of range; expected "), "{unusable}");
    }
    let followed = Settings { replica_url: Some("postgres://mandate@replica/relationship".to_owned()), ..postgres };
    assert_eq!(followed.check(3), Ok(()));
    let file = Settings { url: "sqlite:///tmp/x.db".to_owned(), ..followed };
    assert_eq!(file.check(3).unwrap_err().key, "replica_url");
}

async fn a_call_that_finds_no_free_connection_is_refused_in_time(database: Database) {
    let settings = Settings { connections_max: 1, wait_max_ms: 50, ..Settings::new(database.url()) };
    let pool = pool_with(&settings).await;
    let held = store::read(&pool).await.unwrap();
    let refused = store::transaction(&pool, &Note::new(1)).await.unwrap_err();
    assert_eq!(refused.unavailable(), Some("does not answer"), "{refused:?}");
    drop(held);
    store::transaction(&pool, &Note::new(1)).await.unwrap();
}

/// Asks the server for one of its settings.
async fn setting(pool: &Pool, statement: &'static str) -> String {
    let mut tx = store::read(pool).await.unwrap();
    let Tx::Postgres(tx) = &mut tx else { panic!("it is PostgreSQL") };
    sqlx::query_scalar(statement).fetch_one(&mut **tx).await.unwrap()
}

#[test]
fn a_database_that_acknowledges_what_it_may_lose_is_not_served() {
    testkit::database::on_postgres(async |database| {
        let pool = pool(&database).await;
        let Pool::Postgres(connections) = &pool else { panic!("it is PostgreSQL") };
        let forget =
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
        sqlx::raw_sql(forget).execute(connections).await.unwrap();
        pool.close().await;
        let refused = Pool::open(&Settings::new(database.url()), &crate::schema()).await.unwrap_err().to_string();
        assert!(refused.contains("set synchronous_commit to on"), "{refused}");
    });
}

#[test]
fn postgres_is_told_its_bounds() {
    testkit::database::on_postgres(async |database| {
        let pool = pool(&database).await;
        assert_eq!(setting(&pool, "SHOW statement_timeout").await, "5s");
        assert_eq!(setting(&pool, "SHOW lock_timeout").await, "3s");
        assert_eq!(setting(&pool, "SHOW idle_in_transaction_session_timeout").await, "1min");
        let settings = Settings { statement_max_ms: 70, lock_max_ms: 60, ..Settings::new(database.url()) };
        let pool = pool_with(&settings).await;
        assert_eq!(setting(&pool, "SHOW statement_timeout").await, "70ms");
        assert_eq!(setting(&pool, "SHOW lock_timeout").await, "60ms");
    });
}

/// Sleeps in the database.
struct Slow;

impl Work for Slow {
    const NAME: &'static str = "slow";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        on!(tx, tx => {
            sqlx::query("SELECT pg_sleep(60)").execute(&mut **tx).await?;
        });
        Ok(())
    }
}

#[test]
fn a_statement_that_takes_too_long_is_ended_told_as_unavailable_and_counted() {
    testkit::database::on_postgres(async |database| {
        let settings = Settings { statement_max_ms: 50, ..Settings::new(database.url()) };
        let pool = pool_with(&settings).await;
        let before = value("mandate.database.failures reason=statement_timeout");
        let ended = store::transaction(&pool, &Slow).await.unwrap_err();
        assert_eq!(ended.unavailable(), Some("does not answer"), "{ended:?}");
        let ended = Slow.run(&mut store::read(&pool).await.unwrap()).await.unwrap_err();
        assert_eq!(ended.unavailable(), Some("does not answer"), "a read is bounded as well: {ended:?}");
        // No other test of this process lets a statement take too long.
        assert_eq!(value("mandate.database.failures reason=statement_timeout"), before + 2);
    });
}

#[test]
fn a_lock_that_cannot_be_had_in_time_is_told_as_unavailable_and_counted() {
    testkit::database::on_postgres(async |database| {
        let settings = Settings { lock_max_ms: 50, ..Settings::new(database.url()) };
        let pool = pool_with(&settings).await;
        let before = value("mandate.database.failures reason=lock_timeout");
        let mut held = store::read(&pool).await.unwrap();
        let Tx::Postgres(holder) = &mut held else { panic!("it is PostgreSQL") };
        sqlx::query("LOCK TABLE note IN ACCESS SHARE MODE").execute(&mut **holder).await.unwrap();
        let refused = store::transaction(&pool, &Alone).await.unwrap_err();
        assert_eq!(refused.unavailable(), Some("does not answer"), "{refused:?}");
        // No other test of this process waits for a lock for too long.
        assert_eq!(value("mandate.database.failures reason=lock_timeout"), before + 1);
        drop(held);
        store::transaction(&pool, &Alone).await.unwrap();
    });
}

/// Wants the notes for itself.
struct Alone;

impl Work for Alone {
    const NAME: &'static str = "alone";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let Tx::Postgres(tx) = tx else { panic!("it is PostgreSQL") };
        sqlx::query("LOCK TABLE note IN ACCESS EXCLUSIVE MODE").execute(&mut **tx).await?;
        Ok(())
    }
}

#[test]
fn sqlite_keeps_what_is_committed_on_every_connection() {
    testkit::database::on_sqlite(async |database| {
        let settings = Settings { wait_max_ms: 1234, sqlite_pages_max: Some(500), ..Settings::new(database.url()) };
        let pool = pool_with(&settings).await;
        let Pool::Sqlite(pool) = &pool else { panic!("it is SQLite") };
        let mut held = Vec::new();
        let mut found = BTreeSet::new();
        for _ in 0..4 {
            let mut connection = pool.acquire().await.unwrap();
            let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
            let mut numbers = Vec::new();
            for pragma in ["PRAGMA synchronous", "PRAGMA foreign_keys", "PRAGMA busy_timeout", "PRAGMA max_page_count"]
            {
                let number: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.unwrap();
                numbers.push(number);
            }
            found.insert((journal, numbers));
            held.push(connection);
        }
        // 2 is FULL: each commit is flushed.
        assert_eq!(found, BTreeSet::from([("wal".to_owned(), vec![2, 1, 1234, 500])]));
    });
}
