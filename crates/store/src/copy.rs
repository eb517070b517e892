//! Copies of SQLite files, made while a process serves from them.
//!
//! PostgreSQL has programs of its own for this.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::Failure;

/// How long to wait for a lock of somebody else's.
const WAIT_MAX: Duration = Duration::from_secs(5);

const HOLD: &str = "BEGIN IMMEDIATE";
const RELEASE: &str = "ROLLBACK";
/// The whole file as one transaction sees it; the target must be absent or empty.
const COPY: &str = "VACUUM INTO $1";

/// A SQLite file that stays as it is while this is alive: whoever wants to change it waits, whoever reads does not.
#[derive(Debug)]
pub struct Held(SqliteConnection);

impl Held {
    /// Waits at most five seconds for the change that is being made, and holds the file as it is then.
    ///
    /// # Errors
    /// [`Failure`] when there is no such file, or changes of others leave no gap.
    pub async fn take(file: &Path) -> Result<Held, Failure> {
        let mut connection = options(file).connect().await?;
        sqlx::query(HOLD).execute(&mut connection).await?;
        Ok(Held(connection))
    }

    /// Lets changes go on. Dropping it does so as well, a little later.
    ///
    /// # Errors
    /// [`Failure`] of the database.
    pub async fn release(mut self) -> Result<(), Failure> {
        sqlx::query(RELEASE).execute(&mut self.0).await?;
        Ok(self.0.close().await?)
    }
}

/// Copies a SQLite file as it is at one moment, while others read and change it. The copy is a database of its own, complete
/// without a log beside it, and on the disk when this returns.
///
/// # Errors
/// [`Failure`] when there is no such file, the target exists and is not empty, or the disk is full.
pub async fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let target = to.to_str().ok_or_else(|| Failure::Schema(format!("{}: the path is no text", to.display())))?;
    let mut connection = options(from).read_only(true).connect().await?;
    sqlx::query(COPY).bind(target).execute(&mut connection).await?;
    connection.close().await?;
    let kept = tokio::fs::File::open(to).await.map_err(sqlx::Error::Io)?.sync_all().await;
    Ok(kept.map_err(sqlx::Error::Io)?)
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).busy_timeout(WAIT_MAX)
}

#[cfg(test)]
mod tests;
