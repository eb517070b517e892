//! The system that is measured: release binaries of one cloud and a gateway, each a process, with mTLS between them, on one
//! PostgreSQL. What is not said in the files written here is as it is by default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clock::Clock;
use serde_json::json;
use tempfile::TempDir;
use testkit::certificates::{Authority, Files};
use testkit::port::Port;
use testkit::process;
use testkit::provider::{Identity, Provider};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as ClientIdentity};

use crate::database::Postgres;
use crate::program::Program;

/// The services, in the order in which they need each other. Each has a database of its name.
pub(crate) const SERVICES: [&str; 3] = ["notification", "relationship", "invitation"];
/// The policy that is in force.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/clouds/public/policy/policy.toml");
const LINK_KEYS: &str = "current = \"first\"\n[keys]\nfirst = \"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0x\"\n";
/// Longer than a run lasts.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// Who may do what below.
pub(crate) const OPERATOR: Identity<'static> =
    Identity { kind: "operator", tenant: "platform", subject: "otto", roles: &["operator"] };
/// A service that asks about anybody.
pub(crate) const CHECKER: Identity<'static> =
    Identity { kind: "workload", tenant: "platform", subject: "billing", roles: &["access_checker"] };
/// An agent of the partner with the most customers.
pub(crate) const AGENT: Identity<'static> =
    Identity { kind: "partner", tenant: "partner-00", subject: "ada", roles: &["admin_agent"] };

/// A global administrator of a customer.
#[must_use]
pub(crate) fn admin(customer: &str) -> Identity<'_> {
    Identity { kind: "customer", tenant: customer, subject: "gwen", roles: &["global_admin"] }
}

/// The processes of one cloud, a gateway before them, and their database server.
pub(crate) struct Site {
    /// The id of the cloud, as its policy has it.
    pub(crate) cloud: String,
    /// Where everything is kept.
    pub(crate) postgres: Postgres,
    /// What is measured.
    pub(crate) programs: BTreeMap<&'static str, Program>,
    addresses: BTreeMap<&'static str, SocketAddr>,
    authority: Authority,
    provider: Provider,
    folder: TempDir,
    _ports: Vec<Port>,
}

impl Site {
    /// Starts everything: PostgreSQL, the services on migrated databases, the gateway before them; and beside them the yardstick
    /// of access checks, `empty`, with a gateway of its own, `gateway_to_empty`.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn start() -> Result<Site> {
        let policy = std::fs::read_to_string(POLICY).context("the policy cannot be read")?.parse::<toml::Table>()?;
        let cloud = policy.get("cloud").and_then(toml::Value::as_str).context("a policy names its cloud")?;
        let (mut addresses, mut ports) = (BTreeMap::new(), Vec::new());
        for name in ["notification", "relationship", "invitation", "empty", "gateway", "gateway_to_empty"] {
            let port = Port::reserve();
            addresses.insert(name, SocketAddr::from(([127, 0, 0, 1], port.number())));
            ports.push(port);
        }
        let mut site = Site {
            cloud: cloud.to_owned(),
            postgres: Postgres::start()?,
            programs: BTreeMap::new(),
            addresses,
            authority: Authority::new(),
            provider: Provider::start().await,
            folder: TempDir::new()?,
            _ports: ports,
        };
        std::fs::write(site.folder.path().join("link_keys.toml"), LINK_KEYS)?;
        for service in SERVICES {
            let url = site.postgres.create(service)?;
            let file = site.configure_service(service, &url)?;
            let migrated = process::run(service, ["migrate", "--config", text(&file)?]);
            ensure!(migrated.code() == 0, "{service} does not migrate: {migrated:?}");
            site.serve(service, service, &file)?;
        }
        let file = site.write("empty", &site.process_section("relationship", "empty"))?;
        site.serve("empty", "empty", &file)?;
        for (name, relationship) in [("gateway", "relationship"), ("gateway_to_empty", "empty")] {
            let file = site.configure_gateway(name, relationship)?;
            site.serve("gateway", name, &file)?;
        }
        Ok(site)
    }

    fn serve(&mut self, program: &str, name: &'static str, config: &Path) -> Result<()> {
        self.programs.insert(name, Program::serve(program, config, self.addresses[name])?);
        Ok(())
    }

    fn configure_service(&self, service: &str, url: &str) -> Result<PathBuf> {
        let mut text = String::new();
        if service == "invitation" {
            let keys = self.folder.path().join("link_keys.toml");
            text += &format!("public_uri = \"https://mandate.example\"\nlink_keys = \"{}\"\n", keys.display());
        }
        text += &self.process_section(service, service);
        text += &format!("[database]\nurl = \"{url}\"\n");
        let peers: &[&str] = match service {
            "relationship" => &["notification"],
            "invitation" => &["relationship", "notification"],
            _ => &[],
        };
        for peer in peers {
            text += &self.peer(&format!("peers.{peer}"), peer);
        }
        self.write(service, &text)
    }

    /// A process that proves to be this service and listens where this name does.
    fn process_section(&self, service: &str, name: &str) -> String {
        let (cloud, issuer, listen) = (&self.cloud, self.provider.uri(), self.addresses[name]);
        let tls = tls(&self.authority.service(cloud, service));
        format!(
            "[process]\ncloud = \"{cloud}\"\npolicy = \"{POLICY}\"\nlisten = \"{listen}\"\nissuer = \"{issuer}\"\n\
             development = true\ntls = {tls}\n",
        )
    }

    fn configure_gateway(&self, name: &str, relationship: &str) -> Result<PathBuf> {
        let (cloud, issuer, listen) = (&self.cloud, self.provider.uri(), self.addresses[name]);
        let tls = tls(&self.authority.gateway());
        let mut text = format!("listen = \"{listen}\"\ndevelopment = true\ntls = {tls}\n");
        text += &format!("[[cloud]]\nid = \"{cloud}\"\nissuer = \"{issuer}\"\npolicy = \"{POLICY}\"\n");
        text += &self.peer("cloud.upstreams.relationship", relationship);
        for service in ["invitation", "notification"] {
            text += &self.peer(&format!("cloud.upstreams.{service}"), service);
        }
        self.write(name, &text)
    }

    fn peer(&self, section: &str, name: &str) -> String {
        format!("[{section}]\nuri = \"https://{}\"\nserver_name = \"localhost\"\n", self.addresses[name])
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// A token for longer than a run lasts.
    #[must_use]
    pub(crate) fn token(&self, identity: Identity<'_>) -> String {
        let now = Clock::system().now().seconds();
        self.provider.token_with(identity, json!({ "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS }))
    }

    /// A connection to a gateway, as callers make it.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn through(&self, gateway: &str) -> Result<Channel> {
        Ok(Endpoint::from_shared(format!("http://{}", self.addresses[gateway]))?.connect().await?)
    }

    /// A connection to a service itself, as the gateway makes it.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn direct(&self, name: &str) -> Result<Channel> {
        self.connect(name, &self.authority.gateway()).await
    }

    /// A connection to the relationship service, as the invitation service makes it.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn as_invitation(&self) -> Result<Channel> {
        self.connect("relationship", &self.authority.service(&self.cloud, "invitation")).await
    }

    async fn connect(&self, name: &str, files: &Files) -> Result<Channel> {
        let tls = ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(Files::read(&files.authority)))
            .identity(ClientIdentity::from_pem(Files::read(&files.certificate), Files::read(&files.key)));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.addresses[name]))?;
        Ok(endpoint.tls_config(tls)?.connect().await?)
    }

    /// Waits until nothing is left to be done, and tells how long that took, in seconds.
    ///
    /// # Errors
    /// When the services stay busy.
    pub(crate) async fn settle(&self) -> Result<f64> {
        let programs: Vec<&Program> = self.programs.values().collect();
        Ok(crate::program::settled(&programs).await?.as_secs_f64())
    }

    /// What one of the programs has used of the processors, in microseconds; `postgres` and `callers`, who are in this process,
    /// among them.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn usage(&self, name: &str) -> Result<f64> {
        let usage = match name {
            "postgres" => crate::program::Usage::postgres()?,
            "callers" => crate::program::Usage::own()?,
            name => self.programs.get(name).with_context(|| format!("there is no {name}"))?.usage()?,
        };
        Ok(usage.micros)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path of text")
}

fn tls(files: &Files) -> String {
    let Files { certificate, key, authority } = files;
    format!(
        "{{ certificate = \"{}\", key = \"{}\", authority = \"{}\" }}",
        certificate.display(),
        key.display(),
        authority.display()
    )
}
