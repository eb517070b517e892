//! The service behind real TLS, its callers, and the provider that vouches for them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use api::notification::event_service_client::EventServiceClient;
use api::notification::ingest_service_client::IngestServiceClient;
use api::notification::{Event, EventEnvelope, IngestEventsRequest};
use clock::{Clock, Time, Uuid};
use cloud::CloudId;
use notification::{Config, Notification};
use server::config::Tls;
use server::peer::PeerSettings;
use server::{Peer, Service as _, Shutdown};
use testkit::Database;
use testkit::certificates::{Authority, Files};
use testkit::provider::{Identity, NOW_SECONDS, Provider};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) struct World {
    pub(crate) shutdown: Shutdown,
    pub(crate) address: SocketAddr,
    authority: Authority,
    provider: Provider,
    text: String,
}

pub(crate) const PARTNER: Identity<'static> =
    Identity { kind: "partner", tenant: "p", subject: "ann", roles: &["admin_agent"] };
pub(crate) const CUSTOMER: Identity<'static> =
    Identity { kind: "customer", tenant: "c", subject: "bob", roles: &["global_admin"] };
pub(crate) const OPERATOR: Identity<'static> =
    Identity { kind: "operator", tenant: "cloud", subject: "eve", roles: &["operator"] };

/// Events as a user reads them.
pub(crate) type Events = EventServiceClient<InterceptedService<Channel, Bearer>>;
/// Events as a service brings them.
pub(crate) type Ingest = IngestServiceClient<Channel>;

/// Shows a token with every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl World {
    pub(crate) async fn start(database: &Database) -> World {
        World::with(database, "").await
    }

    /// `more` goes to the section `watch`, which is the last.
    pub(crate) async fn with(database: &Database, more: &str) -> World {
        let (authority, provider) = (Authority::new(), Provider::start().await);
        let text = configuration(&authority, provider.uri(), database, more);
        let config = config(&text);
        store::Pool::migrate(&config.database, &notification::store::schema()).await.unwrap().close().await;
        let (address, shutdown) = serve(config).await;
        World { shutdown, address, authority, provider, text }
    }

    /// Another replica on the same database, with the end of its own.
    pub(crate) async fn replica(&self) -> (SocketAddr, Shutdown) {
        serve(config(&self.text)).await
    }

    /// A user's client, brought by the gateway.
    pub(crate) fn events(&self, identity: Identity<'_>) -> Events {
        let token = format!("Bearer {}", self.provider.token(identity));
        let channel = connect(self.address, &self.authority.gateway());
        EventServiceClient::with_interceptor(channel, Bearer(token.parse().unwrap()))
    }

    /// A client without any token.
    pub(crate) fn nobody(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(connect(self.address, &self.authority.gateway()))
    }

    /// A client of this service of this cloud.
    pub(crate) fn ingest_as(&self, cloud: &str, service: &str) -> Ingest {
        self.ingest_at(self.address, &self.authority.service(cloud, service))
    }

    /// A client of the gateway, which has no business there.
    pub(crate) fn ingest_as_gateway(&self) -> Ingest {
        self.ingest_at(self.address, &self.authority.gateway())
    }

    /// The relationship service, calling the replica at this address.
    pub(crate) fn relationship_at(&self, address: SocketAddr) -> Ingest {
        self.ingest_at(address, &self.authority.service("public", "relationship"))
    }

    /// The relationship service.
    pub(crate) fn relationship(&self) -> Ingest {
        self.relationship_at(self.address)
    }

    /// This service, as the relay of the relationship service reaches it.
    pub(crate) fn peer(&self) -> Peer {
        let Files { certificate, key, authority } = self.authority.service("public", "relationship");
        let tls = Tls { certificate, key, authority };
        let settings =
            PeerSettings { uri: format!("https://{}", self.address), server_name: Some("localhost".to_owned()) };
        Peer::connect("notification", &settings, &tls, &CloudId::parse("public").unwrap()).unwrap()
    }

    fn ingest_at(&self, address: SocketAddr, files: &Files) -> Ingest {
        IngestServiceClient::new(connect(address, files))
    }
}

/// The configuration of a replica on this database.
pub(crate) fn configuration(authority: &Authority, issuer: &str, database: &Database, more: &str) -> String {
    let files = authority.service("public", "notification");
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds/public/policy/policy.toml");
    format!(
        r#"
        [process]
        cloud = "public"
        policy = {policy:?}
        listen = "127.0.0.1:0"
        issuer = "{issuer}"
        development = true
        [process.tls]
        certificate = {certificate:?}
        key = {key:?}
        authority = {authority:?}
        [database]
        url = "{url}"
        [watch]
        {more}
        "#,
        certificate = files.certificate,
        key = files.key,
        authority = files.authority,
        url = database.url(),
    )
}

pub(crate) fn config(text: &str) -> Config {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

async fn serve(config: Config) -> (SocketAddr, Shutdown) {
    let shutdown = Shutdown::new();
    let clock = Clock::manual(Time::from_seconds(NOW_SECONDS));
    let running = Notification::start(config, clock, shutdown.clone()).await.unwrap();
    (running.address, shutdown)
}

/// One of the connections that only services have.
fn connect(address: SocketAddr, files: &Files) -> Channel {
    server::install_crypto();
    let identity = tonic::transport::Identity::from_pem(Files::read(&files.certificate), Files::read(&files.key));
    let tls = ClientTlsConfig::new()
        .identity(identity)
        .ca_certificate(Certificate::from_pem(Files::read(&files.authority)))
        .domain_name("localhost");
    Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap().connect_lazy()
}

/// An event with this number for these feeds.
pub(crate) fn envelope(number: u128, event_type: &str, feeds: &[&str]) -> EventEnvelope {
    EventEnvelope {
        event_id: Uuid::from_u128(number).to_string(),
        feeds: feeds.iter().map(|feed| (*feed).to_owned()).collect(),
        event: Some(Event {
            r#type: event_type.to_owned(),
            resource: format!("customers/c/relationships/{number}"),
            event_time: Some(prost_types::Timestamp { seconds: NOW_SECONDS, nanos: 0 }),
            actor: "customers/c/users/bob".to_owned(),
            cloud: "public".to_owned(),
            after: Some(snapshot()),
            ..Event::default()
        }),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

/// Brings events, and tells how many were new.
pub(crate) async fn bring(ingest: &mut Ingest, envelopes: Vec<EventEnvelope>) -> i32 {
    let answer = ingest.ingest_events(IngestEventsRequest { envelopes }).await.unwrap();
    answer.into_inner().ingested_count
}

/// What a refusal says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) fields: Vec<String>,
    pub(crate) retry: bool,
}

pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Refused {
    let status = answer.unwrap_err();
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no details in {status:?}"));
    let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    Refused {
        code: status.code(),
        reason: info.reason,
        metadata: info.metadata,
        fields: fields.into_iter().map(|violation| violation.field).collect(),
        retry: status.get_details_retry_info().is_some(),
    }
}

impl Refused {
    /// Compares all at once.
    pub(crate) fn expect(&self, code: Code, reason: &str, metadata: &[(&str, &str)], retry: bool) {
        let mut expected: HashMap<String, String> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        expected.insert("cloud".to_owned(), "public".to_owned());
        let seen = (self.code, self.reason.as_str(), &self.metadata, self.retry);
        assert_eq!(seen, (code, reason, &expected, retry), "{self:?}");
    }

    /// Expects that this field is refused, and no other.
    pub(crate) fn expect_field(&self, field: &str) {
        self.expect(Code::InvalidArgument, "FIELD_INVALID", &[("rule", "AIP-203"), ("resource", "")], false);
        assert_eq!(self.fields, [field]);
    }
}

/// A resource as an event carries it.
fn snapshot() -> api::notification::ResourceSnapshot {
    let delegation = api::relationship::Delegation { etag: "v1".to_owned(), ..Default::default() };
    let resource = api::notification::resource_snapshot::Resource::Delegation(delegation);
    api::notification::ResourceSnapshot { resource: Some(resource) }
}
