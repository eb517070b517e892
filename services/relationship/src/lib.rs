//! Relationships between partners and customers, the delegations and agreements that stand on them, and the answer to the
//! question asked on every later call: may this partner do this for this customer?
//!
//! Two axes that never mix (I3, I4): a *relationship* is commercial, begins with an acceptance and ends by termination alone; a
//! *delegation* gives admin privileges for one service, stands on a relationship, and can end while the relationship stays.
//! What partners may do is decided in [`domain::access`] by both, the *agreement*, and the facts of *subscriptions*.
//!
//! Nothing here asks another service before it decides: all facts are in one database, and one transaction writes a change with
//! its events.

pub mod config;
mod delivery;
pub mod domain;
pub mod error;
mod rpc;
pub mod store;
pub mod wire;

use std::sync::Arc;

use ::store::Pool;
use api::relationship::access_service_server::AccessServiceServer;
use api::relationship::agreement_service_server::AgreementServiceServer;
use api::relationship::delegation_service_server::DelegationServiceServer;
use api::relationship::directory_service_server::DirectoryServiceServer;
use api::relationship::establishment_service_server::EstablishmentServiceServer;
use api::relationship::relationship_service_server::RelationshipServiceServer;
use api::relationship::subscription_service_server::SubscriptionServiceServer;
use clock::Clock;
use outbox::Outbox;
use server::{Peer, Process, Running, Server, Service, Services, Shutdown, StartError};

pub use config::Config;

/// The relationship service.
#[derive(Debug)]
pub struct Relationship;

impl Service for Relationship {
    const NAME: &'static str = "relationship";
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        let bound = Server::bind(&config.process).await?;
        let process = Process::load(Self::NAME, &config.process, clock.clone(), shutdown)?;
        let pool = Pool::open(&config.database, &store::schema()).await.map_err(|error| unusable(&config, &error))?;
        let notification =
            Peer::connect("notification", &config.peers.notification, &config.process.tls, &process.cloud)?;
        let outbox = Outbox::new(pool.clone(), clock);

        let relay = outbox.clone();
        let stop = Arc::clone(&process);
        process.spawn("relay", async move {
            let delivery = delivery::Delivery { notification };
            tokio::select! {
                () = relay.relay(&delivery) => {}
                () = stop.shutdown.begun() => {}
            }
        });
        let calls = rpc::Calls { process: Arc::clone(&process), pool, outbox };
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
        let pool =
            Pool::migrate(&config.database, &store::schema()).await.map_err(|error| unusable(&config, &error))?;
        pool.close().await;
        Ok(())
    }
}

fn unusable(config: &Config, error: &::store::Failure) -> StartError {
    StartError::new(format!("database {}: {}", config.database.url, server::failure::chain(error)))
}
