//! One server of one cloud with everything around it: an authority, an issuer, certificates, tokens, clients.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use api::notification::{self, event_service_server, ingest_service_server};
use api::relationship::{self, access_service_server, delegation_service_server, establishment_service_server};
use clock::{Clock, Time};
use server::config::{Common, FaultInjection, Limits, Tls};
use server::{Process, Running, Server, Services, Shutdown};
use testkit::certificates::{Authority, Files};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;

use crate::issuer::{FakeIssuer, Token};

pub(crate) const NOW: i64 = 1_800_000_000;

/// The files of the service with this SPIFFE name.
pub(crate) fn certify(authority: &Authority, name: &str) -> Tls {
    let Files { certificate, key, authority } = authority.certify(name);
    Tls { certificate, key, authority }
}

/// A running server, and what one needs to call it.
pub(crate) struct System {
    pub(crate) authority: Authority,
    pub(crate) issuer: FakeIssuer,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: Running,
}

/// The policy of the public cloud, as deployed.
pub(crate) fn policy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds/public/policy/policy.toml")
}

pub(crate) fn common(authority: &Authority, issuer: &str) -> Common {
    Common {
        cloud: "public".to_owned(),
        policy: policy(),
        listen: "127.0.0.1:0".parse().unwrap(),
        probe_listen: Some("127.0.0.1:0".parse().unwrap()),
        tls: certify(authority, "spiffe://mandate.internal/public/relationship"),
        trust_domain: "mandate.internal".to_owned(),
        issuer: issuer.to_owned(),
        development: true,
        limits: Limits::default(),
        telemetry: server::telemetry::Settings::default(),
        fault_injection: FaultInjection::default(),
    }
}

impl System {
    pub(crate) async fn start() -> System {
        System::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Common)) -> System {
        let authority = Authority::new();
        let issuer = FakeIssuer::start().await;
        let mut common = common(&authority, &issuer.uri);
        change(&mut common);
        let clock = Clock::manual(Time::from_seconds(NOW));
        let shutdown = Shutdown::new();
        let process = Process::load("relationship", &common, clock, shutdown.clone()).unwrap();
        let bound = Server::bind(&common).await.unwrap();
        let services = Services::new()
            .with(access_service_server::AccessServiceServer::new(Handlers))
            .with(delegation_service_server::DelegationServiceServer::new(Handlers))
            .with(establishment_service_server::EstablishmentServiceServer::new(Handlers))
            .with(event_service_server::EventServiceServer::new(Handlers))
            .with(ingest_service_server::IngestServiceServer::new(Handlers));
        let running = bound.serve(services, &process).await.unwrap();
        System { authority, issuer, shutdown, running }
    }

    /// A connection of the gateway.
    pub(crate) async fn gateway(&self) -> Channel {
        self.connect("spiffe://mandate.internal/gateway").await
    }

    /// A connection of the service with this SPIFFE name.
    pub(crate) async fn connect(&self, name: &str) -> Channel {
        let tls = certify(&self.authority, name);
        connect(self.running, &tls, true).await.unwrap()
    }

    /// A token with which everything is right, to be changed.
    pub(crate) fn token(&self, kind: &str, roles: &[&str]) -> Token {
        Token::new(&self.issuer.uri, kind, roles)
    }

    /// The request with this token.
    pub(crate) fn with_token<T>(&self, request: T, token: &Token) -> Request<T> {
        with_bearer(request, &self.issuer.sign(token))
    }
}

pub(crate) fn with_bearer<T>(request: T, bearer: &str) -> Request<T> {
    let mut request = Request::new(request);
    request.metadata_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
    request
}

/// A connection, proving ourselves or not.
pub(crate) async fn connect(running: Running, tls: &Tls, prove: bool) -> Result<Channel, tonic::transport::Error> {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let mut client =
        ClientTlsConfig::new().domain_name("localhost").ca_certificate(Certificate::from_pem(read(&tls.authority)));
    if prove {
        client = client.identity(Identity::from_pem(read(&tls.certificate), read(&tls.key)));
    }
    let uri = format!("https://{}", running.address);
    Endpoint::from_shared(uri).unwrap().tls_config(client).unwrap().connect().await
}

/// The code, reason and metadata of a refusal: what clients decide by.
pub(crate) fn told(status: &Status) -> (tonic::Code, String, std::collections::BTreeMap<String, String>) {
    let info = status.get_details_error_info().expect("every status tells its reason");
    assert_eq!(info.domain, "mandate");
    (status.code(), info.reason, info.metadata.into_iter().collect())
}

/// Asserts code, reason and these metadata of a refusal.
#[track_caller]
pub(crate) fn assert_refused(status: &Status, code: tonic::Code, reason: &str, metadata: &[(&str, &str)]) {
    let told = told(status);
    assert_eq!((told.0, told.1.as_str()), (code, reason), "{status}");
    assert_eq!(told.2.get("cloud").map(String::as_str), Some("public"));
    for (key, value) in metadata {
        assert_eq!(told.2.get(*key).map(String::as_str), Some(*value), "{key} of {status}");
    }
}

/// Handlers that show what the layers let through. What they do is in the request.
#[derive(Clone, Copy)]
struct Handlers;

#[tonic::async_trait]
impl access_service_server::AccessService for Handlers {
    async fn check_access(
        &self,
        request: Request<relationship::CheckAccessRequest>,
    ) -> Result<Response<relationship::CheckAccessResponse>, Status> {
        let caller = server::caller(&request)?;
        let left = server::deadline::left().expect("every call has a deadline");
        match request.get_ref().partner.as_str() {
            "partners/slow" => std::future::pending().await,
            "partners/panic" => panic!("as asked"),
            "partners/broken" => {
                let cause = std::io::Error::other("the secret of the disk");
                Err(server::failure::internal("public", &cause))
            }
            _ => Ok(Response::new(relationship::CheckAccessResponse {
                allowed: true,
                rule: left.as_millis().to_string(),
                grant: caller.user_name(),
                explanation: String::new(),
            })),
        }
    }

    async fn explain_access(
        &self,
        request: Request<relationship::ExplainAccessRequest>,
    ) -> Result<Response<relationship::ExplainAccessResponse>, Status> {
        let left = server::deadline::left().expect("every call has a deadline");
        let _caller = server::caller(&request)?;
        let next_page_token = left.as_millis().to_string();
        Ok(Response::new(relationship::ExplainAccessResponse {
            next_page_token,
            ..relationship::ExplainAccessResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl delegation_service_server::DelegationService for Handlers {
    async fn get_delegation(
        &self,
        _request: Request<relationship::GetDelegationRequest>,
    ) -> Result<Response<relationship::Delegation>, Status> {
        Ok(Response::new(relationship::Delegation::default()))
    }

    async fn list_delegations(
        &self,
        _request: Request<relationship::ListDelegationsRequest>,
    ) -> Result<Response<relationship::ListDelegationsResponse>, Status> {
        Ok(Response::new(relationship::ListDelegationsResponse::default()))
    }

    async fn reassign_delegation(
        &self,
        _request: Request<relationship::ReassignDelegationRequest>,
    ) -> Result<Response<relationship::ReassignDelegationResponse>, Status> {
        Ok(Response::new(relationship::ReassignDelegationResponse::default()))
    }

    async fn remove_delegation(
        &self,
        request: Request<relationship::RemoveDelegationRequest>,
    ) -> Result<Response<relationship::Delegation>, Status> {
        let name = server::caller(&request)?.user_name();
        Ok(Response::new(relationship::Delegation { name, ..relationship::Delegation::default() }))
    }
}

#[tonic::async_trait]
impl establishment_service_server::EstablishmentService for Handlers {
    async fn establish(
        &self,
        _request: Request<relationship::EstablishRequest>,
    ) -> Result<Response<relationship::EstablishResponse>, Status> {
        Ok(Response::new(relationship::EstablishResponse::default()))
    }

    async fn preview_establishment(
        &self,
        _request: Request<relationship::PreviewEstablishmentRequest>,
    ) -> Result<Response<relationship::PreviewEstablishmentResponse>, Status> {
        Ok(Response::new(relationship::PreviewEstablishmentResponse::default()))
    }
}

#[tonic::async_trait]
impl ingest_service_server::IngestService for Handlers {
    async fn ingest_events(
        &self,
        _request: Request<notification::IngestEventsRequest>,
    ) -> Result<Response<notification::IngestEventsResponse>, Status> {
        Ok(Response::new(notification::IngestEventsResponse::default()))
    }
}

type Watched = Pin<Box<dyn tokio_stream::Stream<Item = Result<notification::WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl event_service_server::EventService for Handlers {
    type WatchEventsStream = Watched;

    async fn get_event(
        &self,
        _request: Request<notification::GetEventRequest>,
    ) -> Result<Response<notification::Event>, Status> {
        Ok(Response::new(notification::Event::default()))
    }

    async fn list_events(
        &self,
        _request: Request<notification::ListEventsRequest>,
    ) -> Result<Response<notification::ListEventsResponse>, Status> {
        Ok(Response::new(notification::ListEventsResponse::default()))
    }

    /// One answer, and then silence for ever.
    async fn watch_events(
        &self,
        _request: Request<notification::WatchEventsRequest>,
    ) -> Result<Response<Watched>, Status> {
        assert_eq!(server::deadline::left(), None, "a stream may last");
        let first = tokio_stream::once(Ok(notification::WatchEventsResponse::default()));
        let silence = tokio_stream::pending();
        Ok(Response::new(Box::pin(tokio_stream::StreamExt::chain(first, silence))))
    }
}

/// Tries until it holds; a test that waits for ever has failed.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{what}: not within 20 s");
}

/// The issuer's verifier on our side, as the layers use it.
pub(crate) fn verifier(issuer: &FakeIssuer, clock: &Clock) -> Arc<server::Issuer> {
    let rule = cloud::IdentityRule {
        audience: "mandate".to_owned(),
        claims: cloud::Claims::default(),
        kinds: std::collections::BTreeMap::new(),
        roles: std::collections::BTreeMap::new(),
    };
    let cloud = cloud::CloudId::parse("public").unwrap();
    Arc::new(server::Issuer::new(cloud, &issuer.uri, rule, clock.clone()))
}
