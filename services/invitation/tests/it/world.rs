//! One invitation service with its database, its issuer and its certificates. Nobody answers where its peers should be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use api::invitation::invitation_service_client::InvitationServiceClient;
use api::rule::PrincipalKind;
use clock::{Clock, Time};
use cloud::{CloudId, TenantId};
use invitation::{Config, Invitation};
use server::config::Tls;
use server::peer::{Calls, PeerSettings};
use server::{Caller, Peer, Running, Service as _, Shutdown, StartError};
use tempfile::TempDir;
use testkit::Database;
use testkit::certificates::{Authority, Files};
use testkit::provider::{Identity, NOW_SECONDS, Provider};

pub(crate) const KEYS: &str = "current = \"k1\"\n[keys]\nk1 = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n";
pub(crate) const NEW_KEY: &str = "k2 = \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"\n";
pub(crate) const PUBLIC_URI: &str = "https://mandate.example";

pub(crate) type Client = InvitationServiceClient<Calls>;

/// Files that a service is started with.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    authority: Authority,
    pub(crate) cloud: &'static str,
    pub(crate) provider: Provider,
    pub(crate) database: Database,
}

/// A service that answers.
pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) shutdown: Shutdown,
    pub(crate) peer: Peer,
    pub(crate) clock: Clock,
}

impl Place {
    pub(crate) async fn new(cloud: &'static str, database: Database) -> Place {
        let place = Place {
            folder: TempDir::new().unwrap(),
            authority: Authority::new(),
            cloud,
            provider: Provider::start().await,
            database,
        };
        place.write_keys(KEYS);
        place
    }

    pub(crate) fn write_keys(&self, text: &str) {
        std::fs::write(self.folder.path().join("keys.toml"), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration, as a file would have it.
    pub(crate) fn config(&self) -> String {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds");
        let policy = policies.join(self.cloud).join("policy/policy.toml");
        let tls = self.authority.service(self.cloud, "invitation");
        format!(
            r#"
            public_uri = "{PUBLIC_URI}"
            link_keys = "{}"
            [process]
            cloud = "{}"
            policy = "{}"
            listen = "127.0.0.1:0"
            issuer = "{}"
            development = true
            [process.tls]
            certificate = "{}"
            key = "{}"
            authority = "{}"
            [database]
            url = "{}"
            [peers.relationship]
            uri = "https://127.0.0.1:1"
            [peers.notification]
            uri = "https://127.0.0.1:1"
            "#,
            self.file("keys.toml").display(),
            self.cloud,
            policy.display(),
            self.provider.uri(),
            tls.certificate.display(),
            tls.key.display(),
            tls.authority.display(),
            self.database.url(),
        )
    }

    pub(crate) async fn try_start(&self, clock: &Clock, shutdown: &Shutdown) -> Result<Running, StartError> {
        let path = self.file("invitation.toml");
        std::fs::write(&path, self.config()).unwrap();
        let config: Config = server::config::merge(&[path], [])?;
        Invitation::migrate(config.clone()).await?;
        Invitation::start(config, clock.clone(), shutdown.clone()).await
    }

    pub(crate) async fn start(self) -> World {
        self.start_at(Clock::manual(Time::from_seconds(NOW_SECONDS))).await
    }

    async fn start_at(self, clock: Clock) -> World {
        let shutdown = Shutdown::new();
        let running = self.try_start(&clock, &shutdown).await.unwrap();
        let at =
            PeerSettings { uri: format!("https://{}", running.address), server_name: Some("localhost".to_owned()) };
        let peer =
            Peer::connect("invitation", &at, &tls(self.authority.gateway()), &CloudId::parse(self.cloud).unwrap())
                .unwrap();
        World { place: self, shutdown, peer, clock }
    }
}

impl World {
    pub(crate) async fn of(cloud: &'static str, database: Database) -> World {
        Place::new(cloud, database).await.start().await
    }

    /// Ends the process and starts another on the same data.
    pub(crate) async fn restarted(self) -> World {
        self.shutdown.begin();
        assert!(self.shutdown.drained(std::time::Duration::from_secs(20)).await);
        // The same clock: another that is held still would mint the same ids again.
        self.place.start_at(self.clock).await
    }

    /// An agent of the partner `northwind`.
    pub(crate) fn agent(&self, role: &str) -> Client {
        self.client("partner", "northwind", "agent", role)
    }

    pub(crate) fn client(&self, kind: &str, tenant: &str, subject: &str, role: &str) -> Client {
        let identity = Identity { kind, tenant, subject, roles: &[role] };
        let caller = Caller {
            kind: PrincipalKind::Unspecified,
            tenant: TenantId::parse(tenant).unwrap(),
            subject: subject.to_owned(),
            roles: BTreeSet::new(),
            token: self.place.provider.token(identity),
        };
        Client::new(self.peer.calls_for(&caller))
    }

    /// The events that wait for delivery.
    pub(crate) async fn events(&self) -> Vec<api::notification::EventEnvelope> {
        let settings = store_settings(&self.place.database);
        let pool = ::store::Pool::open(&settings, &invitation::store::schema()).await.unwrap();
        let mut tx = ::store::read(&pool).await.unwrap();
        let payloads: Vec<Vec<u8>> = ::store::on!(&mut tx, tx => {
            sqlx::query_scalar("SELECT payload FROM outbox ORDER BY time_us").fetch_all(&mut **tx).await.unwrap()
        });
        drop(tx);
        pool.close().await;
        payloads.iter().map(|payload| prost::Message::decode(payload.as_slice()).unwrap()).collect()
    }
}

pub(crate) fn store_settings(database: &Database) -> ::store::Settings {
    ::store::Settings::new(database.url())
}

fn tls(files: Files) -> Tls {
    Tls { certificate: files.certificate, key: files.key, authority: files.authority }
}
