//! How long request ids are remembered.

use std::time::Duration;

use clock::{Time, Uuid};
use outbox::Outbox;
use store::{Failure, Tx, Work, on};
use testkit::Database;

use crate::{Inbox, Tell, TellError, clock, pool, request};

testkit::on_both!(a_request_id_is_remembered_for_seven_days, however_many_are_old_all_are_forgotten);

const WEEK: Duration = Duration::from_hours(7 * 24);

/// What becomes of a request id that was used for another request: `None` once it is forgotten.
async fn reused(outbox: &Outbox) -> Option<TellError> {
    outbox.change(&request(Some(1), 8), &Tell::new("customers/c", &["again"])).await.err()
}

async fn a_request_id_is_remembered_for_seven_days(database: Database) {
    let clock = clock();
    let outbox = Outbox::new(pool(&database).await, clock.clone());
    outbox.change(&request(Some(1), 7), &Tell::new("customers/c", &["once"])).await.expect("accepted");
    clock.advance(WEEK);
    Inbox::default().receive(&outbox, 1).await;
    let kept = reused(&outbox).await;
    assert!(matches!(kept, Some(TellError::Reused)), "{kept:?}");

    clock.advance(Duration::from_micros(1));
    let forgotten = async { while reused(&outbox).await.is_some() {} };
    // A relay that begins looks at once.
    let inbox = Inbox::default();
    tokio::join!(forgotten, inbox.receive(&outbox, 1));
}

/// Old requests, more than one step takes, and one of today.
struct Fill;

const COUNT: u128 = 1100;
const NOW_SECONDS: i64 = 1_700_000_000;

impl Work for Fill {
    const NAME: &'static str = "fill";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let insert = "INSERT INTO requests (caller, request_id, method, digest, answer, create_time_us)
             VALUES ('partners/p', $1, 'Tell', $2, NULL, $3)";
        for number in 0..=COUNT {
            let time = if number < COUNT { Time::default() } else { Time::from_seconds(NOW_SECONDS) };
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
        () = outbox.relay(&inbox) => {}
    }
    assert_eq!(store::transaction(&pool, &Count).await.expect("it is counted"), 1);
}
