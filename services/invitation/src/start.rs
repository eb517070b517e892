//! Builds the service from its configuration, in the order in which the parts need each other.

use std::path::Path;
use std::sync::Arc;

use api::invitation::invitation_service_server::InvitationServiceServer;
use clock::Clock;
use delivery::Delivery;
use outbox::Outbox;
use server::outbox::{Report, Task};
use server::{Peer, Process, Running, Server, Services, Shutdown, StartError};
use store::Pool;

use crate::config::Config;
use crate::domain::key::Keys;
use crate::domain::text::Catalog;
use crate::rpc::{Calls, Issue};
use crate::store::schema;

/// The invitation service, as a process runs it.
#[derive(Clone, Copy, Debug)]
pub struct Invitation;

impl server::Service for Invitation {
    const NAME: &'static str = "invitation";
    type Config = Config;

    async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, StartError> {
        let process = Process::load(Self::NAME, &config.process, clock, shutdown)?;
        let keys = read_keys(&config.link_keys)?;
        let catalog = Catalog::load().map_err(|error| StartError::new(error.to_string()))?;
        let peer = |service, settings| Peer::connect(service, settings, &config.process.tls, &process.cloud);
        let relationship = peer("relationship", &config.peers.relationship)?;
        let notification = peer("notification", &config.peers.notification)?;
        let bound = Server::bind(&config.process).await?;
        let pool = Pool::open(&config.database, &schema()).await.map_err(|failure| StartError::database(&failure))?;
        let outbox = Outbox::new(pool.clone(), process.clock.clone());
        let relay = outbox.clone();
        let cloud = process.cloud.clone();
        process.spawn_until_end("relay", async move {
            let labels = [("service", Self::NAME), ("cloud", cloud.as_str())];
            relay.relay(&Delivery::to(notification), &labels).await;
        });
        let issue = Arc::new(Issue { keys, public_uri: config.public_uri, catalog });
        let calls = Calls { process: Arc::clone(&process), pool, outbox, relationship, issue };
        bound.serve(Services::new().with(InvitationServiceServer::new(calls)), &process).await
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

fn read_keys(path: &Path) -> Result<Keys, StartError> {
    let file = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        StartError::new(format!("link_keys: {file} cannot be read ({error}); expected a file of keys"))
    })?;
    Keys::parse(&text).map_err(|error| StartError::new(format!("link_keys: {file}: {error}")))
}
