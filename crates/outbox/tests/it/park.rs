//! What becomes of events that the receiver refuses for good.

use std::time::Duration;

use clock::Uuid;
use outbox::{Outbox, inspect};
use testkit::Database;

use crate::{Inbox, Tell, outbox, request};

testkit::on_both!(
    a_poisoned_event_is_parked_and_holds_back_its_key_alone,
    a_redriven_event_goes_first_and_those_behind_it_follow_in_order,
    a_redriven_event_that_is_refused_again_is_parked_again,
    all_are_redriven_at_once,
    what_passes_parks_nothing,
    those_behind_are_let_go_when_whoever_redrove_was_cut_off,
);

async fn tell(outbox: &Outbox, key: &str, words: &[&'static str]) {
    outbox.change(&request(None, 0), &Tell::new(key, words)).await.expect("accepted");
}

/// Cedar's second event is poisoned; its third waits behind it.
async fn parked(outbox: &Outbox) -> Inbox {
    tell(outbox, "customers/cedar", &["one", "poison"]).await;
    tell(outbox, "customers/birch", &["first"]).await;
    tell(outbox, "customers/cedar", &["three"]).await;
    tell(outbox, "customers/birch", &["second"]).await;
    let inbox = Inbox::refusing("poison");
    inbox.relay_until(outbox, async |status| status.parked == 1 && status.waiting == 0).await;
    inbox
}

async fn a_poisoned_event_is_parked_and_holds_back_its_key_alone(database: Database) {
    let outbox = outbox(&database).await;
    let inbox = parked(&outbox).await;
    let mut words = inbox.words();
    assert_eq!(words.iter().position(|word| word == "first"), Some(words.len() - 2), "{words:?}");
    words.sort();
    assert_eq!(words, ["first", "one", "second"], "each once, since each went alone after the refusal");
    let calls = inbox.calls.load(std::sync::atomic::Ordering::SeqCst);
    assert!(calls <= 20, "the batch is not sent for ever: {calls}");

    // What happens later goes on for others, and waits for the same.
    tell(&outbox, "customers/birch", &["third"]).await;
    tell(&outbox, "customers/cedar", &["four"]).await;
    inbox.relay_until(&outbox, async |status| status.waiting == 0).await;
    assert_eq!(inbox.words().last().map(String::as_str), Some("third"));
    let status = inspect::status(outbox.pool()).await.expect("it is counted");
    assert_eq!((status.waiting, status.parked, status.behind, status.kept), (0, 1, 2, 4));
    assert_eq!(status.oldest_age, Duration::ZERO);

    let [parked] = &inspect::parked(outbox.pool()).await.expect("it is listed")[..] else { panic!("one is parked") };
    assert_eq!((parked.key.as_str(), parked.tries, parked.reason.as_str()), ("customers/cedar", 5, "never: poison"));
    assert!(String::from_utf8_lossy(&parked.payload).contains("poison"));
    assert!(parked.since.seconds() > 1_700_000_000, "by the clock of the database: {parked:?}");
}

async fn a_redriven_event_goes_first_and_those_behind_it_follow_in_order(database: Database) {
    let outbox = outbox(&database).await;
    let inbox = parked(&outbox).await;
    for word in ["four", "five"] {
        tell(&outbox, "customers/cedar", &[word]).await;
    }
    inbox.deliver_all(&outbox).await;
    inbox.accept();
    let id = inspect::parked(outbox.pool()).await.expect("it is listed")[0].id;
    assert_eq!(inspect::redrive(outbox.pool(), Uuid::nil()).await.expect("it is done"), 0, "there is none of that id");
    // One more comes at the worst moment.
    let (redriven, ()) = tokio::join!(inspect::redrive(outbox.pool(), id), tell(&outbox, "customers/cedar", &["six"]));
    assert_eq!(redriven.expect("it is done"), 1);
    let received = inbox.receive(&outbox, 8).await;
    let cedar: Vec<String> = received.iter().filter(|text| text.starts_with("customers/cedar")).cloned().collect();
    let words: Vec<&str> = cedar.iter().filter_map(|text| text.split(' ').nth(1)).collect();
    assert_eq!(words, ["one", "poison", "three", "four", "five", "six"]);
    let status = inspect::status(outbox.pool()).await.expect("it is counted");
    assert_eq!((status.parked, status.behind), (0, 0));
}

async fn a_redriven_event_that_is_refused_again_is_parked_again(database: Database) {
    let outbox = outbox(&database).await;
    let inbox = parked(&outbox).await;
    assert_eq!(inspect::redrive_all(outbox.pool()).await.expect("it is done"), 1);
    inbox.relay_until(&outbox, async |status| status.parked == 1 && status.waiting == 0).await;
    assert_eq!(inspect::status(outbox.pool()).await.expect("it is counted").behind, 1);
    assert_eq!(inspect::parked(outbox.pool()).await.expect("it is listed")[0].tries, 5, "tried as often as any");
    assert!(!inbox.words().contains(&"three".to_owned()), "it stays behind: {:?}", inbox.words());
}

async fn all_are_redriven_at_once(database: Database) {
    let outbox = outbox(&database).await;
    for key in ["customers/a", "customers/b", "customers/c"] {
        tell(&outbox, key, &["poison", "next"]).await;
    }
    let inbox = Inbox::refusing("poison");
    inbox.relay_until(&outbox, async |status| status.parked == 3 && status.waiting == 0).await;
    assert_eq!(inbox.words(), [""; 0]);
    inbox.accept();
    assert_eq!(inspect::redrive_all(outbox.pool()).await.expect("it is done"), 3);
    let received = inbox.receive(&outbox, 6).await;
    for key in ["customers/a", "customers/b", "customers/c"] {
        let of_key: Vec<&str> =
            received.iter().filter(|text| text.starts_with(key)).filter_map(|text| text.split(' ').nth(1)).collect();
        assert_eq!(of_key, ["poison", "next"]);
    }
}

async fn what_passes_parks_nothing(database: Database) {
    let outbox = outbox(&database).await;
    tell(&outbox, "customers/c", &["a", "b"]).await;
    let inbox = Inbox::default();
    *inbox.failures.lock().expect("no panic holds it") = 6;
    inbox.receive(&outbox, 2).await;
    assert_eq!(inbox.words(), ["a", "b"]);
    assert_eq!(inspect::status(outbox.pool()).await.expect("it is counted").parked, 0);
}

/// Takes away the parked event alone, as a process does that is killed between the two steps of redriving.
struct Vanish;

impl store::Work for Vanish {
    const NAME: &'static str = "vanish";
    type Answer = ();
    type Error = store::Failure;

    async fn run(&self, tx: &mut store::Tx) -> Result<(), store::Failure> {
        store::on!(tx, tx => {
            sqlx::query("DELETE FROM outbox_parked WHERE reason IS NOT NULL").execute(&mut **tx).await?;
        });
        Ok(())
    }
}

async fn those_behind_are_let_go_when_whoever_redrove_was_cut_off(database: Database) {
    let outbox = outbox(&database).await;
    let inbox = parked(&outbox).await;
    store::transaction(outbox.pool(), &Vanish).await.expect("it is there");
    // A relay that begins looks at once.
    inbox.receive(&outbox, 4).await;
    assert_eq!(inbox.words().last().map(String::as_str), Some("three"));
}
