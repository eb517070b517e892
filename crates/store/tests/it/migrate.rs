//! Bringing a database to the schema of this version, by several at once, beside a version that serves, or not at all.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use store::{Failure, Pool, Schema, Settings, Tx, on};
use testkit::Database;

use crate::{Note, all, pool, schema};

testkit::on_both!(
    four_at_once_bring_one_schema,
    twice_is_as_good_as_once,
    a_newer_database_is_refused,
    another_migration_of_the_same_number_is_refused,
);

async fn four_at_once_bring_one_schema(database: Database) {
    crate::measure::start();
    let settings = Settings::new(database.url());
    let schema = schema();
    let migrate = || Pool::migrate(&settings, &schema);
    let (a, b, c, d) = tokio::join!(migrate(), migrate(), migrate(), migrate());
    for pool in [a, b, c, d] {
        let pool = pool.expect("one works, the others find it done");
        assert_eq!(applied(&pool).await, [1, 2]);
        pool.close().await;
    }
}

async fn twice_is_as_good_as_once(database: Database) {
    let first = pool(&database).await;
    store::transaction(&first, &Note::new(1)).await.unwrap();
    first.close().await;
    let second = pool(&database).await;
    assert_eq!(all(&second).await, [1]);
    second.close().await;
    Pool::open(&Settings::new(database.url()), &schema()).await.expect("it can be served");
}

async fn applied(pool: &Pool) -> Vec<i64> {
    let mut tx = store::read(pool).await.unwrap();
    let versions = "SELECT version FROM _sqlx_migrations ORDER BY version";
    on!(&mut tx, tx => sqlx::query_scalar(versions).fetch_all(&mut **tx).await.unwrap())
}

/// The schema of another version: these numbers, each with this text.
fn with(migrations: &[(i64, &str)]) -> Schema {
    let migrator = || {
        let migrations = migrations.iter().map(|(version, text)| {
            let sql = AssertSqlSafe((*text).to_owned()).into_sql_str();
            Migration::new(*version, Cow::Borrowed("step"), MigrationType::Simple, sql, false)
        });
        Migrator { migrations: Cow::Owned(migrations.collect()), ..Migrator::DEFAULT }
    };
    Schema { postgres: migrator(), sqlite: migrator() }
}

const STEPS: [(i64, &str); 3] = [
    (1, "CREATE TABLE step (id BIGINT PRIMARY KEY)"),
    (2, "ALTER TABLE step ADD COLUMN name TEXT"),
    (3, "CREATE INDEX IF NOT EXISTS step_by_name ON step (name)"),
];

/// What both commands say of a database.
async fn told(database: &Database, schema: &Schema) -> Vec<String> {
    let settings = Settings::new(database.url());
    let mut told = Vec::new();
    for refused in [Pool::migrate(&settings, schema).await, Pool::open(&settings, schema).await] {
        let Err(Failure::Schema(sentence)) = refused else { panic!("{refused:?}") };
        told.push(sentence);
    }
    told
}

async fn a_newer_database_is_refused(database: Database) {
    Pool::migrate(&Settings::new(database.url()), &with(&STEPS)).await.unwrap().close().await;
    let sentence = "the database has migration 3, which this version does not know: run a version that does";
    assert_eq!(told(&database, &with(&STEPS[..2])).await, [sentence, sentence]);
}

async fn another_migration_of_the_same_number_is_refused(database: Database) {
    Pool::migrate(&Settings::new(database.url()), &with(&STEPS)).await.unwrap().close().await;
    let mut edited = STEPS;
    edited[1].1 = "ALTER TABLE step ADD COLUMN title TEXT";
    let sentence = "the database has another migration 2 than this version: run the version that wrote it";
    assert_eq!(told(&database, &with(&edited)).await, [sentence, sentence]);
}

#[test]
fn serving_before_migrating_is_refused() {
    testkit::database::on_postgres(async |database| {
        let refused = Pool::open(&Settings::new(database.url()), &with(&STEPS)).await.unwrap_err();
        assert_eq!(refused.to_string(), "the database lacks migration 1: run the migrate command first");
        Pool::migrate(&Settings::new(database.url()), &with(&STEPS[..1])).await.unwrap().close().await;
        let refused = Pool::open(&Settings::new(database.url()), &with(&STEPS)).await.unwrap_err();
        assert_eq!(refused.to_string(), "the database lacks migration 2: run the migrate command first");
    });
}

#[test]
fn a_migration_takes_its_time_and_waits_for_locks_in_small_steps() {
    testkit::database::on_postgres(async |database| {
        let settings = Settings { statement_max_ms: 100, lock_max_ms: 50, ..Settings::new(database.url()) };
        let old = Pool::migrate(&settings, &with(&STEPS[..1])).await.unwrap();
        // A transaction of the version that serves holds the table.
        let mut tx = store::read(&old).await.unwrap();
        let Tx::Postgres(held) = &mut tx else { panic!("it is PostgreSQL") };
        sqlx::query("SELECT id FROM step").execute(&mut **held).await.unwrap();

        // Longer than a statement may take elsewhere.
        let slow = [STEPS[0], (2, "ALTER TABLE step ADD COLUMN name TEXT; SELECT pg_sleep(0.3)")];
        let schema = with(&slow);
        let migrated = Pool::migrate(&settings, &schema);
        let released = async {
            waited_for_locks(&old, 2).await;
            drop(tx);
        };
        let (migrated, ()) = tokio::join!(migrated, released);
        assert_eq!(applied(&migrated.unwrap()).await, [1, 2]);
    });
}

/// Waits until so many sessions of this database have waited for a lock, one after the other.
async fn waited_for_locks(pool: &Pool, count: usize) {
    const WAITING: &str =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let Pool::Postgres(pool) = pool else { panic!("it is PostgreSQL") };
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < count {
        let waiting: Vec<i32> = sqlx::query_scalar(WAITING).fetch_all(pool).await.unwrap();
        seen.extend(waiting);
    }
}
