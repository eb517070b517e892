//! Forgets request ids after the time for which a repeat gets the first answer: in small steps, so that changes need not wait.

use std::time::Duration;

use clock::Time;
use store::{Failure, Pool, Tx, Work, on};
use tokio::time::Instant;

use crate::Outbox;

/// How long the answer to a request id is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How often it is looked whether some are older.
const PAUSE: Duration = Duration::from_hours(1);
/// How many are forgotten in one transaction.
const STEP: u64 = 500;

const PURGE: &str = "DELETE FROM requests WHERE (caller, request_id) IN (
         SELECT caller, request_id FROM requests WHERE create_time_us < $1 ORDER BY create_time_us LIMIT 500)";

/// When request ids are to be forgotten next. Waits are measured by a clock that nobody moves; ages are not, since other
/// processes have given them.
#[derive(Debug)]
pub(crate) struct Purge {
    due: Instant,
}

impl Purge {
    /// One that is due now.
    pub(crate) fn due() -> Purge {
        Purge { due: Instant::now() }
    }

    /// Takes one step, if it is time to. Events are never kept waiting by a step that fails.
    pub(crate) async fn step(&mut self, outbox: &Outbox) {
        if Instant::now() < self.due {
            return;
        }
        let before = Time::from_micros(outbox.clock.now().micros().saturating_sub(micros(KEPT)));
        match forget(&outbox.pool, before).await {
            // There may be more: go on after the next events.
            Ok(count) if count >= STEP => {}
            Ok(_) => self.due = Instant::now() + PAUSE,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "old request ids cannot be forgotten");
                self.due = Instant::now() + PAUSE;
            }
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("a week fits")
}

async fn forget(pool: &Pool, before: Time) -> Result<u64, Failure> {
    store::transaction(pool, &Forget { before }).await
}

struct Forget {
    before: Time,
}

impl Work for Forget {
    const NAME: &'static str = "forget_requests";
    type Answer = u64;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<u64, Failure> {
        let before = self.before.micros();
        Ok(on!(tx, tx => sqlx::query(PURGE).bind(before).execute(&mut **tx).await?.rows_affected()))
    }
}
