//! Connections to one database.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::failure::root_cause;
use crate::{Failure, Schema};

/// How long a call waits for a connection, and SQLite for a lock.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Which database, and how many connections to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `postgres://user@host/name` or `sqlite:///path/to/file`. Holds no password.
    pub url: String,
    /// The file that holds the password for PostgreSQL, when one is needed.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Connections at most, 1 to 1000.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
}

fn connections_max_default() -> u32 {
    10
}

/// Connections to one database, of one of the two engines. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Pool {
    /// PostgreSQL, for production.
    Postgres(sqlx::PgPool),
    /// A SQLite file, for one process.
    Sqlite(sqlx::SqlitePool),
}

impl Pool {
    /// Connects, and makes sure that the schema is the one this version serves. A SQLite file is created and migrated here;
    /// PostgreSQL is migrated by [`Pool::migrate`] alone, and refused when it has not been.
    ///
    /// # Errors
    /// [`Failure`] when the database cannot be reached or its schema is another.
    pub async fn open(settings: &Settings, schema: &Schema) -> Result<Pool, Failure> {
        let pool = Pool::connect(settings).await?;
        match &pool {
            Pool::Sqlite(_) => schema.apply(&pool).await?,
            Pool::Postgres(_) => schema.verify(&pool).await?,
        }
        Ok(pool)
    }

    /// Connects, and brings the schema to the one this version serves. Safe to run twice, and by several at once.
    ///
    /// # Errors
    /// [`Failure`] when the database cannot be reached, or has a schema this version does not know.
    pub async fn migrate(settings: &Settings, schema: &Schema) -> Result<Pool, Failure> {
        let pool = Pool::connect(settings).await?;
        schema.apply(&pool).await?;
        Ok(pool)
    }

    async fn connect(settings: &Settings) -> Result<Pool, Failure> {
        let connections_max = settings.connections_max.clamp(1, 1000);
        if settings.url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(&settings.url)
                .map_err(|error| unusable(&error))?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(WAIT_MAX);
            // Writers queue for one lock whatever their number; a few connections let readers pass them.
            let pool = SqlitePoolOptions::new().max_connections(connections_max.min(4)).acquire_timeout(WAIT_MAX);
            return Ok(Pool::Sqlite(pool.connect_with(options).await?));
        }
        let mut options = PgConnectOptions::from_str(&settings.url).map_err(|error| unusable(&error))?.options([
            ("statement_timeout", "5s"),
            ("lock_timeout", "3s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
        if let Some(file) = &settings.password_file {
            let password = std::fs::read_to_string(file)
                .map_err(|error| Failure::Schema(format!("database.password_file {}: {error}", file.display())))?;
            options = options.password(password.trim_end());
        }
        let pool = PgPoolOptions::new().max_connections(connections_max).acquire_timeout(WAIT_MAX);
        Ok(Pool::Postgres(pool.connect_with(options).await?))
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        match self {
            Pool::Postgres(pool) => pool.close().await,
            Pool::Sqlite(pool) => pool.close().await,
        }
    }
}

fn unusable(error: &sqlx::Error) -> Failure {
    Failure::Schema(format!(
        "database.url: use postgres://user@host/name or sqlite:///path/to/file ({})",
        root_cause(error)
    ))
}
