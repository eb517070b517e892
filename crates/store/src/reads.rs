//! Which server a read goes to: the one that takes the writes, or one that follows it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;
use tokio::time::{sleep, timeout};

use crate::failure::root_cause;
use crate::transaction::{READ_POSTGRES, begin};
use crate::{Failure, Pool, Settings, Tx, measure, pool, read};

/// How much of what was changed a read must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Every change that was acknowledged before the read began.
    Latest,
    /// Every change up to this position of the database's log.
    AtLeast(i64),
    /// Whatever the replica has. Never less than there was when this process started.
    Any,
}

/// Begins reads as fresh as they must be, on the replica where there is one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reads {
    primary: Pool,
    replica: Option<Arc<Replica>>,
}

/// Whether a server follows another, and how far its log goes.
const PLACE_POSTGRES: &str = "SELECT pg_is_in_recovery(), CAST(
     CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0' AS BIGINT)";

/// When the replica is asked again for a position it has not reached: 50 ms in all, after which the primary answers.
const WAITS: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(10), Duration::from_millis(15), Duration::from_millis(20)];
/// How long the replica may take to say where it is, with the connection to it.
const ANSWER_MAX: Duration = Duration::from_millis(250);
/// How long a replica that did not answer, or follows nobody, is left alone.
const REST: Duration = Duration::from_secs(1);
/// How often its trouble is logged at most.
const LOG_EVERY: Duration = Duration::from_secs(60);

impl Reads {
    /// Reads of the database behind this pool. The replica need not be there yet.
    ///
    /// # Errors
    /// [`Failure`] when the replica's address or password cannot be used, or the database does not answer.
    pub async fn open(settings: &Settings, primary: &Pool) -> Result<Reads, Failure> {
        let replica = match (primary, &settings.replica_url) {
            (Pool::Postgres(pool), Some(url)) => {
                let (_, floor): (bool, i64) = sqlx::query_as(PLACE_POSTGRES).fetch_one(pool).await?;
                let pool = pool::to_replica(settings, url)?;
                Some(Arc::new(Replica { pool, floor, trouble: Mutex::default() }))
            }
            (Pool::Postgres(_) | Pool::Sqlite(_), _) => None,
        };
        Ok(Reads { primary: primary.clone(), replica })
    }

    /// Begins a transaction that only reads, in which all statements see the same moment.
    ///
    /// # Errors
    /// [`Failure::BeyondLog`] when the database itself has not reached the position; [`Failure::Unavailable`] when it does not
    /// answer. Trouble with the replica is none: the primary answers then.
    pub async fn begin(&self, freshness: Freshness) -> Result<Tx, Failure> {
        let (position, waits) = match freshness {
            Freshness::Latest => return read(&self.primary).await,
            Freshness::AtLeast(position) => (position, &WAITS[..]),
            Freshness::Any => (0, &[][..]),
        };
        if let Some(replica) = &self.replica
            && let Some(tx) = replica.begin(position, waits).await
        {
            return Ok(tx);
        }
        match &self.primary {
            // Nothing was asked for that could be missing here.
            _ if position == 0 => read(&self.primary).await,
            Pool::Sqlite(_) => Err(Failure::BeyondLog(position)),
            Pool::Postgres(pool) => {
                let mut connection = measure::acquire(pool).await?;
                let (_, reached): (bool, i64) = sqlx::query_as(PLACE_POSTGRES).fetch_one(&mut *connection).await?;
                if reached < position {
                    return Err(Failure::BeyondLog(position));
                }
                Ok(Tx::Postgres(begin(connection, READ_POSTGRES).await?))
            }
        }
    }
}

/// A server that follows the primary.
#[derive(Debug)]
struct Replica {
    pool: PgPool,
    /// Where the primary was when this process started: before it the schema may be another.
    floor: i64,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    until: Option<Instant>,
    logged: Option<Instant>,
}

/// Why the replica does not answer a read.
enum Unfit {
    Behind,
    Promoted,
    Unreachable(String),
}

impl From<sqlx::Error> for Unfit {
    fn from(error: sqlx::Error) -> Unfit {
        Unfit::Unreachable(root_cause(&error))
    }
}

impl Replica {
    async fn begin(&self, position: i64, waits: &[Duration]) -> Option<Tx> {
        if self.rests() {
            measure::replica_read("unreachable");
            return None;
        }
        let position = position.max(self.floor);
        let mut waits = waits.iter();
        loop {
            let answer = timeout(ANSWER_MAX, self.begin_at(position)).await;
            let unfit = match answer.unwrap_or_else(|_| Err(Unfit::Unreachable("it takes too long".to_owned()))) {
                Ok(tx) => {
                    measure::replica_read("served");
                    return Some(tx);
                }
                Err(unfit) => unfit,
            };
            match (unfit, waits.next()) {
                (Unfit::Behind, Some(wait)) => sleep(*wait).await,
                (Unfit::Behind, None) => {
                    measure::replica_read("behind");
                    return None;
                }
                (Unfit::Promoted, _) => {
                    measure::replica_read("promoted");
                    self.rest("it follows no server any more: name one that does in database.replica_url");
                    return None;
                }
                (Unfit::Unreachable(problem), _) => {
                    measure::replica_read("unreachable");
                    self.rest(&problem);
                    return None;
                }
            }
        }
    }

    /// The position is asked for in a statement of its own, before the transaction. Inside it, the question would be the first
    /// statement and so fix what all of them see; the replica may replay on between that moment and its answer, and claim a
    /// position that the transaction does not see. On the same connection, because an address may lead to several servers.
    async fn begin_at(&self, position: i64) -> Result<Tx, Unfit> {
        let mut connection = measure::acquire(&self.pool).await?;
        let (follows, reached): (bool, i64) = sqlx::query_as(PLACE_POSTGRES).fetch_one(&mut *connection).await?;
        if !follows {
            return Err(Unfit::Promoted);
        }
        if reached < position {
            return Err(Unfit::Behind);
        }
        Ok(Tx::Postgres(begin(connection, READ_POSTGRES).await?))
    }

    fn rests(&self) -> bool {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self, problem: &str) {
        let now = Instant::now();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.until = Some(now + REST);
        if trouble.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_EVERY) {
            trouble.logged = Some(now);
            tracing::warn!(problem, "the replica does not answer; reads go to the primary");
        }
    }
}
