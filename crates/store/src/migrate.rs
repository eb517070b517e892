//! The schema of a database, as numbered migrations, twins for the two engines.
//!
//! A migration runs while the version before it still serves, and after it that version serves on until it is replaced. So it only
//! adds: a table, a column that may be empty or has a default, an index. What a version no longer uses is taken away by a later
//! one, when nothing that uses it runs any more. Values that need work are filled in by the service, not by the migration.
//!
//! Creating an index keeps writers out of its table for as long as it takes. Write `CREATE INDEX IF NOT EXISTS`, so that an operator
//! can build it with `CREATE INDEX CONCURRENTLY` on a big table before, and the migration finds it there.
//!
//! Statements may take their time here. They wait for locks as briefly as any other, since whatever comes after them queues behind
//! them; the whole is tried again then.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, PgConnection};

use crate::Failure;
use crate::failure::root_cause;

/// The migrations of one service. Numbered, never edited once released, and the same steps for both engines.
#[derive(Debug)]
pub struct Schema {
    /// For PostgreSQL.
    pub postgres: Migrator,
    /// For SQLite.
    pub sqlite: Migrator,
}

const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

/// How often a migration is tried that waits for a lock: with three seconds each, some five minutes.
const TRIES_MAX: u32 = 100;
/// Lets through what queued behind the migration.
const PAUSE: Duration = Duration::from_millis(250);

impl Schema {
    /// One connection does it all, under a lock of the database that others wait for.
    pub(crate) async fn apply_to_postgres(&self, options: &PgConnectOptions) -> Result<(), Failure> {
        let mut tries = 1;
        loop {
            let mut connection = PgConnection::connect_with(options).await?;
            let applied = self.postgres.run_direct(None, &mut connection, false).await;
            // Whatever it still holds goes with it.
            connection.close().await?;
            match applied {
                Ok(()) => return Ok(()),
                Err(error) if tries < TRIES_MAX && is_lock_timeout(&error) => {
                    tracing::warn!(tries, "a migration waits for others that use the database, and is tried again");
                    tokio::time::sleep(PAUSE).await;
                    tries += 1;
                }
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    /// All in one transaction, since SQLite has no lock but that of its writer.
    pub(crate) async fn apply_to_sqlite(&self, pool: &SqlitePool) -> Result<(), Failure> {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        self.sqlite.run_direct(None, &mut *tx, false).await.map_err(|error| refused(&error))?;
        Ok(tx.commit().await?)
    }

    /// Refuses a PostgreSQL schema that is not the one this version knows.
    pub(crate) async fn verify(&self, pool: &PgPool) -> Result<(), Failure> {
        let applied: Vec<(i64, Vec<u8>)> = match sqlx::query_as(APPLIED).fetch_all(pool).await {
            Ok(applied) => applied,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let versions: BTreeSet<i64> = applied.iter().map(|(version, _)| *version).collect();
        if let Some(missing) = self.postgres.iter().find(|migration| !versions.contains(&migration.version)) {
            return Err(Failure::Schema(format!(
                "the database lacks migration {}: run the migrate command first",
                missing.version
            )));
        }
        for (version, checksum) in &applied {
            match self.postgres.iter().find(|migration| migration.version == *version) {
                None => return Err(unknown(*version)),
                Some(known) if *known.checksum != **checksum => return Err(other(*version)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn unknown(version: i64) -> Failure {
    Failure::Schema(format!(
        "the database has migration {version}, which this version does not know: run a version that does"
    ))
}

fn other(version: i64) -> Failure {
    Failure::Schema(format!(
        "the database has another migration {version} than this version: run the version that wrote it"
    ))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow: all else tells its cause")]
fn refused(error: &MigrateError) -> Failure {
    match error {
        MigrateError::VersionMissing(version) => unknown(*version),
        MigrateError::VersionMismatch(version) => other(*version),
        error => Failure::Schema(format!("the schema cannot be migrated: {}", root_cause(error))),
    }
}

fn is_lock_timeout(error: &MigrateError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let code = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        if code.and_then(|error| error.code()).as_deref() == Some("55P03") {
            return true;
        }
        cause = error.source();
    }
    false
}
