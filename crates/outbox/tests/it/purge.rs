//! How long request ids are remembered.

use std::time::Duration;

use clock::{Clock, Time, Uuid};
use outbox::{Outbox, inspect};
use store::{Failure, Tx, Work, on};
use testkit::Database;

use crate::{Inbox, Tell, TellError, clock, pool, request};

testkit::on_both!(
    a_request_id_is_remembered_for_seven_days,
    a_clock_that_jumps_makes_nothing_forgotten_or_late,
    delivered_events_are_kept_for_seven_days,
    however_many_are_old_all_are_forgotten,
);

/// A week less an hour, and a week: in microseconds.
const YOUNG_MICROS: i64 = (7 * 24 - 1) * 3600 * 1_000_000;
const OLD_MICROS: i64 = 7 * 24 * 3600 * 1_000_000;

/// What becomes of a request id that was used for another request: `None` once it is forgotten.
async fn reused(outbox: &Outbox) -> Option<TellError> {
    outbox.change(&request(Some(1), 8), &Tell::new("customers/c", &["again"])).await.err()
}

/// Makes all request ids and delivered events so much older.
struct Age(i64);

impl Work for Age {
    const NAME: &'static str = "age";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        for statement in [
            "UPDATE requests SET create_time_us = create_time_us - $1",
            "UPDATE outbox_delivered SET deliver_time_us = deliver_time_us - $1",
        ] {
            on!(&mut *tx, tx => {
                sqlx::query(statement).bind(self.0).execute(&mut **tx).await?;
            });
        }
        Ok(())
    }
}

async fn a_request_id_is_remembered_for_seven_days(database: Database) {
    let pool = pool(&database).await;
    let outbox = Outbox::new(pool.clone(), clock());
    let tell = Tell::new("customers/c", &["once"]);
    let first = outbox.change(&request(Some(1), 7), &tell).await.expect("accepted");
    store::transaction(&pool, &Age(YOUNG_MICROS)).await.expect("it is there");
    Inbox::default().receive(&outbox, 1).await;
    let again = outbox.change(&request(Some(1), 7), &tell).await.expect("a repeat");
    assert_eq!(first.answer, again.answer);
    let kept = reused(&outbox).await;
    assert!(matches!(kept, Some(TellError::Reused)), "{kept:?}");

    store::transaction(&pool, &Age(OLD_MICROS - YOUNG_MICROS)).await.expect("it is there");
    let forgotten = async { while reused(&outbox).await.is_some() {} };
    // A relay that begins looks at once.
    let inbox = Inbox::default();
    tokio::join!(forgotten, inbox.receive(&outbox, 1));
}

async fn a_clock_that_jumps_makes_nothing_forgotten_or_late(database: Database) {
    let pool = pool(&database).await;
    let clock = clock();
    let outbox = Outbox::new(pool.clone(), clock.clone());
    outbox.change(&request(Some(1), 7), &Tell::new("customers/c", &["before"])).await.expect("accepted");
    clock.advance(Duration::from_hours(30 * 24));
    outbox.change(&request(None, 0), &Tell::new("customers/c", &["ahead"])).await.expect("accepted");
    // A replica that is years behind.
    let behind = Outbox::new(pool.clone(), Clock::manual(Time::from_seconds(1_500_000_000)));
    behind.change(&request(None, 0), &Tell::new("customers/c", &["behind"])).await.expect("accepted");
    let inspected = inspect::status(&pool).await.expect("it is counted");
    assert!(inspected.oldest_age < Duration::from_secs(60), "{inspected:?}");
    let received = Inbox::default().receive(&outbox, 3).await;
    let words: Vec<&str> = received.iter().filter_map(|text| text.split(' ').nth(1)).collect();
    assert_eq!(words, ["before", "ahead", "behind"]);
    let kept = reused(&behind).await;
    assert!(matches!(kept, Some(TellError::Reused)), "{kept:?}");
}

async fn delivered_events_are_kept_for_seven_days(database: Database) {
    let pool = pool(&database).await;
    let outbox = Outbox::new(pool.clone(), clock());
    outbox.change(&request(None, 0), &Tell::new("customers/c", &["old", "old"])).await.expect("accepted");
    Inbox::default().deliver_all(&outbox).await;
    store::transaction(&pool, &Age(OLD_MICROS)).await.expect("it is there");
    outbox.change(&request(None, 0), &Tell::new("customers/c", &["new"])).await.expect("accepted");
    let inbox = Inbox::default();
    inbox.relay_until(&outbox, async |status| status.kept == 1 && status.waiting == 0).await;
    assert_eq!(inspect::redeliver(&pool, Time::default()).await.expect("it is done"), 1);
}

/// Old requests, more than one step takes, and a young one.
struct Fill;

const COUNT: u128 = 1100;
/// A time to come for every database.
const YOUNG_SECONDS: i64 = 100_000_000_000;

impl Work for Fill {
    const NAME: &'static str = "fill";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let insert = "INSERT INTO requests (caller, request_id, method, digest, answer, create_time_us)
             VALUES ('partners/p', $1, 'Tell', $2, NULL, $3)";
        for number in 0..=COUNT {
            let time = if number < COUNT { Time::default() } else { Time::from_seconds(YOUNG_SECONDS) };
            let (id, digest) = (Uuid::from_u128(number), [0_u8].as_slice());
            on!(&mut *tx, tx => {
                sqlx::query(insert).bind(id).bind(digest).bind(time.micros()).execute(&mut **tx).await?;
            });
        }
        Ok(())
    }
}

struct Count;

impl Work for Count {
    const NAME: &'static str = "count";
    type Answer = i64;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<i64, Failure> {
        Ok(on!(tx, tx => sqlx::query_scalar("SELECT COUNT(*) FROM requests").fetch_one(&mut **tx).await?))
    }
}

async fn however_many_are_old_all_are_forgotten(database: Database) {
    let pool = pool(&database).await;
    store::transaction(&pool, &Fill).await.expect("a fresh database");
    let outbox = Outbox::new(pool.clone(), clock());
    let inbox = Inbox::default();
    let forgotten = async {
        while store::transaction(&pool, &Count).await.expect("it is counted") > 1 {
            // Something to tell wakes the relay, which goes on step by step.
            outbox.change(&request(None, 0), &Tell::new("customers/c", &["more"])).await.expect("accepted");
        }
    };
    tokio::select! {
        () = forgotten => {}
        () = outbox.relay(&inbox, &[]) => {}
    }
    assert_eq!(store::transaction(&pool, &Count).await.expect("it is counted"), 1);
}
