//! Builds the service from its configuration, in the order in which the parts need each other.

use std::sync::Arc;

use api::relationship::access_service_server::AccessServiceServer;
use api::relationship::agreement_service_server::AgreementServiceServer;
use api::relationship::delegation_service_server::DelegationServiceServer;
use api::relationship::directory_service_server::DirectoryServiceServer;
use api::relationship::establishment_service_server::EstablishmentServiceServer;
use api::relationship::relationship_service_server::RelationshipServiceServer;
use api::relationship::subscription_service_server::SubscriptionServiceServer;
use clock::Clock;
use delivery::Delivery;
use outbox::Outbox;
use server::outbox::{Report, Task};
use server::{Peer, Process, Running, Server, Services, Shutdown, StartError};
use store::{Pool, Reads};

use crate::config::Config;
use crate::rpc::Calls;
use crate::store::schema;

/// The relationship service, as a process runs it.
#[derive(Clone, Copy, Debug)]
pub struct Relationship;

impl server::Service for Relationship {
    const NAME: &'static str = "relationship";
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        let process = Process::load(Self::NAME, &config.process, clock, shutdown)?;
        let notification =
            Peer::connect("notification", &config.peers.notification, &config.process.tls, &process.cloud)?;
        let bound = Server::bind(&config.process).await?;
        let pool = Pool::open(&config.database, &schema()).await.map_err(|failure| StartError::database(&failure))?;
        let reads = Reads::open(&config.database, &pool).await.map_err(|failure| StartError::database(&failure))?;
        let outbox = Outbox::new(pool.clone(), process.clock.clone());
        let relay = outbox.clone();
        let cloud = process.cloud.clone();
        process.spawn_until_end("relay", async move {
            let labels = [("service", Self::NAME), ("cloud", cloud.as_str())];
            relay.relay(&Delivery::to(notification), &labels).await;
        });
        let calls = Calls { process: Arc::clone(&process), pool, reads, outbox };
        let timekeeper = calls.clone();
        process.spawn_until_end("timers", async move { timekeeper.outbox.keep_time(&timekeeper).await });
        let services = Services::new()
            .with(RelationshipServiceServer::new(calls.clone()))
            .with(DelegationServiceServer::new(calls.clone()))
            .with(AccessServiceServer::new(calls.clone()))
            .with(AgreementServiceServer::new(calls.clone()))
            .with(SubscriptionServiceServer::new(calls.clone()))
            .with(DirectoryServiceServer::new(calls.clone()))
            .with(EstablishmentServiceServer::new(calls));
        bound.serve(services, &process).await
    }

    async fn migrate(config: Config) -> Result<(), StartError> {
        let migrated = Pool::migrate(&config.database, &schema()).await;
        migrated.map_err(|failure| StartError::database(&failure))?.close().await;
        Ok(())
    }

    async fn outbox(config: Config, task: Task) -> Result<Report, StartError> {
        delivery::operate(&config.database, &schema(), task).await
    }
}
