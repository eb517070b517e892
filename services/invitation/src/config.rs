//! What this service is told, beside what every service is.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use server::config::{Common, Fault, FaultInjection};
use server::peer::PeerSettings;
use server::telemetry;
use tonic::codegen::http::Uri;

/// Everything the invitation service can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What links begin with: `https://mandate.example` makes `https://mandate.example/i/{token}`, which the gateway answers.
    /// Required. Links change with it.
    pub public_uri: String,
    /// The file with the keys that sign links: TOML with `current = "<id>"` and a table `[keys]` of `<id> = "<base64>"`, each of
    /// 32 to 64 bytes. Required. Read once, at the start.
    pub link_keys: PathBuf,
    /// What every service is told.
    pub process: Common,
    /// Where links are kept.
    pub database: store::Settings,
    /// The other services.
    pub peers: Peers,
}

/// The services that this one calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// Establishes relationships, and knows the partners.
    pub relationship: PeerSettings,
    /// Takes events in.
    pub notification: PeerSettings,
}

/// One for leading the relay, one for what it reads, one for calls.
const CONNECTIONS_MIN: u32 = 3;

impl server::config::Settings for Config {
    fn check(&self) -> Result<(), Fault> {
        self.process.check().map_err(|fault| fault.within("process"))?;
        let checked = self.database.check(CONNECTIONS_MIN);
        checked.map_err(|unusable| Fault::new(unusable.key, unusable.problem).within("database"))?;
        if is_base(&self.public_uri, self.process.development) {
            return Ok(());
        }
        let problem = format!(
            "{:?} is nothing that links can begin with; expected an https URI without a slash at its end, a query or a user",
            self.public_uri
        );
        Err(Fault::new("public_uri", problem))
    }

    fn telemetry(&self) -> &telemetry::Settings {
        &self.process.telemetry
    }

    fn cloud(&self) -> &str {
        &self.process.cloud
    }

    fn drain(&self) -> Duration {
        self.process.limits.drain_max_seconds.0
    }

    fn fault_injection(&self) -> &FaultInjection {
        &self.process.fault_injection
    }
}

fn is_base(text: &str, development: bool) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let scheme = uri.scheme_str();
    let encrypted = scheme == Some("https") || (development && scheme == Some("http"));
    let host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    encrypted && host && !text.ends_with('/') && !text.contains(['?', '#'])
}

#[cfg(test)]
mod tests {
    use super::is_base;

    #[test]
    fn links_begin_with_a_clean_https_uri() {
        for good in ["https://mandate.example", "https://mandate.example:8443", "https://mandate.example/cloud"] {
            assert!(is_base(good, false), "{good}");
        }
        for bad in [
            "",
            "mandate.example",
            "http://mandate.example",
            "ftp://mandate.example",
            "https://",
            "https://mandate.example/",
            "https://mandate.example?a=b",
            "https://mandate.example/#top",
            "https://agent@mandate.example",
            "https://mandate example",
        ] {
            assert!(!is_base(bad, false), "{bad}");
        }
    }

    #[test]
    fn development_may_do_without_encryption() {
        assert!(is_base("http://localhost:7070", true));
        assert!(!is_base("http://localhost:7070", false));
    }
}
