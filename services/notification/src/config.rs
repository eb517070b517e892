//! What the notification service can be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use server::config::{Common, Fault, FaultInjection, Seconds, Settings, expect_range};
use server::telemetry;

/// Everything the notification service can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every service of a cloud is told.
    pub process: Common,
    /// Where events are kept.
    pub database: store::Settings,
    /// The numbers that bound watches.
    #[serde(default)]
    pub watch: Watch,
}

/// The numbers that bound watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// How many feeds are watched at a time. 10000 by default.
    pub streams_max: u32,
    /// After how much silence a watch gives a sign of life. 15 by default.
    pub heartbeat_seconds: Seconds,
    /// How long until events that another replica has kept are noticed. 1 by default.
    pub poll_seconds: Seconds,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { streams_max: 10_000, heartbeat_seconds: Seconds::new(15), poll_seconds: Seconds::new(1) }
    }
}

impl Watch {
    fn check(&self) -> Result<(), Fault> {
        expect_range("streams_max", u64::from(self.streams_max), 1, 1_000_000)?;
        for (key, Seconds(value)) in
            [("heartbeat_seconds", self.heartbeat_seconds), ("poll_seconds", self.poll_seconds)]
        {
            if !(Duration::from_millis(10)..=Duration::from_secs(60)).contains(&value) {
                return Err(Fault::new(key, format!("{} is out of range; expected 0.01 to 60", value.as_secs_f64())));
            }
        }
        Ok(())
    }
}

impl Settings for Config {
    fn check(&self) -> Result<(), Fault> {
        self.process.check().map_err(|fault| fault.within("process"))?;
        let checked = self.database.check(1);
        checked.map_err(|unusable| Fault::new(unusable.key, unusable.problem).within("database"))?;
        self.watch.check().map_err(|fault| fault.within("watch"))
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
