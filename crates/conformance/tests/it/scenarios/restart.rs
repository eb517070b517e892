//! A system that ends and starts again where it was keeps what it knew, and whatever its users hold stays good.

use api::relationship::RemoveDelegationRequest;

use super::cloud::CLOUDS;
use super::history::{listed, types, watched};
use super::system::System;
use super::{Caller, raw};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_data_links_tokens_request_ids_and_the_places_in_feeds() {
    let system = System::start().await;
    let mut held = Vec::new();
    for cloud in &CLOUDS {
        let (ada, customer) = (system.person(cloud, "ada").await, cloud.customer(0));
        let link = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link");
        let claims = [("sub", "gwen"), ("kind", "customer"), ("tid", cloud.customers[0]), ("roles", "global_admin")];
        let token = system.token(cloud.id, &claims).await;
        let gwen = Caller::new(&system.channel, Some(cloud.id), Some(&token));
        let request = cloud.acceptance(&link.token, &customer);
        let answer = gwen.accept(request.clone()).await.expect("accepted").into_inner();
        let count = if cloud.agreement.is_some() { 3 } else { 2 };
        let seen = watched(&gwen, &customer, 0, count).await;
        held.push((cloud, link, token, request, answer, seen));
    }
    let system = system.restarted().await;
    for (cloud, link, token, request, answer, seen) in held {
        let gwen = Caller::new(&system.channel, Some(cloud.id), Some(&token));
        let (ada, customer) = (system.person(cloud, "ada").await, cloud.customer(0));
        assert_eq!(ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link"), link, "R18");
        assert_eq!(gwen.accept(request).await.expect("a repeat").into_inner(), answer);
        assert_eq!(listed(&gwen, &customer).await, seen);
        let gus = system.person(cloud, "gus").await;
        gus.accept(cloud.acceptance(&link.token, &cloud.customer(1))).await.expect("an old link is good");
        let remove = RemoveDelegationRequest { name: answer.delegations[0].name.clone(), ..Default::default() };
        gwen.delegations().remove_delegation(remove).await.expect("R27");
        let last = seen.last().expect("there are some").sequence;
        let next = watched(&gwen, &customer, last, 1).await;
        assert_eq!((types(&next), next[0].sequence), (vec!["delegation.removedByCustomer"], last + 1));
        let listed = ada.customers(&cloud.partner(0)).await;
        assert_eq!(listed.len(), 2, "{}", cloud.id);
    }
    let clouds = raw::call(&system.nobody("public"), "/mandate.cloud.v1.CloudService/ListClouds", Vec::new()).await;
    clouds.expect("anybody may ask");
    let ended = system.ended();
    assert_eq!(ended.code(), 0, "{ended:?}");
}
