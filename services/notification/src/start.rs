//! Builds the service from its configuration, in the order in which the parts need each other.

use api::notification::event_service_server::EventServiceServer;
use api::notification::ingest_service_server::IngestServiceServer;
use clock::Clock;
use server::{Process, Running, Server, Services, Shutdown, StartError};
use store::Pool;

use crate::config::Config;
use crate::rpc::Calls;
use crate::store::schema;

/// The notification service, as a process runs it.
#[derive(Clone, Copy, Debug)]
pub struct Notification;

impl server::Service for Notification {
    const NAME: &'static str = "notification";
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        let process = Process::load(Self::NAME, &config.process, clock, shutdown)?;
        let bound = Server::bind(&config.process).await?;
        let pool = Pool::open(&config.database, &schema()).await.map_err(|failure| StartError::database(&failure))?;
        let calls = Calls::new(process.clone(), pool, config.watch);
        let services =
            Services::new().with(EventServiceServer::new(calls.clone())).with(IngestServiceServer::new(calls));
        bound.serve(services, &process).await
    }

    async fn migrate(config: Config) -> Result<(), StartError> {
        let migrated = Pool::migrate(&config.database, &schema()).await;
        migrated.map_err(|failure| StartError::database(&failure))?.close().await;
        Ok(())
    }
}
