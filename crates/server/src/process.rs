//! What a running process is: its cloud, its clock, its tasks, and the way they all end.
//!
//! Every task is spawned here and nowhere else, so that shutting down can wait for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::Clock;
use cloud::{CloudId, MarketTable, Policy};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

use crate::config::{Common, ConfigError, Fault};

/// Why a process did not start, in one sentence for whoever started it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    /// A start that failed for this reason: one sentence, in lower case, without a full stop.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> StartError {
        StartError(sentence.into())
    }

    /// A start that failed because the database cannot be used, for this reason.
    #[must_use]
    pub fn database(cause: &dyn std::error::Error) -> StartError {
        StartError(format!("database: {}", crate::failure::chain(cause)))
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> StartError {
        StartError(error.to_string())
    }
}

impl From<Fault> for StartError {
    fn from(fault: Fault) -> StartError {
        StartError(format!("{}: {}", fault.key, fault.problem))
    }
}

impl From<cloud::LoadError> for StartError {
    fn from(error: cloud::LoadError) -> StartError {
        StartError(error.to_string())
    }
}

/// What all parts of one service of one cloud share.
#[derive(Clone, Debug)]
pub struct Process {
    /// The name of the service, such as `relationship`.
    pub name: &'static str,
    /// The cloud it serves.
    pub cloud: CloudId,
    /// What that cloud allows.
    pub policy: Arc<Policy>,
    /// Which countries can do business with each other.
    pub markets: Arc<MarketTable>,
    /// The time, and new ids.
    pub clock: Clock,
    /// How it ends.
    pub shutdown: Shutdown,
}

impl Process {
    /// Reads the policy of the cloud.
    ///
    /// # Errors
    /// When the policy cannot be used, or is of another cloud than the configuration says.
    pub fn load(
        name: &'static str,
        common: &Common,
        clock: Clock,
        shutdown: Shutdown,
    ) -> Result<Arc<Process>, StartError> {
        let policy = Policy::load(&common.policy)?;
        if policy.cloud.as_str() != common.cloud {
            return Err(StartError::new(format!(
                "{}: cloud: the policy is of cloud {:?}, the configuration of cloud {:?}",
                common.policy.display(),
                policy.cloud.as_str(),
                common.cloud,
            )));
        }
        Ok(Arc::new(Process {
            name,
            cloud: policy.cloud.clone(),
            policy: Arc::new(policy),
            markets: Arc::new(MarketTable::embedded()),
            clock,
            shutdown,
        }))
    }

    /// Runs a task that the end of the process waits for. It should watch [`Process::shutdown`] and return when told.
    pub fn spawn<F>(&self, task: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shutdown.spawn(task, future);
    }

    /// Runs a task that has no end of its own and may be dropped at any moment, until the process comes to its end.
    pub fn spawn_until_end<F>(&self, task: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        self.spawn(task, async move {
            tokio::select! {
                () = shutdown.begun() => {}
                () = future => {}
            }
        });
    }
}

/// The end of a process: announced once, then awaited within a bound. Clones are of the same process.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

impl Shutdown {
    /// A process that has just begun.
    #[must_use]
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// Tells every task to come to its end.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// True once [`Shutdown::begin`] was called.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until [`Shutdown::begin`] is called.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.begun.cancelled()
    }

    /// Ends the process because a part that it cannot do without has failed.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.begin();
    }

    /// True once [`Shutdown::fail`] was called.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Runs a task that [`Shutdown::drained`] waits for. A task that panics ends the process: nobody would notice its
    /// absence otherwise.
    pub fn spawn<F>(&self, task: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let alarm = Alarm { shutdown: self.clone(), task };
        let watched = async move {
            future.await;
            drop(alarm);
        };
        #[expect(clippy::disallowed_methods, reason = "the one place that spawns, tracked")]
        tokio::spawn(self.tasks.track_future(watched));
    }

    /// Waits until every task has ended, but no longer than `bound`. True when all have.
    pub async fn drained(&self, bound: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(bound, self.tasks.wait()).await.is_ok()
    }
}

/// Ends the process when dropped by a panic.
struct Alarm {
    shutdown: Shutdown,
    task: &'static str,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.task, "a task panicked, the process ends");
            self.shutdown.fail();
        }
    }
}

/// A service that answers calls.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Where it listens: the port is known even when the configuration left it to the system.
    pub address: SocketAddr,
    /// Where it answers probes, if it does.
    pub probe_address: Option<SocketAddr>,
}
