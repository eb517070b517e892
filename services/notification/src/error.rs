//! How calls of this service fail, and the one match that makes it a status.

use std::fmt;

use api::ErrorReason as Reason;
use api::field::Invalid;
use api::status::Refusal;
use server::failure::RETRY_AFTER;
use store::{Failure, HasFailure};
use tonic::Status;

/// How many malformed fields an answer names at most: it travels in headers, which are bounded.
const FIELDS_MAX: usize = 10;

/// Why a call failed. Nothing was written.
#[derive(Debug)]
pub enum Error {
    /// A field is malformed, and perhaps others too.
    Invalid(Invalid, Vec<Invalid>),
    /// The watch would begin after an event that the feed does not have.
    AheadOfFeed {
        /// The sequence of the last event there is.
        last: i64,
    },
    /// There is no such resource, or it is not the caller's to see (I12).
    NotFound(String),
    /// The process has as many watches as it can hold.
    TooManyWatches,
    /// The process comes to its end.
    Draining,
    /// The database failed.
    Store(Failure),
}

impl Error {
    /// One malformed field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Invalid::new(field, problem).into()
    }

    /// A resource that does not exist, or is not the caller's to see.
    pub fn not_found(name: impl fmt::Display) -> Error {
        Error::NotFound(name.to_string())
    }

    /// The status to send, from this cloud.
    #[must_use]
    pub fn status(self, cloud: &str) -> Status {
        let refusal = match self {
            Error::Invalid(first, others) => {
                let refusal = Refusal::from(first);
                let others = others.iter().take(FIELDS_MAX - 1);
                others.fold(refusal, |refusal, other| refusal.and_field(&other.field, &other.problem))
            }
            Error::AheadOfFeed { last } => {
                let problem = format!("the feed has come to {last} only; give at most that, or -1 for events to come");
                Refusal::field("after_sequence", &problem)
            }
            Error::NotFound(name) => Refusal::not_found(&name),
            Error::TooManyWatches => {
                let message = "the process holds all the watches it can; come back in a while";
                Refusal::new(Reason::Overloaded, "AIP-194", "", message).retry_after(RETRY_AFTER)
            }
            Error::Draining => {
                let message = "the notification service is about to stop; reconnect with the last sequence seen";
                Refusal::new(Reason::DependencyUnavailable, "AIP-194", "", message).retry_after(RETRY_AFTER)
            }
            Error::Store(failure) => {
                return server::failure::database(cloud, &failure, Failure::is_interference, Failure::unavailable);
            }
        };
        refusal.status(cloud)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Error {
        Error::Invalid(invalid, Vec::new())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Store(failure)
    }
}

impl HasFailure for Error {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Error::Store(failure) => Some(failure),
            Error::Invalid(..)
            | Error::AheadOfFeed { .. }
            | Error::NotFound(_)
            | Error::TooManyWatches
            | Error::Draining => None,
        }
    }
}
