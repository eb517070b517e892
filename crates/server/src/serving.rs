//! A server: bound before work starts, secured both ways, bounded in everything, and drained at its end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::cloud::cloud_service_server::CloudServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::cloud_service::CloudAnswers;
use crate::config::{Common, Limits, Tls};
use crate::identity::Issuer;
use crate::listener::Incoming;
use crate::process::{Process, Running, Shutdown, StartError};
use crate::stack::{self, AccessLayer};

/// How long a client may take to prove itself.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// What every process answers beside its own services.
const HEALTH: &str = "grpc.health.v1.Health";
/// See [`HEALTH`].
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
/// Probes in flight at a time on one connection.
const PROBES_MAX: u32 = 8;

/// The gRPC services that a process mounts.
#[derive(Debug, Default)]
pub struct Services {
    routes: Routes,
    names: Vec<&'static str>,
}

impl Services {
    /// None yet.
    #[must_use]
    pub fn new() -> Services {
        Services::default()
    }

    /// Mounts one: a generated `…Server`.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Services
    where
        S: tower::Service<http::Request<Body>, Error = std::convert::Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }
}

/// The server of a service, not yet bound.
#[derive(Clone, Copy, Debug)]
pub struct Server;

impl Server {
    /// Takes the ports and reads the certificates, so that whatever is wrong with them shows before any work is done.
    ///
    /// # Errors
    /// One sentence: a value is out of range, the port is taken, or a file cannot be used.
    pub async fn bind(common: &Common) -> Result<Bound, StartError> {
        // Checked already when it comes from files, but not when another program has made it.
        common.check()?;
        install_crypto();
        let builder = builder(&common.limits)
            .tls_config(server_tls(&common.tls)?)
            .map_err(|error| unusable(&common.tls, &error))?;
        let listener = listen(common.listen).await?;
        let probes = match common.probe_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        if common.development {
            tracing::warn!(
                issuer = common.issuer,
                "DEVELOPMENT: anybody on this machine can get tokens of this issuer; nothing but loopback is bound"
            );
        }
        Ok(Bound { common: common.clone(), builder, listener, probes })
    }
}

/// A server that has its ports and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    common: Common,
    builder: tonic::transport::Server,
    listener: TcpListener,
    probes: Option<TcpListener>,
}

impl Bound {
    /// Where calls will be answered.
    ///
    /// # Errors
    /// When the system does not tell, which it does for every bound port.
    pub fn address(&self) -> Result<SocketAddr, StartError> {
        address(&self.listener)
    }

    /// Answers calls from now until the process ends, then lets those in flight end too, within a bound.
    ///
    /// # Errors
    /// When the services cannot be described by reflection: a defect of the build.
    pub async fn serve(self, services: Services, process: &Arc<Process>) -> Result<Running, StartError> {
        let running =
            Running { address: self.address()?, probe_address: self.probes.as_ref().map(address).transpose()? };
        let Bound { common, builder, listener, probes } = self;
        let answers = CloudAnswers::new(Arc::clone(process), &common.issuer);
        let services = services.with(CloudServiceServer::new(answers));

        let health = Health::new(&services.names).await;
        let routes = with_reflection(services.routes.add_service(health.service()), &services.names)?;
        let routes = known_only(routes, process);
        let stack = stack::around(routes, process, &common.limits, access(&common, process));

        let cut = CancellationToken::new();
        if let Some(probes) = probes {
            let probes = Incoming::new(TcpIncoming::from(probes), &common.limits, cut.clone());
            serve_probes(probes, health.service(), process, cut.clone());
        }
        let incoming = Incoming::new(TcpIncoming::from(listener), &common.limits, cut.clone());
        let shutdown = process.shutdown.clone();
        let begun = shutdown.clone();
        let serving = builder.serve_with_incoming_shutdown(stack, incoming, async move {
            begun.begun().await;
            health.drain().await;
        });
        let drain = common.limits.drain_max_seconds.0;
        process.spawn("server", async move {
            if let Err(error) = until_drained(serving, &shutdown, drain, &cut).await {
                let error = crate::failure::chain(&error);
                tracing::error!(error, "the server has failed");
                shutdown.fail();
            }
            cut.cancel();
        });
        let (service, cloud) = (process.name, process.cloud.as_str());
        tracing::info!(address = %running.address, service, cloud, "ready");
        Ok(running)
    }
}

/// Serves to the end. Calls that do not end within `drain` are cut off with their connections.
async fn until_drained<F>(serving: F, shutdown: &Shutdown, drain: Duration, cut: &CancellationToken) -> F::Output
where
    F: Future,
{
    let mut serving = pin!(serving);
    let late = async {
        shutdown.begun().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = &mut serving => served,
        () = late => {
            tracing::warn!("calls did not end within {drain:?} and are cut off");
            cut.cancel();
            serving.await
        }
    }
}

fn access(common: &Common, process: &Process) -> AccessLayer {
    let (cloud, clock) = (process.cloud.clone(), process.clock.clone());
    let issuer = Issuer::new(cloud, &common.issuer, process.policy.identity.clone(), clock);
    AccessLayer::new(issuer, Arc::clone(&process.policy), &common.trust_domain)
}

/// Makes AWS-LC the provider of cryptography for all TLS of the process. A second time does nothing.
pub fn install_crypto() {
    // Refused exactly when there is one already, and there is no other in the build.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn builder(limits: &Limits) -> tonic::transport::Server {
    // No `max_connection_age_grace`: with one, tonic never asks the client to leave. The listener ends what outstays it.
    tonic::transport::Server::builder()
        .max_concurrent_streams(limits.streams_per_connection_max)
        .http2_max_header_list_size(limits.headers_max_bytes)
        .max_connection_age(limits.connection_age_max_seconds.0)
}

fn server_tls(tls: &Tls) -> Result<ServerTlsConfig, StartError> {
    Ok(ServerTlsConfig::new().identity(identity(tls)?).client_ca_root(authority(tls)?).timeout(HANDSHAKE_MAX))
}

/// How the process proves itself.
pub(crate) fn identity(tls: &Tls) -> Result<Identity, StartError> {
    Ok(Identity::from_pem(read("tls.certificate", &tls.certificate)?, read("tls.key", &tls.key)?))
}

/// Whom the process believes.
pub(crate) fn authority(tls: &Tls) -> Result<Certificate, StartError> {
    Ok(Certificate::from_pem(read("tls.authority", &tls.authority)?))
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| {
        let path = path.display();
        StartError::new(format!("{key}: {path} cannot be read ({error}); expected a PEM file"))
    })
}

/// Files that can be read and not used.
pub(crate) fn unusable(tls: &Tls, error: &dyn std::error::Error) -> StartError {
    StartError::new(format!(
        "tls: {}, {} and {} do not hold a certificate chain, its private key and the authority, all as PEM ({})",
        tls.certificate.display(),
        tls.key.display(),
        tls.authority.display(),
        crate::failure::chain(error),
    ))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = if error.kind() == io::ErrorKind::AddrInUse {
            "another process has it; stop that one or choose another port".to_owned()
        } else {
            error.to_string()
        };
        StartError::new(format!("cannot listen on {address}: {why}"))
    })
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::new(format!("the system does not tell the address of a listener: {error}")))
}

/// The health of a process and of each of its services.
#[derive(Clone, Debug)]
struct Health {
    reporter: HealthReporter,
    names: Vec<&'static str>,
}

impl Health {
    async fn new(names: &[&'static str]) -> Health {
        let health = Health { reporter: HealthReporter::new(), names: names.to_vec() };
        health.report(ServingStatus::Serving).await;
        health
    }

    fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Tells whoever asks to call another replica.
    async fn drain(&self) {
        self.report(ServingStatus::NotServing).await;
    }

    async fn report(&self, status: ServingStatus) {
        // The empty name stands for the process.
        for name in self.names.iter().copied().chain([""]) {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// Describes the services that are mounted, and no other of the contract.
fn with_reflection(routes: Routes, names: &[&'static str]) -> Result<Routes, StartError> {
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(api::ERROR_DETAILS_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    for name in names.iter().copied().chain([HEALTH, REFLECTION]) {
        builder = builder.with_service_name(name);
    }
    match builder.build_v1() {
        Ok(reflection) => Ok(routes.add_service(reflection)),
        Err(error) => Err(StartError::new(format!("the services cannot be described: {error}"))),
    }
}

/// Answers methods of the contract that another process serves as any other unknown method.
fn known_only(routes: Routes, process: &Process) -> Routes {
    let cloud: Arc<str> = process.cloud.as_str().into();
    let fallback = move |request: axum::extract::Request| {
        let status = stack::method_elsewhere(request.uri().path(), &cloud);
        async move { status.into_http::<axum::body::Body>() }
    };
    Routes::from(routes.into_axum_router().fallback(fallback)).prepare()
}

/// Answers probes until the server has ended: who asks while it drains must hear that it does.
fn serve_probes(incoming: Incoming, health: HealthServer<HealthService>, process: &Process, ended: CancellationToken) {
    let shutdown = process.shutdown.clone();
    process.spawn("probes", async move {
        let served = tonic::transport::Server::builder()
            .max_concurrent_streams(PROBES_MAX)
            .add_service(health)
            .serve_with_incoming_shutdown(incoming, ended.cancelled_owned());
        if let Err(error) = served.await {
            let error = crate::failure::chain(&error);
            tracing::error!(error, "probes can no longer be answered");
            shutdown.fail();
        }
    });
}
