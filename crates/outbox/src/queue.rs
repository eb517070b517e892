//! Where events stand: waiting in `outbox`, in `outbox_parked`, or kept in `outbox_delivered`. Every move is one transaction.
//!
//! What waits is all that `outbox` holds, so the relay reads the front of an index however much is parked or kept.

use clock::{Time, Uuid};
use store::{Failure, Pool, Tx, Work, on};

/// Oldest first, at most `$2`, as many as weigh no more than `$1` together; a single one that weighs more goes alone. The times of
/// one key only grow, in the order of their commits, so its events never overtake each other. One that comes after a parked event of
/// its key has to wait behind it.
const NEXT: &str = "SELECT id, payload, EXISTS (
             SELECT 1 FROM outbox_parked AS parked
             WHERE parked.key = weighed.key AND (parked.time_us, parked.id) < (weighed.time_us, weighed.id)) AS behind
     FROM (
         SELECT id, key, payload, time_us, SUM(length(payload)) OVER (ORDER BY time_us, id) AS weight
         FROM (SELECT id, key, payload, time_us FROM outbox ORDER BY time_us, id LIMIT $2) AS oldest) AS weighed
     WHERE weight <= $1 OR weight = length(payload) ORDER BY time_us, id";
/// Half of what the receiver takes in one call, since what stands around the events weighs too.
const TOGETHER_MAX_BYTES: i64 = 512 * 1024;

/// One statement, so that a batch is one round trip. SQLite has no such statement, and no round trips.
const DELIVERED_POSTGRES: &str =
    "WITH gone AS (DELETE FROM outbox WHERE id = ANY($1) RETURNING id, key, time_us, payload)
     INSERT INTO outbox_delivered (id, key, time_us, payload, deliver_time_us)
     SELECT id, key, time_us, payload, CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT) FROM gone
     ON CONFLICT (id) DO NOTHING";
const DELIVERED_SQLITE: &str = "INSERT INTO outbox_delivered (id, key, time_us, payload, deliver_time_us)
     SELECT id, key, time_us, payload, CAST(unixepoch('subsec') * 1000000 AS INTEGER) FROM outbox WHERE id = $1
     ON CONFLICT (id) DO NOTHING";
const GONE_SQLITE: &str = "DELETE FROM outbox WHERE id = $1";

/// What one transaction moves at most, of what can be many.
pub(crate) const STEP: i64 = 500;

const TRY: &str = "UPDATE outbox SET tries = tries + 1 WHERE id = $1 RETURNING tries";
const TAKE: &str = "DELETE FROM outbox WHERE id = $1 RETURNING id, key, time_us, payload, tries";
const PARK: &str = "INSERT INTO outbox_parked (id, key, time_us, payload, tries, reason, park_time_us)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";

const TAKE_PARKED: &str = "DELETE FROM outbox_parked WHERE id = $1 RETURNING id, key, time_us, payload, tries";
const TAKE_DELIVERED: &str =
    "DELETE FROM outbox_delivered WHERE id = $1 RETURNING id, key, time_us, payload, CAST(0 AS BIGINT) AS tries";
/// It waits anew, and is tried as often as any.
const PUT_BACK: &str = "INSERT INTO outbox (id, key, time_us, payload, create_time_us)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";

/// Those that wait behind nothing any more.
const FREED: &str = "SELECT id FROM outbox_parked AS behind WHERE reason IS NULL AND NOT EXISTS (
             SELECT 1 FROM outbox_parked AS parked WHERE parked.key = behind.key AND parked.reason IS NOT NULL)
     ORDER BY key, time_us, id LIMIT $1";
const REFUSED: &str = "SELECT id FROM outbox_parked WHERE reason IS NOT NULL AND park_time_us <= $2
     ORDER BY key, time_us, id LIMIT $1";
const IS_REFUSED: &str = "SELECT id FROM outbox_parked WHERE id = $1 AND reason IS NOT NULL";
const DELIVERED_SINCE: &str = "SELECT id FROM outbox_delivered WHERE deliver_time_us >= $2 AND deliver_time_us < $3
     ORDER BY deliver_time_us, id LIMIT $1";

/// The clock of the database, which all replicas share.
const NOW_POSTGRES: &str = "SELECT CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT)";
const NOW_SQLITE: &str = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

/// The time by the clock of the database.
pub(crate) async fn now(tx: &mut Tx) -> Result<Time, Failure> {
    let micros: i64 = match tx {
        Tx::Postgres(tx) => sqlx::query_scalar(NOW_POSTGRES).fetch_one(&mut **tx).await?,
        Tx::Sqlite(tx) => sqlx::query_scalar(NOW_SQLITE).fetch_one(&mut **tx).await?,
    };
    Ok(Time::from_micros(micros))
}

/// An event that waits.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Waiting {
    pub(crate) id: Uuid,
    pub(crate) payload: Vec<u8>,
    /// True when an earlier event of its key is parked.
    pub(crate) behind: bool,
}

/// What is to be delivered next, at most so many.
pub(crate) async fn next(pool: &Pool, count_max: i64) -> Result<Vec<Waiting>, Failure> {
    let mut tx = store::read(pool).await?;
    Ok(on!(&mut tx, tx => sqlx::query_as(NEXT)
        .bind(TOGETHER_MAX_BYTES)
        .bind(count_max)
        .fetch_all(&mut **tx)
        .await?))
}

/// An event on the move.
#[derive(sqlx::FromRow)]
struct Taken {
    id: Uuid,
    key: String,
    time_us: i64,
    payload: Vec<u8>,
    tries: i64,
}

/// Takes an event away; `None` when it has gone already.
async fn take(tx: &mut Tx, statement: &'static str, id: Uuid) -> Result<Option<Taken>, Failure> {
    Ok(on!(tx, tx => sqlx::query_as(statement).bind(id).fetch_optional(&mut **tx).await?))
}

async fn park(tx: &mut Tx, event: &Taken, reason: Option<&str>, now: Time) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(PARK)
            .bind(event.id)
            .bind(&event.key)
            .bind(event.time_us)
            .bind(&event.payload)
            .bind(event.tries)
            .bind(reason)
            .bind(now.micros())
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}

/// What a step came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// How many events were moved.
    pub(crate) moved: i64,
    /// True when it found all it looked for: there may be more. It may have moved fewer, where somebody else was first.
    pub(crate) is_full: bool,
}

/// Puts events back among those that wait, in the place that their time gives them. Those that have gone are left out.
async fn put_back(tx: &mut Tx, from: &'static str, ids: &[Uuid]) -> Result<Step, Failure> {
    let now = now(tx).await?;
    let mut count = 0;
    for id in ids {
        let Some(event) = take(tx, from, *id).await? else { continue };
        on!(&mut *tx, tx => {
            sqlx::query(PUT_BACK)
                .bind(event.id)
                .bind(&event.key)
                .bind(event.time_us)
                .bind(&event.payload)
                .bind(now.micros())
                .execute(&mut **tx)
                .await?;
        });
        count += 1;
    }
    Ok(Step { moved: count, is_full: i64::try_from(ids.len()).is_ok_and(|found| found >= STEP) })
}

/// Keeps events as delivered.
pub(crate) struct Deliver<'a>(pub(crate) &'a [Uuid]);

impl Work for Deliver<'_> {
    const NAME: &'static str = "keep_delivered_events";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        match tx {
            Tx::Postgres(tx) => {
                sqlx::query(DELIVERED_POSTGRES).bind(self.0).execute(&mut **tx).await?;
            }
            Tx::Sqlite(tx) => {
                for id in self.0 {
                    sqlx::query(DELIVERED_SQLITE).bind(id).execute(&mut **tx).await?;
                    sqlx::query(GONE_SQLITE).bind(id).execute(&mut **tx).await?;
                }
            }
        }
        Ok(())
    }
}

/// Counts that an event was refused, and parks it when that was the last try.
pub(crate) struct Refuse<'a> {
    pub(crate) id: Uuid,
    pub(crate) reason: &'a str,
    pub(crate) tries_max: i64,
}

impl Work for Refuse<'_> {
    const NAME: &'static str = "refuse_event";
    /// True when it is parked.
    type Answer = bool;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<bool, Failure> {
        let tries: Option<i64> =
            on!(&mut *tx, tx => sqlx::query_scalar(TRY).bind(self.id).fetch_optional(&mut **tx).await?);
        if tries.is_none_or(|tries| tries < self.tries_max) {
            return Ok(false);
        }
        let now = now(tx).await?;
        if let Some(event) = take(tx, TAKE, self.id).await? {
            park(tx, &event, Some(self.reason), now).await?;
        }
        Ok(true)
    }
}

/// Takes events out of the way that come after a parked one of their key.
pub(crate) struct Hold<'a>(pub(crate) &'a [Uuid]);

impl Work for Hold<'_> {
    const NAME: &'static str = "hold_events";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let now = now(tx).await?;
        for id in self.0 {
            if let Some(event) = take(tx, TAKE, *id).await? {
                park(tx, &event, None, now).await?;
            }
        }
        Ok(())
    }
}

/// Lets events wait for delivery again that were held behind one that is not parked any more: [`STEP`] at most, of each key the
/// oldest first.
pub(crate) struct Release;

impl Work for Release {
    const NAME: &'static str = "release_events";
    type Answer = Step;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<Step, Failure> {
        let ids: Vec<Uuid> = on!(&mut *tx, tx => sqlx::query_scalar(FREED).bind(STEP).fetch_all(&mut **tx).await?);
        put_back(tx, TAKE_PARKED, &ids).await
    }
}

/// Lets one parked event be tried again.
pub(crate) struct RedriveOne(pub(crate) Uuid);

impl Work for RedriveOne {
    const NAME: &'static str = "redrive_event";
    type Answer = Step;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<Step, Failure> {
        let ids: Vec<Uuid> =
            on!(&mut *tx, tx => sqlx::query_scalar(IS_REFUSED).bind(self.0).fetch_all(&mut **tx).await?);
        put_back(tx, TAKE_PARKED, &ids).await
    }
}

/// Lets parked events be tried again, [`STEP`] at most, of those that were parked until then.
pub(crate) struct Redrive {
    pub(crate) until: Time,
}

impl Work for Redrive {
    const NAME: &'static str = "redrive_events";
    type Answer = Step;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<Step, Failure> {
        let until = self.until.micros();
        let ids: Vec<Uuid> =
            on!(&mut *tx, tx => sqlx::query_scalar(REFUSED).bind(STEP).bind(until).fetch_all(&mut **tx).await?);
        put_back(tx, TAKE_PARKED, &ids).await
    }
}

/// Lets events be delivered again that were delivered in this time, `until` not included: [`STEP`] at most, those delivered first.
pub(crate) struct Redeliver {
    pub(crate) since: Time,
    pub(crate) until: Time,
}

impl Work for Redeliver {
    const NAME: &'static str = "redeliver_events";
    type Answer = Step;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<Step, Failure> {
        let (since, until) = (self.since.micros(), self.until.micros());
        let ids: Vec<Uuid> = on!(&mut *tx, tx => sqlx::query_scalar(DELIVERED_SINCE)
            .bind(STEP)
            .bind(since)
            .bind(until)
            .fetch_all(&mut **tx)
            .await?);
        put_back(tx, TAKE_DELIVERED, &ids).await
    }
}
