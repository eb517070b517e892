//! What all measurements share: the system, prepared, and windows of calls on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::caller::{self, Caller, Customers};
use crate::load;
use crate::plan::Plan;
use crate::report::{Report, Sample};
use crate::site::{self, Site};

const SEED: &str = include_str!("../sql/seed.sql");
const UNDELIVERED: &str = include_str!("../sql/undelivered.sql");
const CANDIDATES: &str = include_str!("../sql/candidates.sql");
const CHECKPOINT: &str = include_str!("../sql/checkpoint.sql");
/// Connections to each process. Callers share them, as those of a real caller do.
const CONNECTIONS: usize = 2;

/// The system and how much of it is measured.
pub(crate) struct Suite {
    /// The system.
    pub(crate) site: Arc<Site>,
    /// How much is measured.
    pub(crate) plan: Plan,
    /// The link that customers accept.
    pub(crate) link: String,
    /// The token of a change that has been made.
    pub(crate) token: String,
    /// By the number of relationships: what one more took of each table of their database, its indexes included, in bytes.
    pub(crate) disk: BTreeMap<u64, BTreeMap<String, f64>>,
    seeded: u64,
    candidates: u64,
    accepting: Arc<AtomicU64>,
}

/// A case of a measurement: what a window is called in the results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The measurement.
    pub(crate) what: &'static str,
    /// What is called.
    pub(crate) case: &'static str,
    /// How many call at a time.
    pub(crate) callers: usize,
}

impl Suite {
    /// Starts the system, with as many relationships as the plan begins with.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn start(plan: Plan) -> Result<Suite> {
        let site = Site::start().await?;
        let (link, token) = caller::prepare(&site).await?;
        let (disk, accepting) = (BTreeMap::new(), Arc::default());
        let mut suite = Suite { site: Arc::new(site), plan, link, token, disk, seeded: 0, candidates: 0, accepting };
        // Events of the preparation are delivered before anything is measured, and copied with the rest.
        suite.site.settle().await?;
        let left = suite.site.postgres.ask("relationship", UNDELIVERED, &[])?;
        ensure!(left.trim() == "0|f", "the events of the preparation are not delivered: {left}");
        suite.seed(suite.plan.relationships[0])?;
        Ok(suite)
    }

    /// Adds relationships until there are this many.
    ///
    /// # Errors
    /// When the database refuses them.
    pub(crate) fn seed(&mut self, relationships: u64) -> Result<()> {
        if relationships > self.seeded {
            let before = self.sizes("relationship")?;
            let variables = [("first", self.seeded + 1), ("last", relationships)];
            self.site.postgres.ask("relationship", SEED, &variables)?;
            let mut sizes = self.sizes("relationship")?;
            for (table, bytes) in &mut sizes {
                *bytes =
                    (*bytes - before.get(table).copied().unwrap_or_default()) / as_f64(relationships - self.seeded);
            }
            self.disk.insert(relationships, sizes);
            self.seeded = relationships;
        }
        self.checkpoint()
    }

    /// Bytes of each table of a database, with its indexes.
    pub(crate) fn sizes(&self, database: &str) -> Result<BTreeMap<String, f64>> {
        let sizes = self.site.postgres.sizes(database)?;
        Ok(sizes.into_iter().map(|size| (size.table, size.bytes)).collect())
    }

    /// How many relationships there are, those apart that were accepted while accepts were measured.
    #[must_use]
    pub(crate) fn seeded(&self) -> u64 {
        self.seeded
    }

    /// Registers this many customers more who can accept.
    ///
    /// # Errors
    /// When the database refuses them.
    pub(crate) fn register(&mut self, customers: u64) -> Result<()> {
        let variables = [("first", self.candidates), ("last", self.candidates + customers - 1), ("numbers", 0)];
        self.site.postgres.ask("relationship", CANDIDATES, &variables)?;
        self.candidates += customers;
        Ok(())
    }

    /// Prepares the database in which pgbench accepts: the same tables with the same content, the links of the invitation
    /// service among them, and so many customers of its own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn prepare_pgbench(&self, customers: u64) -> Result<()> {
        let postgres = &self.site.postgres;
        postgres.create("pgbench")?;
        postgres.copy("relationship", None, "pgbench")?;
        postgres.copy("invitation", Some("links"), "pgbench")?;
        let variables = [("first", 0), ("last", customers - 1), ("numbers", 1)];
        postgres.ask("pgbench", CANDIDATES, &variables).map(drop)
    }

    /// Writes out what the database holds in memory, so that no window pays for what came before it.
    ///
    /// # Errors
    /// When the database does not.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.site.postgres.ask("postgres", CHECKPOINT, &[]).map(drop)
    }

    /// Customers who accept at a gateway.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn customers_at_gateway(&self) -> Result<Customers> {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(self.site.through("gateway").await?);
        }
        Ok(Customers { link: self.link.clone(), channels: channels.into(), next: Arc::clone(&self.accepting) })
    }

    /// Customers who accept at the relationship service itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn customers_at_relationship(&self) -> Result<Customers> {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(self.site.as_invitation().await?);
        }
        Ok(Customers { link: self.link.clone(), channels: channels.into(), next: Arc::clone(&self.accepting) })
    }

    /// Customers who have accepted while it was measured.
    #[must_use]
    pub(crate) fn accepted(&self) -> u64 {
        self.accepting.load(Ordering::Relaxed)
    }

    /// Somebody who calls a program, a gateway or a service.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn caller(&self, program: &str, identity: testkit::provider::Identity<'_>) -> Result<Caller> {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(match program {
                "gateway" | "gateway_to_empty" => self.site.through(program).await?,
                service => self.site.direct(service).await?,
            });
        }
        Caller::new(&self.site, &channels, &self.site.token(identity))
    }

    /// A service that asks about anybody.
    ///
    /// # Errors
    /// When the program does not answer.
    pub(crate) async fn checker(&self, program: &str) -> Result<Caller> {
        self.caller(program, site::CHECKER).await
    }

    /// Measures one window of a case, with what these programs used, and waits until nothing is left to be done.
    ///
    /// # Errors
    /// When a call is refused.
    pub(crate) async fn window<F, C>(
        &self,
        report: &mut Report,
        case: Case,
        programs: &[&'static str],
        call: F,
    ) -> Result<Sample>
    where
        F: Fn(usize) -> C + Clone + Send + 'static,
        C: Future<Output = Result<()>> + Send,
    {
        let site = Arc::clone(&self.site);
        let usage = || programs.iter().map(|program| site.usage(program)).collect::<Result<Vec<f64>>>();
        let (seen, before, after) = load::calls(case.callers, self.plan.window, call, usage).await?;
        let settle_s = self.site.settle().await?;
        let used = before.iter().zip(&after).map(|(before, after)| (after - before) / seen.calls().max(1.0));
        let sample = Sample {
            rate: seen.rate(),
            p50_ms: seen.quantile_ms(0.5),
            p99_ms: seen.quantile_ms(0.99),
            cpu_us: programs.iter().copied().zip(used).collect(),
            settle_s,
        };
        self.note(report, case, &sample)?;
        Ok(sample)
    }

    /// Writes what a window showed.
    ///
    /// # Errors
    /// When the report takes no more.
    pub(crate) fn note(&self, report: &mut Report, case: Case, sample: &Sample) -> Result<()> {
        let Case { what, case, callers } = case;
        let relationships = self.seeded;
        report.line(&json!({
            "plan": self.plan.name, "what": what, "case": case, "callers": callers, "relationships": relationships,
            "sample": sample,
        }))
    }
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 relationships are ever made")]
pub(crate) fn as_f64(number: u64) -> f64 {
    number as f64
}
