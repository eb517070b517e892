//! The command `outbox`, as operators see it. The notification service cannot be reached here, so all events wait.

use clock::{Time, Uuid};
use serde_json::{Value, json};
use server::outbox::{Report, Task};
use store::{Failure, Tx, Work, on};
use testkit::Database;

use crate::world::World;

testkit::on_both!(
    what_waits_is_counted,
    a_parked_event_is_listed_with_its_type_and_redriven_by_its_id,
    what_was_delivered_is_delivered_again,
);

#[track_caller]
fn property(report: &Report, name: &str) -> Value {
    let Report::One(properties) = report else { panic!("one thing: {report:?}") };
    let found = properties.iter().find(|(property, _)| *property == name);
    found.unwrap_or_else(|| panic!("{name} in {report:?}")).1.clone()
}

async fn what_waits_is_counted(database: Database) {
    let world = World::start("public", database).await;
    world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("accepted");
    let status = world.outbox(Task::Status).await.expect("it is counted");
    assert_eq!(property(&status, "waiting"), json!(3));
    let age = property(&status, "oldest_waiting_seconds").as_f64().expect("a number");
    assert!((0.0..60.0).contains(&age), "by the clock of the database, not by that of the test: {age}");
    for none in ["parked", "behind_parked", "delivered_kept"] {
        assert_eq!(property(&status, none), json!(0), "{none}");
    }
}

/// Puts the oldest event elsewhere, as the relay does.
struct Put(&'static str);

impl Work for Put {
    const NAME: &'static str = "put";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        let gone = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY time_us, id LIMIT 1)";
        for statement in [self.0, gone] {
            on!(&mut *tx, tx => {
                sqlx::query(statement).execute(&mut **tx).await?;
            });
        }
        Ok(())
    }
}

const PARK: &str = "INSERT INTO outbox_parked (id, key, time_us, payload, tries, reason, park_time_us)
     SELECT id, key, time_us, payload, 5, 'never', 1800000000000000 FROM outbox ORDER BY time_us, id LIMIT 1";
const DELIVER: &str = "INSERT INTO outbox_delivered (id, key, time_us, payload, deliver_time_us)
     SELECT id, key, time_us, payload, 1500000000000000 FROM outbox ORDER BY time_us, id LIMIT 1";

async fn a_parked_event_is_listed_with_its_type_and_redriven_by_its_id(database: Database) {
    let world = World::start("public", database).await;
    world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("accepted");
    let told = world.events().await;
    store::transaction(&world.pool().await, &Put(PARK)).await.expect("it is there");
    let Report::Many { columns, rows, .. } = world.outbox(Task::Parked).await.expect("it is listed") else {
        panic!("a list")
    };
    assert_eq!(columns, ["id", "key", "type", "tries", "since", "reason"]);
    let id = told[0].event_id.as_str();
    let parked = [id, "customers/cedar", "relationship.established"].map(Value::from);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][..3], parked);
    assert_eq!(rows[0][3..], [json!(5), json!("2027-01-15T08:00:00Z"), json!("never")]);

    let unknown = world.outbox(Task::Redrive(Uuid::nil())).await.expect_err("there is none").to_string();
    assert!(unknown.contains("no event 00000000-0000-0000-0000-000000000000 is parked"), "{unknown}");
    let id = Uuid::try_parse(id).expect("events have ids");
    let redriven = world.outbox(Task::Redrive(id)).await.expect("it is done");
    assert_eq!(property(&redriven, "redriven"), json!(1));
    assert_eq!(world.events().await, told, "it is in its place again");
    let none_left = world.outbox(Task::RedriveAll).await.expect("it is done");
    assert_eq!(property(&none_left, "redriven"), json!(0));
}

async fn what_was_delivered_is_delivered_again(database: Database) {
    let world = World::start("public", database).await;
    world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("accepted");
    let told = world.events().await;
    store::transaction(&world.pool().await, &Put(DELIVER)).await.expect("it is there");
    assert_eq!(world.events().await, told[1..]);
    for (since, count) in [(1_500_000_001, 0), (1_500_000_000, 1)] {
        let again = world.outbox(Task::Redeliver { since: Time::from_seconds(since) }).await.expect("it is done");
        assert_eq!(property(&again, "redelivered"), json!(count));
    }
    assert_eq!(world.events().await, told);
}
