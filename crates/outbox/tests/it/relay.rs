//! How events arrive.

use std::sync::Arc;

use testkit::Database;
use tokio::task::JoinSet;

use crate::{Inbox, Tell, outbox, request};

testkit::on_both!(
    events_of_one_key_arrive_in_order,
    a_failed_delivery_is_tried_again,
    what_was_delivered_is_not_delivered_again,
    two_relays_deliver_everything,
    what_is_delivered_together_is_bounded_in_bytes,
);

/// The words after each key, in the order of arrival.
fn words_of(key: &str, received: &[String]) -> Vec<i64> {
    let of_key = received.iter().filter(|text| text.starts_with(key));
    of_key.map(|text| text.rsplit(' ').next().and_then(|time| time.parse().ok()).expect("a time")).collect()
}

async fn events_of_one_key_arrive_in_order(database: Database) {
    let outbox = Arc::new(outbox(&database).await);
    let mut callers = JoinSet::new();
    for caller in 0..10 {
        let outbox = Arc::clone(&outbox);
        callers.spawn(async move {
            for _ in 0..30 {
                let tell = Tell::new(if caller % 2 == 0 { "customers/even" } else { "customers/odd" }, &["a", "b"]);
                outbox.change(&request(None, 0), &tell).await.expect("accepted");
            }
        });
    }
    // The relay runs while the changes are made.
    let received = Inbox::default().receive(&outbox, 600).await;
    callers.join_all().await;
    for key in ["customers/even", "customers/odd"] {
        let times = words_of(key, &received);
        assert_eq!(times.len(), 300);
        assert!(times.is_sorted_by(|one, next| one < next), "{key}: {times:?}");
    }
}

async fn a_failed_delivery_is_tried_again(database: Database) {
    let outbox = outbox(&database).await;
    outbox.change(&request(None, 0), &Tell::new("customers/c", &["a", "b"])).await.expect("accepted");
    let inbox = Inbox::default();
    *inbox.failures.lock().expect("no panic holds it") = 2;
    let received = inbox.receive(&outbox, 2).await;
    assert_eq!(received.len(), 2, "{received:?}");
}

async fn what_was_delivered_is_not_delivered_again(database: Database) {
    let outbox = outbox(&database).await;
    let inbox = Inbox::default();
    outbox.change(&request(None, 0), &Tell::new("customers/c", &["a"])).await.expect("accepted");
    let later = async {
        while inbox.texts().is_empty() {
            tokio::task::yield_now().await;
        }
        outbox.change(&request(None, 0), &Tell::new("customers/c", &["b"])).await.expect("accepted");
    };
    let (received, ()) = tokio::join!(inbox.receive(&outbox, 2), later);
    assert!(received.len() == 2 && received[1].contains(" b "), "{received:?}");
}

async fn two_relays_deliver_everything(database: Database) {
    let outbox = outbox(&database).await;
    for _ in 0..50 {
        outbox.change(&request(None, 0), &Tell::new("customers/c", &["a"])).await.expect("accepted");
    }
    let inbox = Inbox::default();
    let (received, _) = tokio::join!(inbox.receive(&outbox, 50), inbox.receive(&outbox, 50));
    let times = words_of("customers/c", &received);
    if database.is_postgres() {
        assert_eq!(times.len(), 50, "one relay leads, the other waits");
    }
    let distinct: std::collections::BTreeSet<i64> = times.into_iter().collect();
    assert_eq!(distinct.len(), 50);
}

async fn what_is_delivered_together_is_bounded_in_bytes(database: Database) {
    let outbox = outbox(&database).await;
    let word = |kibibytes: usize| -> &'static str { "x".repeat(kibibytes * 1024).leak() };
    let words = [word(200), word(200), word(200), word(900), word(1), word(1)];
    outbox.change(&request(None, 0), &Tell::new("customers/c", &words)).await.expect("accepted");
    let inbox = Inbox::default();
    let received = inbox.receive(&outbox, words.len()).await;
    assert!(words_of("customers/c", &received).is_sorted());
    assert_eq!(*inbox.counts.lock().expect("no panic holds it"), [2, 1, 1, 2], "512 KiB, or one that weighs more");
}
