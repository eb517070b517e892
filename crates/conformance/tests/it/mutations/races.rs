//! Many at the same moment who want what one can have, and many who want the same.

use std::collections::BTreeSet;

use api::ErrorReason as Reason;
use api::invitation::{ListInvitationLinksRequest, RotateInvitationLinkRequest};
use api::notification::Event;
use api::relationship::RemoveDelegationRequest;
use tokio::task::JoinSet;
use tonic::Response;

use super::stage::{Person, Stage};
use crate::scenarios::Caller;
use crate::scenarios::history::{listed, types, watched_until};
use crate::scenarios::refused;

/// How many want it.
const MANY: usize = 100;

const CUSTOMER: &str = "customers/coveted";

#[tokio::test(flavor = "multi_thread")]
async fn d11_5_r24_of_a_hundred_partners_one_gets_the_service_on_two_replicas() {
    one_holder(&Stage::apart("china").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_5_r24_of_a_hundred_partners_one_gets_the_service_in_the_embedded_system() {
    one_holder(&Stage::embedded("china").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_link_asked_for_and_accepted_a_hundred_times_at_once_is_one_on_two_replicas() {
    one_of_all(&Stage::apart("public").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_link_asked_for_and_accepted_a_hundred_times_at_once_is_one_in_the_embedded_system() {
    one_of_all(&Stage::embedded("public").await).await;
}

/// A hundred partners ask, and the customer says yes to all of them at once, where a service has one holder.
async fn one_holder(stage: &Stage) {
    let cloud = stage.cloud;
    let [otto, _] = stage.callers(&Person::operator("otto")).await;
    otto.register_customer("coveted", cloud.country).await;
    let gwen = stage.callers(&Person::admin("coveted", "gwen")).await;
    let mut asking = JoinSet::new();
    for place in 0..MANY {
        let id = format!("asking-{place}");
        let ([ada, _], otto) = (stage.callers(&Person::agent(&id, "ada")).await, otto.clone());
        asking.spawn(async move {
            otto.register_partner(&id, cloud.country, cloud.contract).await;
            ada.link(&format!("partners/{id}"), "reseller.office-365").await.expect("a link").token
        });
    }
    let tokens = asking.join_all().await;

    let mut accepting = JoinSet::new();
    for (place, token) in tokens.iter().enumerate() {
        let (gwen, request) = (gwen[place % 2].clone(), cloud.acceptance(token, CUSTOMER));
        accepting.spawn(async move { gwen.accept(request).await.map(Response::into_inner) });
    }
    let (won, lost): (Vec<_>, Vec<_>) = accepting.join_all().await.into_iter().partition(Result::is_ok);
    let [won] = won.try_into().unwrap_or_else(|won| panic!("one gets it: {won:?}; {lost:?}"));
    let held = won.expect("it was accepted").delegations.remove(0);
    let more = [("service", "office-365"), ("holder", held.name.as_str())];
    for answer in lost {
        let told = refused(answer, Reason::ServiceAlreadyDelegated, ["R24", cloud.id, CUSTOMER], &more);
        assert_eq!(told.conditions.len(), 1, "nothing else was in its way: {told:?}");
    }
    assert_eq!(gwen[1].holders(CUSTOMER).await, std::slice::from_ref(&held));
    assert_eq!(gwen[0].partners(CUSTOMER).await.len(), 1, "a refusal establishes nothing");
    let events = until_removed(&gwen[0], &held.name).await;
    assert_eq!(types(&events), ["relationship.established", "delegation.granted", "delegation.removedByCustomer"]);
    for place in 0..MANY {
        let id = format!("asking-{place}");
        let partner = format!("partners/{id}");
        if partner != held.partner && place % 10 == 0 {
            let [ada, _] = stage.callers(&Person::agent(&id, "ada")).await;
            assert_eq!(listed(&ada, &partner).await, [], "who lost is told nothing of the customer");
        }
    }
}

/// The events of the customer up to the removal of this delegation, which is made here: nothing of it is on its way then.
async fn until_removed(gwen: &Caller, name: &str) -> Vec<Event> {
    let remove = RemoveDelegationRequest { name: name.to_owned(), ..Default::default() };
    gwen.delegations().remove_delegation(remove).await.expect("R27");
    let is_end = |events: &[Event]| events.last().is_some_and(|last| last.r#type == "delegation.removedByCustomer");
    watched_until(gwen, CUSTOMER, 0, is_end).await
}

/// One link, however many ask for it first; one acceptance, however often it is accepted.
async fn one_of_all(stage: &Stage) {
    let cloud = stage.cloud;
    let [otto, _] = stage.callers(&Person::operator("otto")).await;
    otto.register_customer("coveted", cloud.country).await;
    otto.register_partner("asking", cloud.country, cloud.contract).await;
    let token = one_link(stage).await;

    let gwen = stage.callers(&Person::admin("coveted", "gwen")).await;
    let mut accepting = JoinSet::new();
    for place in 0..MANY {
        let (gwen, request) = (gwen[place % 2].clone(), cloud.acceptance(&token, CUSTOMER));
        accepting.spawn(async move { gwen.accept(request).await.map(Response::into_inner) });
    }
    let (mut relationships, mut delegations, mut agreements) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for answer in accepting.join_all().await {
        let answer = answer.expect("what is there already is returned unchanged");
        relationships.insert(answer.relationship.expect("there is one").name);
        delegations.insert(answer.delegations.into_iter().map(|held| held.name).collect::<Vec<_>>());
        agreements.extend(answer.agreement_acceptance);
        assert_eq!(answer.replaced, []);
    }
    assert_eq!((relationships.len(), delegations.len(), agreements.len()), (1, 1, 1));
    let held = delegations.pop_first().expect("there is one");
    let holders = gwen[1].holders(CUSTOMER).await;
    assert_eq!(holders.iter().map(|holder| &holder.name).collect::<Vec<_>>(), held.iter().collect::<Vec<_>>());
    let events = until_removed(&gwen[0], &held[0]).await;
    let expected = [
        "relationship.established",
        "agreement.accepted",
        "delegation.granted",
        "delegation.granted",
        "delegation.removedByCustomer",
    ];
    assert_eq!(types(&events), expected);
}

/// The token of a link that many ask for at once, and nobody did before.
async fn one_link(stage: &Stage) -> String {
    const PARTNER: &str = "partners/asking";
    let agents = stage.callers(&Person::agent("asking", "ada")).await;
    let mut asking = JoinSet::new();
    for place in 0..MANY {
        let ada = agents[place % 2].clone();
        asking.spawn(async move { ada.link(PARTNER, "reseller.azure-ad.office-365").await });
    }
    let links: Vec<_> = asking.join_all().await.into_iter().map(|link| link.expect("whoever asks gets it")).collect();
    assert!(links.iter().all(|link| *link == links[0]), "all get one");
    let list = ListInvitationLinksRequest { parent: PARTNER.to_owned(), ..Default::default() };
    let list = agents[1].invitations().list_invitation_links(list).await.expect("its own").into_inner();
    assert_eq!(list.invitation_links, links[..1]);
    // That it was asked for is no event: the first is of a rotation.
    let spare = agents[0].link(PARTNER, "reseller.azure").await.expect("a link");
    let rotate = RotateInvitationLinkRequest { name: spare.name, ..Default::default() };
    agents[0].invitations().rotate_invitation_link(rotate).await.expect("its own link");
    let events = watched_until(&agents[1], PARTNER, 0, |events| !events.is_empty()).await;
    assert_eq!(types(&events), ["invitationLink.rotated"]);
    links[0].token.clone()
}
