//! What a change keeps, and how often.

use std::sync::Arc;

use outbox::{Change, Outbox, Scope};
use store::Settings;
use testkit::Database;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::{Inbox, Tell, TellError, clock, outbox, pool_of, request};

testkit::on_both!(
    a_repeated_request_gets_the_first_answer,
    a_request_id_is_not_good_for_another_request,
    a_refused_change_keeps_nothing,
    concurrent_repeats_are_one_change,
    times_of_one_key_only_grow,
);

async fn a_repeated_request_gets_the_first_answer(database: Database) {
    let outbox = outbox(&database).await;
    let tell = Tell::new("customers/c", &["once"]);
    let first = outbox.change(&request(Some(1), 7), &tell).await.expect("accepted");
    let again = outbox.change(&request(Some(1), 7), &tell).await.expect("a repeat");
    assert_eq!(first.answer, again.answer);
    let other = outbox.change(&request(Some(2), 7), &tell).await.expect("a new request");
    assert_ne!(first.answer, other.answer);
    let received = Inbox::default().receive(&outbox, 2).await;
    assert_eq!(received.len(), 2, "{received:?}");
}

async fn a_request_id_is_not_good_for_another_request(database: Database) {
    let outbox = outbox(&database).await;
    let tell = Tell::new("customers/c", &["once"]);
    outbox.change(&request(Some(1), 7), &tell).await.expect("accepted");
    let reused = outbox.change(&request(Some(1), 8), &tell).await;
    assert!(matches!(reused, Err(TellError::Reused)), "{reused:?}");
}

async fn a_refused_change_keeps_nothing(database: Database) {
    let outbox = outbox(&database).await;
    let refused = Tell { refuse: true, ..Tell::new("customers/c", &["never"]) };
    let answer = outbox.change(&request(Some(1), 7), &refused).await;
    assert!(matches!(answer, Err(TellError::Refused)), "{answer:?}");
    // Not even the request id: the same request may succeed later.
    outbox.change(&request(Some(1), 7), &Tell::new("customers/c", &["now"])).await.expect("accepted");
    let received = Inbox::default().receive(&outbox, 1).await;
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].contains("now"), "{received:?}");
}

async fn concurrent_repeats_are_one_change(database: Database) {
    let outbox = Arc::new(outbox(&database).await);
    let mut callers = JoinSet::new();
    for _ in 0..30 {
        let outbox = Arc::clone(&outbox);
        callers.spawn(async move {
            let tell = Tell::new("customers/c", &["once"]);
            outbox.change(&request(Some(1), 7), &tell).await.expect("accepted").answer
        });
    }
    let answers = callers.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let received = Inbox::default().receive(&outbox, 1).await;
    assert_eq!(received.len(), 1, "{received:?}");
}

/// A change that is made when the gate opens, and says when it has come to it.
struct Gated {
    arrived: Notify,
    gate: Semaphore,
}

impl Change for Gated {
    const NAME: &'static str = "gated";
    type Answer = ();
    type Error = TellError;

    fn key(&self) -> &str {
        "customers/slow"
    }

    async fn apply(&self, _: &mut Scope<'_>) -> Result<(), TellError> {
        self.arrived.notify_one();
        let _open = self.gate.acquire().await.expect("nobody closes it");
        Ok(())
    }
}

#[test]
fn many_changes_of_one_key_keep_no_connection_from_another() {
    testkit::database::on_postgres(|database| async move {
        // As few as a service may have.
        let settings = Settings { connections_max: 3, ..Settings::new(database.url()) };
        let outbox = Outbox::new(pool_of(settings).await, clock());
        let slow = Arc::new(Gated { arrived: Notify::new(), gate: Semaphore::new(0) });
        let mut waiting = JoinSet::new();
        for _ in 0..20 {
            let (outbox, slow) = (outbox.clone(), Arc::clone(&slow));
            waiting.spawn(async move { outbox.change(&request(None, 0), &*slow).await.map(drop) });
        }
        slow.arrived.notified().await;
        let other = Tell::new("customers/other", &["here"]);
        outbox.change(&request(None, 0), &other).await.expect("there are connections left");
        slow.gate.add_permits(1);
        for done in waiting.join_all().await {
            done.expect("they are made one after the other");
        }
    });
}

async fn times_of_one_key_only_grow(database: Database) {
    let outbox = outbox(&database).await; // its clock stands still
    let mut before = 0;
    for words in [&["a", "b", "c"][..], &["d"], &["e", "f"]] {
        let done = outbox.change(&request(None, 0), &Tell::new("customers/c", words)).await.expect("accepted");
        assert!(done.answer.seconds > before, "later than every event of the change before");
        before = done.answer.seconds + words.len() as i64 - 1;
    }
}
