//! Connections to one database.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::failure::root_cause;
use crate::{Failure, Schema, Settings, measure};

/// Connections beyond what is needed are closed after this time, so that replicas of a service share the server's.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
/// No connection lives longer: what its backend has gathered is freed, and a name that resolves anew is followed.
const AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// A connection is asked whether it lives before it is used when it rested for longer. One that is used more often is not, since
/// that costs every transaction a round trip; when its server went away, one transaction sees it and is refused as unavailable.
const REST_MAX: Duration = Duration::from_millis(500);
/// Writers queue for SQLite's one lock whatever their number; a few connections let readers pass them.
const SQLITE_CONNECTIONS_MAX: u32 = 4;

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
    /// [`Failure`] when the database cannot be reached, its schema is another, or it acknowledges what it may lose.
    pub async fn open(settings: &Settings, schema: &Schema) -> Result<Pool, Failure> {
        let pool = Pool::connect(settings).await?;
        match &pool {
            Pool::Sqlite(pool) => schema.apply_to_sqlite(pool).await?,
            Pool::Postgres(pool) => {
                schema.verify(pool).await?;
                expect_durable(pool).await?;
            }
        }
        Ok(pool)
    }

    /// Connects, and brings the schema to the one this version serves. Safe to run twice, and by several at once: one works, the
    /// others wait and find it done.
    ///
    /// # Errors
    /// [`Failure`] when the database cannot be reached, or has a schema this version does not know.
    pub async fn migrate(settings: &Settings, schema: &Schema) -> Result<Pool, Failure> {
        if is_sqlite(settings) {
            return Pool::open(settings, schema).await;
        }
        schema.apply_to_postgres(&postgres_options(settings, &settings.url, None)?).await?;
        Pool::connect(settings).await
    }

    async fn connect(settings: &Settings) -> Result<Pool, Failure> {
        if is_sqlite(settings) {
            let connections_max = settings.connections_max.min(SQLITE_CONNECTIONS_MAX);
            let pool = SqlitePoolOptions::new()
                .max_connections(connections_max)
                .acquire_timeout(settings.wait_max())
                // A file does not go away.
                .test_before_acquire(false)
                // SQLite ends a transaction by itself when the disk is full or fails. sqlx still counts it as begun then, and would
                // refuse to begin another one on that connection for ever.
                .after_release(|connection, _| {
                    Box::pin(async move {
                        connection.ping().await?;
                        Ok(!connection.is_in_transaction())
                    })
                })
                .connect_with(sqlite_options(settings)?)
                .await?;
            measure::observe(&pool, &measure::name(&pool), connections_max);
            return Ok(Pool::Sqlite(pool));
        }
        let options = postgres_options(settings, &settings.url, Some(settings.statement_max_ms))?;
        let pool = postgres_pool(settings).after_connect(|connection, _| Box::pin(expect_primary(connection)));
        let pool = pool.connect_with(options).await?;
        measure::observe(&pool, &measure::name(&pool), settings.connections_max);
        Ok(Pool::Postgres(pool))
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        match self {
            Pool::Postgres(pool) => pool.close().await,
            Pool::Sqlite(pool) => pool.close().await,
        }
    }
}

/// Whether the server follows another.
const FOLLOWS_POSTGRES: &str = "SELECT pg_is_in_recovery()";

/// Refuses a server that follows another, as one does that came back after a failover: what it has may be old. It becomes one only by
/// starting again, so that asking each new connection is enough.
async fn expect_primary(connection: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    let follows: bool = sqlx::query_scalar(FOLLOWS_POSTGRES).fetch_one(connection).await?;
    if follows {
        return Err(std::io::Error::other(
            "the server follows another: database.url must lead to the one that takes changes",
        )
        .into());
    }
    Ok(())
}

/// Refuses a database that acknowledges what a crash may lose, and whose log position would be ahead of what is on its disk.
async fn expect_durable(pool: &PgPool) -> Result<(), Failure> {
    let setting: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(pool).await?;
    if setting == "off" {
        let problem = "the database acknowledges changes that a crash can lose: set synchronous_commit to on for it";
        return Err(Failure::Schema(problem.to_owned()));
    }
    Ok(())
}

/// Connections to the replica, none of them made yet: a replica that is away keeps no service from starting.
pub(crate) fn to_replica(settings: &Settings, url: &str) -> Result<PgPool, Failure> {
    let options = postgres_options(settings, url, Some(settings.statement_max_ms))?;
    let pool = postgres_pool(settings).connect_lazy_with(options);
    measure::observe(&pool, &format!("{}.replica", measure::name(&pool)), settings.connections_max);
    Ok(pool)
}

fn is_sqlite(settings: &Settings) -> bool {
    settings.url.starts_with("sqlite:")
}

/// What is committed is on the disk: the write-ahead log is flushed with each commit.
fn sqlite_options(settings: &Settings) -> Result<SqliteConnectOptions, Failure> {
    let options = SqliteConnectOptions::from_str(&settings.url)
        .map_err(|error| unusable(&error))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(settings.wait_max());
    Ok(match settings.sqlite_pages_max {
        Some(pages) => options.pragma("max_page_count", pages.to_string()),
        None => options,
    })
}

fn postgres_pool(settings: &Settings) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(settings.connections_max)
        .acquire_timeout(settings.wait_max())
        .idle_timeout(IDLE_MAX)
        .max_lifetime(AGE_MAX)
        .test_before_acquire(false)
        .before_acquire(|connection, rested| {
            Box::pin(async move {
                if rested.idle_for > REST_MAX {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

/// Without a bound of statements for migrations, which may take their time.
fn postgres_options(
    settings: &Settings,
    url: &str,
    statement_max_ms: Option<u64>,
) -> Result<PgConnectOptions, Failure> {
    let options = PgConnectOptions::from_str(url).map_err(|error| unusable(&error))?;
    let options = options.options([
        ("statement_timeout", statement_max_ms.unwrap_or(0)),
        ("lock_timeout", settings.lock_max_ms),
        ("idle_in_transaction_session_timeout", settings.idle_in_transaction_max_ms),
    ]);
    let Some(file) = &settings.password_file else {
        return Ok(options);
    };
    let password = std::fs::read_to_string(file)
        .map_err(|error| Failure::Schema(format!("database.password_file {}: {error}", file.display())))?;
    Ok(options.password(password.trim_end()))
}

fn unusable(error: &sqlx::Error) -> Failure {
    Failure::Schema(format!(
        "database.url: use postgres://user@host/name or sqlite:///path/to/file ({})",
        root_cause(error)
    ))
}
