//! Every statement, on both engines, and writers that meet.

use clock::{Clock, Time, Uuid};
use notification::domain::event::{Arrival, EventType, Kept};
use notification::domain::feed::Feed;
use notification::store::event::{self, Keep, Outcome, READ_MAX_BYTES, Range};
use notification::store::{feed, schema};
use store::{Failure, Pool, Settings, Tx, Work};
use testkit::Database;
use tokio::task::JoinSet;

use crate::kept::{arrival, customer, numbers, partner, sequences};

testkit::on_both!(
    events_are_kept_once_in_the_order_of_arrival,
    an_event_of_two_feeds_counts_once_and_has_its_place_in_each,
    concurrent_ingests_of_the_same_events_keep_each_once_without_gaps,
    an_ingest_that_fails_leaves_no_gap,
    types_are_told_apart_to_the_letter,
    a_range_is_cut_by_count_and_by_bytes,
    positions_of_many_feeds_come_at_once,
);

async fn open(database: &Database) -> Pool {
    let settings = Settings { connections_max: 8, ..Settings::new(database.url()) };
    Pool::migrate(&settings, &schema()).await.unwrap()
}

async fn keep(pool: &Pool, arrivals: &[Arrival]) -> Outcome {
    let now = Clock::manual(Time::from_seconds(1_800_000_000)).now();
    store::transaction(pool, &Keep { arrivals, now }).await.unwrap()
}

async fn list(pool: &Pool, feed: &Feed, range: Range<'_>) -> Vec<Kept> {
    let mut tx = store::read(pool).await.unwrap();
    event::list(&mut tx, feed, range).await.unwrap()
}

const ALL: Range<'static> = Range { after: 0, limit: 10_000, event_type: None };

async fn events_are_kept_once_in_the_order_of_arrival(database: Database) {
    let pool = open(&database).await;
    let feed = customer("c");
    let event = |number| arrival(number, "a.b", &[customer("c")]);
    let first = keep(&pool, &[event(3), event(1), event(3)]).await;
    assert_eq!(first, Outcome { new_count: 2, advanced: vec![(feed.clone(), 2)] });
    let repeat = keep(&pool, &[event(1), event(3)]).await;
    assert_eq!(repeat, Outcome::default());
    let more = keep(&pool, &[event(1), event(2)]).await;
    assert_eq!(more, Outcome { new_count: 1, advanced: vec![(feed.clone(), 3)] });

    let kept = list(&pool, &feed, ALL).await;
    assert_eq!((numbers(&kept), sequences(&kept)), (vec![3, 1, 2], vec![1, 2, 3]));
    assert_eq!(kept[2].payload, event(2).payload);
    let mut tx = store::read(&pool).await.unwrap();
    assert_eq!(event::find(&mut tx, &feed, Uuid::from_u128(2)).await.unwrap().as_ref(), Some(&kept[2]));
    assert_eq!(event::find(&mut tx, &customer("d"), Uuid::from_u128(2)).await.unwrap(), None);
    assert_eq!(feed::last(&mut tx, &feed).await.unwrap(), 3);
    assert_eq!(feed::last(&mut tx, &customer("d")).await.unwrap(), 0);
}

async fn an_event_of_two_feeds_counts_once_and_has_its_place_in_each(database: Database) {
    let pool = open(&database).await;
    keep(&pool, &[arrival(1, "a.b", &[partner("x")])]).await;
    // The ids of a partner and a customer can be the same; their feeds are not.
    let outcome = keep(&pool, &[arrival(2, "a.b", &[partner("x"), customer("x")])]).await;
    assert_eq!(outcome.new_count, 1);
    assert_eq!(sequences(&list(&pool, &partner("x"), ALL).await), [1, 2]);
    assert_eq!(sequences(&list(&pool, &customer("x"), ALL).await), [1]);
}

/// Eight relays bring overlapping parts of the same events, in different order, to feeds that they share.
async fn concurrent_ingests_of_the_same_events_keep_each_once_without_gaps(database: Database) {
    const EVENTS: u128 = 60;
    let pool = open(&database).await;
    let feeds = |number: u128| match number % 3 {
        0 => vec![partner("p"), customer("c")],
        1 => vec![customer("c"), customer("d")],
        _ => vec![customer("d"), partner("p")],
    };
    let mut relays = JoinSet::new();
    for relay in 0..8_u128 {
        let pool = pool.clone();
        relays.spawn(async move {
            let mut new_count = 0;
            for part in 0..6_u128 {
                let start = (part + relay) % 6 * 10;
                let mut arrivals: Vec<Arrival> = (start..start + 20)
                    .map(|number| number % EVENTS)
                    .map(|number| arrival(number, "a.b", &feeds(number)))
                    .collect();
                if relay % 2 == 1 {
                    arrivals.reverse();
                }
                new_count += keep(&pool, &arrivals).await.new_count;
            }
            new_count
        });
    }
    let new_count: usize = relays.join_all().await.into_iter().sum();
    assert_eq!(new_count, 60, "each was new exactly once");
    for feed in [partner("p"), customer("c"), customer("d")] {
        let kept = list(&pool, &feed, ALL).await;
        assert_eq!(sequences(&kept), (1..=40).collect::<Vec<i64>>(), "{feed}");
        let mut ids = numbers(&kept);
        ids.sort_unstable();
        let expected: Vec<u128> = (0..EVENTS).filter(|number| feeds(*number).contains(&feed)).collect();
        assert_eq!(ids, expected, "{feed}");
    }
}

/// Keeps events and fails afterwards, as when the connection breaks.
struct Broken<'a>(Keep<'a>);

impl Work for Broken<'_> {
    const NAME: &'static str = "broken";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        self.0.run(tx).await?;
        Err(Failure::inconsistent("events", "it broke"))
    }
}

async fn an_ingest_that_fails_leaves_no_gap(database: Database) {
    let pool = open(&database).await;
    let event = |number| arrival(number, "a.b", &[customer("c")]);
    keep(&pool, &[event(1)]).await;
    let lost = [event(2), event(3)];
    let broken = Broken(Keep { arrivals: &lost, now: Time::from_seconds(1) });
    store::transaction(&pool, &broken).await.unwrap_err();
    keep(&pool, &[event(4)]).await;
    let kept = list(&pool, &customer("c"), ALL).await;
    assert_eq!((numbers(&kept), sequences(&kept)), (vec![1, 4], vec![1, 2]));
}

async fn types_are_told_apart_to_the_letter(database: Database) {
    let pool = open(&database).await;
    let feed = customer("c");
    let types = ["a.bc", "a.bC", "a.bc", "b.a", "a.bc"];
    let arrivals: Vec<Arrival> =
        types.iter().zip(1..).map(|(event_type, number)| arrival(number, event_type, &[customer("c")])).collect();
    keep(&pool, &arrivals).await;
    let wanted = EventType::parse("a.bc").unwrap();
    let of_type = |after, limit| Range { after, limit, event_type: Some(&wanted) };
    assert_eq!(sequences(&list(&pool, &feed, of_type(0, 10)).await), [1, 3, 5]);
    assert_eq!(sequences(&list(&pool, &feed, of_type(1, 1)).await), [3]);
    assert_eq!(sequences(&list(&pool, &feed, of_type(5, 10)).await), Vec::<i64>::new());
}

async fn a_range_is_cut_by_count_and_by_bytes(database: Database) {
    let pool = open(&database).await;
    let feed = customer("c");
    let sized = |number, bytes| Arrival { payload: vec![0; bytes], ..arrival(number, "a.b", &[customer("c")]) };
    let half = READ_MAX_BYTES / 2;
    let arrivals =
        [sized(1, half), sized(2, half), sized(3, 1), sized(4, 1), sized(5, READ_MAX_BYTES + 1), sized(6, 1)];
    keep(&pool, &arrivals).await;
    let read = async |after, limit| {
        let kept = list(&pool, &feed, Range { after, limit, event_type: None }).await;
        (sequences(&kept), event::fitting(&kept))
    };
    assert_eq!(read(0, 1).await, (vec![1], 1));
    assert_eq!(read(0, 10).await, (vec![1, 2, 3], 2), "one more is read to know that more follow");
    assert_eq!(read(2, 10).await, (vec![3, 4, 5], 2));
    assert_eq!(read(4, 10).await, (vec![5, 6], 1), "an event too large for any page has one of its own");
    assert_eq!(read(5, 10).await, (vec![6], 1));
    assert_eq!(read(6, 10).await, (vec![], 0));
}

async fn positions_of_many_feeds_come_at_once(database: Database) {
    let pool = open(&database).await;
    keep(&pool, &[arrival(1, "a.b", &[partner("p"), customer("c")]), arrival(2, "a.b", &[customer("c")])]).await;
    let feeds = [customer("c"), customer("unknown"), partner("p")];
    let mut tx = store::read(&pool).await.unwrap();
    let mut lasts = feed::last_of_many(&mut tx, &feeds).await.unwrap();
    lasts.sort();
    assert_eq!(lasts, [(&partner("p"), 1), (&customer("c"), 2)]);
    assert_eq!(feed::last_of_many(&mut tx, &[]).await.unwrap(), []);
}
