//! Failures of the machinery, as opposed to refusals by the domain, become statuses here: the caller learns what it can do, the
//! log what happened. The chain of causes is logged here and nowhere else.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use api::ErrorReason;
use api::status::Refusal;
use tonic::Status;

use crate::telemetry;

/// When a caller should come back to something that does not answer.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The answer to a call that met a defect of ours: nothing but the id that finds the log line written here.
#[must_use]
pub fn internal(cloud: &str, cause: &dyn Error) -> Status {
    tracing::error!(error = chain(cause), "a call failed by our own fault");
    internal_refusal().status(cloud)
}

/// As [`internal`], for code that has logged the cause.
pub(crate) fn internal_refusal() -> Refusal {
    Refusal::new(ErrorReason::Internal, "AIP-193", "", "internal error").with("trace_id", telemetry::trace_id())
}

/// The answer to a call that needs something which does not answer: `dependency` names it, as in `the relationship service`.
#[must_use]
pub fn unavailable(cloud: &str, dependency: &str, cause: &dyn Error) -> Status {
    unavailable_refusal(dependency, cause).status(cloud)
}

/// As [`unavailable`], for code that knows no cloud.
pub(crate) fn unavailable_refusal(dependency: &str, cause: &dyn Error) -> Refusal {
    dependency_refusal(dependency, "does not answer", cause)
}

fn dependency_refusal(dependency: &str, problem: &str, cause: &dyn Error) -> Refusal {
    tracing::warn!(error = chain(cause), dependency, "a dependency {problem}");
    let message = format!("{dependency} {problem}; retry with the same request_id");
    Refusal::new(ErrorReason::DependencyUnavailable, "AIP-194", "", message).retry_after(RETRY_AFTER)
}

/// The answer to a call that the database failed. The failure itself knows whether other calls got in the way of this one, and
/// what keeps the database from answering for now, as in `does not answer`; anything else is a defect.
#[must_use]
pub fn database<F: Error>(
    cloud: &str,
    failure: &F,
    interfered: impl FnOnce(&F) -> bool,
    unavailable: impl FnOnce(&F) -> Option<&'static str>,
) -> Status {
    if interfered(failure) {
        let message = "concurrent changes kept interfering; retry with the same request_id";
        let refusal = Refusal::new(ErrorReason::ConcurrentChange, "AIP-154", "", message);
        return refusal.retry_after(RETRY_AFTER).status(cloud);
    }
    match unavailable(failure) {
        Some(problem) => dependency_refusal("the database", problem, failure).status(cloud),
        None => internal(cloud, failure),
    }
}

/// The refusal of a call whose time is over.
pub(crate) fn deadline_exceeded() -> Refusal {
    let message =
        "the time for the call is over; a change may or may not have happened: retry with the same request_id";
    Refusal::new(ErrorReason::DeadlineExceeded, "AIP-193", "", message)
}

/// An error with all its causes, on one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
