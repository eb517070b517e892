//! The processes of all clouds and the gateway, started in the order in which they need each other and ended in the other.

use std::net::TcpListener;
use std::time::Duration;

use clock::Clock;
use server::{Service, Shutdown};
use tokio::task::JoinSet;

use super::settings::{Addresses, CloudPlace, Place};
use crate::failure::Failure;

/// How long each group of processes has to end.
const DRAIN: Duration = Duration::from_secs(12);

/// What runs.
pub(super) struct Running {
    tiers: Tiers,
}

/// The ends of the processes. Each group is ended when nobody calls it any more, so that no call in flight is cut off from
/// what it needs.
#[derive(Clone, Debug)]
struct Tiers {
    /// The gateways, and with them the streams: those end when the notification service says so.
    front: Shutdown,
    invitation: Shutdown,
    relationship: Shutdown,
}

impl Running {
    /// Starts everything, the gateway at a port that is bound already; returns once all of it answers. When a part fails later, `end` begins.
    ///
    /// # Errors
    /// The sentence of the first process that could not start. Nothing runs then.
    pub(super) async fn start(
        place: &Place,
        gateway: TcpListener,
        clock: &Clock,
        end: Shutdown,
    ) -> Result<Running, Failure> {
        let tiers = Tiers { front: Shutdown::new(), invitation: Shutdown::new(), relationship: Shutdown::new() };
        let running = Running { tiers };
        if let Err(failure) = running.launch(place, gateway, clock).await {
            running.end().await;
            return Err(failure);
        }
        let watched = running.tiers.clone();
        let told = end.clone();
        end.spawn("watch over the processes", async move {
            tokio::select! {
                () = watched.front.begun() => {}
                () = watched.invitation.begun() => {}
                () = watched.relationship.begun() => {}
                () = told.begun() => {}
            }
            told.begin();
        });
        Ok(running)
    }

    async fn launch(&self, place: &Place, gateway: TcpListener, clock: &Clock) -> Result<(), Failure> {
        let mut starting = JoinSet::new();
        for (index, cloud) in place.clouds.iter().cloned().enumerate() {
            let (tiers, clock) = (self.tiers.clone(), clock.clone());
            starting.spawn(async move { (index, tiers.cloud(&cloud, clock).await) });
        }
        let mut upstreams = vec![None; place.clouds.len()];
        while let Some(joined) = starting.join_next().await {
            let (index, started) = joined.map_err(|error| Failure::Other(format!("a start ended: {error}")))?;
            upstreams[index] = Some(started?);
        }
        let upstreams: Vec<Addresses> = upstreams.into_iter().flatten().collect();
        let config = place.gateway(&upstreams);
        gateway::start_on(gateway, config, clock.clone(), self.tiers.front.clone()).await?;
        Ok(())
    }

    /// Ends everything, waiting for calls in flight.
    pub(super) async fn end(&self) {
        for tier in self.tiers.all() {
            tier.begin();
            if !tier.drained(DRAIN).await {
                tracing::warn!("tasks did not end within {DRAIN:?} and are abandoned");
            }
        }
    }

    /// True when a process ended because it failed.
    pub(super) fn has_failed(&self) -> bool {
        self.tiers.all().iter().any(|tier| tier.has_failed())
    }
}

impl Tiers {
    fn all(&self) -> [&Shutdown; 3] {
        [&self.front, &self.invitation, &self.relationship]
    }

    async fn cloud(&self, cloud: &CloudPlace, clock: Clock) -> Result<Addresses, Failure> {
        let config = cloud.notification();
        let front = self.front.clone();
        let notification = notification::Notification::start(config, clock.clone(), front).await?;
        let config = cloud.relationship(notification.address);
        let tier = self.relationship.clone();
        let relationship = relationship::Relationship::start(config, clock.clone(), tier).await?;
        let config = cloud.invitation(relationship.address, notification.address);
        let tier = self.invitation.clone();
        let invitation = invitation::Invitation::start(config, clock, tier).await?;
        Ok(Addresses {
            invitation: invitation.address,
            relationship: relationship.address,
            notification: notification.address,
        })
    }
}
