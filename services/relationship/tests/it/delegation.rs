//! Taking privileges away and handing them over.

use api::relationship as wire;
use testkit::Database;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::world::{OPERATOR, World, admin, agent, reader, told};

testkit::on_both!(
    r27_r28_a_removed_delegation_leaves_the_relationship,
    i11_an_ended_delegation_cannot_be_removed_again,
    r46_a_reassigned_delegation_moves_in_one_step,
    r46_the_receiver_needs_a_relationship_and_must_not_hold_the_service,
    a_suspended_partner_gets_nothing_handed_over,
    a_stale_etag_is_refused,
    i12_strangers_get_one_answer,
);

fn remove(name: &str) -> wire::RemoveDelegationRequest {
    wire::RemoveDelegationRequest { name: name.to_owned(), reason: "project over".to_owned(), ..Default::default() }
}

fn reassign(name: &str, to: &str) -> wire::ReassignDelegationRequest {
    wire::ReassignDelegationRequest {
        name: name.to_owned(),
        to_partner: format!("partners/{to}"),
        ..Default::default()
    }
}

async fn granted(world: &World, partner: &str) -> wire::Delegation {
    let mut established = world.accept("cedar", partner, &["azure-ad"]).await.expect("accepted");
    established.delegations.remove(0)
}

async fn r27_r28_a_removed_delegation_leaves_the_relationship(database: Database) {
    let world = World::start("public", database).await;
    let held = granted(&world, "alpenglow").await;
    let by_reader =
        world.delegations().remove_delegation(world.by(reader("cedar"), remove(&held.name))).await.expect_err("R27");
    assert_eq!(told(&by_reader).1, "ACCEPTOR_ROLE_REQUIRED");

    let answer =
        world.delegations().remove_delegation(world.by(admin("cedar"), remove(&held.name))).await.expect("R27");
    assert!(answer.metadata().contains_key("mandate-consistency-token"));
    let removed = answer.into_inner();
    assert_eq!(removed.state(), wire::DelegationState::RemovedByCustomer);
    assert_eq!(
        (removed.ended_by.as_str(), removed.end_reason.as_str()),
        ("customers/cedar/users/admin-1", "project over")
    );

    let list = wire::ListRelationshipsRequest { parent: "customers/-".to_owned(), ..Default::default() };
    let listed = world
        .relationships()
        .list_relationships(world.by(agent("alpenglow"), list))
        .await
        .expect("its own")
        .into_inner();
    let relationship = &listed.relationships[0];
    assert_eq!(relationship.state(), wire::RelationshipState::Active, "R28");
    assert!(relationship.delegated_services.is_empty());
    assert_eq!(relationship.obligations.len(), 2, "R29, R47");
}

async fn i11_an_ended_delegation_cannot_be_removed_again(database: Database) {
    let world = World::start("public", database).await;
    let held = granted(&world, "alpenglow").await;
    world.delegations().remove_delegation(world.by(admin("cedar"), remove(&held.name))).await.expect("R27");
    let refused =
        world.delegations().remove_delegation(world.by(admin("cedar"), remove(&held.name))).await.expect_err("I11");
    let (code, reason, rule, resource) = told(&refused);
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::FailedPrecondition, "DELEGATION_NOT_ACTIVE", "I11"));
    assert_eq!(resource, held.name);
}

async fn r46_a_reassigned_delegation_moves_in_one_step(database: Database) {
    let world = World::start("china", database).await;
    let held = {
        let mut established = world.accept("cedar", "alpenglow", &["office-365"]).await.expect("free");
        established.delegations.remove(0)
    };
    world.accept("cedar", "birchwood", &["azure-ad"]).await.expect("another service");
    let moved =
        world.delegations().reassign_delegation(world.by(admin("cedar"), reassign(&held.name, "birchwood"))).await;
    let moved = moved.expect("R46").into_inner();
    assert_eq!(moved.ended.expect("one ended").state(), wire::DelegationState::Reassigned);
    let granted = moved.granted.expect("one began");
    assert_eq!((granted.partner.as_str(), granted.service.as_str()), ("partners/birchwood", "office-365"));
    assert_eq!(granted.partner_display_name, "birchwood IT");
    let get = wire::GetDelegationRequest { name: granted.name.clone() };
    let read =
        world.delegations().get_delegation(world.by(agent("birchwood"), get)).await.expect("its own").into_inner();
    assert_eq!(read, granted);
}

async fn r46_the_receiver_needs_a_relationship_and_must_not_hold_the_service(database: Database) {
    let world = World::start("public", database).await;
    let held = granted(&world, "alpenglow").await;
    let to_stranger =
        world.delegations().reassign_delegation(world.by(admin("cedar"), reassign(&held.name, "birchwood"))).await;
    let (code, reason, rule, resource) = told(&to_stranger.expect_err("no relationship"));
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::FailedPrecondition, "RELATIONSHIP_REQUIRED", "R46"));
    assert_eq!(resource, "partners/birchwood");

    let theirs = granted(&world, "birchwood").await; // the public cloud allows two holders
    let to_holder =
        world.delegations().reassign_delegation(world.by(admin("cedar"), reassign(&held.name, "birchwood"))).await;
    let refused = to_holder.expect_err("held already");
    assert_eq!(told(&refused).1, "SERVICE_ALREADY_DELEGATED");
    let metadata = refused.get_details_error_info().expect("every refusal has it").metadata;
    assert_eq!((&metadata["service"], &metadata["holder"]), (&theirs.service, &theirs.name));
    let to_itself =
        world.delegations().reassign_delegation(world.by(admin("cedar"), reassign(&held.name, "alpenglow"))).await;
    assert_eq!(told(&to_itself.expect_err("held already")).1, "SERVICE_ALREADY_DELEGATED");
}

async fn a_suspended_partner_gets_nothing_handed_over(database: Database) {
    let world = World::start("public", database).await;
    let held = granted(&world, "alpenglow").await;
    world.accept("cedar", "birchwood", &[]).await.expect("accepted");
    let suspend = wire::UpdatePartnerRequest {
        partner: Some(wire::Partner {
            name: "partners/birchwood".to_owned(),
            status: wire::PartnerStatus::Suspended.into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["status".to_owned()] }),
        request_id: String::new(),
    };
    world.directory().update_partner(world.by(OPERATOR, suspend)).await.expect("suspended");
    let refused =
        world.delegations().reassign_delegation(world.by(admin("cedar"), reassign(&held.name, "birchwood"))).await;
    let (code, reason, rule, resource) = told(&refused.expect_err("it may not act"));
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::FailedPrecondition, "PARTNER_NOT_ACTIVE", "N97"));
    assert_eq!(resource, "partners/birchwood");
}

async fn a_stale_etag_is_refused(database: Database) {
    let world = World::start("public", database).await;
    let held = granted(&world, "alpenglow").await;
    let stale = wire::RemoveDelegationRequest { etag: "v0".to_owned(), ..remove(&held.name) };
    let refused = world.delegations().remove_delegation(world.by(admin("cedar"), stale)).await.expect_err("AIP-154");
    let (code, reason, rule, resource) = told(&refused);
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::Aborted, "ETAG_MISMATCH", "AIP-154"));
    assert_eq!(resource, held.name);
    let current = wire::RemoveDelegationRequest { etag: held.etag.clone(), ..remove(&held.name) };
    world.delegations().remove_delegation(world.by(admin("cedar"), current)).await.expect("current");
}

async fn i12_strangers_get_one_answer(database: Database) {
    let world = World::start("public", database).await;
    let held = granted(&world, "alpenglow").await;
    let missing = format!("{}0", &held.name[..held.name.len() - 1]);
    for name in [&held.name, &missing] {
        for stranger in [agent("birchwood"), admin("dunes")] {
            let get = wire::GetDelegationRequest { name: name.clone() };
            let refused = world.delegations().get_delegation(world.by(stranger, get)).await.expect_err("I12");
            let (code, reason, rule, resource) = told(&refused);
            assert_eq!((code, reason.as_str(), rule.as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND", "I12"));
            assert_eq!(resource, *name);
        }
    }
    let list =
        wire::ListDelegationsRequest { parent: "customers/cedar/relationships/-".to_owned(), ..Default::default() };
    let listed = world.delegations().list_delegations(world.by(agent("birchwood"), list)).await.expect("its own: none");
    assert!(listed.into_inner().delegations.is_empty());
}
