//! A feed is one, whichever replica of the notification service takes an event in and whichever is watched.

use std::time::Duration;

use api::notification::ingest_service_client::IngestServiceClient;
use api::notification::{Event, EventEnvelope, IngestEventsRequest};
use prost_types::Timestamp;
use tokio::time::timeout;

use crate::mutations::stage::{Person, Stage};
use crate::scenarios::history::watched_until;
use crate::scenarios::request_id;

/// What another replica has kept is looked for every second (`watch.poll_seconds`); the rest is for a machine with much to do.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

const FEED: &str = "customers/tessera";

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_one_replica_hears_what_the_other_has_taken_in() {
    let stage = Stage::apart("public").await;
    let readers = stage.callers(&Person::admin("tessera", "gwen")).await;
    let takers = stage.peers(["relationship", "notification"], None);
    let mut sequence = 0;
    for (taker, reader) in [(0, 1), (1, 0), (0, 1)] {
        let hearing = watched_until(&readers[reader], FEED, sequence, |events| !events.is_empty());
        let told = async {
            let envelope = EventEnvelope {
                event_id: request_id(),
                feeds: vec![FEED.to_owned()],
                event: Some(Event {
                    r#type: "subscription.renewed".to_owned(),
                    event_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
                    ..Event::default()
                }),
                traceparent: String::new(),
            };
            let mut client = IngestServiceClient::new(takers[taker].wire.clone());
            client.ingest_events(IngestEventsRequest { envelopes: vec![envelope] }).await.expect("it is an event");
        };
        let both = async { tokio::join!(hearing, told).0 };
        let events = timeout(HEARD_WITHIN, both).await.expect("it is looked for every second");
        sequence += 1;
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [sequence]);
    }
}
