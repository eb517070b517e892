//! What one cloud does not do to another, and what a service asks of whoever reaches it around the gateway.

use std::time::Duration;

use api::ErrorReason as Reason;
use api::relationship::GetPartnerRequest;
use testkit::provider::Identity;

use super::site::{AGENT, OPERATOR, Site, admin};
use crate::scenarios::cloud::Cloud;
use crate::scenarios::{Caller, raw, refused};

const LIST: &str = "/mandate.relationship.v1.RelationshipService/ListPartnerCustomers";

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_whose_services_are_stopped_costs_its_own_callers_an_error_and_nobody_else() {
    let site = Site::new(None);
    let (china, mut stopped) = site.running("china").await;
    let (public, _running) = site.running("public").await;
    let (_gateway, channel) = site.gateway(&[&china, &public]);
    for (instance, cloud) in [(&china, Cloud::of("china")), (&public, Cloud::of("public"))] {
        let otto = instance.caller(&channel, OPERATOR);
        otto.register_partner("alpenglow", cloud.country, cloud.contract).await;
        otto.register_customer("tessera", cloud.country).await;
    }
    let (ada, gwen) = (china.caller(&channel, AGENT), china.caller(&channel, admin("tessera")));
    let token = ada.link("partners/alpenglow", "reseller.office-365").await.expect("a link").token;

    // One service of three: those that need it say so, the others do not notice.
    let relationship = stopped.remove("relationship").expect("it runs").terminated();
    assert_eq!(relationship.code(), 0, "{relationship:?}");
    let cloud = Cloud::of("china");
    let answer = gwen.accept(cloud.acceptance(&token, "customers/tessera")).await;
    let told = refused(answer, Reason::DependencyUnavailable, ["AIP-194", "china", ""], &[]);
    assert!(told.retry.is_some_and(|wait| wait > Duration::ZERO), "a retry can help");
    ada.link("partners/alpenglow", "reseller.azure-ad").await.expect("links need nobody else");
    unreachable(&ada).await;

    for (service, process) in stopped {
        let ended = process.terminated();
        assert_eq!(ended.code(), 0, "{service}: {ended:?}");
    }
    let answer = ada.link("partners/alpenglow", "reseller.azure-ad").await;
    let told = refused(answer, Reason::CloudInstanceUnreachable, ["D10", "china", "clouds/china"], &[]);
    assert!(told.retry.is_some(), "a retry can help");

    let cloud = Cloud::of("public");
    let (ada, gwen) = (public.caller(&channel, AGENT), public.caller(&channel, admin("tessera")));
    let token = ada.link("partners/alpenglow", "reseller.office-365").await.expect("a link").token;
    gwen.accept(cloud.acceptance(&token, "customers/tessera")).await.expect("the other cloud does not notice");
}

async fn unreachable(caller: &Caller) {
    let answer = raw::call(caller, LIST, Vec::new()).await;
    let told = refused(answer, Reason::CloudInstanceUnreachable, ["D10", "china", "clouds/china"], &[]);
    assert!(told.retry.is_some_and(|wait| wait > Duration::ZERO), "a retry can help");
}

#[tokio::test(flavor = "multi_thread")]
async fn around_the_gateway_a_service_still_asks_for_its_own_clouds_tokens_and_certificates() {
    let site = Site::new(None);
    let (public, _running) = site.running("public").await;
    let elsewhere = site.instance("china").await;
    let (_gateway, channel) = site.gateway(&[&public]);
    let direct = site.direct(public.addresses["relationship"]);
    let asked = || GetPartnerRequest { name: "partners/alpenglow".to_owned() };

    let stranger = Caller::new(&direct, None, Some(&elsewhere.token(AGENT)));
    let answer = stranger.directory().get_partner(asked()).await;
    let more = [("issuer", elsewhere.provider.uri())];
    refused(answer, Reason::TokenOfAnotherCloud, ["N69", "public", ""], &more);

    // Tokens of the provider that are as old as the time at which tests hold the clock.
    let old = public.provider.token(AGENT);
    for way in [&direct, &channel] {
        let late = Caller::new(way, Some("public"), Some(&old));
        let answer = late.directory().get_partner(asked()).await;
        refused(answer, Reason::TokenExpired, ["AIP-211", "public", ""], &[]);
    }
    // The certificate of the gateway opens nothing that is internal.
    let caller = Caller::new(&direct, None, Some(&public.token(admin("tessera"))));
    let establish = "/mandate.relationship.v1.EstablishmentService/Establish";
    let answer = raw::call(&caller, establish, Vec::new()).await;
    refused(answer, Reason::WorkloadIdentityRequired, ["N69", "public", ""], &[]);
    // Nor does any certificate stand for a token.
    let nobody = Caller::new(&direct, None, None);
    let answer = nobody.directory().get_partner(asked()).await;
    refused(answer, Reason::TokenRequired, ["AIP-211", "public", ""], &[]);
    // A provider that calls somebody what nobody is.
    let odd = Identity { kind: "pirate", ..AGENT };
    let answer = Caller::new(&direct, None, Some(&public.token(odd))).directory().get_partner(asked()).await;
    refused(answer, Reason::TokenInvalid, ["AIP-211", "public", ""], &[]);
}
