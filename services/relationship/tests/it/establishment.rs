//! Accepting, as the invitation service has it done.

use std::sync::Arc;

use api::relationship as wire;
use testkit::Database;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::world::{World, admin, agent, establish, invitation, reader, reasons, told};

testkit::on_both!(
    r21_r25_an_acceptance_establishes_the_relationship_and_nothing_did_before,
    r43_the_agreement_is_taken_once_and_not_asked_for_again,
    r3_r4_the_same_link_restores_what_the_customer_removed,
    n33_an_agreement_is_not_dated_in_the_future,
    every_obstacle_is_named_at_once_and_nothing_is_written,
    r44_only_an_administrator_of_that_customer_accepts,
    r24_a_hundred_acceptances_of_one_service_leave_one_holder,
    r24_the_holder_can_be_replaced_in_the_same_step,
    r36_a_service_that_the_cloud_does_not_delegate_is_refused_with_those_that_it_does,
    validate_only_writes_nothing,
    a_repeated_acceptance_gets_the_first_answer,
    internal_methods_are_for_the_invitation_service_of_the_same_cloud_only,
);

async fn r21_r25_an_acceptance_establishes_the_relationship_and_nothing_did_before(database: Database) {
    let world = World::start("public", database).await;
    let list = || {
        world.by(
            agent("alpenglow"),
            wire::ListPartnerCustomersRequest { parent: "partners/alpenglow".to_owned(), ..Default::default() },
        )
    };
    let before = world.relationships().list_partner_customers(list()).await.expect("its own list").into_inner();
    assert!(before.partner_customers.is_empty(), "{before:?}");

    let established =
        world.accept("cedar", "alpenglow", &["azure-ad", "office-365"]).await.expect("nothing is in the way");
    let relationship = established.relationship.expect("it was established");
    assert_eq!(relationship.state(), wire::RelationshipState::Active);
    assert_eq!(relationship.acceptor, "customers/cedar/users/admin-1", "I8");
    assert_eq!(relationship.delegated_services, ["azure-ad", "office-365"]);
    let rules: Vec<&str> = relationship.obligations.iter().map(|duty| duty.rule.as_str()).collect();
    assert_eq!(rules, ["R29", "R47"]);

    let after = world.relationships().list_partner_customers(list()).await.expect("its own list").into_inner();
    let customers: Vec<&str> = after.partner_customers.iter().map(|customer| customer.name.as_str()).collect();
    assert_eq!(customers, ["partners/alpenglow/customers/cedar"]);
    assert_eq!(after.partner_customers[0].delegated_services, ["azure-ad", "office-365"]);
}

async fn r43_the_agreement_is_taken_once_and_not_asked_for_again(database: Database) {
    let world = World::start("public", database).await;
    let mut without = establish("cedar", "alpenglow", &[]);
    without.agreement = None;
    let refused =
        world.establishment().establish(world.by(admin("cedar"), without.clone())).await.expect_err("it is due");
    assert_eq!(told(&refused).1, "AGREEMENT_REQUIRED");

    let first = world.accept("cedar", "alpenglow", &[]).await.expect("with the agreement");
    assert!(first.agreement_acceptance.is_some());
    let mut other = establish("cedar", "birchwood", &[]);
    other.agreement = None;
    let second =
        world.establishment().establish(world.by(admin("cedar"), other)).await.expect("not asked again").into_inner();
    assert!(second.agreement_acceptance.is_none());

    let status = wire::GetAgreementStatusRequest { name: "customers/cedar/agreementStatus".to_owned() };
    let status =
        world.agreements().get_agreement_status(world.by(agent("alpenglow"), status)).await.expect("a party may ask");
    assert!(status.into_inner().satisfied);
}

async fn r3_r4_the_same_link_restores_what_the_customer_removed(database: Database) {
    let world = World::start("public", database).await;
    let first = world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("accepted");
    let name = first.delegations[0].name.clone();
    let remove = wire::RemoveDelegationRequest { name: name.clone(), ..Default::default() };
    world.delegations().remove_delegation(world.by(admin("cedar"), remove)).await.expect("R27");

    let again = world.accept("cedar", "alpenglow", &["azure-ad"]).await.expect("restored");
    assert_eq!(again.relationship.expect("it stayed").name, first.relationship.expect("established").name, "R28");
    assert_ne!(again.delegations[0].name, name, "an ended delegation stays ended (I11)");
    assert_eq!(again.delegations[0].state(), wire::DelegationState::Active);
}

async fn n33_an_agreement_is_not_dated_in_the_future(database: Database) {
    let world = World::start("public", database).await;
    let now = world.clock.now().seconds();
    for (seconds, accepted) in [(now + 1, false), (now, true)] {
        let mut request = establish("cedar", "alpenglow", &[]);
        let consent = request.agreement.as_mut().expect("set");
        consent.accept_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let answer = world.establishment().establish(world.by(admin("cedar"), request)).await;
        match answer {
            Ok(_) => assert!(accepted),
            Err(refused) => {
                assert!(!accepted, "{refused:?}");
                let (code, reason, rule, _) = told(&refused);
                assert_eq!(code, Code::FailedPrecondition, "a condition like the others");
                assert_eq!((reason.as_str(), rule.as_str()), ("AGREEMENT_DATE_IN_FUTURE", "N33"));
            }
        }
    }
}

async fn every_obstacle_is_named_at_once_and_nothing_is_written(database: Database) {
    let world = World::start("germany", database).await;
    world.register_partner("fjord", "US", "").await;
    let mut request = establish("cedar", "fjord", &[]);
    request.agreement = None;
    request.invitation.as_mut().expect("set").link_active = false;
    let refused = world.establishment().establish(world.by(admin("cedar"), request)).await.expect_err("all is wrong");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let all = [
        "LINK_DISABLED",
        "PARTNER_CONTRACT_REQUIRED",
        "MARKET_MISMATCH",
        "AGREEMENT_REQUIRED",
        "DELEGATION_MANDATORY_IN_CLOUD",
    ];
    assert_eq!(reasons(&refused), all);
    let list = wire::ListRelationshipsRequest { parent: "customers/cedar".to_owned(), ..Default::default() };
    let listed = world.relationships().list_relationships(world.by(admin("cedar"), list)).await.expect("its own list");
    assert!(listed.into_inner().relationships.is_empty());
}

async fn r44_only_an_administrator_of_that_customer_accepts(database: Database) {
    let world = World::start("public", database).await;
    let request = establish("cedar", "alpenglow", &["azure-ad"]);
    let by_reader = world.establishment().establish(world.by(reader("cedar"), request.clone())).await.expect_err("R44");
    let (code, reason, rule, _) = told(&by_reader);
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::PermissionDenied, "ACCEPTOR_ROLE_REQUIRED", "R44"));

    let by_stranger =
        world.establishment().establish(world.by(admin("dunes"), request.clone())).await.expect_err("I12");
    let (code, reason, _, resource) = told(&by_stranger);
    assert_eq!((code, reason.as_str(), resource.as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND", "customers/cedar"));

    let by_partner = world.establishment().establish(world.by(agent("alpenglow"), request)).await.expect_err("R44");
    assert_eq!(told(&by_partner).1, "PRINCIPAL_KIND_NOT_ALLOWED");
}

async fn r24_a_hundred_acceptances_of_one_service_leave_one_holder(database: Database) {
    let world = Arc::new(World::start("china", database).await);
    let mut partners = Vec::new();
    for index in 0..100 {
        let partner = format!("partner-{index}");
        world.register_partner(&partner, "CN", "china-csp-reseller-agreement").await;
        partners.push(partner);
    }
    let mut acceptances = JoinSet::new();
    for partner in partners {
        let world = Arc::clone(&world);
        acceptances.spawn(async move { world.accept("cedar", &partner, &["office-365"]).await });
    }
    let (mut holders, mut refusals) = (0, 0);
    while let Some(answer) = acceptances.join_next().await {
        match answer.expect("no panic") {
            Ok(_) => holders += 1,
            Err(refused) => {
                let (_, reason, rule, _) = told(&refused);
                assert_eq!((reason.as_str(), rule.as_str()), ("SERVICE_ALREADY_DELEGATED", "R24"), "{refused:?}");
                refusals += 1;
            }
        }
    }
    assert_eq!((holders, refusals), (1, 99));
}

async fn r36_a_service_that_the_cloud_does_not_delegate_is_refused_with_those_that_it_does(database: Database) {
    let world = World::start("public", database).await;
    let refused = world.accept("cedar", "alpenglow", &["telegraph"]).await.expect_err("no such service");
    let (code, reason, rule, _) = told(&refused);
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::FailedPrecondition, "SERVICE_UNKNOWN", "R36"));
    let metadata = refused.get_details_error_info().expect("every refusal has it").metadata;
    assert!(metadata["services"].split(',').any(|service| service == "office-365"), "{metadata:?}");
}

async fn r24_the_holder_can_be_replaced_in_the_same_step(database: Database) {
    let world = World::start("china", database).await;
    let first = world.accept("cedar", "alpenglow", &["office-365"]).await.expect("free");
    let refused = world.accept("cedar", "birchwood", &["office-365"]).await.expect_err("R24");
    assert_eq!(told(&refused).1, "SERVICE_ALREADY_DELEGATED");

    let mut request = establish("cedar", "birchwood", &["office-365"]);
    request.replace = vec![first.delegations[0].name.clone()];
    let taken =
        world.establishment().establish(world.by(admin("cedar"), request)).await.expect("handed over").into_inner();
    assert_eq!(taken.replaced[0].name, first.delegations[0].name);
    assert_eq!(taken.replaced[0].state(), wire::DelegationState::Reassigned);
    let list = wire::ListDelegationsRequest {
        parent: "customers/cedar/relationships/-".to_owned(),
        filter: "state = ACTIVE".to_owned(),
        ..Default::default()
    };
    let page =
        world.delegations().list_delegations(world.by(admin("cedar"), list)).await.expect("its own page").into_inner();
    let holders: Vec<&str> = page.delegations.iter().map(|held| held.partner.as_str()).collect();
    assert_eq!(holders, ["partners/birchwood"]);
}

async fn validate_only_writes_nothing(database: Database) {
    let world = World::start("public", database).await;
    let mut request = establish("cedar", "alpenglow", &["azure-ad"]);
    request.validate_only = true;
    request.request_id = "6f2dbb3e-4d9f-4a53-9a8e-111111111111".to_owned();
    let foretold =
        world.establishment().establish(world.by(admin("cedar"), request.clone())).await.expect("valid").into_inner();
    assert_eq!(foretold.relationship.expect("described").name, "", "what does not exist has no name");
    assert_eq!(foretold.delegations[0].service, "azure-ad");

    let list = wire::ListRelationshipsRequest { parent: "customers/cedar".to_owned(), ..Default::default() };
    let listed = world.relationships().list_relationships(world.by(admin("cedar"), list)).await.expect("its own list");
    assert!(listed.into_inner().relationships.is_empty());
    // The request id is free: nothing was kept under it.
    request.validate_only = false;
    world.establishment().establish(world.by(admin("cedar"), request)).await.expect("accepted now");
}

async fn a_repeated_acceptance_gets_the_first_answer(database: Database) {
    let world = World::start("public", database).await;
    let mut request = establish("cedar", "alpenglow", &["azure-ad"]);
    request.request_id = "6f2dbb3e-4d9f-4a53-9a8e-222222222222".to_owned();
    let first = world.establishment().establish(world.by(admin("cedar"), request.clone())).await.expect("accepted");
    let again = world.establishment().establish(world.by(admin("cedar"), request.clone())).await.expect("a repeat");
    assert_eq!(first.into_inner(), again.into_inner());

    request.invitation.as_mut().expect("set").link_active = false;
    let later = world.establishment().establish(world.by(admin("cedar"), request.clone())).await;
    later.expect("still a repeat after the link was disabled");

    request.invitation = Some(invitation("birchwood", &["azure-ad"]));
    let reused = world.establishment().establish(world.by(admin("cedar"), request)).await.expect_err("another request");
    let (code, reason, rule, _) = told(&reused);
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED", "AIP-155"));
}

async fn internal_methods_are_for_the_invitation_service_of_the_same_cloud_only(database: Database) {
    let world = World::start("public", database).await;
    for (cloud, service) in [("public", "notification"), ("china", "invitation")] {
        let request = world.by(admin("cedar"), establish("cedar", "alpenglow", &["azure-ad"]));
        let refused =
            world.establishment_as(cloud, service).establish(request).await.expect_err("not the invitation service");
        assert_eq!(told(&refused).1, "WORKLOAD_IDENTITY_REQUIRED", "{cloud}/{service}");
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
}
