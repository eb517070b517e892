//! What a request gets wrong, and what it must not learn: malformed fields, stale etags, used ids, resources of others.

use api::ErrorReason as Reason;
use api::invitation::{DisableInvitationLinkRequest, RotateInvitationLinkRequest};
use api::notification::{GetEventRequest, ListEventsRequest};
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use tonic::Status;

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, refused, request_id};

#[tokio::test(flavor = "multi_thread")]
async fn malformed_fields_are_named() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
    let (otto, billing) = (system.person(cloud, "otto").await, system.person(cloud, "billing").await);
    let (partner, customer) = (cloud.partner(0), cloud.customer(0));
    let field = |answer: Result<(), Status>, field: &str| {
        let told = refused(answer, Reason::FieldInvalid, ["AIP-203", cloud.id, ""], &[]);
        assert!(told.fields.iter().any(|named| named == field), "{field}: {told:?}");
        assert!(told.message.contains(field), "{}", told.message);
    };
    field(ada.link(&partner, "Reseller").await.map(drop), "name");
    field(gwen.resolve("", &customer).await.map(drop), "token");
    field(gwen.accept(cloud.acceptance("x", "customer")).await.map(drop), "customer");
    let token = ada.link(&partner, "reseller").await.expect("a link").token;
    let mut request = cloud.acceptance(&token, &customer);
    "not-a-uuid".clone_into(&mut request.request_id);
    field(gwen.accept(request).await.map(drop), "request_id");
    let page = wire::ListPartnerCustomersRequest { parent: partner.clone(), page_size: -1, ..Default::default() };
    field(ada.relationships().list_partner_customers(page).await.map(drop), "page_size");
    let page = wire::ListRelationshipsRequest {
        parent: customer.clone(),
        filter: "color = red".to_owned(),
        ..Default::default()
    };
    field(gwen.relationships().list_relationships(page).await.map(drop), "filter");
    let page = ListEventsRequest { parent: customer.clone(), page_token: "made-up".to_owned(), ..Default::default() };
    field(gwen.events().list_events(page).await.map(drop), "page_token");
    let mut question = wire::CheckAccessRequest {
        partner: partner.clone(),
        customer: customer.clone(),
        action: 99,
        target: Some(Target::Service("azure-ad".to_owned())),
        consistency: None,
    };
    field(billing.access().check_access(question.clone()).await.map(drop), "action");
    question.action = wire::Action::RemoveSeats.into();
    field(billing.access().check_access(question.clone()).await.map(drop), "subscription");
    question.target = None;
    field(billing.access().check_access(question).await.map(drop), "target");
    let mut registration = registration("newcomer");
    "Atlantis".clone_into(&mut registration.customer.as_mut().expect("it is given").country);
    field(otto.directory().create_customer(registration).await.map(drop), "customer.country");
}

fn registration(id: &str) -> wire::CreateCustomerRequest {
    let customer =
        wire::Customer { display_name: "Newcomer".to_owned(), country: "IT".to_owned(), ..Default::default() };
    wire::CreateCustomerRequest { customer_id: id.to_owned(), customer: Some(customer), request_id: String::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn aip_154_aip_133_a_stale_etag_and_a_taken_name_are_refused() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (ada, otto) = (system.person(cloud, "ada").await, system.person(cloud, "otto").await);
        let (gwen, customer) = (system.person(cloud, "gwen").await, cloud.customer(0));
        let stale = "\"of another time\"".to_owned();
        let link = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link");
        let at = ["AIP-154", cloud.id, link.name.as_str()];
        let rotate = RotateInvitationLinkRequest { name: link.name.clone(), etag: stale.clone(), ..Default::default() };
        refused(ada.invitations().rotate_invitation_link(rotate).await, Reason::EtagMismatch, at, &[]);
        let disable =
            DisableInvitationLinkRequest { name: link.name.clone(), etag: stale.clone(), ..Default::default() };
        refused(ada.invitations().disable_invitation_link(disable).await, Reason::EtagMismatch, at, &[]);

        let held = gwen.accept(cloud.acceptance(&link.token, &customer)).await.expect("accepted").into_inner();
        let held = &held.delegations[0].name;
        let at = ["AIP-154", cloud.id, held.as_str()];
        let remove = wire::RemoveDelegationRequest { name: held.clone(), etag: stale.clone(), ..Default::default() };
        refused(gwen.delegations().remove_delegation(remove).await, Reason::EtagMismatch, at, &[]);

        otto.register_customer("newcomer", cloud.country).await;
        let mut again = registration("newcomer");
        "Somebody else".clone_into(&mut again.customer.as_mut().expect("it is given").display_name);
        let answer = otto.directory().create_customer(again).await;
        refused(answer, Reason::ResourceExists, ["AIP-133", cloud.id, "customers/newcomer"], &[]);
        let changed = wire::Customer { name: "customers/newcomer".to_owned(), etag: stale, ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["domain".to_owned()] });
        let request = wire::UpdateCustomerRequest { customer: Some(changed), update_mask, ..Default::default() };
        let answer = otto.directory().update_customer(request).await;
        refused(answer, Reason::EtagMismatch, ["AIP-154", cloud.id, "customers/newcomer"], &[]);
        let fed = wire::Subscription {
            name: format!("{customer}/subscriptions/new"),
            service: "teapots".to_owned(),
            status: wire::SubscriptionStatus::Active.into(),
            ..Default::default()
        };
        let request =
            wire::UpdateSubscriptionRequest { subscription: Some(fed), allow_missing: true, ..Default::default() };
        let answer = otto.subscriptions().update_subscription(request).await;
        refused(answer, Reason::ServiceUnknown, ["R36", cloud.id, "teapots"], &[("services", "*")]);
    }
}

/// The sentence of a refusal, with the name asked for taken out of it.
fn sentence(answer: Result<(), Status>, resource: &str) -> String {
    let told = refused(answer, Reason::ResourceNotFound, ["I12", "public", resource], &[]);
    told.message.replace(resource, "")
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_stranger_gets_one_answer_for_what_there_is_and_for_what_there_is_not() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (ada, bob) = (system.person(cloud, "ada").await, system.person(cloud, "bob").await);
    let (gwen, gus) = (system.person(cloud, "gwen").await, system.person(cloud, "gus").await);
    let (partner, customer) = (cloud.partner(0), cloud.customer(0));
    let link = ada.link(&partner, "reseller.office-365").await.expect("a link");
    let accepted = gwen.accept(cloud.acceptance(&link.token, &customer)).await.expect("accepted").into_inner();
    let there = accepted.relationship.expect("established").name;
    let nobody = request_id();
    let missing = format!("{customer}/relationships/{nobody}");
    for caller in [&bob, &gus] {
        let mut told = Vec::new();
        for name in [&there, &missing] {
            let request = wire::GetRelationshipRequest { name: name.clone() };
            told.push(sentence(caller.relationships().get_relationship(request).await.map(drop), name));
            let name = format!("{name}/delegations/{nobody}");
            let request = wire::GetDelegationRequest { name: name.clone() };
            told.push(sentence(caller.delegations().get_delegation(request).await.map(drop), &name));
        }
        let held = accepted.delegations[0].name.clone();
        let request = wire::GetDelegationRequest { name: held.clone() };
        told.push(sentence(caller.delegations().get_delegation(request).await.map(drop), &held));
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
    }
    others(&bob, &gus, [&partner, &customer]).await;
    // Its own side of what does not exist looks no different.
    let request = wire::GetRelationshipRequest { name: missing.clone() };
    sentence(gwen.relationships().get_relationship(request).await.map(drop), &missing);
    let remove = wire::RemoveDelegationRequest { name: accepted.delegations[0].name.clone(), ..Default::default() };
    sentence(gus.delegations().remove_delegation(remove.clone()).await.map(drop), &remove.name);
}

/// Lists and feeds of others, and of tenants that nobody knows.
async fn others(bob: &Caller, gus: &Caller, [partner, customer]: [&str; 2]) {
    for partner in [partner, "partners/nobody"] {
        let request = wire::ListPartnerCustomersRequest { parent: partner.to_owned(), ..Default::default() };
        sentence(bob.relationships().list_partner_customers(request).await.map(drop), partner);
        let name = format!("{partner}/invitationLinks/reseller");
        sentence(bob.link(partner, "reseller").await.map(drop), &name);
        let request = ListEventsRequest { parent: partner.to_owned(), ..Default::default() };
        sentence(bob.events().list_events(request).await.map(drop), partner);
        let request = wire::GetPartnerRequest { name: partner.to_owned() };
        sentence(bob.directory().get_partner(request).await.map(drop), partner);
    }
    for customer in [customer, "customers/nobody"] {
        let request = wire::ListRelationshipsRequest { parent: customer.to_owned(), ..Default::default() };
        sentence(gus.relationships().list_relationships(request).await.map(drop), customer);
        let name = format!("{customer}/agreementStatus");
        let request = wire::GetAgreementStatusRequest { name: name.clone() };
        let told = gus.agreements().get_agreement_status(request).await.map(drop);
        assert_eq!(told.expect_err("I12").code(), tonic::Code::NotFound);
        let name = format!("{customer}/events/{}", request_id());
        sentence(gus.events().get_event(GetEventRequest { name: name.clone() }).await.map(drop), &name);
        let request = wire::GetCustomerRequest { name: customer.to_owned() };
        sentence(gus.directory().get_customer(request).await.map(drop), customer);
        let request = wire::ListSubscriptionsRequest { parent: customer.to_owned(), ..Default::default() };
        let told = gus.subscriptions().list_subscriptions(request).await.map(drop);
        assert_eq!(told.expect_err("I12").code(), tonic::Code::NotFound);
    }
}
