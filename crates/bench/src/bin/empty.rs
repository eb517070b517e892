//! The yardstick of an access check: a process with the same server, the same layers around a call and the same method, whose
//! answer needs nothing. It has no database and knows nobody.

use std::process::ExitCode;
use std::time::Duration;

use api::relationship::access_service_server::{AccessService, AccessServiceServer};
use api::relationship::{CheckAccessRequest, CheckAccessResponse, ExplainAccessRequest, ExplainAccessResponse};
use clock::Clock;
use serde::{Deserialize, Serialize};
use server::config::{Common, Fault, FaultInjection, Settings};
use server::{Answer, Process, Running, Server, Services, Shutdown, StartError};
use tonic::{Request, Response};

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

    fn fault_injection(&self) -> &FaultInjection {
        &self.process.fault_injection
    }
}

struct Empty;

#[tonic::async_trait]
impl AccessService for Empty {
    async fn check_access(&self, _request: Request<CheckAccessRequest>) -> Answer<CheckAccessResponse> {
        Ok(Response::new(Default::default()))
    }

    async fn explain_access(&self, _request: Request<ExplainAccessRequest>) -> Answer<ExplainAccessResponse> {
        Ok(Response::new(Default::default()))
    }
}

impl server::Service for Empty {
    const NAME: &'static str = "relationship";
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        let process = Process::load(Self::NAME, &config.process, clock, shutdown)?;
        let bound = Server::bind(&config.process).await?;
        bound.serve(Services::new().with(AccessServiceServer::new(Empty)), &process).await
    }

    async fn migrate(_config: Config) -> Result<(), StartError> {
        Err(StartError::new("there is no database to migrate"))
    }
}

fn main() -> ExitCode {
    server::main::<Empty>()
}
