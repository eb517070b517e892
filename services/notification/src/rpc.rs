//! The gRPC services of this process, one line a method.

mod event;
mod ingest;
mod positions;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use api::notification::event_service_server::EventService;
use api::notification::ingest_service_server::IngestService;
use api::notification::{
    Event, GetEventRequest, IngestEventsRequest, IngestEventsResponse, ListEventsRequest, ListEventsResponse,
    WatchEventsRequest, WatchEventsResponse,
};
use futures_util::Stream;
use server::{Caller, Process};
use store::Pool;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::config;
use crate::error::Error;
use positions::Positions;

/// How many watches read the database at a time. The others wait in line, so that one event for all of them neither uses up the
/// connections nor makes other calls wait.
const WATCH_READS_MAX: usize = 2;

/// Answers the calls of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notification {
    process: Arc<Process>,
    pool: Pool,
    watch: config::Watch,
    positions: Arc<Positions>,
    watches: Arc<Semaphore>,
    watch_reads: Arc<Semaphore>,
}

impl Notification {
    /// Answers with what this database holds, for as long as the process runs.
    #[must_use]
    pub fn new(process: Arc<Process>, pool: Pool, watch: config::Watch) -> Notification {
        let watches_max = usize::try_from(watch.streams_max).expect("32 bits fit");
        let service = Notification {
            process,
            pool,
            watch,
            positions: Arc::default(),
            watches: Arc::new(Semaphore::new(watches_max)),
            watch_reads: Arc::new(Semaphore::new(WATCH_READS_MAX)),
        };
        service.process.spawn("poll_feeds", watch::poll_feeds(service.clone()));
        service
    }

    /// A call by a user.
    async fn answer<Q, A, F>(
        &self,
        request: Request<Q>,
        call: fn(Notification, Arc<Caller>, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Error>> + Send,
    {
        let caller = server::caller(&request)?;
        self.reply(call(self.clone(), caller, request.into_inner()).await)
    }

    fn reply<A>(&self, answer: Result<A, Error>) -> Result<Response<A>, Status> {
        answer.map(Response::new).map_err(|error| error.status(self.process.cloud.as_str()))
    }
}

/// Answers of a watch, each made when the one before was taken.
type Watched = Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Notification {
    type WatchEventsStream = Watched;

    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<Event>, Status> {
        self.answer(request, event::get_event).await
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        self.answer(request, event::list_events).await
    }

    async fn watch_events(&self, request: Request<WatchEventsRequest>) -> Result<Response<Watched>, Status> {
        self.answer(request, watch::watch_events).await
    }
}

#[tonic::async_trait]
impl IngestService for Notification {
    async fn ingest_events(
        &self,
        request: Request<IngestEventsRequest>,
    ) -> Result<Response<IngestEventsResponse>, Status> {
        self.reply(ingest::ingest_events(self, request.into_inner()).await)
    }
}
