//! One round: tenants of its own, clients that use them while things fail, then everything mended and checked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use api::relationship::Delegation;
use prost::Message as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::check;
use crate::client::{Actor, CUSTOMERS, Client, PARTNERS, Scene, customer_id, partner_id};
use crate::cluster::Cluster;
use crate::fault::{self, Counts, Course};
use crate::history::{Call, History, Outcome};
use crate::kind::Kind;
use crate::operation::tenants::{new_customer, new_partner};
use crate::operation::{Doer, Operation};
use crate::random::Random;

/// How long a round may take from its begin until all its clients are done.
const CLIENTS_MAX: Duration = Duration::from_secs(600);

/// What a round is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Makes the plan.
    pub seed: u64,
    /// Clients in each cloud, all at once.
    pub clients: u64,
    /// Operations of each client, one after the other; it goes on for as long as some kind of fault has not happened yet.
    pub operations: u64,
    /// Whether anything fails.
    pub faults: bool,
    /// The folder of the histories.
    pub logs: PathBuf,
}

/// What a round came to.
#[derive(Debug)]
pub struct Report {
    /// The round.
    pub number: u64,
    /// Calls, reads included.
    pub calls: usize,
    /// Changes that were answered.
    pub acknowledged: usize,
    /// Changes that were refused.
    pub refused: usize,
    /// Sent again, over all calls.
    pub repeated: u32,
    /// What failed, by kind.
    pub faults: Counts,
    /// How long it took until nothing waited, once all was mended.
    pub quiet: Duration,
    /// How long all of it took.
    pub took: Duration,
    /// The promises that were broken.
    pub violations: Vec<String>,
    /// Its history.
    pub log: PathBuf,
}

/// What was removed, with the tokens of that.
#[derive(Debug, Default)]
pub struct Removals(Mutex<Vec<Removal>>);

/// A delegation that was removed.
#[derive(Clone, Debug)]
pub struct Removal {
    /// As it was before.
    pub delegation: Delegation,
    /// Whose it was.
    pub customer: String,
    /// The token of the removal.
    pub token: String,
}

impl Removals {
    /// Keeps one.
    pub fn add(&self, delegation: Delegation, customer: String, token: String) {
        let mut removals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        removals.push(Removal { delegation, customer, token });
    }

    /// One of them, mostly one of the last; `None` when there is none.
    #[must_use]
    pub fn one(&self, random: &mut Random) -> Option<Removal> {
        let removals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let back = usize::try_from(random.below(4)).ok()?.min(removals.len().checked_sub(1)?);
        removals.get(removals.len() - 1 - back).cloned()
    }
}

/// Runs one round.
///
/// # Errors
/// When the system cannot be used, mended or asked: that too is a broken promise, of the round as a whole.
pub async fn run(cluster: &Arc<Cluster>, settings: &Settings, number: u64) -> Result<Report> {
    let start = Instant::now();
    let log = settings.logs.join(format!("round-{number}.jsonl"));
    let history = Arc::new(History::begin(&log)?);
    let mut scenes = Vec::new();
    for cloud in 0..cluster.clouds.len() {
        let scene = Arc::new(Scene::set(cluster, cloud, number)?);
        prepare(cluster, &scene, &history, settings.seed).await?;
        scenes.push(scene);
    }
    let course = Arc::new(Course::new(settings.faults));
    let failing = async {
        if settings.faults {
            let plan = fault::Plan { seed: settings.seed, round: number };
            fault::drive(cluster, &plan, &history, &course).await
        } else {
            Ok(Counts::new())
        }
    };
    let lost = cluster.lost();
    let ((), mut faults) = tokio::try_join!(use_it(cluster, &scenes, &history, settings, &course), failing)?;
    faults.insert("connections cut", cluster.lost() - lost);
    cluster.mend().await.context("after the round")?;
    let quiet = cluster.quiet().await?;
    let mut violations = history.problems();
    for scene in &scenes {
        violations.extend(check::all(cluster, scene, &history).await?);
    }
    history.note("violations", &json!(violations));
    let took = start.elapsed();
    Ok(Report { faults, quiet, took, violations, ..Report::of(number, &history) })
}

impl Report {
    /// What the calls of a round came to; the rest is for who knows it.
    fn of(number: u64, history: &History) -> Report {
        let calls = history.calls();
        let changes = || calls.iter().filter(|call| Kind::CHANGES.contains(&call.kind));
        let of = |is: fn(&Call) -> bool| changes().filter(|call| is(call)).count();
        Report {
            number,
            calls: calls.len(),
            acknowledged: of(|call| matches!(call.outcome, Outcome::Answered(_))),
            refused: of(|call| matches!(call.outcome, Outcome::Refused(_))),
            repeated: calls.iter().map(|call| call.sent - 1).sum(),
            faults: Counts::new(),
            quiet: Duration::ZERO,
            took: Duration::ZERO,
            violations: Vec::new(),
            log: history.path().to_owned(),
        }
    }
}

/// Registers the partners and customers of the round.
///
/// # Errors
/// When one is not registered.
pub async fn prepare(cluster: &Cluster, scene: &Arc<Scene>, history: &Arc<History>, seed: u64) -> Result<()> {
    let client = Client::new(cluster, scene, history)?;
    let policy = &cluster.clouds[scene.cloud].policy;
    let mut random = Random::at(seed, &[scene.round, scene.cloud as u64, u64::MAX - 1]);
    let mut requests = Vec::new();
    for number in 0..PARTNERS {
        let request = new_partner(policy, partner_id(scene.round, number), format!("Partner {number}"), random.uuid());
        requests.push((Kind::CreatePartner, request.encode_to_vec()));
    }
    for number in 0..CUSTOMERS {
        let id = customer_id(scene.round, number);
        let request = new_customer(policy, id, format!("Customer {number}"), random.uuid());
        requests.push((Kind::CreateCustomer, request.encode_to_vec()));
    }
    for (kind, request) in requests {
        let outcome = client.ask(Actor::Operator, kind, kind.path(), request.into()).await;
        ensure!(matches!(outcome, Outcome::Answered(_)), "no tenants: {outcome:?}");
    }
    Ok(())
}

/// Lets all clients do what is planned for them.
async fn use_it(
    cluster: &Arc<Cluster>,
    scenes: &[Arc<Scene>],
    history: &Arc<History>,
    settings: &Settings,
    course: &Arc<Course>,
) -> Result<()> {
    let mut clients = JoinSet::new();
    for scene in scenes {
        let removals = Arc::new(Removals::default());
        for number in 0..settings.clients {
            let client = Client::new(cluster, scene, history)?;
            let (cluster, removals) = (Arc::clone(cluster), Arc::clone(&removals));
            let course = Arc::clone(course);
            let plan = plan(settings.seed, [scene.round, scene.cloud as u64, number]);
            let operations = settings.operations;
            clients.spawn(async move {
                let policy = &cluster.clouds[client.scene.cloud].policy;
                let doer = Doer { client, policy, removals: &removals };
                for (done, operation) in (0..).zip(plan) {
                    if done >= operations && course.has_seen_all() {
                        break;
                    }
                    doer.perform(operation).await;
                }
            });
        }
    }
    let all = async {
        while let Some(done) = clients.join_next().await {
            done.context("a client")?;
        }
        anyhow::Ok(())
    };
    let used = tokio::time::timeout(CLIENTS_MAX, all).await.context("the clients are not done in time")?;
    course.clients_are_done();
    used
}

/// What a client is going to do, for as long as it is let.
fn plan(seed: u64, [round, cloud, client]: [u64; 3]) -> impl Iterator<Item = Operation> {
    let mut random = Random::at(seed, &[round, cloud, client]);
    (0..).map(move |number| Operation {
        kind: Kind::next(&mut random),
        random: Random::at(seed, &[round, cloud, client, number]),
    })
}

/// Where a folder of logs of this run is made.
///
/// # Errors
/// When it cannot be made.
pub fn logs(parent: &Path, seed: u64) -> Result<PathBuf> {
    let folder = parent.join(format!("chaos-{seed}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}
