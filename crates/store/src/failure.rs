//! What can go wrong in a database, in terms that do not name the engine.

use std::error::Error;

use crate::{Position, measure};

/// A statement, transaction or connection failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Concurrent transactions got in each other's way; the whole transaction may be tried again.
    #[error("concurrent transactions kept interfering")]
    Interfered(#[source] sqlx::Error),
    /// The database cannot be reached, or has no connection or time to spare.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// The database has no room left for changes. Nothing was written; reads still work.
    #[error("the database has no room left")]
    Full(#[source] sqlx::Error),
    /// A position was asked for at which the log of the database has not arrived: it is of another database, or of this one before
    /// it was restored or lost its newest part.
    #[error("the log of the database ends before position {0}")]
    BeyondLog(Position),
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
        matches!(self, Failure::Interfered(_))
    }

    /// What to tell when the database cannot be reached or has nothing to spare, so that the same may work later: the end of a
    /// sentence that begins with the name of the database. `None` for failures that stay.
    #[must_use]
    pub fn unavailable(&self) -> Option<&'static str> {
        match self {
            Failure::Unavailable(_) => Some("does not answer"),
            Failure::Full(_) => Some("has no room left, and nothing was changed"),
            Failure::Interfered(_)
            | Failure::BeyondLog(_)
            | Failure::Inconsistent { .. }
            | Failure::Schema(_)
            | Failure::Statement(_) => None,
        }
    }

    /// What the transactions got in each other's way by, in a word.
    pub(crate) fn interference(&self) -> Option<&'static str> {
        let Failure::Interfered(error) = self else {
            return None;
        };
        let code = error.as_database_error().and_then(|cause| cause.code());
        Some(match code.as_deref() {
            Some("40001") => "serialization",
            Some("40P01") => "deadlock",
            Some(_) | None => "busy",
        })
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

/// What the codes of PostgreSQL mean, by their beginning; the first that fits decides.
const POSTGRES: &[(&str, Kind)] = &[
    ("40001", Kind::Interference),      // serialization failure
    ("40P01", Kind::Interference),      // deadlock
    ("53100", Kind::Full),              // disk full
    ("53", Kind::Connection),           // out of memory, too many connections, another limit
    ("08", Kind::Connection),           // the connection broke
    ("57P", Kind::Connection), // shutting down, crashed, starting up, database dropped, session idle for too long
    ("57014", Kind::StatementTimeout), // canceled by a timeout
    ("55P03", Kind::LockTimeout), // a lock could not be had in time
    ("25P03", Kind::IdleInTransaction), // the transaction was idle for too long
    ("25006", Kind::Connection), // the server has become a standby, which only reads
    ("58030", Kind::Connection), // reading or writing a file failed
];

/// What the primary codes of SQLite mean: the low byte of an extended code.
const SQLITE: &[(u32, Kind)] = &[
    (5, Kind::Interference), // busy, also after a snapshot
    (6, Kind::Interference), // a table is locked
    (10, Kind::Connection),  // reading or writing the file failed
    (13, Kind::Full),        // the disk, or the limit of pages
    (14, Kind::Connection),  // the file cannot be opened
];

#[derive(Clone, Copy)]
enum Kind {
    Interference,
    StatementTimeout,
    LockTimeout,
    IdleInTransaction,
    Connection,
    Full,
    Other,
}

impl Kind {
    /// In a word, for those who count them.
    fn reason(self) -> &'static str {
        match self {
            Kind::Interference => "interference",
            Kind::StatementTimeout => "statement_timeout",
            Kind::LockTimeout => "lock_timeout",
            Kind::IdleInTransaction => "idle_in_transaction",
            Kind::Connection => "connection",
            Kind::Full => "full",
            Kind::Other => "other",
        }
    }

    fn of(code: &str) -> Kind {
        // Codes of PostgreSQL are five characters long; those of SQLite are numbers below that.
        let known = if code.len() == 5 {
            POSTGRES.iter().find(|(prefix, _)| code.starts_with(prefix)).map(|(_, kind)| *kind)
        } else {
            let primary = code.parse::<u32>().ok().map(|code| code & 0xff);
            SQLITE.iter().find(|(known, _)| primary == Some(*known)).map(|(_, kind)| *kind)
        };
        known.unwrap_or(Kind::Other)
    }
}

/// Counts it, too: this is where every failure of a database that somebody is told of comes by, of reads and of changes, once.
impl From<sqlx::Error> for Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that may grow: all else is a defect of ours")]
    fn from(error: sqlx::Error) -> Failure {
        let kind = match &error {
            sqlx::Error::Database(cause) => cause.code().map_or(Kind::Other, |code| Kind::of(&code)),
            // A server that crashes breaks off in the middle of a message, and of the beginning of a transaction.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Kind::Connection,
            _ => Kind::Other,
        };
        measure::failed(kind.reason());
        match kind {
            Kind::Interference => Failure::Interfered(error),
            Kind::StatementTimeout | Kind::LockTimeout | Kind::IdleInTransaction | Kind::Connection => {
                Failure::Unavailable(error)
            }
            Kind::Full => Failure::Full(error),
            Kind::Other => Failure::Statement(error),
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
