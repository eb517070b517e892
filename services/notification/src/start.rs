//! From a configuration to a service that answers.

use api::notification::event_service_server::EventServiceServer;
use api::notification::ingest_service_server::IngestServiceServer;
use clock::Clock;
use server::{Process, Running, Server, Service, Services, Shutdown, StartError};
use store::Pool;

use crate::Config;
use crate::rpc::Notification;
use crate::store::schema;

/// The name of the service in configuration, certificates, logs and traces.
pub const NAME: &str = "notification";

/// What the binary runs.
#[derive(Clone, Copy, Debug)]
pub struct Binary;

impl Service for Binary {
    const NAME: &'static str = NAME;
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        start(config, clock, shutdown).await
    }

    async fn migrate(config: Config) -> Result<(), StartError> {
        let pool = Pool::migrate(&config.database, &schema()).await.map_err(|failure| unusable(&failure))?;
        pool.close().await;
        Ok(())
    }
}

/// Starts the service: when this returns, it answers, until `shutdown` begins.
///
/// # Errors
/// When the configuration cannot be used, a port is taken or the database is not as it must be: one sentence.
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
    let process = Process::load(NAME, &config.process, clock, shutdown)?;
    let bound = Server::bind(&config.process).await?;
    let pool = Pool::open(&config.database, &schema()).await.map_err(|failure| unusable(&failure))?;
    let notification = Notification::new(process.clone(), pool, config.watch);
    let services = Services::new()
        .with(EventServiceServer::new(notification.clone()))
        .with(IngestServiceServer::new(notification));
    bound.serve(services, &process).await
}

fn unusable(failure: &store::Failure) -> StartError {
    StartError::new(format!("database: {}", server::failure::chain(failure)))
}
