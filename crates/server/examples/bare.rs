//! The smallest service there is: it answers `CloudService`, health and reflection, as every service does, and nothing else.

use std::time::Duration;

use clock::Clock;
use serde::{Deserialize, Serialize};
use server::config::{Common, Fault, Settings};
use server::{Process, Running, Server, Service, Services, Shutdown, StartError};

/// A configuration without anything of its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What every service is told.
    process: Common,
}

impl Settings for Config {
    fn check(&self) -> Result<(), Fault> {
        self.process.check().map_err(|fault| fault.within("process"))
    }

    fn telemetry(&self) -> &server::telemetry::Settings {
        &self.process.telemetry
    }

    fn cloud(&self) -> &str {
        &self.process.cloud
    }

    fn drain(&self) -> Duration {
        self.process.limits.drain_max_seconds.0
    }

    fn fault_injection(&self) -> &server::config::FaultInjection {
        &self.process.fault_injection
    }
}

struct Bare;

impl Service for Bare {
    const NAME: &'static str = "bare";
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        let process = Process::load(Bare::NAME, &config.process, clock, shutdown)?;
        let bound = Server::bind(&config.process).await?;
        bound.serve(Services::new(), &process).await
    }

    async fn migrate(_config: Config) -> Result<(), StartError> {
        Err(StartError::new("there is no database to migrate"))
    }
}

fn main() -> std::process::ExitCode {
    server::main::<Bare>()
}
