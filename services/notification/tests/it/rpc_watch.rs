//! Watching feeds, over the wire.

use std::time::Duration;

use api::notification::watch_events_response::Response as Seen;
use api::notification::{Event, WatchEventsRequest, WatchEventsResponse};
use testkit::Database;
use tokio::task::JoinSet;
use tonic::{Code, Status, Streaming};

use crate::world::{CUSTOMER, Events, OPERATOR, PARTNER, World, bring, envelope, refused};

testkit::on_both!(
    a_watch_resumes_without_loss_or_repeat_while_events_come,
    a_watch_tells_where_it_stands_and_then_what_comes,
    silence_is_broken_by_heartbeats,
    events_that_another_replica_keeps_are_noticed,
    many_watches_of_one_feed_see_the_same,
    a_client_that_reads_late_misses_nothing,
    watches_that_cannot_be_are_refused,
    a_client_that_is_gone_gives_its_place_back,
    a_process_that_ends_sends_its_watchers_elsewhere,
);

const FEED: &str = "customers/c";
/// More than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn watch(
    events: &mut Events,
    parent: &str,
    after_sequence: i64,
) -> Result<Streaming<WatchEventsResponse>, Status> {
    let request = WatchEventsRequest { parent: parent.to_owned(), after_sequence };
    events.watch_events(request).await.map(tonic::Response::into_inner)
}

async fn next(stream: &mut Streaming<WatchEventsResponse>) -> Result<Seen, Status> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("the stream says something in time");
    Ok(message?.expect("a watch does not end by itself").response.expect("one of both is set"))
}

/// Where the heartbeat that comes next stands.
async fn heartbeat(stream: &mut Streaming<WatchEventsResponse>) -> i64 {
    match next(stream).await.unwrap() {
        Seen::Heartbeat(heartbeat) => heartbeat.sequence,
        Seen::Event(event) => panic!("{event:?} came in place of a heartbeat"),
    }
}

/// The event that comes next, before any silence.
async fn event(stream: &mut Streaming<WatchEventsResponse>) -> Event {
    match next(stream).await.unwrap() {
        Seen::Event(event) => event,
        Seen::Heartbeat(heartbeat) => panic!("{heartbeat:?} came in place of an event"),
    }
}

async fn a_watch_resumes_without_loss_or_repeat_while_events_come(database: Database) {
    const EVENTS: u128 = 300;
    let world = World::start(&database).await;
    let mut events = world.events(CUSTOMER);
    let mut relays = JoinSet::new();
    // Two relays bring the same events, so most come twice, and others' feeds fill at the same time.
    for _ in 0..2 {
        let mut relationship = world.relationship();
        relays.spawn(async move {
            for start in (0..EVENTS).step_by(7) {
                let part = start..(start + 7).min(EVENTS);
                bring(&mut relationship, part.map(|number| envelope(number, "a.b", &[FEED, "partners/p"])).collect())
                    .await;
            }
        });
    }
    let mut seen: Vec<Event> = Vec::new();
    for connection in 1.. {
        let after = i64::try_from(seen.len()).unwrap();
        let mut stream = watch(&mut events, FEED, after).await.unwrap();
        assert_eq!(heartbeat(&mut stream).await, after);
        for _ in 0..connection * 5 {
            if seen.len() < 300 {
                seen.push(event(&mut stream).await);
            }
        }
        if seen.len() == 300 {
            break;
        }
    }
    relays.join_all().await;
    let sequences: Vec<i64> = seen.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=300).collect::<Vec<i64>>());
    let mut names: Vec<&str> = seen.iter().map(|event| event.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 300, "each event once");
}

async fn a_watch_tells_where_it_stands_and_then_what_comes(database: Database) {
    let world = World::with(&database, "poll_seconds = 60").await;
    let (mut events, mut relationship) = (world.events(CUSTOMER), world.relationship());
    let mut from_nothing = watch(&mut events, FEED, 0).await.unwrap();
    assert_eq!(heartbeat(&mut from_nothing).await, 0);
    bring(&mut relationship, vec![envelope(1, "a.b", &[FEED]), envelope(2, "a.b", &[FEED])]).await;
    assert_eq!(event(&mut from_nothing).await.sequence, 1);

    let mut from_now = watch(&mut events, FEED, -1).await.unwrap();
    assert_eq!(heartbeat(&mut from_now).await, 2, "the sequence to resume after");
    let mut from_start = watch(&mut events, FEED, 0).await.unwrap();
    assert_eq!(heartbeat(&mut from_start).await, 0, "not where the feed stands: nothing was sent yet");
    let brought = envelope(3, "delegation.granted", &[FEED]);
    bring(&mut relationship, vec![brought.clone()]).await;
    let first = event(&mut from_now).await;
    let expected = Event { name: format!("{FEED}/events/{}", brought.event_id), sequence: 3, ..brought.event.unwrap() };
    assert_eq!(first, expected);
    for sequence in 1..=3 {
        assert_eq!(event(&mut from_start).await.sequence, sequence);
    }
}

async fn silence_is_broken_by_heartbeats(database: Database) {
    let world = World::with(&database, "heartbeat_seconds = 0.05").await;
    let mut stream = watch(&mut world.events(PARTNER), "partners/p", 0).await.unwrap();
    for _ in 0..3 {
        assert_eq!(heartbeat(&mut stream).await, 0);
    }
    bring(&mut world.relationship(), vec![envelope(1, "a.b", &["partners/p"])]).await;
    while let Seen::Heartbeat(heartbeat) = next(&mut stream).await.unwrap() {
        assert_eq!(heartbeat.sequence, 0);
    }
    assert_eq!(heartbeat(&mut stream).await, 1);
}

async fn events_that_another_replica_keeps_are_noticed(database: Database) {
    let world = World::with(&database, "poll_seconds = 0.02").await;
    let (address, _shutdown) = world.replica().await;
    let mut stream = watch(&mut world.events(CUSTOMER), FEED, 0).await.unwrap();
    assert_eq!(heartbeat(&mut stream).await, 0);
    let mut elsewhere = world.relationship_at(address);
    for number in 1..=3 {
        bring(&mut elsewhere, vec![envelope(number, "a.b", &[FEED])]).await;
        assert_eq!(u128::try_from(event(&mut stream).await.sequence), Ok(number));
    }
}

async fn many_watches_of_one_feed_see_the_same(database: Database) {
    let world = World::start(&database).await;
    let mut watchers = JoinSet::new();
    for _ in 0..50 {
        let mut stream = watch(&mut world.events(CUSTOMER), FEED, 0).await.unwrap();
        assert_eq!(heartbeat(&mut stream).await, 0);
        watchers.spawn(async move {
            for sequence in 1..=20 {
                assert_eq!(event(&mut stream).await.sequence, sequence);
            }
        });
    }
    let mut relationship = world.relationship();
    for number in 0..20 {
        bring(&mut relationship, vec![envelope(number, "a.b", &[FEED])]).await;
    }
    watchers.join_all().await;
}

/// More than the windows of HTTP/2 hold is waiting for a client that looks elsewhere, and the end of the process does not wait
/// for it.
async fn a_client_that_reads_late_misses_nothing(database: Database) {
    const EVENTS: u128 = 600;
    let world = World::with(&database, "[process.limits]\ndrain_max_seconds = 0.2").await;
    let mut events = world.events(CUSTOMER);
    let mut late = watch(&mut events, FEED, 0).await.unwrap();
    let never = watch(&mut events, FEED, 0).await.unwrap();
    let mut relationship = world.relationship();
    let long = |number| {
        let mut envelope = envelope(number, "a.b", &[FEED]);
        envelope.event.as_mut().unwrap().reason = "x".repeat(10_000);
        envelope
    };
    for start in (0..EVENTS).step_by(50) {
        bring(&mut relationship, (start..start + 50).map(long).collect()).await;
    }
    assert_eq!(heartbeat(&mut late).await, 0);
    for number in 1..=EVENTS {
        assert_eq!(u128::try_from(event(&mut late).await.sequence), Ok(number));
    }
    world.shutdown.begin();
    assert!(world.shutdown.drained(PATIENCE).await);
    drop(never);
}

async fn watches_that_cannot_be_are_refused(database: Database) {
    let world = World::start(&database).await;
    bring(&mut world.relationship(), vec![envelope(1, "a.b", &[FEED])]).await;
    let mut events = world.events(PARTNER);
    for parent in [FEED, "customers/unknown", "partners/q"] {
        let refused = refused(watch(&mut events, parent, 0).await);
        refused.expect(Code::NotFound, "RESOURCE_NOT_FOUND", &[("rule", "I12"), ("resource", parent)], false);
    }
    refused(watch(&mut events, "partners", 0).await).expect_field("parent");
    refused(watch(&mut events, "partners/p", -2).await).expect_field("after_sequence");
    refused(watch(&mut world.events(OPERATOR), FEED, 2).await).expect_field("after_sequence");
}

async fn a_client_that_is_gone_gives_its_place_back(database: Database) {
    let world = World::with(&database, "streams_max = 1").await;
    let mut events = world.events(CUSTOMER);
    let stream = watch(&mut events, FEED, 0).await.unwrap();
    let refused = refused(watch(&mut events, FEED, 0).await);
    refused.expect(Code::ResourceExhausted, "OVERLOADED", &[("rule", "AIP-194"), ("resource", "")], true);
    drop(stream);
    let again = async {
        while watch(&mut events, FEED, 0).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the place becomes free");
}

async fn a_process_that_ends_sends_its_watchers_elsewhere(database: Database) {
    let world = World::start(&database).await;
    let mut events = world.events(CUSTOMER);
    let mut stream = watch(&mut events, FEED, 0).await.unwrap();
    assert_eq!(heartbeat(&mut stream).await, 0);
    world.shutdown.begin();
    let ended = refused(next(&mut stream).await);
    ended.expect(Code::Unavailable, "DEPENDENCY_UNAVAILABLE", &[("rule", "AIP-194"), ("resource", "")], true);
    assert!(world.shutdown.drained(PATIENCE).await, "nothing of the watch is left");
}
