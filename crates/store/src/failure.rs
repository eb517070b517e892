//! What can go wrong in a database, in terms that do not name the engine.

use std::error::Error;

/// A statement, transaction or connection failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Concurrent transactions got in each other's way; the whole transaction may be tried again.
    #[error("concurrent transactions kept interfering")]
    Interfered(#[source] sqlx::Error),
    /// The database cannot be reached, or has no connection or time to spare.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// The database holds something that this version cannot have written.
    #[error("{table} holds a row that makes no sense: {problem}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// What is wrong with the row.
        problem: String,
    },
    /// The schema is not the one this version serves.
    #[error("{0}")]
    Schema(String),
    /// The statement itself failed, which is a defect.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
}

impl Failure {
    /// A row that cannot be understood.
    pub fn inconsistent(table: &'static str, problem: impl Into<String>) -> Failure {
        Failure::Inconsistent { table, problem: problem.into() }
    }

    /// True when running the whole transaction again can help.
    #[must_use]
    pub fn is_interference(&self) -> bool {
        match self {
            Failure::Interfered(_) => true,
            Failure::Unavailable(_) | Failure::Inconsistent { .. } | Failure::Schema(_) | Failure::Statement(_) => {
                false
            }
        }
    }

    /// True when the database cannot be reached, or has nothing to spare: the same may work later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Failure::Unavailable(_) => true,
            Failure::Interfered(_) | Failure::Inconsistent { .. } | Failure::Schema(_) | Failure::Statement(_) => false,
        }
    }
}

/// An error that may carry a [`Failure`], so that the transaction around it knows whether to try again.
pub trait HasFailure {
    /// The failure of the database behind this error, if that is what it is.
    fn failure(&self) -> Option<&Failure>;
}

impl HasFailure for Failure {
    fn failure(&self) -> Option<&Failure> {
        Some(self)
    }
}

/// Serialization failure and deadlock in PostgreSQL; a busy or locked database, also after a snapshot, in SQLite.
const INTERFERENCE: &[&str] = &["40001", "40P01", "5", "6", "261", "517"];
/// Statement canceled by timeout, lock not available, too many connections, shutting down, starting up.
const UNAVAILABLE: &[&str] = &["57014", "55P03", "53300", "57P01", "57P02", "57P03"];

impl From<sqlx::Error> for Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow: all else is a defect of ours")]
    fn from(error: sqlx::Error) -> Failure {
        match &error {
            sqlx::Error::Database(cause) => match cause.code() {
                Some(code) if INTERFERENCE.contains(&code.as_ref()) => Failure::Interfered(error),
                Some(code) if UNAVAILABLE.contains(&code.as_ref()) => Failure::Unavailable(error),
                Some(_) | None => Failure::Statement(error),
            },
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                Failure::Unavailable(error)
            }
            _ => Failure::Statement(error),
        }
    }
}

/// The innermost cause, in words.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
