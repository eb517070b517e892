//! The way to one service of one cloud: a bounded number of connections, opened when they are needed.
//!
//! Long streams have connections of their own, so that watchers can never use up the room of short calls. A service that
//! does not answer costs the callers of that service an error and nobody else anything.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tonic::transport::{Channel, Endpoint};

/// Calls in flight on one connection, below the 256 that services take: a call that waits for a free stream could not be told
/// from one that waits for its answer.
const CALLS_PER_CONNECTION: usize = 200;

/// One service of one cloud.
#[derive(Debug)]
pub(crate) struct Upstream {
    calls: Vec<Lane>,
    streams: Vec<Lane>,
}

/// One connection, made when the first call takes a place on it, and again after it was lost.
#[derive(Debug)]
struct Lane {
    channel: Channel,
    places: Arc<Semaphore>,
    unreachable: Arc<Notify>,
}

/// A place for one call, kept until the call has ended.
#[derive(Debug)]
pub(crate) struct Place {
    /// The connection.
    pub(crate) channel: Channel,
    /// Wakes the calls that wait on this connection when it cannot be made. They would otherwise each try in turn, and the
    /// last of them wait for all the others' timeouts.
    pub(crate) unreachable: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Upstream {
    /// The service behind this endpoint, for so many calls at a time and as many streams.
    pub(crate) fn new(endpoint: &Endpoint, calls_max: usize) -> Upstream {
        let connections = calls_max.div_ceil(CALLS_PER_CONNECTION);
        let lanes = || -> Vec<Lane> {
            let lane = |_| Lane {
                channel: endpoint.connect_lazy(),
                places: Arc::new(Semaphore::new(calls_max.div_ceil(connections))),
                unreachable: Arc::new(Notify::new()),
            };
            (0..connections).map(lane).collect()
        };
        Upstream { calls: lanes(), streams: lanes() }
    }

    /// A place on the connection with the most room, and of those equally free on the first, so that a quiet gateway keeps
    /// one connection. `None` when all are full.
    pub(crate) fn place(&self, streams: bool) -> Option<Place> {
        let lanes = if streams { &self.streams } else { &self.calls };
        let mut freest: Option<&Lane> = None;
        for lane in lanes {
            let room = lane.places.available_permits();
            if freest.is_none_or(|other| room > other.places.available_permits()) {
                freest = Some(lane);
            }
        }
        let lane = freest?;
        let permit = lane.places.clone().try_acquire_owned().ok()?;
        Some(Place { channel: lane.channel.clone(), unreachable: lane.unreachable.clone(), _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::{CALLS_PER_CONNECTION, Endpoint, Upstream};

    fn upstream(calls_max: usize) -> Upstream {
        Upstream::new(&Endpoint::from_static("http://127.0.0.1:9"), calls_max)
    }

    #[tokio::test]
    async fn a_full_service_has_no_place_until_a_call_ends() {
        let upstream = upstream(4);
        let mut places: Vec<_> = (0..4).map(|_| upstream.place(false)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(upstream.place(false).is_none());
        assert!(upstream.place(true).is_some(), "streams have their own room");
        places.pop();
        assert!(upstream.place(false).is_some());
    }

    #[tokio::test]
    async fn calls_spread_over_the_connections() {
        let upstream = upstream(2 * CALLS_PER_CONNECTION);
        let _held: Vec<_> = (0..4).map(|_| upstream.place(false)).collect();
        let room: Vec<usize> = upstream.calls.iter().map(|lane| lane.places.available_permits()).collect();
        assert_eq!(room, [CALLS_PER_CONNECTION - 2; 2]);
    }
}
