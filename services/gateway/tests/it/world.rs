//! Two clouds behind one gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use clock::{Clock, Time};
use gateway::config::Config;
use server::{Shutdown, StartError};
use tonic::transport::Channel;

use crate::call::connect;
use crate::upstream;
use testkit::provider::{Identity, NOW_SECONDS, Provider};

/// An agent of a partner.
pub(crate) const AGENT: Identity<'_> =
    Identity { kind: "partner", tenant: "contoso", subject: "agent", roles: &["admin_agent"] };

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) probe: SocketAddr,
    pub(crate) public: Provider,
    pub(crate) china: Provider,
    pub(crate) shutdown: Shutdown,
}

/// Where nobody listens.
pub(crate) async fn nowhere() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

pub(crate) fn policy(cloud: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds");
    deploy.join(cloud).join("policy/policy.toml").display().to_string()
}

/// The section of one cloud, all its services at one address.
pub(crate) fn section(cloud: &str, issuer: &str, upstream: &str) -> String {
    let policy = policy(cloud);
    format!(
        r#"
        [[cloud]]
        id = "{cloud}"
        hosts = ["{cloud}.mandate.example"]
        issuer = "{issuer}"
        policy = "{policy}"
        upstreams.invitation.uri = "{upstream}"
        upstreams.relationship.uri = "{upstream}"
        upstreams.notification.uri = "{upstream}"
        "#
    )
}

pub(crate) fn parse(text: &str) -> Config {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) async fn start(config: Config, shutdown: &Shutdown) -> Result<server::Running, StartError> {
    let clock = Clock::manual(Time::from_seconds(NOW_SECONDS));
    gateway::start(config, clock, shutdown.clone()).await
}

impl World {
    /// Both clouds answer.
    pub(crate) async fn start() -> World {
        let china = upstream::start("china").await;
        World::with(china, "").await
    }

    /// The services of china are at this address; `limits` is more of the configuration.
    pub(crate) async fn with(china_at: SocketAddr, limits: &str) -> World {
        let (public, china) = (Provider::start().await, Provider::start().await);
        let public_at = upstream::start("public").await;
        let text = format!(
            "listen = \"127.0.0.1:0\"\nprobe_listen = \"127.0.0.1:0\"\ndevelopment = true\n{limits}\n{}{}",
            section("public", public.uri(), &format!("http://{public_at}")),
            section("china", china.uri(), &format!("http://{china_at}")),
        );
        let shutdown = Shutdown::new();
        let running = start(parse(&text), &shutdown).await.unwrap();
        World { address: running.address, probe: running.probe_address.unwrap(), public, china, shutdown }
    }

    /// A connection by a host name that means no cloud.
    pub(crate) fn channel(&self) -> Channel {
        connect(self.address, "localhost")
    }
}
