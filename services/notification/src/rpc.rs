//! The calls of this service, one line a method; the steps of each stand in the file of its noun.

mod event;
mod ingest;
mod positions;
mod watch;

use std::pin::Pin;
use std::sync::Arc;

use api::notification::event_service_server::EventService;
use api::notification::ingest_service_server::IngestService;
use api::notification::{
    Event, GetEventRequest, IngestEventsRequest, IngestEventsResponse, ListEventsRequest, ListEventsResponse,
    WatchEventsRequest, WatchEventsResponse,
};
use futures_util::Stream;
use server::{Answer, Answers, Process};
use store::Pool;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::config;
use crate::error::Error;
use positions::Positions;

/// How many watches read the database at a time. The others wait in line, so that one event for all of them neither uses up the
/// connections nor makes other calls wait.
const WATCH_READS_MAX: usize = 2;

/// What the calls of this service work with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    process: Arc<Process>,
    pool: Pool,
    watch: config::Watch,
    positions: Arc<Positions>,
    watches: Arc<Semaphore>,
    watch_reads: Arc<Semaphore>,
}

impl Calls {
    /// Answers with what this database holds, for as long as the process runs.
    pub(crate) fn new(process: Arc<Process>, pool: Pool, watch: config::Watch) -> Calls {
        let watches_max = usize::try_from(watch.streams_max).expect("32 bits fit");
        let calls = Calls {
            process,
            pool,
            watch,
            positions: Arc::default(),
            watches: Arc::new(Semaphore::new(watches_max)),
            watch_reads: Arc::new(Semaphore::new(WATCH_READS_MAX)),
        };
        calls.process.spawn("poll_feeds", watch::poll_feeds(calls.clone()));
        calls
    }
}

impl Answers for Calls {
    type Error = Error;

    fn process(&self) -> &Process {
        &self.process
    }

    fn status(&self, error: Error) -> Status {
        error.status(self.process.cloud.as_str())
    }
}

/// Answers of a watch, each made when the one before was taken.
type Watched = Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EventService for Calls {
    type WatchEventsStream = Watched;

    async fn get_event(&self, request: Request<GetEventRequest>) -> Answer<Event> {
        self.answer(request, event::get_event).await
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        self.answer(request, event::list_events).await
    }

    async fn watch_events(&self, request: Request<WatchEventsRequest>) -> Answer<Watched> {
        self.answer(request, watch::watch_events).await
    }
}

#[tonic::async_trait]
impl IngestService for Calls {
    async fn ingest_events(&self, request: Request<IngestEventsRequest>) -> Answer<IngestEventsResponse> {
        // Services call for themselves, so there is no caller.
        let ingested = ingest::ingest_events(self, request.into_inner()).await;
        ingested.map(Response::new).map_err(|error| self.status(error))
    }
}
