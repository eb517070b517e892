//! The one way to change state: idempotent, in order, with its events, in one transaction.

use std::future::Future;
use std::sync::Arc;

use clock::{Clock, Time, Uuid};
use failpoint::Point;
use prost::Message;
use store::{Failure, HasFailure, Pool, Position, Tx, Work, on};
use tokio::sync::Notify;

use crate::turns::Turns;

/// Claims a request id. A concurrent claim of the same id waits here until the other transaction ends. How long it is kept is
/// counted by the clock of the database, which all replicas share, so that no jump of the clock of one makes it forgotten early.
const CLAIM_POSTGRES: &str = "INSERT INTO requests (caller, request_id, method, digest, answer, create_time_us)
     VALUES ($1, $2, $3, $4, NULL, CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT))
     ON CONFLICT (caller, request_id) DO NOTHING";
const CLAIM_SQLITE: &str = "INSERT INTO requests (caller, request_id, method, digest, answer, create_time_us)
     VALUES ($1, $2, $3, $4, NULL, CAST(unixepoch('subsec') * 1000000 AS INTEGER))
     ON CONFLICT (caller, request_id) DO NOTHING";
const FIND: &str = "SELECT method, digest, answer FROM requests WHERE caller = $1 AND request_id = $2";
const KEEP: &str = "UPDATE requests SET answer = $3 WHERE caller = $1 AND request_id = $2";

/// Queues behind other changes of the same key, and gives this change a time later than theirs, whatever the clocks say.
const TAKE_TURN: &str = "INSERT INTO change_order (key, time_us) VALUES ($1, $2)
     ON CONFLICT (key) DO UPDATE SET time_us = CASE
         WHEN change_order.time_us >= excluded.time_us THEN change_order.time_us + 1 ELSE excluded.time_us END
     RETURNING time_us";
const END_TURN: &str = "UPDATE change_order SET time_us = $2 WHERE key = $1";

/// The time orders the events of a key; how long one waits is counted by the clock of the database.
const APPEND_POSTGRES: &str = "INSERT INTO outbox (id, key, time_us, payload, create_time_us)
     VALUES ($1, $2, $3, $4, CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT))";
const APPEND_SQLITE: &str = "INSERT INTO outbox (id, key, time_us, payload, create_time_us)
     VALUES ($1, $2, $3, $4, CAST(unixepoch('subsec') * 1000000 AS INTEGER))";

/// Changes state and remembers what to tell. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
    pub(crate) wake: Arc<Notify>,
    pub(crate) turns: Turns,
}

/// Who asks for a change, and how a repeat is recognized.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The name of the principal. Request ids are its own.
    pub caller: &'a str,
    /// The method called.
    pub method: &'static str,
    /// The caller's request id, if it gave one.
    pub id: Option<Uuid>,
    /// A digest of the whole request.
    pub digest: [u8; 32],
}

/// The request id was used for a different request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reused;

/// A change, done now or before.
#[derive(Clone, Debug)]
pub struct Done<T> {
    /// The answer; for a repeated request the first answer.
    pub answer: T,
    /// Where in the database's log the change can be seen. `None` when that could not be read after the change was made.
    pub position: Option<Position>,
}

/// As whoever answers the call takes it.
impl<T> From<Done<T>> for (T, Option<String>) {
    fn from(done: Done<T>) -> (T, Option<String>) {
        (done.answer, done.position.map(|position| position.to_string()))
    }
}

/// A change of state. It may run several times, of which at most one is kept.
pub trait Change: Sync {
    /// The name of the transaction in telemetry: `remove_delegation`.
    const NAME: &'static str;
    /// What the caller gets.
    type Answer: Message + Default;
    /// How it fails; nothing is written then.
    type Error: From<Failure> + From<Reused> + HasFailure + Send;

    /// Whose changes happen one after the other: `customers/{customer}`, `partners/{partner}`.
    fn key(&self) -> &str;

    /// Reads, decides, writes, and emits exactly one event per state changed.
    fn apply(&self, scope: &mut Scope<'_>) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// What a change works with.
#[derive(Debug)]
pub struct Scope<'t> {
    /// The transaction.
    pub tx: &'t mut Tx,
    /// The time of the change: later than every earlier change of the same key.
    pub now: Time,
    pub(crate) key: &'t str,
    clock: &'t Clock,
    events: i64,
}

impl<'t> Scope<'t> {
    /// Queues behind other changes of the key, and opens.
    pub(crate) async fn open(tx: &'t mut Tx, key: &'t str, clock: &'t Clock) -> Result<Scope<'t>, Failure> {
        let now = take_turn(tx, key, clock.now()).await?;
        Ok(Scope { tx, now, key, clock, events: 0 })
    }

    /// Makes the next change of the key later than all that was emitted. True when something was.
    pub(crate) async fn close(self) -> Result<bool, Failure> {
        if self.events > 1 {
            end_turn(self.tx, self.key, self.now.micros() + self.events - 1).await?;
        }
        Ok(self.events > 0)
    }

    /// A new id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.clock.id()
    }

    /// Keeps an event for delivery after the commit. `payload` makes it from its id and its time, which is later than that of
    /// every earlier event of the same key.
    ///
    /// # Errors
    /// [`Failure`] of the database.
    pub async fn emit(&mut self, payload: impl FnOnce(Uuid, Time) -> Vec<u8>) -> Result<(), Failure> {
        let id = self.clock.id();
        let time = Time::from_micros(self.now.micros() + self.events);
        self.events += 1;
        let payload = payload(id, time);
        let append = match self.tx {
            Tx::Postgres(_) => APPEND_POSTGRES,
            Tx::Sqlite(_) => APPEND_SQLITE,
        };
        on!(&mut *self.tx, tx => {
            sqlx::query(append).bind(id).bind(self.key).bind(time.micros()).bind(payload).execute(&mut **tx).await?;
        });
        failpoint::reach(Point::ChangeEmitted);
        Ok(())
    }
}

impl Outbox {
    /// The outbox of a service that keeps its state in this database.
    #[must_use]
    pub fn new(pool: Pool, clock: Clock) -> Outbox {
        Outbox { turns: Turns::of(&pool), pool, clock, wake: Arc::new(Notify::new()) }
    }

    /// The database it is in, for [`crate::inspect`].
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Makes a change, or returns the first answer when the same request was answered before.
    ///
    /// # Errors
    /// Whatever the change returns; [`Reused`] when the request id was used for another request; [`Failure`] of the database.
    /// Nothing is written then.
    pub async fn change<C: Change>(&self, request: &Request<'_>, change: &C) -> Result<Done<C::Answer>, C::Error> {
        let turn = self.turns.take(change.key()).await;
        let outcome = store::transaction(&self.pool, &Attempt { outbox: self, request, change }).await?;
        drop(turn);
        failpoint::reach(Point::ChangeCommitted);
        if outcome.emitted {
            self.wake.notify_one();
        }
        // The change is made, whatever becomes of this question.
        let position = match store::position(&self.pool).await {
            Ok(position) => Some(position),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a change goes without its position");
                None
            }
        };
        Ok(Done { answer: outcome.answer, position })
    }
}

struct Attempt<'a, C> {
    outbox: &'a Outbox,
    request: &'a Request<'a>,
    change: &'a C,
}

struct Outcome<T> {
    answer: T,
    emitted: bool,
}

impl<C: Change> Work for Attempt<'_, C> {
    const NAME: &'static str = C::NAME;
    type Answer = Outcome<C::Answer>;
    type Error = C::Error;

    async fn run(&self, tx: &mut Tx) -> Result<Outcome<C::Answer>, C::Error> {
        failpoint::reach(Point::ChangeBegun);
        if let Some(id) = self.request.id
            && !claim(tx, self.request, id).await?
        {
            let answer = first_answer::<C>(tx, self.request, id).await?;
            return Ok(Outcome { answer, emitted: false });
        }
        failpoint::reach(Point::ChangeClaimed);
        let mut scope = Scope::open(tx, self.change.key(), &self.outbox.clock).await?;
        let answer = self.change.apply(&mut scope).await?;
        let emitted = scope.close().await?;
        if let Some(id) = self.request.id {
            keep(tx, self.request, id, answer.encode_to_vec()).await?;
        }
        failpoint::reach(Point::ChangeKept);
        Ok(Outcome { answer, emitted })
    }
}

/// False when the id was claimed before.
async fn claim(tx: &mut Tx, request: &Request<'_>, id: Uuid) -> Result<bool, Failure> {
    let claim = match tx {
        Tx::Postgres(_) => CLAIM_POSTGRES,
        Tx::Sqlite(_) => CLAIM_SQLITE,
    };
    let rows = on!(tx, tx => sqlx::query(claim)
        .bind(request.caller)
        .bind(id)
        .bind(request.method)
        .bind(request.digest.as_slice())
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}

async fn first_answer<C: Change>(tx: &mut Tx, request: &Request<'_>, id: Uuid) -> Result<C::Answer, C::Error> {
    let row: (String, Vec<u8>, Option<Vec<u8>>) = on!(tx, tx => sqlx::query_as(FIND)
        .bind(request.caller)
        .bind(id)
        .fetch_one(&mut **tx)
        .await
        .map_err(Failure::from)?);
    let (method, digest, answer) = row;
    if method != request.method || digest != request.digest {
        return Err(Reused.into());
    }
    let answer = answer.ok_or_else(|| Failure::inconsistent("requests", "a committed request has no answer"))?;
    let answer = C::Answer::decode(answer.as_slice());
    answer.map_err(|error| Failure::inconsistent("requests", error.to_string()).into())
}

async fn keep(tx: &mut Tx, request: &Request<'_>, id: Uuid, answer: Vec<u8>) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(KEEP).bind(request.caller).bind(id).bind(answer).execute(&mut **tx).await?;
    });
    Ok(())
}

async fn take_turn(tx: &mut Tx, key: &str, now: Time) -> Result<Time, Failure> {
    let micros: i64 =
        on!(tx, tx => sqlx::query_scalar(TAKE_TURN).bind(key).bind(now.micros()).fetch_one(&mut **tx).await?);
    Ok(Time::from_micros(micros))
}

async fn end_turn(tx: &mut Tx, key: &str, micros: i64) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(END_TURN).bind(key).bind(micros).execute(&mut **tx).await?;
    });
    Ok(())
}
