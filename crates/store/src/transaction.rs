//! The only ways to touch the database: [`read`] and [`transaction`].

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, SqlSafeStr as _, Sqlite, Transaction};
use tracing::Instrument as _;

use crate::measure::{self, Named, Outcome};
use crate::{Failure, HasFailure, Pool};

/// A transaction in progress. Dropped without commit, it is rolled back.
#[derive(Debug)]
pub enum Tx {
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
}

/// How often a transaction is tried before its interference is reported.
const TRIES_MAX: u32 = 8;

/// Each statement of a change sees what was committed before it; changes of one customer queue on its row (`outbox::change`).
/// SQLite takes its one write lock at once, since a lock taken later can fail.
const CHANGE_POSTGRES: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const CHANGE_SQLITE: &str = "BEGIN IMMEDIATE";

/// All statements of a read see one moment. SQLite's plain transaction does that by itself.
pub(crate) const READ_POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const READ_SQLITE: &str = "BEGIN";

impl Tx {
    async fn begin(pool: &Pool) -> Result<Tx, Failure> {
        match pool {
            Pool::Postgres(pool) => Ok(Tx::Postgres(begin(measure::acquire(pool).await?, CHANGE_POSTGRES).await?)),
            Pool::Sqlite(pool) => Ok(Tx::Sqlite(begin(measure::acquire(pool).await?, CHANGE_SQLITE).await?)),
        }
    }

    async fn commit(self) -> Result<(), Failure> {
        match self {
            Tx::Postgres(tx) => Ok(tx.commit().await?),
            Tx::Sqlite(tx) => Ok(tx.commit().await?),
        }
    }
}

/// Begins a transaction on a connection of a pool, which gets it back at the end.
///
/// On a task of its own, since whoever waits may stop waiting at any moment: sqlx counts a transaction once the server has answered,
/// so a BEGIN whose answer nobody reads would stay open in the pool, and what comes next would see an old moment.
pub(crate) async fn begin<DB: Named>(
    connection: PoolConnection<DB>,
    statement: &'static str,
) -> Result<Transaction<'static, DB>, sqlx::Error> {
    #[expect(clippy::disallowed_methods, reason = "one round trip, which no shutdown need wait for")]
    let begun = tokio::spawn(Transaction::begin(connection, Some(statement.into_sql_str())));
    // No answer: the runtime ends, and with it whoever asked.
    begun.await.unwrap_or(Err(sqlx::Error::PoolClosed))
}

/// Begins a transaction on PostgreSQL that stays open for as long as its holder likes, for a lock that dies with it.
///
/// # Errors
/// [`Failure::Unavailable`] when no connection can be had.
pub async fn hold(pool: &sqlx::PgPool) -> Result<Transaction<'static, Postgres>, Failure> {
    Ok(begin(measure::acquire(pool).await?, CHANGE_POSTGRES).await?)
}

/// Begins a transaction that only reads, in which all statements see the same moment.
///
/// # Errors
/// [`Failure::Unavailable`] when no connection can be had.
pub async fn read(pool: &Pool) -> Result<Tx, Failure> {
    match pool {
        Pool::Postgres(pool) => Ok(Tx::Postgres(begin(measure::acquire(pool).await?, READ_POSTGRES).await?)),
        Pool::Sqlite(pool) => Ok(Tx::Sqlite(begin(measure::acquire(pool).await?, READ_SQLITE).await?)),
    }
}

/// What happens in a transaction. It may run several times, so it keeps nothing outside the transaction.
pub trait Work: Sync {
    /// The name of the transaction in telemetry: `accept_invitation`.
    const NAME: &'static str;
    /// What it gives.
    type Answer: Send;
    /// How it fails.
    type Error: From<Failure> + HasFailure + Send;

    /// Runs the statements.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// Runs work in a transaction and commits it; tries eight times in all when concurrent transactions interfere.
///
/// # Errors
/// Whatever the work returns, with nothing written; [`Failure`] when the database fails.
pub async fn transaction<W: Work>(pool: &Pool, work: &W) -> Result<W::Answer, W::Error> {
    let span = tracing::debug_span!("transaction", db.transaction = W::NAME, tries = tracing::field::Empty);
    async {
        let begun = Instant::now();
        let mut tries = 1;
        loop {
            let error = match attempt(pool, work).await {
                Ok(answer) => {
                    tracing::Span::current().record("tries", tries);
                    measure::ended(W::NAME, Outcome::Committed, begun);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let interference = error.failure().and_then(Failure::interference).filter(|_| tries < TRIES_MAX);
            let Some(reason) = interference else {
                let outcome = if error.failure().is_some() { Outcome::Failed } else { Outcome::Refused };
                measure::ended(W::NAME, outcome, begun);
                return Err(error);
            };
            measure::retried(W::NAME, reason);
            tokio::time::sleep(pause(tries)).await;
            tries += 1;
        }
    }
    .instrument(span)
    .await
}

/// Enough for the other transaction to finish: up to 2 ms after the first try, doubling to 128 ms after the seventh. Drawn by
/// chance, so that those that met once do not meet again.
fn pause(tries: u32) -> Duration {
    let longest_us = 1000_u64 << tries;
    // The keys of the standard library's hashing are the one source of chance that needs no crate.
    let chance = RandomState::new().build_hasher().finish();
    Duration::from_micros(longest_us / 2 + chance % (longest_us / 2))
}

async fn attempt<W: Work>(pool: &Pool, work: &W) -> Result<W::Answer, W::Error> {
    let mut tx = Tx::begin(pool).await?;
    let answer = work.run(&mut tx).await?;
    tx.commit().await?;
    Ok(answer)
}
