//! Carries events from the outbox to whoever keeps them: in order, at least once, by one relay at a time.

use std::future::Future;
use std::time::Duration;

use clock::Uuid;
use failpoint::Point;
use store::{Failure, Pool, Tx, Work, on};

use crate::Outbox;
use crate::purge::Purge;

/// Leads for as long as its transaction is open. The lock dies with the connection, so the next relay takes over at once and no
/// clock is asked. A SQLite file belongs to one process, which has one relay.
const LEAD_POSTGRES: &str = "SELECT pg_try_advisory_xact_lock(7236281100421)";
const STILL_LEADING: &str = "SELECT 1";

/// Oldest first, as many as weigh no more than `$1` together; a single one that weighs more goes alone. The times of one key only
/// grow, in the order of their commits, so its events never overtake each other.
const NEXT: &str = "SELECT id, payload FROM (
         SELECT id, payload, time_us, SUM(length(payload)) OVER (ORDER BY time_us, id) AS weight
         FROM (SELECT id, payload, time_us FROM outbox ORDER BY time_us, id LIMIT 200) AS oldest) AS weighed
     WHERE weight <= $1 OR weight = length(payload) ORDER BY time_us, id";
/// Half of what the receiver takes in one call, since what stands around the events weighs too.
const TOGETHER_MAX_BYTES: i64 = 512 * 1024;
const FORGET: &str = "DELETE FROM outbox WHERE id = $1";

/// How long until the outbox is looked at without being woken: events of other replicas wait so long at most.
const POLL: Duration = Duration::from_millis(500);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Record {
    /// Its id, by which the receiver recognizes repeats.
    pub id: Uuid,
    /// What [`crate::Scope::emit`] was given.
    pub payload: Vec<u8>,
}

/// Where events go.
pub trait Delivery: Sync {
    /// Why events could not be delivered; it is logged.
    type Error: std::error::Error + Send + 'static;

    /// Delivers events, in this order. They are forgotten when this succeeds and sent again when it does not.
    fn deliver(&self, records: Vec<Record>) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl Outbox {
    /// Delivers events for ever. Failures are logged and tried again, at most five seconds later. May be dropped at any moment:
    /// what was not acknowledged is delivered again by the next relay.
    pub async fn relay<D: Delivery>(&self, delivery: &D) {
        loop {
            // Returns when another relay leads, or the database failed.
            if let Err(error) = self.lead(delivery).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "events wait in the outbox");
                tokio::time::sleep(BACKOFF_MAX).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Delivers for as long as this relay leads; returns at once when another does.
    async fn lead<D: Delivery>(&self, delivery: &D) -> Result<(), Failure> {
        let Some(mut lead) = Lead::take(&self.pool).await? else {
            return Ok(());
        };
        let mut backoff = BACKOFF_MIN;
        let mut purge = Purge::due();
        loop {
            lead.check().await?;
            purge.step(self).await;
            let records = self.next_records().await?;
            if records.is_empty() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
                continue;
            }
            failpoint::reach(Point::RelayRead);
            if let Err(error) = delivery.deliver(records.clone()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "events wait in the outbox");
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
                continue;
            }
            failpoint::reach(Point::RelayDelivered);
            store::transaction(&self.pool, &Forget(records)).await?;
            failpoint::reach(Point::RelayMarked);
            backoff = BACKOFF_MIN;
        }
    }

    async fn next_records(&self) -> Result<Vec<Record>, Failure> {
        let mut tx = store::read(&self.pool).await?;
        Ok(on!(&mut tx, tx => sqlx::query_as(NEXT).bind(TOGETHER_MAX_BYTES).fetch_all(&mut **tx).await?))
    }
}

/// The right to relay: nobody else has it while this is alive.
enum Lead {
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
    Sqlite,
}

impl Lead {
    async fn take(pool: &Pool) -> Result<Option<Lead>, Failure> {
        let Pool::Postgres(pool) = pool else {
            return Ok(Some(Lead::Sqlite));
        };
        let mut tx = pool.begin().await?;
        let leading: bool = sqlx::query_scalar(LEAD_POSTGRES).fetch_one(&mut *tx).await?;
        Ok(leading.then_some(Lead::Postgres(tx)))
    }

    async fn check(&mut self) -> Result<(), Failure> {
        if let Lead::Postgres(tx) = self {
            sqlx::query(STILL_LEADING).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

struct Forget(Vec<Record>);

impl Work for Forget {
    const NAME: &'static str = "forget_events";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        for record in &self.0 {
            on!(&mut *tx, tx => {
                sqlx::query(FORGET).bind(record.id).execute(&mut **tx).await?;
            });
        }
        Ok(())
    }
}
