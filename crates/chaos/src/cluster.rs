//! The system under test: clouds with replicas of every service, a gateway before them, and a line between every two parties.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clock::Clock;
use cloud::Policy;
use postgres::{Durability, Server};
use serde_json::json;
use testkit::port::Port;
use testkit::provider::{Identity, Provider};
use testkit::proxy::{Line, Proxy};
use testkit::records::{self, Counted};
use testkit::site::{SERVICES, Site, Told, Upstreams, peers_of};

use crate::slot::{Plan, Slot};

/// How long a system may take until every process answers.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long it may take until nothing waits, once all is mended: the longest pause of a relay, and what a slow machine takes.
pub const QUIET_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Clocks are moved by no more than this either way, so that no two differ by as much as request ids are kept for.
pub const CLOCK_MAX_SECONDS: i64 = 3 * 86_400;
/// Tokens hold for so long around now, so that no clock makes them invalid.
const TOKEN_SECONDS: i64 = 30 * 86_400;

/// Where the databases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A PostgreSQL server for each cloud.
    Postgres,
    /// A file for each service.
    Sqlite,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The policy files of the clouds.
    pub policies: Vec<PathBuf>,
    /// Replicas of each service.
    pub replicas: usize,
    /// Gateways.
    pub gateways: usize,
    /// Where the databases are.
    pub engine: Engine,
    /// Where the processes' logs go.
    pub logs: PathBuf,
}

/// A running system. It ends with the value.
#[derive(Debug)]
pub struct Cluster {
    /// The processes, gateways last.
    pub slots: Vec<Slot>,
    /// The clouds.
    pub clouds: Vec<Cloud>,
    /// The line to the gateways.
    pub front: Proxy,
    _site: Site,
}

/// One cloud.
#[derive(Debug)]
pub struct Cloud {
    /// Its id.
    pub id: String,
    /// Its policy.
    pub policy: Policy,
    policy_file: PathBuf,
    provider: Provider,
    /// The address of each service's database.
    databases: BTreeMap<&'static str, String>,
    server: Option<Mutex<Server>>,
    /// The lines, by who calls and who is called.
    pub lines: BTreeMap<(&'static str, &'static str), Proxy>,
}

/// The policy files of the clouds of this checkout.
///
/// # Errors
/// When they cannot be found or read.
pub fn policies() -> Result<Vec<PathBuf>> {
    let clouds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds");
    let entries = std::fs::read_dir(&clouds).with_context(|| format!("{} cannot be read", clouds.display()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path().join("policy/policy.toml"))).collect();
    files.retain(|file| file.is_file());
    files.sort();
    ensure!(!files.is_empty(), "{} holds no cloud", clouds.display());
    Ok(files)
}

/// Two clouds that differ most: one where a service has one holder, and one where relationships need no delegation.
///
/// # Errors
/// As [`policies`], and when there is none of a kind.
pub fn unlike() -> Result<[PathBuf; 2]> {
    let mut found = [None, None];
    for file in policies()? {
        let policy = Policy::load(&file)?;
        if policy.delegation.exclusive_holder {
            found[0].get_or_insert(file);
        } else if policy.delegation.optional {
            found[1].get_or_insert(file);
        }
    }
    let [exclusive, optional] = found;
    let exclusive = exclusive.context("no cloud has one holder of a service")?;
    Ok([exclusive, optional.context("no cloud has relationships without delegation")?])
}

impl Cluster {
    /// Builds a system and waits until it answers.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn start(shape: &Shape) -> Result<Cluster> {
        let site = Site::new();
        let mut slots = Vec::new();
        let mut clouds = Vec::new();
        for (place, policy) in shape.policies.iter().enumerate() {
            let cloud = Cloud::start(&site, policy, shape).await?;
            cloud.start_services(place, &site, shape, &mut slots).await?;
            clouds.push(cloud);
        }
        let front = start_gateways(&site, &clouds, shape, &mut slots).await?;
        let cluster = Cluster { slots, clouds, front, _site: site };
        cluster.ready(READY_MAX).await?;
        Ok(cluster)
    }

    /// Waits until every process answers.
    ///
    /// # Errors
    /// When one does not within this time.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while let Some(slot) = self.slots.iter().find(|slot| !slot.is_ready()) {
            ensure!(Instant::now() < deadline, "{} does not answer within {within:?}", slot.name());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Mends everything that was broken: lines, clocks, databases, processes that were told to die.
    ///
    /// # Errors
    /// When something cannot be mended.
    pub async fn mend(&self) -> Result<()> {
        for line in self.lines() {
            line.set(Line::Good);
        }
        for slot in &self.slots {
            slot.set_clock(0)?;
            slot.disarm();
        }
        self.ready(READY_MAX).await
    }

    /// Waits until no event is on its way; returns how long that took.
    ///
    /// # Errors
    /// When something still waits after [`QUIET_MAX`].
    pub async fn quiet(&self) -> Result<Duration> {
        let start = Instant::now();
        for cloud in &self.clouds {
            loop {
                let waiting = cloud.count(&records::WAITING).await?;
                if waiting == 0 {
                    break;
                }
                let took = start.elapsed();
                ensure!(took < QUIET_MAX, "{waiting} events of {} still wait {took:?} after all was mended", cloud.id);
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(start.elapsed())
    }

    /// All lines.
    pub fn lines(&self) -> impl Iterator<Item = &Proxy> {
        std::iter::once(&self.front).chain(self.clouds.iter().flat_map(|cloud| cloud.lines.values()))
    }

    /// How many requests and answers all lines have lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lines().map(Proxy::lost).sum()
    }

    /// The processes of a service of a cloud.
    pub fn replicas(&self, cloud: usize, service: &str) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |slot| slot.cloud() == Some(cloud) && slot.program() == service)
    }
}

async fn start_gateways(site: &Site, clouds: &[Cloud], shape: &Shape, slots: &mut Vec<Slot>) -> Result<Proxy> {
    let mut lines: Vec<Vec<(&str, SocketAddr)>> = Vec::new();
    for cloud in clouds {
        lines.push(cloud.lines_from("gateway"));
    }
    let upstreams: Vec<Upstreams<'_>> = clouds
        .iter()
        .zip(&lines)
        .map(|(cloud, services)| Upstreams {
            cloud: &cloud.id,
            policy: &cloud.policy_file,
            issuer: cloud.provider.uri(),
            services,
        })
        .collect();
    let mut addresses = Vec::new();
    for number in 0..shape.gateways {
        let (name, port) = (format!("gateway-{number}"), Port::reserve());
        let listen = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let config = site.gateway(&name, listen, &upstreams, "[telemetry]\nlog_format = \"json\"\n");
        addresses.push(listen);
        let (folder, log) = (site.file(""), shape.logs.clone());
        slots.push(Slot::start(Plan { name, program: "gateway", cloud: None, port, config, folder, log })?);
    }
    Proxy::start(addresses).await.context("a line")
}

impl Cloud {
    async fn start(site: &Site, policy_file: &Path, shape: &Shape) -> Result<Cloud> {
        let policy = Policy::load(policy_file)?;
        let id = policy.cloud.as_str().to_owned();
        let mut databases = BTreeMap::new();
        let server = match shape.engine {
            Engine::Postgres => {
                let server = Server::start(&postgres::programs()?, Durability::None)?;
                for service in SERVICES {
                    databases.insert(service, records::create(&server.url(), service).await.context("a database")?);
                }
                Some(Mutex::new(server))
            }
            Engine::Sqlite => {
                for service in SERVICES {
                    let file = site.file(&format!("{id}-{service}.db"));
                    databases.insert(service, format!("sqlite://{}", file.display()));
                }
                None
            }
        };
        let mut lines = BTreeMap::new();
        for from in ["gateway"].iter().chain(&SERVICES) {
            let called = if *from == "gateway" { &SERVICES } else { peers_of(from) };
            for to in called {
                lines.insert((*from, *to), Proxy::start(Vec::new()).await.context("a line")?);
            }
        }
        let policy_file = policy_file.to_owned();
        Ok(Cloud { id, policy, policy_file, provider: Provider::start().await, databases, server, lines })
    }

    async fn start_services(&self, place: usize, site: &Site, shape: &Shape, slots: &mut Vec<Slot>) -> Result<()> {
        for service in SERVICES {
            let mut addresses = Vec::new();
            for number in 0..shape.replicas {
                let (name, port) = (format!("{}-{service}-{number}", self.id), Port::reserve());
                let listen = SocketAddr::from(([127, 0, 0, 1], port.number()));
                let told = Told {
                    cloud: &self.id,
                    policy: &self.policy_file,
                    issuer: self.provider.uri(),
                    listen,
                    database: &format!("url = \"{}\"\nconnections_max = 6\n", self.databases[service]),
                    peers: &self.lines_from(service),
                    sections: "[process.telemetry]\nlog_format = \"json\"\n",
                };
                let config = site.service(&name, service, &told);
                if number == 0 && shape.engine == Engine::Postgres {
                    let path = config.to_str().context("a path of text")?.to_owned();
                    let migrate = move || testkit::process::run(service, ["migrate", "--config", &path]);
                    let migrated = tokio::task::spawn_blocking(migrate).await.context("a migration")?;
                    ensure!(migrated.code() == 0, "{service} is not migrated: {migrated:?}");
                }
                addresses.push(listen);
                let (folder, log) = (site.file(""), shape.logs.clone());
                slots.push(Slot::start(Plan {
                    name,
                    program: service,
                    cloud: Some(place),
                    port,
                    config,
                    folder,
                    log,
                })?);
            }
            for ((_, to), line) in &self.lines {
                if *to == service {
                    line.lead_to(addresses.clone());
                }
            }
        }
        Ok(())
    }

    fn lines_from(&self, from: &str) -> Vec<(&'static str, SocketAddr)> {
        self.lines
            .iter()
            .filter(|((caller, _), _)| *caller == from)
            .map(|((_, to), line)| (*to, line.address()))
            .collect()
    }

    /// A token for somebody, that no clock of the system makes invalid.
    #[must_use]
    pub fn token(&self, identity: Identity<'_>) -> String {
        let now = Clock::system().now().seconds();
        let claims = json!({ "iat": now - TOKEN_SECONDS, "nbf": now - TOKEN_SECONDS, "exp": now + TOKEN_SECONDS });
        self.provider.token_with(identity, claims)
    }

    /// How many there are, in all databases it is about.
    ///
    /// # Errors
    /// When a database cannot be asked.
    pub async fn count(&self, counted: &Counted) -> Result<i64> {
        let mut sum = 0;
        for service in counted.services {
            let count = records::count(&self.databases[service], counted).await;
            sum += count.with_context(|| format!("the database of {service} in {} cannot be asked", self.id))?;
        }
        Ok(sum)
    }

    /// Whether the databases are files.
    #[must_use]
    pub fn is_on_files(&self) -> bool {
        self.server.is_none()
    }

    /// The server of the databases.
    ///
    /// # Errors
    /// When there is none: the databases are files.
    pub fn server(&self) -> Result<MutexGuard<'_, Server>> {
        let Some(server) = &self.server else {
            bail!("the databases of {} are files", self.id);
        };
        Ok(server.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
