//! What operators ask of an outbox and do to it, while relays run or not.

use std::time::Duration;

use clock::{Time, Uuid};
use store::{Failure, Pool, Tx, Work, on};

use crate::queue::{self, Step};

/// Counts stop here, so that counting stays cheap however much there is.
pub const COUNT_MAX: i64 = 10_000;
/// How many parked events are listed at most.
pub const LIST_MAX: i64 = 1000;

const WAITING: &str = "SELECT COUNT(*), MIN(COALESCE(create_time_us, time_us))
     FROM (SELECT create_time_us, time_us FROM outbox ORDER BY time_us, id LIMIT $1) AS counted";
const PARKED: &str = "SELECT COUNT(*) FROM (
         SELECT id FROM outbox_parked WHERE reason IS NOT NULL ORDER BY key, time_us, id LIMIT $1) AS counted";
const PARKED_OR_BEHIND: &str =
    "SELECT COUNT(*) FROM (SELECT id FROM outbox_parked ORDER BY key, time_us, id LIMIT $1) AS counted";
const KEPT: &str = "SELECT COUNT(*) FROM (
         SELECT id FROM outbox_delivered ORDER BY deliver_time_us, id LIMIT $1) AS counted";
const LIST: &str = "SELECT id, key, payload, tries, reason, park_time_us FROM outbox_parked WHERE reason IS NOT NULL
     ORDER BY key, time_us, id LIMIT $1";

/// How an outbox stands. No count goes beyond [`COUNT_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Events to be delivered.
    pub waiting: i64,
    /// For how long the oldest of them has waited by the clock of the database, zero when none has. Of more than [`COUNT_MAX`] the
    /// oldest of the first ones counts.
    pub oldest_age: Duration,
    /// Events that the receiver refused for good.
    pub parked: i64,
    /// Events that wait behind a parked one of their key.
    pub behind: i64,
    /// Delivered events that can be delivered again.
    pub kept: i64,
}

/// A parked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its id.
    pub id: Uuid,
    /// Whose later events wait.
    pub key: String,
    /// What was to be delivered.
    pub payload: Vec<u8>,
    /// How often it was refused.
    pub tries: i64,
    /// Why, in the words of the receiver.
    pub reason: String,
    /// Since when it is parked, by the clock of the database.
    pub since: Time,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    key: String,
    payload: Vec<u8>,
    tries: i64,
    reason: String,
    park_time_us: i64,
}

/// Counts what waits, is parked and is kept.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn status(pool: &Pool) -> Result<Status, Failure> {
    let mut tx = store::read(pool).await?;
    let now = queue::now(&mut tx).await?;
    let (waiting, oldest): (i64, Option<i64>) =
        on!(&mut tx, tx => sqlx::query_as(WAITING).bind(COUNT_MAX).fetch_one(&mut **tx).await?);
    let parked = count(&mut tx, PARKED).await?;
    let behind = count(&mut tx, PARKED_OR_BEHIND).await?.saturating_sub(parked).max(0);
    let kept = count(&mut tx, KEPT).await?;
    // A clock that was set back makes no age negative.
    let age = oldest.map_or(0, |oldest| now.micros().saturating_sub(oldest));
    let oldest_age = Duration::from_micros(u64::try_from(age).unwrap_or_default());
    Ok(Status { waiting, oldest_age, parked, behind, kept })
}

async fn count(tx: &mut Tx, statement: &'static str) -> Result<i64, Failure> {
    Ok(on!(tx, tx => sqlx::query_scalar(statement).bind(COUNT_MAX).fetch_one(&mut **tx).await?))
}

/// The parked events, [`LIST_MAX`] at most, by key and in its order.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn parked(pool: &Pool) -> Result<Vec<Parked>, Failure> {
    let mut tx = store::read(pool).await?;
    let rows: Vec<Row> = on!(&mut tx, tx => sqlx::query_as(LIST).bind(LIST_MAX).fetch_all(&mut **tx).await?);
    let parked = |row: Row| Parked {
        id: row.id,
        key: row.key,
        payload: row.payload,
        tries: row.tries,
        reason: row.reason,
        since: Time::from_micros(row.park_time_us),
    };
    Ok(rows.into_iter().map(parked).collect())
}

/// Lets a parked event be tried again, and those behind it after it. Answers how many were parked: one or none.
///
/// # Errors
/// [`Failure`] of the database.
pub async fn redrive(pool: &Pool, id: Uuid) -> Result<i64, Failure> {
    let step = store::transaction(pool, &queue::RedriveOne(id)).await?;
    release(pool).await?;
    Ok(step.moved)
}

/// Lets all events be tried again that are parked now, and those behind them after them. Answers how many were parked.
///
/// # Errors
/// [`Failure`] of the database; some may be waiting again then.
pub async fn redrive_all(pool: &Pool) -> Result<i64, Failure> {
    let work = queue::Redrive { until: now(pool).await? };
    let count = in_steps(pool, &work).await?;
    release(pool).await?;
    Ok(count)
}

/// Lets events be delivered again that were delivered since then by the clock of the database, those that are still kept. Answers how
/// many. The receiver knows those that it has by their ids. The order of each key is kept for a receiver that takes nothing until
/// this is done; else newer events may overtake those that come again.
///
/// # Errors
/// [`Failure`] of the database; some may be waiting again then, and the rest follows when this is repeated.
pub async fn redeliver(pool: &Pool, since: Time) -> Result<i64, Failure> {
    // What is delivered from now on is not what was meant, or this would never end.
    let work = queue::Redeliver { since, until: now(pool).await? };
    in_steps(pool, &work).await
}

/// Lets events wait for delivery again that wait behind none.
///
/// # Errors
/// [`Failure`] of the database.
pub(crate) async fn release(pool: &Pool) -> Result<i64, Failure> {
    in_steps(pool, &queue::Release).await
}

async fn now(pool: &Pool) -> Result<Time, Failure> {
    queue::now(&mut store::read(pool).await?).await
}

async fn in_steps<W: Work<Answer = Step, Error = Failure>>(pool: &Pool, work: &W) -> Result<i64, Failure> {
    let mut sum = 0;
    loop {
        let step = store::transaction(pool, work).await?;
        sum += step.moved;
        if !step.is_full {
            return Ok(sum);
        }
    }
}
