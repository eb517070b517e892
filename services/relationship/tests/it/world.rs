//! One relationship service of one cloud, its database and the people who call it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use api::notification::EventEnvelope;
use api::relationship as wire;
use api::relationship::access_service_client::AccessServiceClient;
use api::relationship::agreement_service_client::AgreementServiceClient;
use api::relationship::delegation_service_client::DelegationServiceClient;
use api::relationship::directory_service_client::DirectoryServiceClient;
use api::relationship::establishment_service_client::EstablishmentServiceClient;
use api::relationship::relationship_service_client::RelationshipServiceClient;
use api::relationship::subscription_service_client::SubscriptionServiceClient;
use clock::{Clock, Time};
use prost::Message as _;
use relationship::Relationship;
use server::outbox::{Report, Task};
use server::{Service as _, Shutdown, StartError};
use testkit::Database;
use testkit::certificates::{Authority, Files};
use testkit::provider::{Identity, NOW_SECONDS, Provider};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as ClientIdentity};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

pub(crate) const OPERATOR: Identity<'_> =
    Identity { kind: "operator", tenant: "operations", subject: "operator-1", roles: &["operator"] };

/// An administrator of a customer, who may accept.
pub(crate) fn admin(customer: &str) -> Identity<'_> {
    Identity { kind: "customer", tenant: customer, subject: "admin-1", roles: &["global_admin"] }
}

/// A user of a customer, who may not.
pub(crate) fn reader(customer: &str) -> Identity<'_> {
    Identity { kind: "customer", tenant: customer, subject: "reader-1", roles: &["reader"] }
}

/// An agent of a partner.
pub(crate) fn agent(partner: &str) -> Identity<'_> {
    Identity { kind: "partner", tenant: partner, subject: "agent-1", roles: &["admin_agent"] }
}

/// A service that checks access.
pub(crate) const BILLING: Identity<'_> =
    Identity { kind: "workload", tenant: "operations", subject: "billing", roles: &["access_checker"] };

pub(crate) struct World {
    pub(crate) clock: Clock,
    provider: Provider,
    authority: Authority,
    address: SocketAddr,
    gateway: Channel,
    invitation: Channel,
    database: Database,
    cloud: String,
    shutdown: Shutdown,
    config: relationship::Config,
}

impl World {
    /// The service of a cloud, with two partners and two customers of the same market, all in order.
    pub(crate) async fn start(cloud: &str, database: Database) -> World {
        World::start_with(cloud, database, |_| {}).await
    }

    /// As [`World::start`], with changes to what the service is told of its database.
    pub(crate) async fn start_with(
        cloud: &str,
        database: Database,
        change: impl FnOnce(&mut store::Settings),
    ) -> World {
        server::install_crypto();
        let (provider, authority) = (Provider::start().await, Authority::new());
        let mut config = config(cloud, &provider, &authority.service(cloud, "relationship"), database.url());
        change(&mut config.database);
        let clock = Clock::manual(Time::from_seconds(NOW_SECONDS));
        if database.is_postgres() {
            Relationship::migrate(config.clone()).await.expect("a fresh database");
        }
        let shutdown = Shutdown::new();
        let running = Relationship::start(config.clone(), clock.clone(), shutdown.clone()).await.expect("it starts");
        let gateway = connect(running.address, &authority.gateway());
        let invitation = connect(running.address, &authority.service(cloud, "invitation"));
        let (address, cloud) = (running.address, cloud.to_owned());
        let world =
            World { clock, provider, authority, address, gateway, invitation, database, cloud, shutdown, config };
        let cloud = world.cloud.as_str();
        let country = match cloud {
            "china" => "CN",
            "usgov" => "US",
            _ => "IT",
        };
        let contract = if cloud == "china" { "china-csp-reseller-agreement" } else { "microsoft-partner-agreement" };
        for partner in ["alpenglow", "birchwood"] {
            world.register_partner(partner, country, contract).await;
        }
        for customer in ["cedar", "dunes"] {
            world.register_customer(customer, country).await;
        }
        world
    }

    /// Ends the service, and starts it again on the same database with these changes.
    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut store::Settings)) {
        self.shutdown.begin();
        assert!(self.shutdown.drained(Duration::from_secs(10)).await, "nothing keeps it");
        let files = self.authority.service(&self.cloud, "relationship");
        let mut config = config(&self.cloud, &self.provider, &files, self.database.url());
        change(&mut config.database);
        self.shutdown = Shutdown::new();
        let running = Relationship::start(config, self.clock.clone(), self.shutdown.clone()).await.expect("it starts");
        self.address = running.address;
        self.gateway = connect(running.address, &self.authority.gateway());
        self.invitation = connect(running.address, &self.authority.service(&self.cloud, "invitation"));
    }

    pub(crate) async fn register_partner(&self, id: &str, country: &str, contract: &str) -> wire::Partner {
        let partner = wire::Partner {
            display_name: format!("{id} IT"),
            verified_domain: format!("{id}.example"),
            country: country.to_owned(),
            signed_contract: contract.to_owned(),
            ..wire::Partner::default()
        };
        let request =
            wire::CreatePartnerRequest { partner_id: id.to_owned(), partner: Some(partner), request_id: String::new() };
        let created = self.directory().create_partner(self.by(OPERATOR, request)).await;
        created.expect("an operator registers partners").into_inner()
    }

    pub(crate) async fn register_customer(&self, id: &str, country: &str) -> wire::Customer {
        let customer = wire::Customer {
            display_name: format!("{id} AG"),
            country: country.to_owned(),
            ..wire::Customer::default()
        };
        let request = wire::CreateCustomerRequest {
            customer_id: id.to_owned(),
            customer: Some(customer),
            request_id: String::new(),
        };
        let created = self.directory().create_customer(self.by(OPERATOR, request)).await;
        created.expect("an operator registers customers").into_inner()
    }

    /// A request with the token of this principal.
    pub(crate) fn by<T>(&self, identity: Identity<'_>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.provider.token(identity));
        request.metadata_mut().insert("authorization", bearer.parse().expect("a token is ASCII"));
        request
    }

    pub(crate) fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn relationships(&self) -> RelationshipServiceClient<Channel> {
        RelationshipServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn delegations(&self) -> DelegationServiceClient<Channel> {
        DelegationServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn access(&self) -> AccessServiceClient<Channel> {
        AccessServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn agreements(&self) -> AgreementServiceClient<Channel> {
        AgreementServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn subscriptions(&self) -> SubscriptionServiceClient<Channel> {
        SubscriptionServiceClient::new(self.gateway.clone())
    }

    /// The internal service, called as the invitation service of the same cloud.
    pub(crate) fn establishment(&self) -> EstablishmentServiceClient<Channel> {
        EstablishmentServiceClient::new(self.invitation.clone())
    }

    /// The internal service, called by another service.
    pub(crate) fn establishment_as(&self, cloud: &str, service: &str) -> EstablishmentServiceClient<Channel> {
        EstablishmentServiceClient::new(connect(self.address, &self.authority.service(cloud, service)))
    }

    /// Another process of the same service on the same database. Its callers are those of nobody; it keeps time.
    pub(crate) async fn replica(&self) -> Shutdown {
        let shutdown = Shutdown::new();
        let running = Relationship::start(self.config.clone(), self.clock.clone(), shutdown.clone()).await;
        running.expect("it starts");
        shutdown
    }

    /// What the command `outbox` of this service answers.
    pub(crate) async fn outbox(&self, task: Task) -> Result<Report, StartError> {
        Relationship::outbox(self.config.clone(), task).await
    }

    /// The events that wait for delivery, oldest first.
    pub(crate) async fn events(&self) -> Vec<EventEnvelope> {
        let pool = self.pool().await;
        let mut tx = store::read(&pool).await.expect("a connection is free");
        let payloads: Vec<Vec<u8>> = store::on!(&mut tx, tx => {
            sqlx::query_scalar("SELECT payload FROM outbox ORDER BY time_us").fetch_all(&mut **tx).await.expect("it is there")
        });
        drop(tx);
        pool.close().await;
        payloads.iter().map(|payload| EventEnvelope::decode(payload.as_slice()).expect("an event")).collect()
    }

    /// Brings the relationships of a customer into a state to which no method leads.
    pub(crate) async fn bring(&self, customer: &str, state: &str) {
        const BRING: &str = "UPDATE relationships SET state = $2 WHERE customer = $1";
        let pool = self.pool().await;
        let rows = match &pool {
            store::Pool::Postgres(pool) => {
                let done = sqlx::query(BRING).bind(customer).bind(state).execute(pool).await;
                done.expect("it is a state").rows_affected()
            }
            store::Pool::Sqlite(pool) => {
                let done = sqlx::query(BRING).bind(customer).bind(state).execute(pool).await;
                done.expect("it is a state").rows_affected()
            }
        };
        assert!(rows > 0, "{customer} has no relationship");
        pool.close().await;
    }

    /// All that is in the database, as its own program writes it down. PostgreSQL only.
    pub(crate) fn contents(&self) -> String {
        let folder = testkit::postgres::programs().expect("cargo xtask test names the folder");
        let dump = std::process::Command::new(folder.join("pg_dump")).arg(self.database.url()).output();
        let dump = dump.expect("PostgreSQL brings it");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let text = String::from_utf8(dump.stdout).expect("it talks UTF-8");
        // A word that is another in every dump.
        let lines = text.lines().filter(|line| !line.contains("restrict "));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The database of the service.
    pub(crate) async fn pool(&self) -> store::Pool {
        let settings = store::Settings { connections_max: 1, ..store::Settings::new(self.database.url()) };
        store::Pool::open(&settings, &relationship::store::schema()).await.expect("the service runs on it")
    }

    /// Accepts an invitation that asks for these services.
    pub(crate) async fn accept(
        &self,
        customer: &str,
        partner: &str,
        services: &[&str],
    ) -> Result<wire::EstablishResponse, Status> {
        let request = establish(customer, partner, services);
        let answer = self.establishment().establish(self.by(admin(customer), request)).await?;
        Ok(answer.into_inner())
    }
}

/// An acceptance, with the agreement of those clouds that ask for one.
pub(crate) fn establish(customer: &str, partner: &str, services: &[&str]) -> wire::EstablishRequest {
    let signer = wire::Signer {
        first_name: "Given".to_owned(),
        last_name: "Family".to_owned(),
        email: "signer@cedar.example".to_owned(),
        phone: String::new(),
    };
    wire::EstablishRequest {
        invitation: Some(invitation(partner, services)),
        customer: format!("customers/{customer}"),
        agreement: Some(wire::AgreementConsent {
            agreement: "microsoft-customer-agreement".to_owned(),
            version: "1".to_owned(),
            signer: Some(signer),
            accept_time: None,
        }),
        ..wire::EstablishRequest::default()
    }
}

pub(crate) fn invitation(partner: &str, services: &[&str]) -> wire::VerifiedInvitation {
    let slug = if services.is_empty() { "reseller".to_owned() } else { format!("reseller.{}", services.join(".")) };
    wire::VerifiedInvitation {
        link: format!("partners/{partner}/invitationLinks/{slug}"),
        link_active: true,
        r#type: wire::RelationshipType::Reseller.into(),
        services: services.iter().map(|&service| service.to_owned()).collect(),
    }
}

/// The reason, rule and resource of a refusal, which always has them.
pub(crate) fn told(status: &Status) -> (tonic::Code, String, String, String) {
    let info = status.get_details_error_info().expect("every refusal has ErrorInfo");
    assert_eq!(info.domain, "mandate");
    assert!(info.metadata.contains_key("cloud"), "{info:?}");
    (status.code(), info.reason, info.metadata["rule"].clone(), info.metadata["resource"].clone())
}

/// All reasons of a refusal for failed conditions.
pub(crate) fn reasons(status: &Status) -> Vec<String> {
    let failure = status.get_details_precondition_failure().expect("conditions failed");
    failure.violations.into_iter().map(|violation| violation.r#type).collect()
}

fn connect(address: SocketAddr, files: &Files) -> Channel {
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(Files::read(&files.authority)))
        .identity(ClientIdentity::from_pem(Files::read(&files.certificate), Files::read(&files.key)));
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address makes a URI");
    endpoint.tls_config(tls).expect("the files are certificates").connect_lazy()
}

fn config(cloud: &str, provider: &Provider, files: &Files, database: &str) -> relationship::Config {
    let policy =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds").join(cloud).join("policy/policy.toml");
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9)); // the discard port: events stay in the outbox
    let text = format!(
        r#"
        [process]
        cloud = "{cloud}"
        policy = "{}"
        listen = "127.0.0.1:0"
        issuer = "{}"
        development = true
        tls = {{ certificate = "{}", key = "{}", authority = "{}" }}
        [database]
        url = "{database}"
        [peers.notification]
        uri = "https://{nowhere}"
        "#,
        policy.display(),
        provider.uri(),
        files.certificate.display(),
        files.key.display(),
        files.authority.display(),
    );
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}
