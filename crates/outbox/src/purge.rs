//! Forgets request ids after the time for which a repeat gets the first answer, and delivered events after the time for which they
//! can be delivered again: in small steps, so that changes need not wait.
//!
//! Ages are counted by the clock of the database alone: a process whose clock jumps forgets nothing early. Should the clock of the
//! database itself jump ahead, the relay that runs through it does not follow.

use std::time::Duration;

use clock::Time;
use store::{Failure, Pool, Tx, Work, on};
use tokio::time::Instant;

use crate::{Outbox, queue};

/// How long the answer to a request id is kept, and an event that was delivered.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How often it is looked whether some are older.
const PAUSE: Duration = Duration::from_hours(1);
/// How many of each are forgotten in one transaction.
const STEP: u64 = 500;

const FORGET_REQUESTS: &str = "DELETE FROM requests WHERE (caller, request_id) IN (
         SELECT caller, request_id FROM requests WHERE create_time_us < $1 ORDER BY create_time_us LIMIT 500)";
const FORGET_EVENTS: &str = "DELETE FROM outbox_delivered WHERE id IN (
         SELECT id FROM outbox_delivered WHERE deliver_time_us < $1 ORDER BY deliver_time_us, id LIMIT 500)";

/// When the next step is to be taken. Waits are measured by a clock that nobody moves.
#[derive(Debug)]
pub(crate) struct Purge {
    due: Instant,
    /// The clock of the database when it was first asked.
    begin: Option<(Instant, Time)>,
}

impl Purge {
    /// One that is due now.
    pub(crate) fn due() -> Purge {
        Purge { due: Instant::now(), begin: None }
    }

    /// Takes one step, if it is time to. Events are never kept waiting by a step that fails.
    pub(crate) async fn step(&mut self, outbox: &Outbox) {
        if Instant::now() < self.due {
            return;
        }
        match self.forget(&outbox.pool).await {
            // There may be more: go on after the next events.
            Ok(count) if count >= STEP => {}
            Ok(_) => self.due = Instant::now() + PAUSE,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "what is old cannot be forgotten");
                self.due = Instant::now() + PAUSE;
            }
        }
    }

    /// Forgets some of what is old; answers how many of which there were most.
    async fn forget(&mut self, pool: &Pool) -> Result<u64, Failure> {
        let told = queue::now(&mut store::read(pool).await?).await?;
        let (asked, first) = *self.begin.get_or_insert((Instant::now(), told));
        let now = told.min(first.plus(asked.elapsed()));
        let before = Time::from_micros(now.micros().saturating_sub(micros(KEPT)));
        store::transaction(pool, &Forget { before }).await
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("a week fits")
}

struct Forget {
    before: Time,
}

impl Work for Forget {
    const NAME: &'static str = "forget_old";
    type Answer = u64;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<u64, Failure> {
        let before = self.before.micros();
        let mut most = 0;
        for statement in [FORGET_REQUESTS, FORGET_EVENTS] {
            let forgotten =
                on!(&mut *tx, tx => sqlx::query(statement).bind(before).execute(&mut **tx).await?.rows_affected());
            most = most.max(forgotten);
        }
        Ok(most)
    }
}
