//! Which server a read goes to: the one that takes the writes, or one that follows it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;
use tokio::time::{sleep, timeout};

use crate::failure::root_cause;
use crate::transaction::{READ_POSTGRES, begin};
use crate::{Failure, Pool, Settings, Tx, measure, pool, read};

/// A place in the log of a database, at which a change can be seen. Places compare within one timeline only: a server that is
/// promoted or restored begins a new one, and the same place then holds something else.
///
/// As text it is one number, as it was before timelines were told: their last twelve bits stand above the 51 of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// 0: nobody said.
    timeline: i64,
    place: i64,
}

const PLACE_BITS: u32 = 51;
const TIMELINES: i64 = 1 << 12;

impl Position {
    /// Where everything can be seen that there is: SQLite is one file and has no replicas.
    pub const ANYWHERE: Position = Position { timeline: 0, place: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.timeline << PLACE_BITS | self.place)
    }
}

/// A text that is no [`Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a position as it was given, which is a number")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Position, NoPosition> {
        let number: i64 = text.parse().ok().filter(|number| *number >= 0).ok_or(NoPosition)?;
        Ok(Position { timeline: number >> PLACE_BITS, place: number & ((1 << PLACE_BITS) - 1) })
    }
}

/// Where the log of the database stands that takes the writes: everything committed before can be seen there.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn position(pool: &Pool) -> Result<Position, Failure> {
    match pool {
        Pool::Postgres(pool) => {
            let mut connection = measure::acquire(pool).await?;
            position_on(&mut connection).await
        }
        Pool::Sqlite(_) => Ok(Position::ANYWHERE),
    }
}

async fn position_on(connection: &mut sqlx::PgConnection) -> Result<Position, Failure> {
    let (timeline, place): (i64, i64) = sqlx::query_as(POSITION_POSTGRES).fetch_one(connection).await?;
    Ok(Position { timeline: timeline % TIMELINES, place })
}

/// How much of what was changed a read must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Every change that was acknowledged before the read began.
    Latest,
    /// Every change up to this position of the database's log.
    AtLeast(Position),
    /// Whatever the replica has. Never less than there was when this process started.
    Any,
}

/// Begins reads as fresh as they must be, on the replica where there is one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reads {
    primary: Pool,
    replica: Option<Arc<Replica>>,
}

/// Where a server writes. The first eight digits of the name of its log's file are the timeline.
const POSITION_POSTGRES: &str =
    "SELECT CAST(CAST('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS BIT(32)) AS BIGINT),
     CAST(pg_current_wal_lsn() - '0/0' AS BIGINT)";
/// Whether a server follows another, on which timeline, and how far it has come. The timeline is that of its last checkpoint: after a
/// change of timelines it is late, which sends reads to the primary for a few minutes, and never early.
const PLACE_POSTGRES: &str =
    "SELECT pg_is_in_recovery(), (SELECT CAST(timeline_id AS BIGINT) FROM pg_control_checkpoint()),
     CAST(COALESCE(pg_last_wal_replay_lsn(), '0/0') - '0/0' AS BIGINT)";

/// When the replica is asked again for a position it has not reached: 50 ms in all, after which the primary answers.
const WAITS: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(10), Duration::from_millis(15), Duration::from_millis(20)];
/// How long the replica may take in all to begin a read, with the connection to it and the waits.
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
                let mut connection = measure::acquire(pool).await?;
                let floor = position_on(&mut connection).await?;
                drop(connection);
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
        let position = match freshness {
            Freshness::Latest => return read(&self.primary).await,
            Freshness::AtLeast(position) => Some(position),
            Freshness::Any => None,
        };
        if let Some(replica) = &self.replica
            && let Some(tx) = replica.begin(position).await
        {
            return Ok(tx);
        }
        // What was not asked for cannot be missing here.
        let Some(position) = position.filter(|position| *position != Position::ANYWHERE) else {
            return read(&self.primary).await;
        };
        match &self.primary {
            Pool::Sqlite(_) => Err(Failure::BeyondLog(position)),
            Pool::Postgres(pool) => {
                let mut connection = measure::acquire(pool).await?;
                let reached = position_on(&mut connection).await?;
                if reached.place < position.place {
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
    floor: Position,
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
    /// `None`: the primary is to answer.
    async fn begin(&self, position: Option<Position>) -> Option<Tx> {
        if self.rests() {
            measure::replica_read("unreachable");
            return None;
        }
        let begun = timeout(ANSWER_MAX, self.begin_in_time(position)).await;
        match begun.unwrap_or_else(|_| Err(Unfit::Unreachable("it takes too long".to_owned()))) {
            Ok(tx) => {
                measure::replica_read("served");
                return Some(tx);
            }
            Err(Unfit::Behind) => measure::replica_read("behind"),
            Err(Unfit::Promoted) => {
                measure::replica_read("promoted");
                self.rest("it follows no server any more: name one that does in database.replica_url");
            }
            Err(Unfit::Unreachable(problem)) => {
                measure::replica_read("unreachable");
                self.rest(&problem);
            }
        }
        None
    }

    /// A position that is asked for is waited for; one that is not is there or is not.
    async fn begin_in_time(&self, position: Option<Position>) -> Result<Tx, Unfit> {
        for wait in WAITS.iter().filter(|_| position.is_some()) {
            match self.begin_at(position).await {
                Err(Unfit::Behind) => sleep(*wait).await,
                done => return done,
            }
        }
        self.begin_at(position).await
    }

    /// The position is asked for in a statement of its own, before the transaction. Inside it, the question would be the first
    /// statement and so fix what all of them see; the replica may replay on between that moment and its answer, and claim a
    /// position that the transaction does not see. On the same connection, because an address may lead to several servers.
    async fn begin_at(&self, position: Option<Position>) -> Result<Tx, Unfit> {
        let mut connection = measure::acquire(&self.pool).await?;
        let (follows, timeline, place): (bool, i64, i64) =
            sqlx::query_as(PLACE_POSTGRES).fetch_one(&mut *connection).await?;
        if !follows {
            return Err(Unfit::Promoted);
        }
        // On another timeline the same place is another moment: of a server that was left behind by a restore or a failover.
        let is_there = match position {
            Some(position) => timeline % TIMELINES == position.timeline && place >= position.place,
            None => true,
        };
        if !is_there || timeline % TIMELINES < self.floor.timeline || place < self.floor.place {
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
