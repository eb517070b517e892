//! What happens by itself when its time has come: kept with the change that wants it, done once, by whichever replica is first.

use std::future::Future;
use std::time::Duration;

use clock::{Time, Uuid};
use store::{Failure, HasFailure, Tx, Work, on};

use crate::{Outbox, Scope};

/// Asking for the same twice is asking for it once.
const SET: &str = "INSERT INTO timers (id, key, kind, subject, due_time_us) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (subject, kind, due_time_us) DO NOTHING";
const DUE: &str = "SELECT id, key, kind, subject, due_time_us FROM timers WHERE due_time_us <= $1
     ORDER BY due_time_us, id LIMIT 100";
/// Whoever deletes it does it: it is gone with what it caused, or neither is.
const TAKE: &str = "DELETE FROM timers WHERE id = $1";
const POSTPONE: &str = "UPDATE timers SET due_time_us = $2 WHERE id = $1 AND due_time_us = $3";

/// How often it is looked whether something is due: so late things happen at most, where nothing fails.
const TICK: Duration = Duration::from_secs(1);
/// When something that failed is tried again. Others need not wait for it.
const AGAIN: Duration = Duration::from_mins(1);

/// Something to do at a time.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Timer {
    id: Uuid,
    /// Whose change it will be; see [`crate::Change::key`].
    pub key: String,
    /// What to do: `relationship.terminate`.
    pub kind: String,
    /// The name of the resource to do it to.
    pub subject: String,
    due_time_us: i64,
}

impl Timer {
    /// The time for which it was set. It fires then or later.
    #[must_use]
    pub fn due_time(&self) -> Time {
        Time::from_micros(self.due_time_us)
    }
}

/// Who does what is due.
pub trait Due: Sync {
    /// How it fails; nothing is written then, and it is tried again.
    type Error: From<Failure> + HasFailure + std::error::Error + Send + 'static;

    /// Does it, in one transaction, with exactly one event per state changed. What was asked for may have become pointless since:
    /// then nothing is done, which is no failure.
    fn fire(&self, scope: &mut Scope<'_>, timer: &Timer) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl Scope<'_> {
    /// Asks for something to be done at a time, if the change is kept. It cannot be taken back; [`Due::fire`] sees what has become
    /// of the subject.
    ///
    /// # Errors
    /// [`Failure`] of the database.
    pub async fn at(&mut self, due: Time, kind: &'static str, subject: &str) -> Result<(), Failure> {
        let id = self.id();
        on!(&mut *self.tx, tx => {
            sqlx::query(SET)
                .bind(id)
                .bind(self.key)
                .bind(kind)
                .bind(subject)
                .bind(due.micros())
                .execute(&mut **tx)
                .await?;
        });
        Ok(())
    }
}

impl Outbox {
    /// Does what is due, for ever. Several replicas may: each thing is done once. May be dropped at any moment.
    pub async fn keep_time<D: Due>(&self, due: &D) {
        loop {
            match self.fire_due(due).await {
                // There may be more.
                Ok(count) if count > 0 => continue,
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "what is due cannot be done now");
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }

    async fn fire_due<D: Due>(&self, due: &D) -> Result<usize, Failure> {
        let timers = self.due_timers().await?;
        for timer in &timers {
            match store::transaction(&self.pool, &Fire { outbox: self, due, timer }).await {
                Ok(true) => self.wake.notify_one(),
                Ok(false) => {}
                Err(error) => {
                    warn(&timer.kind, &error);
                    store::transaction(&self.pool, &Postpone { timer, to: self.clock.now().plus(AGAIN) }).await?;
                }
            }
        }
        Ok(timers.len())
    }

    async fn due_timers(&self) -> Result<Vec<Timer>, Failure> {
        let now = self.clock.now();
        let mut tx = store::read(&self.pool).await?;
        Ok(on!(&mut tx, tx => sqlx::query_as(DUE).bind(now.micros()).fetch_all(&mut **tx).await?))
    }
}

/// Not a part of what awaits: an error of any kind is shared with no other thread.
fn warn(kind: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(kind, error, "something due failed, and is tried again in a minute");
}

struct Fire<'a, D> {
    outbox: &'a Outbox,
    due: &'a D,
    timer: &'a Timer,
}

impl<D: Due> Work for Fire<'_, D> {
    const NAME: &'static str = "fire_timer";
    /// Whether something is to be told.
    type Answer = bool;
    type Error = D::Error;

    async fn run(&self, tx: &mut Tx) -> Result<bool, D::Error> {
        let mut scope = Scope::open(tx, &self.timer.key, &self.outbox.clock).await?;
        if !take(scope.tx, self.timer.id).await? {
            return Ok(false);
        }
        self.due.fire(&mut scope, self.timer).await?;
        Ok(scope.close().await?)
    }
}

/// False when another replica was first.
async fn take(tx: &mut Tx, id: Uuid) -> Result<bool, Failure> {
    Ok(on!(tx, tx => sqlx::query(TAKE).bind(id).execute(&mut **tx).await?.rows_affected()) == 1)
}

struct Postpone<'a> {
    timer: &'a Timer,
    to: Time,
}

impl Work for Postpone<'_> {
    const NAME: &'static str = "postpone_timer";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let Postpone { timer, to } = self;
        on!(tx, tx => {
            sqlx::query(POSTPONE).bind(timer.id).bind(to.micros()).bind(timer.due_time_us).execute(&mut **tx).await?;
        });
        Ok(())
    }
}
