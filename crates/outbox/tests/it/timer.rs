//! Things that happen by themselves: when their time has come, once, whoever keeps the time.

use std::sync::Mutex;
use std::time::Duration;

use clock::{Clock, Time};
use outbox::{Change, Due, Outbox, Request, Scope, Timer};
use store::{Failure, Pool, Tx, Work, on};
use testkit::Database;

use crate::{Inbox, TellError, clock, pool, request};

testkit::on_both!(
    what_is_asked_for_happens_when_its_time_has_come_and_not_before,
    what_two_replicas_find_due_happens_once,
    a_change_that_is_refused_asks_for_nothing,
    what_fails_is_tried_again_later_and_holds_nothing_up
);

const HOUR: Duration = Duration::from_hours(1);

/// A change that asks for something in an hour.
struct Ask {
    subject: &'static str,
    refuse: bool,
}

impl Change for Ask {
    const NAME: &'static str = "ask";
    type Answer = ();
    type Error = TellError;

    fn key(&self) -> &str {
        "customers/c"
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), TellError> {
        let due = scope.now.plus(HOUR);
        // Twice is once.
        scope.at(due, "thing.end", self.subject).await?;
        scope.at(due, "thing.end", self.subject).await?;
        if self.refuse { Err(TellError::Refused) } else { Ok(()) }
    }
}

async fn ask(outbox: &Outbox, subject: &'static str) {
    let nothing: Request<'_> = request(None, 0);
    outbox.change(&nothing, &Ask { subject, refuse: false }).await.expect("accepted");
}

/// Writes down what was due, and fails as often as told for one subject.
#[derive(Default)]
struct Diary {
    done: Mutex<Vec<(String, Time)>>,
    failing: Mutex<Option<&'static str>>,
}

impl Due for Diary {
    type Error = TellError;

    async fn fire(&self, scope: &mut Scope<'_>, timer: &Timer) -> Result<(), TellError> {
        assert_eq!((timer.kind.as_str(), timer.key.as_str()), ("thing.end", "customers/c"));
        if *self.failing.lock().expect("no panic holds it") == Some(timer.subject.as_str()) {
            return Err(TellError::Refused);
        }
        scope.emit(|_, _| timer.subject.clone().into_bytes()).await?;
        self.done.lock().expect("no panic holds it").push((timer.subject.clone(), scope.now));
        Ok(())
    }
}

impl Diary {
    fn subjects(&self) -> Vec<String> {
        self.done.lock().expect("no panic holds it").iter().map(|(subject, _)| subject.clone()).collect()
    }

    /// Keeps the time until nothing is due.
    async fn keep(&self, (outbox, pool, clock): &World) {
        let done =
            async { while store::transaction(pool, &CountDue(clock.now())).await.expect("it is counted") > 0 {} };
        let kept = tokio::time::timeout(Duration::from_secs(30), async {
            tokio::select! {
                () = outbox.keep_time(self) => {}
                () = done => {}
            }
        });
        kept.await.expect("what is due happens");
    }
}

/// How many things are due.
struct CountDue(Time);

impl Work for CountDue {
    const NAME: &'static str = "count_due";
    type Answer = i64;
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<i64, Failure> {
        let count = "SELECT COUNT(*) FROM timers WHERE try_time_us <= $1";
        Ok(on!(tx, tx => sqlx::query_scalar(count).bind(self.0.micros()).fetch_one(&mut **tx).await?))
    }
}

type World = (Outbox, Pool, Clock);

async fn at(database: &Database) -> World {
    let (clock, pool) = (clock(), pool(database).await);
    (Outbox::new(pool.clone(), clock.clone()), pool, clock)
}

async fn what_is_asked_for_happens_when_its_time_has_come_and_not_before(database: Database) {
    let world = at(&database).await;
    let (outbox, _, clock) = &world;
    ask(outbox, "things/1").await;
    clock.advance(HOUR - Duration::from_secs(1));
    ask(outbox, "things/2").await;
    clock.advance(Duration::from_secs(1));
    let diary = Diary::default();
    diary.keep(&world).await;
    assert_eq!(diary.subjects(), ["things/1"], "the second has an hour left but for a second");
    clock.advance(HOUR);
    diary.keep(&world).await;
    assert_eq!(diary.subjects(), ["things/1", "things/2"]);
    let (_, time) = diary.done.lock().expect("no panic holds it")[1].clone();
    assert!(time >= clock.now(), "it is a change like others, later than those before");
}

async fn what_two_replicas_find_due_happens_once(database: Database) {
    let world = at(&database).await;
    let (outbox, _, clock) = &world;
    for subject in ["things/1", "things/2", "things/3", "things/4"] {
        ask(outbox, subject).await;
    }
    clock.advance(HOUR * 2);
    let diary = Diary::default();
    tokio::join!(diary.keep(&world), diary.keep(&world), diary.keep(&world));
    let told = Inbox::default().receive(outbox, 4).await;
    assert_eq!(told, ["things/1", "things/2", "things/3", "things/4"]);
}

async fn a_change_that_is_refused_asks_for_nothing(database: Database) {
    let world = at(&database).await;
    let (outbox, _, clock) = &world;
    let refused = outbox.change(&request(None, 0), &Ask { subject: "things/1", refuse: true }).await;
    assert!(matches!(refused, Err(TellError::Refused)));
    ask(outbox, "things/2").await;
    clock.advance(HOUR * 2);
    let diary = Diary::default();
    diary.keep(&world).await;
    assert_eq!(diary.subjects(), ["things/2"]);
}

async fn what_fails_is_tried_again_later_and_holds_nothing_up(database: Database) {
    let world = at(&database).await;
    let (outbox, _, clock) = &world;
    ask(outbox, "things/1").await;
    ask(outbox, "things/2").await;
    // The second was asked for a little later than the first.
    clock.advance(HOUR * 2);
    let diary = Diary { failing: Mutex::new(Some("things/1")), ..Diary::default() };
    diary.keep(&world).await;
    assert_eq!(diary.subjects(), ["things/2"]);
    *diary.failing.lock().expect("no panic holds it") = None;
    clock.advance(Duration::from_mins(1));
    diary.keep(&world).await;
    assert_eq!(diary.subjects(), ["things/2", "things/1"]);
}
