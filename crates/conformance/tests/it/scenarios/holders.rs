//! One holder of admin privileges per service, where the cloud says so, and how a service changes hands (R24, R46). Scenario
//! D11 5.

use api::ErrorReason as Reason;
use api::relationship::{DelegationState, ReassignDelegationRequest, RemoveDelegationRequest};

use super::cloud::Cloud;
use super::system::System;
use super::{Caller, refused, request_id};

async fn token(caller: &Caller, partner: &str, options: &str) -> String {
    caller.link(partner, options).await.expect("a link").token
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_5_r24_in_china_a_held_service_is_refused_and_handed_over_when_its_holder_is_named() {
    let system = System::start().await;
    let cloud = Cloud::of("china");
    let (gwen, customer) = (system.person(cloud, "gwen").await, cloud.customer(0));
    let (ada, bob) = (system.person(cloud, "ada").await, system.person(cloud, "bob").await);
    let first = token(&ada, &cloud.partner(0), "reseller.office-365").await;
    let second = token(&bob, &cloud.partner(1), "reseller.office-365").await;
    let answer = gwen.accept(cloud.acceptance(&first, &customer)).await.expect("accepted").into_inner();
    let held = answer.delegations[0].clone();

    let more = [("service", "office-365"), ("holder", held.name.as_str())];
    let answer = gwen.accept(cloud.acceptance(&second, &customer)).await;
    refused(answer, Reason::ServiceAlreadyDelegated, ["R24", cloud.id, &customer], &more);
    let mut wrong = cloud.acceptance(&second, &customer);
    let nobody = request_id();
    wrong.replace = vec![held.name.clone(), format!("{customer}/relationships/{nobody}/delegations/{nobody}")];
    refused(gwen.accept(wrong).await, Reason::ReplacementInvalid, ["R46", cloud.id, &customer], &[]);

    let mut named = cloud.acceptance(&second, &customer);
    named.replace = vec![held.name.clone()];
    let answer = gwen.accept(named).await.expect("R24: with the holder named it is a hand-over").into_inner();
    assert_eq!(answer.replaced.len(), 1);
    assert_eq!(
        (answer.replaced[0].name.as_str(), answer.replaced[0].state()),
        (held.name.as_str(), DelegationState::Reassigned)
    );
    let holders = gwen.holders(&customer).await;
    assert_eq!(holders.iter().map(|held| held.partner.clone()).collect::<Vec<_>>(), [cloud.partner(1)]);
    assert_eq!(gwen.partners(&customer).await.len(), 2, "R28: both relationships stand");

    // I11: what has ended stays ended.
    let more = [("state", "REASSIGNED")];
    let remove = RemoveDelegationRequest { name: held.name.clone(), ..Default::default() };
    let answer = gwen.delegations().remove_delegation(remove).await;
    refused(answer, Reason::DelegationNotActive, ["I11", cloud.id, &held.name], &more);
    let reassign =
        ReassignDelegationRequest { name: held.name.clone(), to_partner: cloud.partner(1), ..Default::default() };
    let answer = gwen.delegations().reassign_delegation(reassign).await;
    refused(answer, Reason::DelegationNotActive, ["I11", cloud.id, &held.name], &more);
}

#[tokio::test(flavor = "multi_thread")]
async fn r46_a_service_is_reassigned_to_partners_of_the_customer_only() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (gwen, customer) = (system.person(cloud, "gwen").await, cloud.customer(0));
    let (ada, bob) = (system.person(cloud, "ada").await, system.person(cloud, "bob").await);
    let first = token(&ada, &cloud.partner(0), "reseller.office-365").await;
    let held = gwen.accept(cloud.acceptance(&first, &customer)).await.expect("accepted").into_inner().delegations;
    let reassign = |name: &str| ReassignDelegationRequest {
        name: name.to_owned(),
        to_partner: cloud.partner(1),
        request_id: request_id(),
        ..Default::default()
    };
    let answer = gwen.delegations().reassign_delegation(reassign(&held[0].name)).await;
    refused(answer, Reason::RelationshipRequired, ["R46", cloud.id, &cloud.partner(1)], &[]);
    let second = token(&bob, &cloud.partner(1), "reseller.office-365").await;
    let theirs = gwen.accept(cloud.acceptance(&second, &customer)).await.expect("two may hold it here").into_inner();
    let answer = gwen.delegations().reassign_delegation(reassign(&held[0].name)).await;
    let more = [("holder", theirs.delegations[0].name.as_str()), ("service", "office-365")];
    refused(answer, Reason::ServiceAlreadyDelegated, ["R46", cloud.id, &held[0].name], &more);

    let remove = RemoveDelegationRequest { name: theirs.delegations[0].name.clone(), ..Default::default() };
    gwen.delegations().remove_delegation(remove).await.expect("R27");
    let answer = gwen.delegations().reassign_delegation(reassign(&held[0].name)).await.expect("R46").into_inner();
    let (ended, granted) = (answer.ended.expect("one ends"), answer.granted.expect("one begins"));
    assert_eq!((ended.state(), granted.state()), (DelegationState::Reassigned, DelegationState::Active));
    assert_eq!((ended.partner, granted.partner), (cloud.partner(0), cloud.partner(1)));
}
