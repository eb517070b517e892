//! What the relay of another service sees of this one: a poisoned event is refused with a reason that says what is wrong with it, and
//! nothing else waits for it.

use api::notification::{EventEnvelope, ListEventsRequest};
use clock::{Clock, Time};
use delivery::Delivery;
use outbox::{Outbox, Request, Reused, Scope, inspect};
use prost::Message as _;
use store::{Failure, HasFailure, Pool, Schema, Settings};
use testkit::Database;
use testkit::provider::NOW_SECONDS;

use crate::world::{Events, OPERATOR, World, envelope};

testkit::on_both!(a_poisoned_event_is_parked_with_the_reason_and_others_arrive);

/// A change of a customer that tells this.
struct Tell {
    customer: &'static str,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Failed(Option<Failure>);

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed(Some(failure))
    }
}

impl From<Reused> for Failed {
    fn from(_: Reused) -> Failed {
        Failed(None)
    }
}

impl HasFailure for Failed {
    fn failure(&self) -> Option<&Failure> {
        self.0.as_ref()
    }
}

impl outbox::Change for Tell {
    const NAME: &'static str = "tell";
    type Answer = ();
    type Error = Failed;

    fn key(&self) -> &str {
        self.customer
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<(), Failed> {
        Ok(scope.emit(|_, _| self.payload.clone()).await?)
    }
}

/// An outbox as services have it, in a file of its own.
async fn outbox(database: &Database) -> Outbox {
    let schema = Schema {
        postgres: sqlx::migrate!("../../crates/outbox/tests/migrations/postgres"),
        sqlite: sqlx::migrate!("../../crates/outbox/tests/migrations/sqlite"),
    };
    let settings = Settings::new(database.url());
    let pool = Pool::migrate(&settings, &schema).await.unwrap();
    Outbox::new(pool, Clock::manual(Time::from_seconds(NOW_SECONDS)))
}

async fn tell(outbox: &Outbox, customer: &'static str, payload: Vec<u8>) {
    let request = Request { caller: "customers/c", method: "Tell", id: None, digest: [0; 32] };
    outbox.change(&request, &Tell { customer, payload }).await.unwrap();
}

fn event(number: u128, customer: &str) -> EventEnvelope {
    envelope(number, "relationship.established", &[customer])
}

async fn sequences(events: &mut Events, customer: &str) -> usize {
    let request = ListEventsRequest { parent: customer.to_owned(), ..ListEventsRequest::default() };
    events.list_events(request).await.unwrap().into_inner().events.len()
}

async fn a_poisoned_event_is_parked_with_the_reason_and_others_arrive(database: Database) {
    let world = World::start(&database).await;
    let file = testkit::database::sqlite().unwrap();
    let outbox = outbox(&file).await;
    let mut poisoned = event(2, "customers/cedar");
    poisoned.event.as_mut().unwrap().cloud = "china".to_owned();
    tell(&outbox, "customers/cedar", event(1, "customers/cedar").encode_to_vec()).await;
    tell(&outbox, "customers/cedar", poisoned.encode_to_vec()).await;
    tell(&outbox, "customers/cedar", event(3, "customers/cedar").encode_to_vec()).await;
    tell(&outbox, "customers/dunes", vec![0xff]).await;
    tell(&outbox, "customers/birch", event(4, "customers/birch").encode_to_vec()).await;

    let delivery = Delivery::to(world.peer());
    let carried = async {
        while inspect::status(outbox.pool()).await.unwrap().waiting > 0 {
            tokio::task::yield_now().await;
        }
    };
    let patience = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        tokio::select! {
            () = outbox.relay(&delivery, &[]) => {}
            () = carried => {}
        }
    });
    patience.await.expect("nothing waits for the poisoned events");

    let parked = inspect::parked(outbox.pool()).await.unwrap();
    let reasons: Vec<&str> = parked.iter().map(|parked| parked.reason.as_str()).collect();
    assert_eq!(
        parked.iter().map(|parked| parked.key.as_str()).collect::<Vec<_>>(),
        ["customers/cedar", "customers/dunes"]
    );
    assert!(reasons[0].contains("InvalidArgument") && reasons[0].contains("event.cloud"), "{reasons:?}");
    assert!(reasons[0].contains("send events of this cloud only"), "{reasons:?}");
    assert!(reasons[1].starts_with("an event in the outbox cannot be read: "), "{reasons:?}");
    assert_eq!(inspect::status(outbox.pool()).await.unwrap().behind, 1, "cedar's third event waits");
    let mut events = world.events(OPERATOR);
    assert_eq!(sequences(&mut events, "customers/cedar").await, 1);
    assert_eq!(sequences(&mut events, "customers/birch").await, 1);
}
