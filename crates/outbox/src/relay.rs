//! Carries events from the outbox to whoever keeps them: in the order of each key, at least once, by one relay at a time.
//!
//! An event that the receiver refuses for good is found, tried a few times and parked; later events of its key wait behind it, all
//! others go on. Nobody who changes state ever waits for a delivery.

use std::future::Future;
use std::time::Duration;

use clock::Uuid;
use failpoint::Point;
use store::{Failure, Pool, Settings};
use tokio::time::{Instant, timeout};

use crate::Outbox;
use crate::purge::Purge;
use crate::queue::{self, Waiting};
use crate::watch::{Ending, Measures};

/// Leads for as long as its transaction is open. The lock dies with the connection, so that no clock is asked and the next relay
/// takes over within [`POLL`]. Of a machine that falls silent the connection lives for as long as the server lets a transaction
/// idle, a minute. A SQLite file belongs to one process, which has one relay.
const LEAD_POSTGRES: &str = "SELECT pg_try_advisory_xact_lock(7236281100421)";
const STILL_LEADING: &str = "SELECT 1";

/// How long until the outbox is looked at without being woken: events of other replicas wait so long at most.
const POLL: Duration = Duration::from_millis(500);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How many events are delivered together at most.
const TOGETHER_MAX: i64 = 200;
/// How long a delivery may take. More than one call takes at most, and less than the server lets the leader's transaction idle.
const DELIVERY_MAX: Duration = Duration::from_secs(20);
const _: () = assert!(DELIVERY_MAX.as_millis() < Settings::IDLE_IN_TRANSACTION_MIN_MS as u128);
/// How often an event is refused before it is parked; with the pauses in between that is within two seconds.
const TRIES_MAX: i64 = 5;
/// How many bytes of a reason are kept.
const REASON_MAX: usize = 1000;

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id, by which the receiver recognizes repeats.
    pub id: Uuid,
    /// What [`crate::Scope::emit`] was given.
    pub payload: Vec<u8>,
}

/// Where events go.
pub trait Delivery: Sync {
    /// Why events could not be delivered; it is logged, and kept with an event that is parked for it.
    type Error: std::error::Error + Send + 'static;

    /// Delivers events, in this order. They count as delivered when this succeeds and are sent again when it does not. It is dropped
    /// after 20 seconds, and fewer are delivered together from then on.
    fn deliver(&self, records: Vec<Record>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// True when at least one of the events will never be taken; false when the same may succeed later.
    fn is_refusal(error: &Self::Error) -> bool;
}

impl Outbox {
    /// Delivers events for ever. Failures are logged and tried again, at most five seconds later. May be dropped at any moment:
    /// what was not acknowledged is delivered again by the next relay. `labels` are those of its metrics, such as the service.
    ///
    /// Every relay, leading or not, measures what waits: one that hangs does not take the alarm with it.
    pub async fn relay<D: Delivery>(&self, delivery: &D, labels: &[(&'static str, &str)]) {
        let measures = Measures::new(labels);
        // Both are large, and live as long as the process.
        tokio::join!(Box::pin(self.lead_in_turn(delivery, &measures)), Box::pin(self.watch(&measures)));
    }

    async fn lead_in_turn<D: Delivery>(&self, delivery: &D, measures: &Measures) {
        loop {
            // Returns when another relay leads, or the database failed.
            if let Err(error) = self.lead(delivery, measures).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "events wait in the outbox");
                tokio::time::sleep(BACKOFF_MAX).await;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Delivers for as long as this relay leads; returns at once when another does.
    async fn lead<D: Delivery>(&self, delivery: &D, measures: &Measures) -> Result<(), Failure> {
        let Some(mut lead) = Lead::take(&self.pool).await? else {
            return Ok(());
        };
        let mut pace = Pace::full();
        let mut purge = Purge::due();
        loop {
            lead.check().await?;
            purge.step(self).await;
            let (behind, next): (Vec<Waiting>, Vec<Waiting>) =
                queue::next(&self.pool, pace.together).await?.into_iter().partition(|event| event.behind);
            if !behind.is_empty() {
                let ids: Vec<Uuid> = behind.iter().map(|event| event.id).collect();
                store::transaction(&self.pool, &queue::Hold(&ids)).await?;
            } else if next.is_empty() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
                continue;
            }
            if !next.is_empty() {
                failpoint::reach(Point::RelayRead);
                let pause = self.carry(next, delivery, measures, &mut pace).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Delivers some events. Answers how long to pause before the next.
    async fn carry<D: Delivery>(
        &self,
        events: Vec<Waiting>,
        delivery: &D,
        measures: &Measures,
        pace: &mut Pace,
    ) -> Result<Duration, Failure> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let records = events.into_iter().map(|event| Record { id: event.id, payload: event.payload }).collect();
        let begin = Instant::now();
        let ending = match timeout(DELIVERY_MAX, delivery.deliver(records)).await {
            Ok(Ok(())) => {
                failpoint::reach(Point::RelayDelivered);
                store::transaction(&self.pool, &queue::Deliver(&ids)).await?;
                failpoint::reach(Point::RelayMarked);
                Ending::Delivered(ids.len())
            }
            Ok(Err(error)) if D::is_refusal(&error) => {
                if self.refused(&ids, &error).await? {
                    Ending::Parked
                } else {
                    Ending::Refused
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "events wait in the outbox");
                Ending::Failed
            }
            Err(_elapsed) => {
                tracing::warn!(count = ids.len(), "events wait in the outbox: a delivery took {DELIVERY_MAX:?}");
                Ending::Failed
            }
        };
        measures.delivery(begin.elapsed(), &ending);
        Ok(pace.after(&ending, ids.len()))
    }

    /// Of several refused events nothing is known yet; of one, that it is the one. True when it is parked.
    async fn refused<E: std::error::Error + 'static>(&self, ids: &[Uuid], error: &E) -> Result<bool, Failure> {
        let reason = reason(error);
        let &[id] = ids else {
            tracing::info!(reason, count = ids.len(), "an event is refused, and looked for");
            return Ok(false);
        };
        let refuse = queue::Refuse { id, reason: &reason, tries_max: TRIES_MAX };
        let parked = store::transaction(&self.pool, &refuse).await?;
        if parked {
            tracing::warn!(event.id = %id, reason, "an event is parked, and later ones of its key wait behind it");
        }
        Ok(parked)
    }
}

/// An error with its causes, as long as is kept.
fn reason<E: std::error::Error + 'static>(error: &E) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let mut text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.truncate(text.floor_char_boundary(REASON_MAX));
    text
}

/// How many events go together, and how long a failure is waited out.
struct Pace {
    together: i64,
    backoff: Duration,
}

impl Pace {
    fn full() -> Pace {
        Pace { together: TOGETHER_MAX, backoff: BACKOFF_MIN }
    }

    /// Takes in how so many events fared; answers how long to pause. After a refusal events go alone, until they are taken: so a
    /// poisoned one is found in a few calls. After a failure they are fewer: so a slow receiver gets what it can take in time.
    fn after(&mut self, ending: &Ending, count: usize) -> Duration {
        match ending {
            Ending::Delivered(_) => {
                *self = Pace { together: (self.together * 2).min(TOGETHER_MAX), backoff: BACKOFF_MIN };
                return Duration::ZERO;
            }
            Ending::Refused if count == 1 => self.together = 1,
            Ending::Refused | Ending::Parked => {
                *self = Pace { together: 1, backoff: BACKOFF_MIN };
                return Duration::ZERO;
            }
            Ending::Failed => self.together = (self.together / 2).max(1),
        }
        let pause = self.backoff;
        self.backoff = (pause * 2).min(BACKOFF_MAX);
        pause
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
        let mut tx = store::hold(pool).await?;
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
