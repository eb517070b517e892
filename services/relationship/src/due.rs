//! What this service does by itself when its time has come, one line a kind; the steps of each stand with the calls of its noun.

use outbox::{Due, Scope, Timer};
use store::Failure;

use crate::error::Error;
use crate::rpc::{Calls, termination};

impl Due for Calls {
    type Error = Error;

    async fn fire(&self, scope: &mut Scope<'_>, timer: &Timer) -> Result<(), Error> {
        match timer.kind.as_str() {
            termination::TERMINATE => termination::end_due(self, scope, &timer.subject).await,
            // A newer replica may have asked for it, and does it when this one is replaced.
            unknown => Err(Failure::inconsistent("timers", format!("{unknown:?} is nothing that is done here")).into()),
        }
    }
}
