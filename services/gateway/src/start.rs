//! From a configuration to a gateway that answers: everything that can be wrong is found before a port is bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::cloud::cloud_service_server::CloudServiceServer;
use clock::Clock;
use cloud::{MarketTable, Policy};
use server::config::{Fault, Settings as _};
use server::telemetry::CallLayer;
use server::{Issuer, Running, Service, Shutdown, StartError};
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{ServiceBuilder, ServiceExt as _};

use crate::cloud_service::Described;
use crate::clouds::{Cloud, Clouds, Directory};
use crate::config::{self, Config};
use crate::listener::Listener;
use crate::reflection;
use crate::routes::{Destination, ROUTES};
use crate::switchboard::Switchboard;
use crate::tls;
use crate::upstream::Upstream;

/// The gateway as a program.
#[derive(Clone, Copy, Debug)]
pub struct Gateway;

impl Service for Gateway {
    const NAME: &'static str = "gateway";

    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        start(config, clock, shutdown).await
    }

    async fn migrate(_: Config) -> Result<(), StartError> {
        // The gateway keeps nothing.
        Ok(())
    }
}

/// Starts a gateway: when this returns, it answers, until `shutdown` begins.
///
/// # Errors
/// When the configuration cannot be used, or the port is taken: one sentence.
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
    check(&config)?;
    let public = config.public_tls.as_ref().map(tls::public).transpose()?;
    let listener = bind("listen", config.listen, public).await?;
    answer(listener, config, clock, shutdown).await
}

/// Starts a gateway as [`start`] does, where its port is bound already: whoever chose the port by binding it need not let it go
/// for a moment. `listen` of the configuration is not used.
///
/// # Errors
/// As [`start`].
pub async fn start_on(
    listener: std::net::TcpListener,
    config: Config,
    clock: Clock,
    shutdown: Shutdown,
) -> Result<Running, StartError> {
    check(&config)?;
    let public = config.public_tls.as_ref().map(tls::public).transpose()?;
    let unusable = |error| StartError::new(format!("the port that was bound cannot be served: {error}"));
    listener.set_nonblocking(true).map_err(unusable)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(unusable)?;
    answer(Listener::new(listener, public).map_err(unusable)?, config, clock, shutdown).await
}

fn check(config: &Config) -> Result<(), StartError> {
    config.check().map_err(|fault| StartError::new(format!("{}: {}", fault.key, fault.problem)))?;
    server::install_crypto();
    Ok(())
}

async fn answer(listener: Listener, config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
    let clouds = Arc::new(clouds(&config, &clock)?);
    let (reporter, health) = tonic_health::server::health_reporter();
    let described = Described::new(clouds.clone(), Arc::new(MarketTable::embedded()));
    let own = Routes::new(health.clone())
        .add_service(CloudServiceServer::new(described))
        .add_service(reflection()?)
        .prepare();
    let probe = match config.probe_listen {
        Some(address) => Some(bind("probe_listen", address, None).await?),
        None => None,
    };
    let running = Running { address: listener.address(), probe_address: probe.as_ref().map(Listener::address) };
    if config.development {
        tracing::warn!(address = %running.address, "DEVELOPMENT gateway: loopback only, never for production");
    }

    report(&reporter, ServingStatus::Serving).await;
    let ending = shutdown.clone();
    shutdown.spawn("health", async move {
        ending.begun().await;
        report(&reporter, ServingStatus::NotServing).await;
    });
    let gateway = ServiceBuilder::new()
        // Outermost: whatever becomes of a request is traced, measured and logged, refusals and defects included.
        .layer(CallLayer::new(Gateway::NAME, ""))
        .service(Switchboard::new(clouds, config.limits.clone(), own))
        .map_response(|response| response.map(tonic::body::Body::new));
    shutdown.spawn("gateway", listener.serve(gateway, config.limits.clone(), shutdown.clone()));
    if let Some(probe) = probe {
        let only_health = Routes::new(health).prepare();
        shutdown.spawn("probes", probe.serve(only_health, config.limits, shutdown.clone()));
    }
    tracing::info!(address = %running.address, service = Gateway::NAME, "ready");
    Ok(running)
}

async fn bind(
    key: &str,
    address: std::net::SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Result<Listener, StartError> {
    Listener::bind(address, tls).await.map_err(|error| {
        let why = if error.kind() == std::io::ErrorKind::AddrInUse {
            "another process has it; stop that one or choose another port".to_owned()
        } else {
            error.to_string()
        };
        StartError::new(format!("{key}: cannot listen on {address}: {why}"))
    })
}

/// Tells probes about the gateway and each service behind it. A cloud that cannot be reached does not make the gateway
/// unhealthy: the others must go on.
async fn report(reporter: &HealthReporter, status: ServingStatus) {
    reporter.set_service_status("", status).await;
    for (service, _) in ROUTES {
        reporter.set_service_status(*service, status).await;
    }
}

fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    StartError,
> {
    tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(reflection::public_descriptors())
        .register_encoded_file_descriptor_set(api::ERROR_DETAILS_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| StartError::new(format!("the contract cannot be shown: {error}")))
}

fn clouds(config: &Config, clock: &Clock) -> Result<Clouds, StartError> {
    let wrong = |fault: Fault| StartError::new(format!("{}: {}", fault.key, fault.problem));
    let directory = Directory::new(config.entries().map_err(wrong)?).map_err(wrong)?;
    let all: Result<Vec<Cloud>, StartError> = config.clouds.iter().map(|cloud| open(config, cloud, clock)).collect();
    Ok(Clouds::new(directory, all?))
}

fn open(config: &Config, cloud: &config::Cloud, clock: &Clock) -> Result<Cloud, StartError> {
    let policy = Policy::load(&cloud.policy)?;
    if policy.cloud.as_str() != cloud.id {
        let (file, of) = (cloud.policy.display(), policy.cloud.as_str());
        return Err(StartError::new(format!(
            "{file}: cloud: the policy is of cloud {of:?}, the configuration of {:?}",
            cloud.id
        )));
    }
    let tls = cloud.tls.as_ref().or(config.tls.as_ref());
    let calls_max = usize::try_from(config.limits.calls_max).expect("32 bits fit");
    let mut upstreams = BTreeMap::new();
    for (destination, name, peer) in [
        (Destination::Invitation, "invitation", &cloud.upstreams.invitation),
        (Destination::Relationship, "relationship", &cloud.upstreams.relationship),
        (Destination::Notification, "notification", &cloud.upstreams.notification),
    ] {
        let key = format!("cloud `{}`.upstreams.{name}", cloud.id);
        upstreams.insert(destination, Upstream::new(&tls::endpoint(peer, tls, &key)?, calls_max));
    }
    let issuer = Issuer::new(policy.cloud.clone(), &cloud.issuer, policy.identity.clone(), clock.clone());
    Ok(Cloud {
        id: policy.cloud.clone(),
        label: cloud.id.as_str().into(),
        described: api::cloud::Cloud {
            name: format!("clouds/{}", cloud.id),
            title: policy.title.clone(),
            issuer: cloud.issuer.clone(),
            hosts: cloud.host_names().into_iter().collect(),
        },
        policy: Arc::new(policy),
        issuer,
        upstreams,
    })
}
