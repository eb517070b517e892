//! What the relationship service can be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use server::config::{Common, Fault, FaultInjection, Settings};
use server::peer::PeerSettings;
use server::telemetry;

/// Everything the relationship service can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every service of a cloud is told.
    pub process: Common,
    /// Where relationships are kept.
    pub database: store::Settings,
    /// The services it calls.
    pub peers: Peers,
}

/// The services that the relationship service calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// Where events go. Required.
    pub notification: PeerSettings,
}

/// One for leading the relay, one for what it reads, one for calls.
const CONNECTIONS_MIN: u32 = 3;

impl Settings for Config {
    fn check(&self) -> Result<(), Fault> {
        self.process.check().map_err(|fault| fault.within("process"))?;
        let checked = self.database.check(CONNECTIONS_MIN);
        checked.map_err(|unusable| Fault::new(unusable.key, unusable.problem).within("database"))
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
