//! What every service of a cloud is told, in the section that all their configurations share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, FaultInjection, Seconds, expect_range};
use crate::telemetry;

/// What every service of a cloud is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// The id of the cloud, such as `public`. Required; the policy must be of the same.
    pub cloud: String,
    /// The policy file of the cloud. Required.
    pub policy: PathBuf,
    /// Where calls are answered. Port 0 lets the system choose. `127.0.0.1:8443` by default.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Where health, and nothing else, is answered without TLS, for probes. Nowhere by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_listen: Option<SocketAddr>,
    /// How the service proves itself, and whom it believes. Required.
    pub tls: Tls,
    /// The trust domain of the services' certificates. `mandate.internal` by default.
    #[serde(default = "trust_domain")]
    pub trust_domain: String,
    /// The OIDC issuer whose tokens the cloud accepts. Required.
    pub issuer: String,
    /// True for a system on one machine, with an issuer that anybody can get tokens from: nothing but loopback is bound then.
    /// False by default.
    #[serde(default)]
    pub development: bool,
    /// The numbers that bound what the service takes.
    #[serde(default)]
    pub limits: Limits,
    /// What the service tells of itself.
    #[serde(default)]
    pub telemetry: telemetry::Settings,
    /// What the service is told to suffer, in development alone.
    #[serde(default)]
    pub fault_injection: FaultInjection,
}

/// The files by which a process proves itself and verifies others. All hold PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain of the process. Required.
    pub certificate: PathBuf,
    /// The private key of the certificate. Required.
    pub key: PathBuf,
    /// The authority that certifies all processes. Required.
    pub authority: PathBuf,
}

/// The numbers that bound what a service takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections held at a time. 10000 by default.
    pub connections_max: u32,
    /// Calls in flight on one connection. 256 by default.
    pub streams_per_connection_max: u32,
    /// Calls in flight that have not begun to answer. Beyond it calls are refused at once. 1024 by default.
    pub calls_max: u32,
    /// Bytes of the headers of a call. 16384 by default.
    pub headers_max_bytes: u32,
    /// Bytes of a request. 1048576 by default.
    pub message_max_bytes: u32,
    /// Bytes of a request that checks access. 65536 by default.
    pub check_access_max_bytes: u32,
    /// The longest an access check may take, whatever its caller allows. 2 by default.
    pub check_access_max_seconds: Seconds,
    /// The longest any other call may take, streams apart, whatever its caller allows. 15 by default.
    pub call_max_seconds: Seconds,
    /// How long a connection is kept before its client is asked to open another. 1800 by default.
    pub connection_age_max_seconds: Seconds,
    /// How long calls on such a connection may take to end. 30 by default.
    pub connection_age_grace_seconds: Seconds,
    /// How long a connection may be silent. 300 by default.
    pub connection_idle_max_seconds: Seconds,
    /// How long calls in flight have to end when the process does. 10 by default.
    pub drain_max_seconds: Seconds,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 10_000,
            streams_per_connection_max: 256,
            calls_max: 1024,
            headers_max_bytes: 16 * 1024,
            message_max_bytes: 1024 * 1024,
            check_access_max_bytes: 64 * 1024,
            check_access_max_seconds: Seconds::new(2),
            call_max_seconds: Seconds::new(15),
            connection_age_max_seconds: Seconds::new(30 * 60),
            connection_age_grace_seconds: Seconds::new(30),
            connection_idle_max_seconds: Seconds::new(5 * 60),
            drain_max_seconds: Seconds::new(10),
        }
    }
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn trust_domain() -> String {
    "mandate.internal".to_owned()
}

impl Common {
    /// Checks what types alone cannot say. `Settings::check` of a service passes it on with `within` and its section.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), Fault> {
        if let Err(error) = cloud::CloudId::parse(&self.cloud) {
            return Err(Fault::new("cloud", error.to_string()));
        }
        if self.trust_domain.is_empty() || self.trust_domain.contains('/') {
            let problem = format!("{:?} is no trust domain; expected a host name", self.trust_domain);
            return Err(Fault::new("trust_domain", problem));
        }
        self.check_issuer()?;
        self.check_loopback()?;
        self.fault_injection.check(self.development)?;
        self.limits.check().map_err(|fault| fault.within("limits"))
    }

    fn check_issuer(&self) -> Result<(), Fault> {
        let secure = self.issuer.starts_with("https://");
        if secure || (self.development && self.issuer.starts_with("http://")) {
            return Ok(());
        }
        let problem = format!("{:?} is no issuer; expected an https URI", self.issuer);
        Err(Fault::new("issuer", problem))
    }

    /// An issuer that anybody can get tokens from must not stand before data that anybody can reach.
    fn check_loopback(&self) -> Result<(), Fault> {
        let listens = [("listen", Some(self.listen)), ("probe_listen", self.probe_listen)];
        for (key, address) in listens {
            match address {
                Some(address) if self.development && !address.ip().is_loopback() => {
                    let problem =
                        format!("{address} can be reached from elsewhere; expected a loopback address in development");
                    return Err(Fault::new(key, problem));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

impl Limits {
    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first number out of its range.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_numbers()?;
        self.check_spans()
    }

    fn check_numbers(&self) -> Result<(), Fault> {
        const LARGEST_BYTES: u64 = 4 * 1024 * 1024;
        let check = |key, value: u32, least, most| expect_range(key, value.into(), least, most);
        check("connections_max", self.connections_max, 1, 1_000_000)?;
        let streams = self.streams_per_connection_max;
        check("streams_per_connection_max", streams, 1, 10_000)?;
        check("calls_max", self.calls_max, 1, 1_000_000)?;
        check("headers_max_bytes", self.headers_max_bytes, 1024, 1024 * 1024)?;
        check("message_max_bytes", self.message_max_bytes, 1024, LARGEST_BYTES)?;
        let check_access = self.check_access_max_bytes;
        check("check_access_max_bytes", check_access, 1024, LARGEST_BYTES)
    }

    fn check_spans(&self) -> Result<(), Fault> {
        let check = |key: &str, Seconds(value): Seconds, most: u64| {
            if !value.is_zero() && value <= Duration::from_secs(most) {
                return Ok(());
            }
            let value = value.as_secs_f64();
            let problem = format!("{value} is out of range; expected more than 0, at most {most}");
            Err(Fault::new(key, problem))
        };
        check("check_access_max_seconds", self.check_access_max_seconds, 60)?;
        check("call_max_seconds", self.call_max_seconds, 300)?;
        check("connection_age_max_seconds", self.connection_age_max_seconds, 86_400)?;
        check("connection_age_grace_seconds", self.connection_age_grace_seconds, 3600)?;
        check("connection_idle_max_seconds", self.connection_idle_max_seconds, 86_400)?;
        check("drain_max_seconds", self.drain_max_seconds, 300)
    }
}
