//! What a change keeps, and how often.

use std::sync::Arc;

use testkit::Database;
use tokio::task::JoinSet;

use crate::{Inbox, Tell, TellError, outbox, request};

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

async fn times_of_one_key_only_grow(database: Database) {
    let outbox = outbox(&database).await; // its clock stands still
    let mut before = 0;
    for words in [&["a", "b", "c"][..], &["d"], &["e", "f"]] {
        let done = outbox.change(&request(None, 0), &Tell::new("customers/c", words)).await.expect("accepted");
        assert!(done.answer.seconds > before, "later than every event of the change before");
        before = done.answer.seconds + words.len() as i64 - 1;
    }
}
