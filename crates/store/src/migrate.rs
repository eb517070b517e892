//! The schema of a database, as numbered migrations, twins for the two engines.

use std::collections::BTreeSet;

use sqlx::migrate::Migrator;

use crate::failure::root_cause;
use crate::{Failure, Pool};

/// The migrations of one service. Numbered, never edited once released, and the same steps for both engines.
#[derive(Debug)]
pub struct Schema {
    /// For PostgreSQL.
    pub postgres: Migrator,
    /// For SQLite.
    pub sqlite: Migrator,
}

const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";

impl Schema {
    pub(crate) async fn apply(&self, pool: &Pool) -> Result<(), Failure> {
        let applied = match pool {
            Pool::Postgres(pool) => self.postgres.run(pool).await,
            Pool::Sqlite(pool) => self.sqlite.run(pool).await,
        };
        applied.map_err(|error| Failure::Schema(format!("the schema cannot be migrated: {}", root_cause(&error))))
    }

    /// Refuses a PostgreSQL schema older or newer than the one this version knows.
    pub(crate) async fn verify(&self, pool: &Pool) -> Result<(), Failure> {
        let Pool::Postgres(pool) = pool else {
            return Ok(());
        };
        let applied: Vec<i64> = match sqlx::query_scalar(APPLIED).fetch_all(pool).await {
            Ok(versions) => versions,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let applied: BTreeSet<i64> = applied.into_iter().collect();
        let known: BTreeSet<i64> = self.postgres.iter().map(|migration| migration.version).collect();
        if let Some(missing) = known.difference(&applied).next() {
            return Err(Failure::Schema(format!(
                "the database lacks migration {missing}: run the migrate command first"
            )));
        }
        if let Some(unknown) = applied.difference(&known).next() {
            return Err(Failure::Schema(format!(
                "the database has migration {unknown}, which this version does not know: run a version that does"
            )));
        }
        Ok(())
    }
}
