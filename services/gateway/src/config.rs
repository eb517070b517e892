//! The gateway's own configuration: where it listens, the clouds it knows, and its limits.
//!
//! Everything is checked before a port is bound, and a complaint names its key and what was expected. No secret stands in it,
//! only the files that hold one.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cloud::CloudId;
use http::Uri;
use serde::{Deserialize, Serialize};
use server::config::{Fault, FaultInjection, Limits, Settings, Tls};
use server::peer::PeerSettings;
use server::telemetry;

use crate::clouds::{Directory, Entry};

/// Everything the gateway can be told.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where calls and links arrive. `127.0.0.1:7070` by default.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Where probes that speak no TLS find gRPC health and nothing else. Nowhere by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_listen: Option<SocketAddr>,
    /// What the gateway shows to callers. Without it `listen` speaks plain HTTP, for a load balancer that ends TLS in front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_tls: Option<PublicTls>,
    /// What the gateway shows to the services of the clouds, and whom it trusts to be one. Not needed where every cloud has its
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// True for a gateway on somebody's own machine: it binds loopback only, and may reach services without TLS. False by
    /// default.
    #[serde(default)]
    pub development: bool,
    /// The numbers that bound what the gateway takes. `calls_max` holds for each service of each cloud, and once more for streams.
    #[serde(default)]
    pub limits: Limits,
    /// Traces, metrics and logs.
    #[serde(default)]
    pub telemetry: telemetry::Settings,
    /// What the gateway is told to suffer, in development alone.
    #[serde(default)]
    pub fault_injection: FaultInjection,
    /// The clouds, at least one.
    #[serde(rename = "cloud", default)]
    pub clouds: Vec<Cloud>,
}

/// A certificate for callers, who need none themselves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTls {
    /// The file with the certificate and those between it and its root, PEM.
    pub certificate: PathBuf,
    /// The file with its private key, PEM.
    pub key: PathBuf,
}

/// One sovereign cloud.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    /// Its id, which must be the one in its policy.
    pub id: String,
    /// The host names that lead to it. None by default: callers then name it by metadata or credential.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The OIDC issuer whose credentials it takes.
    pub issuer: String,
    /// Its policy file.
    pub policy: PathBuf,
    /// Overrides `tls` for this cloud, where its services are of an authority of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Where its services are.
    pub upstreams: Upstreams,
}

/// Where the services of a cloud are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Upstreams {
    /// The invitation service.
    pub invitation: PeerSettings,
    /// The relationship service.
    pub relationship: PeerSettings,
    /// The notification service.
    pub notification: PeerSettings,
}

fn listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7070))
}

impl Settings for Config {
    fn check(&self) -> Result<(), Fault> {
        self.limits.check().map_err(|fault| fault.within("limits"))?;
        self.fault_injection.check(self.development)?;
        if self.development {
            let listens = [("listen", Some(self.listen)), ("probe_listen", self.probe_listen)];
            for (key, address) in listens {
                if address.is_some_and(|address| !address.ip().is_loopback()) {
                    let problem = "can be reached from elsewhere; expected a loopback address in development";
                    return Err(Fault::new(key, problem));
                }
            }
        }
        for (index, cloud) in self.clouds.iter().enumerate() {
            cloud.check(self).map_err(|fault| fault.within(&format!("cloud[{index}]")))?;
        }
        // Finds what two clouds share, and that there is one.
        Directory::new(self.entries()?).map(|_| ())
    }

    fn telemetry(&self) -> &telemetry::Settings {
        &self.telemetry
    }

    fn cloud(&self) -> &str {
        ""
    }

    fn drain(&self) -> Duration {
        self.limits.drain_max_seconds.0
    }

    fn fault_injection(&self) -> &FaultInjection {
        &self.fault_injection
    }
}

impl Config {
    /// The names by which calls can mean each cloud.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Fault> {
        self.clouds.iter().map(Cloud::entry).collect()
    }
}

impl Cloud {
    fn check(&self, config: &Config) -> Result<(), Fault> {
        let secure = self.issuer.starts_with("https://") || (config.development && self.issuer.starts_with("http://"));
        if !secure {
            let problem = format!("{:?} is no issuer; expected an https URI", self.issuer);
            return Err(Fault::new("issuer", problem));
        }
        for host in &self.hosts {
            let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            if host.is_empty() || !host.bytes().all(inside) {
                let problem = format!("{host:?} is no host name; expected one without port");
                return Err(Fault::new("hosts", problem));
            }
        }
        let upstreams = &self.upstreams;
        for (key, peer) in [
            ("upstreams.invitation.uri", &upstreams.invitation),
            ("upstreams.relationship.uri", &upstreams.relationship),
            ("upstreams.notification.uri", &upstreams.notification),
        ] {
            let uri: Option<Uri> = peer.uri.parse().ok();
            match uri.as_ref().and_then(Uri::scheme_str) {
                Some("https") if self.tls.is_some() || config.tls.is_some() => {}
                Some("https") => {
                    return Err(Fault::new("tls", "is missing; expected certificate, key and authority"));
                }
                // A credential must not cross a network in the clear.
                Some("http") if config.development => {}
                Some(_) | None => {
                    let problem = format!("{:?} is not protected; expected https://host:port", peer.uri);
                    return Err(Fault::new(key, problem));
                }
            }
        }
        Ok(())
    }

    fn entry(&self) -> Result<Entry, Fault> {
        let id = CloudId::parse(&self.id).map_err(|error| Fault::new("cloud.id", error.to_string()))?;
        Ok(Entry { id, hosts: self.host_names(), issuer: self.issuer.clone() })
    }

    /// The host names in the form in which they are compared.
    pub(crate) fn host_names(&self) -> BTreeSet<String> {
        self.hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect()
    }
}
