//! What is told of each change: every change of state exactly once (I10), to both sides.

use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use testkit::Database;

use crate::world::{World, admin, establish};

testkit::on_both!(
    i10_every_change_of_state_is_told_exactly_once,
    i10_a_refusal_a_repeat_and_a_preview_tell_nothing,
    events_carry_who_why_before_and_after,
);

async fn kinds(world: &World) -> Vec<String> {
    world.events().await.into_iter().map(|envelope| envelope.event.expect("set").r#type).collect()
}

async fn i10_every_change_of_state_is_told_exactly_once(database: Database) {
    let world = World::start("china", database).await;
    let first = world.accept("cedar", "alpenglow", &["azure-ad", "office-365"]).await.expect("accepted");
    let mut told = vec!["relationship.established", "delegation.granted", "delegation.granted"];
    assert_eq!(kinds(&world).await, told);

    let mut over = establish("cedar", "birchwood", &["office-365"]);
    over.replace = vec![first.delegations[1].name.clone()];
    world.establishment().establish(world.by(admin("cedar"), over)).await.expect("handed over");
    told.extend(["relationship.established", "delegation.reassigned", "delegation.granted"]);
    assert_eq!(kinds(&world).await, told);

    let remove = wire::RemoveDelegationRequest { name: first.delegations[0].name.clone(), ..Default::default() };
    world.delegations().remove_delegation(world.by(admin("cedar"), remove)).await.expect("R27");
    told.push("delegation.removedByCustomer");
    world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("restored");
    told.push("delegation.granted");
    assert_eq!(kinds(&world).await, told);
    let times: Vec<_> = world.events().await.into_iter().filter_map(|it| it.event?.event_time).collect();
    let order = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
    assert!(times.is_sorted_by(|one, next| order(one) < order(next)), "later and later: {times:?}");
}

async fn i10_a_refusal_a_repeat_and_a_preview_tell_nothing(database: Database) {
    let world = World::start("public", database).await;
    let mut refused = establish("cedar", "alpenglow", &["telegraph"]);
    refused.agreement = None;
    world.establishment().establish(world.by(admin("cedar"), refused)).await.expect_err("not as it is");
    let mut request = establish("cedar", "alpenglow", &["azure-ad"]);
    request.validate_only = true;
    world.establishment().establish(world.by(admin("cedar"), request.clone())).await.expect("valid");
    assert!(kinds(&world).await.is_empty());

    request.validate_only = false;
    request.request_id = "6f2dbb3e-4d9f-4a53-9a8e-333333333333".to_owned();
    for _ in 0..3 {
        world.establishment().establish(world.by(admin("cedar"), request.clone())).await.expect("accepted");
    }
    world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("nothing is left to change");
    assert_eq!(kinds(&world).await, ["relationship.established", "agreement.accepted", "delegation.granted"]);
}

async fn events_carry_who_why_before_and_after(database: Database) {
    let world = World::start("public", database).await;
    let accepted = world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("accepted");
    let remove = wire::RemoveDelegationRequest {
        name: accepted.delegations[0].name.clone(),
        reason: "project over".to_owned(),
        ..Default::default()
    };
    let removed = world.delegations().remove_delegation(world.by(admin("cedar"), remove)).await.expect("R27");
    let envelope = world.events().await.pop().expect("the removal was told");
    assert_eq!(envelope.feeds, ["customers/cedar", "partners/alpenglow"]);
    let event = envelope.event.expect("set");
    assert_eq!((event.actor.as_str(), event.reason.as_str()), ("customers/cedar/users/admin-1", "project over"));
    assert_eq!((event.cloud.as_str(), event.resource.as_str()), ("public", accepted.delegations[0].name.as_str()));
    let resource = |snapshot: Option<api::notification::ResourceSnapshot>| snapshot.and_then(|it| it.resource);
    assert_eq!(resource(event.before), Some(Resource::Delegation(accepted.delegations[0].clone())));
    assert_eq!(resource(event.after), Some(Resource::Delegation(removed.into_inner())));
}
