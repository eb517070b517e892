//! Receivers that are dead, slow, or restored from a backup; and relays that die.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use clock::Time;
use outbox::{Outbox, inspect};
use testkit::Database;

use crate::{Inbox, Tell, clock, outbox, pool, request};

testkit::on_both!(
    what_was_delivered_is_delivered_again_with_the_same_ids_and_in_order,
    what_was_delivered_before_is_left_alone,
    a_dead_receiver_keeps_no_writer_waiting,
    a_receiver_that_hangs_keeps_no_writer_waiting,
);

async fn tell(outbox: &Outbox, key: &str, words: &[&'static str]) {
    outbox.change(&request(None, 0), &Tell::new(key, words)).await.expect("accepted");
}

async fn what_was_delivered_is_delivered_again_with_the_same_ids_and_in_order(database: Database) {
    let outbox = outbox(&database).await;
    for _ in 0..300 {
        tell(&outbox, "customers/c", &["a", "b"]).await;
    }
    let inbox = Inbox::default();
    inbox.deliver_all(&outbox).await;
    // One more was never delivered, and comes after all that was.
    tell(&outbox, "customers/c", &["last"]).await;
    assert_eq!(inspect::redeliver(outbox.pool(), Time::default()).await.expect("it is done"), 600);
    let restored = Inbox::default();
    restored.deliver_all(&outbox).await;
    let first = inbox.records.into_inner().expect("no panic holds it");
    let again = restored.records.into_inner().expect("no panic holds it");
    assert_eq!(again.len(), 601);
    assert_eq!(first[..], again[..600], "the same ids with the same payloads, in the same order");
    assert!(crate::text(&again[600]).contains("last"));
    assert_eq!(inspect::status(outbox.pool()).await.expect("it is counted").kept, 601);
}

async fn what_was_delivered_before_is_left_alone(database: Database) {
    let outbox = outbox(&database).await;
    tell(&outbox, "customers/c", &["a"]).await;
    Inbox::default().deliver_all(&outbox).await;
    // A time to come for every database.
    let later = Time::from_seconds(100_000_000_000);
    assert_eq!(inspect::redeliver(outbox.pool(), later).await.expect("it is done"), 0);
    let status = inspect::status(outbox.pool()).await.expect("it is counted");
    assert_eq!((status.waiting, status.kept), (0, 1));
}

async fn a_dead_receiver_keeps_no_writer_waiting(database: Database) {
    let outbox = outbox(&database).await;
    let inbox = Inbox::default();
    *inbox.failures.lock().expect("no panic holds it") = u32::MAX;
    let writes = async {
        for _ in 0..300 {
            tell(&outbox, "customers/c", &["a"]).await;
        }
    };
    tokio::select! {
        () = outbox.relay(&inbox, &[]) => {}
        () = writes => {}
    }
    assert_eq!(inspect::status(outbox.pool()).await.expect("it is counted").waiting, 300);
    *inbox.failures.lock().expect("no panic holds it") = 0;
    assert_eq!(inbox.receive(&outbox, 300).await.len(), 300);
}

async fn a_receiver_that_hangs_keeps_no_writer_waiting(database: Database) {
    let outbox = outbox(&database).await;
    tell(&outbox, "customers/c", &["a"]).await;
    let inbox = Inbox::default();
    inbox.hangs.store(true, Ordering::SeqCst);
    let writes = async {
        while inbox.calls.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tell(&outbox, "customers/c", &["a"]).await;
        }
    };
    tokio::select! {
        () = outbox.relay(&inbox, &[]) => {}
        () = writes => {}
    }
    assert_eq!(inspect::status(outbox.pool()).await.expect("it is counted").waiting, 101);
}

/// The process that serves the connection with the lock dies.
async fn the_leader_loses_its_connection(outbox: &Outbox) {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks
         WHERE locktype = 'advisory' AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut tx = store::read(outbox.pool()).await.expect("it answers");
    let store::Tx::Postgres(tx) = &mut tx else { panic!("PostgreSQL has leaders") };
    let ended: Vec<bool> = sqlx::query_scalar(END).fetch_all(&mut **tx).await.expect("it answers");
    assert_eq!(ended, [true], "one relay leads");
}

#[test]
fn another_relay_takes_over_when_the_connection_of_the_leader_dies() {
    testkit::database::on_postgres(|database| async move {
        let pool = pool(&database).await;
        let outbox = Outbox::new(pool.clone(), clock());
        let (leader, other) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
        // It hangs in a delivery, so it cannot notice by itself that it leads no more.
        leader.hangs.store(true, Ordering::SeqCst);
        tell(&outbox, "customers/c", &["a", "b"]).await;
        let play = async {
            while leader.calls.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            let scene = async {
                assert_eq!(other.calls.load(Ordering::SeqCst), 0, "one relay leads at a time");
                the_leader_loses_its_connection(&outbox).await;
                while other.texts().len() < 2 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = outbox.relay(&*other, &[]) => {}
                () = scene => {}
            }
        };
        let played = tokio::time::timeout(std::time::Duration::from_secs(15), async {
            tokio::select! {
                () = outbox.relay(&*leader, &[]) => {}
                () = play => {}
            }
        });
        played.await.expect("the other takes over while the first still hangs");
        assert_eq!(other.words(), ["a", "b"]);
    });
}
