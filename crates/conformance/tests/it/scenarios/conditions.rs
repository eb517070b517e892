//! What must hold for an acceptance, condition by condition, and all that fail told at once (D4).

use api::ErrorReason as Reason;
use api::relationship::{Partner, PartnerStatus, UpdatePartnerRequest};
use prost_types::{FieldMask, Timestamp};

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, refused};

/// The second at which the year 2999 begins: beyond any clock that could be wrong.
const FAR_FUTURE_SECONDS: i64 = 32_472_144_000;

async fn token(caller: &Caller, partner: &str) -> String {
    caller.link(partner, "reseller.office-365").await.expect("a link").token
}

#[tokio::test(flavor = "multi_thread")]
async fn r43_n33_the_agreement_is_asked_for_once_and_not_dated_in_the_future() {
    let system = System::start().await;
    for cloud in CLOUDS.iter().filter(|cloud| cloud.agreement.is_some()) {
        let ada = system.person(cloud, "ada").await;
        let (gwen, customer) = (system.person(cloud, "gwen").await, cloud.customer(0));
        let token = token(&ada, &cloud.partner(0)).await;
        let whole = cloud.acceptance(&token, &customer);
        let at = ["R43", cloud.id, customer.as_str()];
        let more = [("agreement", "microsoft-customer-agreement"), ("version", "1")];
        let mut bare = whole.clone();
        bare.agreement = None;
        refused(gwen.accept(bare).await, Reason::AgreementRequired, at, &more);
        let mut old = whole.clone();
        "0".clone_into(&mut old.agreement.as_mut().expect("it is due").version);
        let mut early = whole.clone();
        let consent = early.agreement.as_mut().expect("it is due");
        consent.accept_time = Some(Timestamp { seconds: FAR_FUTURE_SECONDS, nanos: 0 });
        let at = ["N33", cloud.id, customer.as_str()];
        refused(gwen.accept(early).await, Reason::AgreementDateInFuture, at, &[]);
        let at = ["R43", cloud.id, customer.as_str()];
        refused(gwen.accept(old).await, Reason::AgreementRequired, at, &more);
        assert!(gwen.partners(&customer).await.is_empty(), "nothing was written");
        gwen.accept(whole).await.expect("accepted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r30_r47_n97_a_partner_without_contract_or_suspended_cannot_be_accepted() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (gil, customer) = (system.person(cloud, "gil").await, cloud.customer(2));
        let (cleo, otto) = (system.person(cloud, "cleo").await, system.person(cloud, "otto").await);
        let unsigned = token(&cleo, &cloud.partner(2)).await;
        let answer = gil.accept(cloud.acceptance(&unsigned, &customer)).await;
        let at = ["N27", cloud.id, &cloud.partner(2)];
        refused(answer, Reason::PartnerContractRequired, at, &[("contract", cloud.contract)]);

        let ada = system.person(cloud, "ada").await;
        let suspended = token(&ada, &cloud.partner(0)).await;
        let set = async |status: PartnerStatus| {
            let partner = Partner { name: cloud.partner(0), status: status.into(), ..Partner::default() };
            let update_mask = Some(FieldMask { paths: vec!["status".to_owned()] });
            let request = UpdatePartnerRequest { partner: Some(partner), update_mask, ..Default::default() };
            otto.directory().update_partner(request).await.expect("an operator decides")
        };
        set(PartnerStatus::Suspended).await;
        let answer = gil.accept(cloud.acceptance(&suspended, &customer)).await;
        refused(answer, Reason::PartnerNotActive, ["N97", cloud.id, &cloud.partner(0)], &[]);
        set(PartnerStatus::Active).await;
        gil.accept(cloud.acceptance(&suspended, &customer)).await.expect("active again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r52_n24_an_unknown_customer_and_one_that_transacts_itself_are_refused() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let ada = system.person(cloud, "ada").await;
        let token = token(&ada, &cloud.partner(0)).await;
        let admin = system.sign_in(cloud.id, "ida", ["customer", "nobody-knows-us", "global_admin"]).await;
        let answer = admin.accept(cloud.acceptance(&token, "customers/nobody-knows-us")).await;
        let at = ["R52", cloud.id, "customers/nobody-knows-us"];
        let told = refused(answer, Reason::CustomerNotRegistered, at, &[]);
        assert_eq!(told.conditions[0].0, "CUSTOMER_NOT_REGISTERED");

        // One tenant can be a partner and a customer: bob's company buys, too.
        let otto = system.person(cloud, "otto").await;
        otto.register_customer(cloud.partners[1], cloud.country).await;
        let admin = system.sign_in(cloud.id, "ida", ["customer", cloud.partners[1], "global_admin"]).await;
        let customer = format!("customers/{}", cloud.partners[1]);
        let answer = admin.accept(cloud.acceptance(&token, &customer)).await;
        refused(answer, Reason::SelfDealing, ["N24", cloud.id, &customer], &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_all_that_stands_in_the_way_is_told_at_once_and_before_anybody_tries() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (otto, gil) = (system.person(cloud, "otto").await, system.person(cloud, "gil").await);
    let customer = cloud.customer(2);
    otto.register_partner("worst", "US", "").await;
    let agent = system.sign_in(cloud.id, "eve", ["partner", "worst", "admin_agent"]).await;
    let token = token(&agent, "partners/worst").await;
    let mut request = cloud.acceptance(&token, &customer);
    request.agreement = None;
    let more = [("contract", cloud.contract)];
    let at = ["N27", cloud.id, "partners/worst"];
    let told = refused(gil.accept(request.clone()).await, Reason::PartnerContractRequired, at, &more);
    let expected = [
        ("PARTNER_CONTRACT_REQUIRED", "partners/worst"),
        ("MARKET_MISMATCH", customer.as_str()),
        ("AGREEMENT_REQUIRED", customer.as_str()),
    ];
    let expected = expected.map(|(reason, subject)| (reason.to_owned(), subject.to_owned()));
    assert_eq!(told.conditions, expected);
    assert_eq!(told.metadata["rules"], "N27,R35,R43");
    request.validate_only = true;
    let asked = refused(gil.accept(request).await, Reason::PartnerContractRequired, at, &more);
    assert_eq!(asked.conditions, told.conditions, "asked first, it is the same");
    let seen = gil.resolve(&token, &customer).await.expect("looking is free");
    // What the acceptance itself can bring is an offer, not an obstacle.
    let obstacles: Vec<&str> = seen.obstacles.iter().map(|told| told.reason.as_str()).collect();
    assert_eq!(obstacles, ["PARTNER_CONTRACT_REQUIRED", "MARKET_MISMATCH"]);
    assert!(seen.agreement.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn n61_n62_r36_who_may_ask_and_for_what() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let sam = system.person(cloud, "sam").await;
        let partner = cloud.partner(0);
        let name = format!("{partner}/invitationLinks/reseller.azure-ad");
        let answer = sam.link(&partner, "reseller.azure-ad").await;
        if cloud.id == "china" {
            let more = [("permission", "invitation_links.request_delegation"), ("roles", "*")];
            refused(answer, Reason::RequesterRoleRequired, ["N61", cloud.id, &name], &more);
        } else {
            answer.expect("N62: a sales agent asks for relationships, here with privileges, too");
        }
        let ada = system.person(cloud, "ada").await;
        let answer = ada.link(&partner, "reseller.teapots").await;
        let told = refused(answer, Reason::ServiceUnknown, ["R36", cloud.id, "teapots"], &[("services", "*")]);
        assert!(told.metadata["services"].contains("azure-ad"));
    }
}
