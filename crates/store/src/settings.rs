//! Which database, and the numbers that bound its use.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which database, and how much of it may be used for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `postgres://user@host/name` or `sqlite:///path/to/file`. Holds no password.
    pub url: String,
    /// The file that holds the password for PostgreSQL, when one is needed.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A server that follows the one of `url` and answers what need not be the latest: `postgres://user@host/name`, with the same
    /// password. PostgreSQL alone. Default: none.
    #[serde(default)]
    pub replica_url: Option<String>,
    /// Connections at most, 1 to 1000; as many again to the replica. SQLite takes four of them at most. Default: 10.
    #[serde(default = "connections_max")]
    pub connections_max: u32,
    /// How long a call waits for a connection, and SQLite for its one write lock, in milliseconds, 10 to 60 000. Default: 5000.
    #[serde(default = "wait_max_ms")]
    pub wait_max_ms: u64,
    /// How long PostgreSQL runs a statement, in milliseconds, 10 to 60 000. Migrations are not bounded. Default: 5000.
    #[serde(default = "statement_max_ms")]
    pub statement_max_ms: u64,
    /// How long a statement of PostgreSQL waits for a lock, in milliseconds, 10 to 60 000. Default: 3000.
    #[serde(default = "lock_max_ms")]
    pub lock_max_ms: u64,
    /// How long PostgreSQL keeps a transaction in which nothing happens, in milliseconds, 30 000 to 600 000. Default: 60 000.
    ///
    /// The relay of the outbox leads by such a transaction while it delivers, which takes up to 20 seconds: with less, a slow
    /// delivery would lose the lead, and another replica would deliver the same events at the same time.
    #[serde(default = "idle_in_transaction_max_ms")]
    pub idle_in_transaction_max_ms: u64,
    /// Pages that a SQLite file has at most, 4096 bytes each; more are refused as a full disk refuses them. A file that has more
    /// already does not grow. Default: what SQLite allows.
    #[serde(default)]
    pub sqlite_pages_max: Option<u32>,
}

fn connections_max() -> u32 {
    10
}

fn wait_max_ms() -> u64 {
    5000
}

fn statement_max_ms() -> u64 {
    5000
}

fn lock_max_ms() -> u64 {
    3000
}

fn idle_in_transaction_max_ms() -> u64 {
    60_000
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Unusable {
    /// Its key in [`Settings`].
    pub key: &'static str,
    /// What is wrong with it, and what would be accepted.
    pub problem: String,
}

impl Settings {
    /// The least that `idle_in_transaction_max_ms` may be. Who leads by an open transaction is done with anything in less.
    pub const IDLE_IN_TRANSACTION_MIN_MS: u64 = 30_000;

    /// The database at this address, with every default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            password_file: None,
            replica_url: None,
            connections_max: connections_max(),
            wait_max_ms: wait_max_ms(),
            statement_max_ms: statement_max_ms(),
            lock_max_ms: lock_max_ms(),
            idle_in_transaction_max_ms: idle_in_transaction_max_ms(),
            sqlite_pages_max: None,
        }
    }

    /// Refuses what types alone cannot. `connections_min` is how many connections the process takes at the same time of itself.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn check(&self, connections_min: u32) -> Result<(), Unusable> {
        let ranges = [
            ("connections_max", u64::from(self.connections_max), u64::from(connections_min), 1000),
            ("wait_max_ms", self.wait_max_ms, 10, 60_000),
            ("statement_max_ms", self.statement_max_ms, 10, 60_000),
            ("lock_max_ms", self.lock_max_ms, 10, 60_000),
            (
                "idle_in_transaction_max_ms",
                self.idle_in_transaction_max_ms,
                Settings::IDLE_IN_TRANSACTION_MIN_MS,
                600_000,
            ),
            ("sqlite_pages_max", self.sqlite_pages_max.map_or(1, u64::from), 1, u64::from(u32::MAX)),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let problem = format!("{value} is out of range; expected {least} to {most}");
                return Err(Unusable { key, problem });
            }
        }
        let both_postgres = is_postgres(&self.url) && self.replica_url.as_deref().is_none_or(is_postgres);
        if self.replica_url.is_some() && !both_postgres {
            let problem = "only PostgreSQL has a replica; expected postgres://user@host/name, as for url".to_owned();
            return Err(Unusable { key: "replica_url", problem });
        }
        Ok(())
    }

    pub(crate) fn wait_max(&self) -> Duration {
        Duration::from_millis(self.wait_max_ms)
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}
