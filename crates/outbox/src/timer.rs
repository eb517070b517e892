//! What happens by itself when its time has come: kept with the change that wants it, done once, by whichever replica is first.

use std::future::Future;
use std::time::Duration;

use clock::{Time, Uuid};
use store::{Failure, HasFailure, Tx, Work, on};

use crate::{Outbox, Scope, queue};

/// Asking for the same twice is asking for it once.
const SET: &str =
    "INSERT INTO timers (id, key, kind, subject, due_time_us, try_time_us) VALUES ($1, $2, $3, $4, $5, $5)
     ON CONFLICT (subject, kind, due_time_us) DO NOTHING";
const DUE: &str = "SELECT id, key, kind, subject, due_time_us FROM timers WHERE try_time_us <= $1
     ORDER BY try_time_us, id LIMIT 100";
/// Whoever deletes it does it: it is gone with what it caused, or neither is.
const TAKE: &str = "DELETE FROM timers WHERE id = $1";
const POSTPONE: &str = "UPDATE timers SET try_time_us = $2 WHERE id = $1";

/// How often it is looked whether something is due: so late things happen at most, where nothing fails.
const TICK: Duration = Duration::from_secs(1);
/// When something that failed is tried again.
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
            let turn = self.turns.take(&timer.key).await;
            let fired = store::transaction(&self.pool, &Fire { outbox: self, due, timer }).await;
            drop(turn);
            match fired {
                Ok(true) => self.wake.notify_one(),
                Ok(false) => {}
                Err(error) => {
                    warn(&timer.kind, &error);
                    store::transaction(&self.pool, &Postpone { outbox: self, timer }).await?;
                }
            }
        }
        Ok(timers.len())
    }

    /// By the clock of the database, which all replicas share: one whose own clock is ahead ends nothing early.
    async fn now(&self, tx: &mut Tx) -> Result<Time, Failure> {
        match self.clock.offset_micros() {
            Some(offset) => Ok(Time::from_micros(queue::now(tx).await?.micros().saturating_add(offset))),
            None => Ok(self.clock.now()),
        }
    }

    async fn due_timers(&self) -> Result<Vec<Timer>, Failure> {
        let mut tx = store::read(&self.pool).await?;
        let now = self.now(&mut tx).await?;
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
        // First of all, so that those who come second write nothing.
        if !take(tx, self.timer.id).await? {
            return Ok(false);
        }
        let mut scope = Scope::open(tx, &self.timer.key, &self.outbox.clock).await?;
        self.due.fire(&mut scope, self.timer).await?;
        Ok(scope.close().await?)
    }
}

/// False when another replica was first.
async fn take(tx: &mut Tx, id: Uuid) -> Result<bool, Failure> {
    Ok(on!(tx, tx => sqlx::query(TAKE).bind(id).execute(&mut **tx).await?.rows_affected()) == 1)
}

struct Postpone<'a> {
    outbox: &'a Outbox,
    timer: &'a Timer,
}

impl Work for Postpone<'_> {
    const NAME: &'static str = "postpone_timer";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let Postpone { outbox, timer } = self;
        let to = outbox.now(tx).await?.plus(AGAIN);
        on!(tx, tx => {
            sqlx::query(POSTPONE).bind(timer.id).bind(to.micros()).execute(&mut **tx).await?;
        });
        Ok(())
    }
}
