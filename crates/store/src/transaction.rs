//! The only ways to touch the database: [`read`] and [`transaction`].

use std::future::Future;
use std::time::Duration;

use sqlx::{Postgres, Sqlite, Transaction};
use tracing::Instrument as _;

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
const READ_POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const READ_SQLITE: &str = "BEGIN";

impl Tx {
    async fn begin(pool: &Pool) -> Result<Tx, Failure> {
        match pool {
            Pool::Postgres(pool) => Ok(Tx::Postgres(pool.begin_with(CHANGE_POSTGRES).await?)),
            Pool::Sqlite(pool) => Ok(Tx::Sqlite(pool.begin_with(CHANGE_SQLITE).await?)),
        }
    }

    async fn commit(self) -> Result<(), Failure> {
        match self {
            Tx::Postgres(tx) => Ok(tx.commit().await?),
            Tx::Sqlite(tx) => Ok(tx.commit().await?),
        }
    }
}

/// Begins a transaction that only reads, in which all statements see the same moment.
///
/// # Errors
/// [`Failure::Unavailable`] when no connection can be had.
pub async fn read(pool: &Pool) -> Result<Tx, Failure> {
    match pool {
        Pool::Postgres(pool) => Ok(Tx::Postgres(pool.begin_with(READ_POSTGRES).await?)),
        Pool::Sqlite(pool) => Ok(Tx::Sqlite(pool.begin_with(READ_SQLITE).await?)),
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

/// Runs work in a transaction and commits it; tries again, eight times at most, when concurrent transactions interfere.
///
/// # Errors
/// Whatever the work returns, with nothing written; [`Failure`] when the database fails.
pub async fn transaction<W: Work>(pool: &Pool, work: &W) -> Result<W::Answer, W::Error> {
    let span = tracing::debug_span!("transaction", db.transaction = W::NAME, tries = tracing::field::Empty);
    async {
        let mut tries = 1;
        loop {
            let error = match attempt(pool, work).await {
                Ok(answer) => {
                    tracing::Span::current().record("tries", tries);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if tries == TRIES_MAX || !error.failure().is_some_and(Failure::is_interference) {
                return Err(error);
            }
            // Enough for the other transaction to finish; the wait doubles to 128 ms.
            tokio::time::sleep(Duration::from_millis(1 << tries)).await;
            tries += 1;
        }
    }
    .instrument(span)
    .await
}

async fn attempt<W: Work>(pool: &Pool, work: &W) -> Result<W::Answer, W::Error> {
    let mut tx = Tx::begin(pool).await?;
    let answer = work.run(&mut tx).await?;
    tx.commit().await?;
    Ok(answer)
}
