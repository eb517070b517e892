//! Every change: its token of consistency, and its request id, by which a repeat returns the first answer (AIP-155).

use std::collections::BTreeSet;

use api::ErrorReason as Reason;
use api::invitation as links;
use api::relationship as wire;
use api::rule::RULES;
use prost::Message;
use tokio::task::JoinSet;
use tonic::Response;

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, raw, refused, request_id};

/// What is called: who, the request, and another request with the same id.
struct Sample<'a> {
    caller: &'a Caller,
    request: Vec<u8>,
    other: Vec<u8>,
}

/// Who calls, and what they call about.
struct Scene {
    cloud: &'static Cloud,
    ada: Caller,
    gwen: Caller,
    gus: Caller,
    otto: Caller,
    /// The name and token of a link.
    link: (String, String),
    /// Delegations of gwen's company, held by ada's: one to remove and one to reassign.
    held: [String; 2],
}

#[tokio::test(flavor = "multi_thread")]
async fn aip_155_every_change_returns_a_consistency_token_and_repeats_its_first_answer() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let scene = Scene::set(&system, cloud).await;
    let changes: Vec<&str> =
        RULES.iter().filter(|rule| rule.changes && !rule.is_internal()).map(|rule| rule.path).collect();
    assert!(changes.len() >= 11, "the contract has lost methods");
    let mut tokens = BTreeSet::new();
    for path in changes {
        let sample = scene.sample(path);
        let first = raw::call(sample.caller, path, sample.request.clone()).await;
        let first = first.unwrap_or_else(|status| panic!("{path}: {status:?}"));
        let again = raw::call(sample.caller, path, sample.request.clone()).await;
        let again = again.unwrap_or_else(|status| panic!("{path}, again: {status:?}"));
        assert_eq!(again.message, first.message, "{path}: a repeat returns the first answer");
        for answer in [&first, &again] {
            let token = answer.consistency_token.clone().unwrap_or_else(|| panic!("{path} returns no token"));
            tokens.insert(token);
        }
        let reused = raw::call(sample.caller, path, sample.other).await;
        let told = refused(reused, Reason::RequestIdReused, ["AIP-155", cloud.id, ""], &[]);
        assert_eq!(told.fields, ["request_id"], "{path}");
    }
    assert!(!tokens.is_empty());
    scene.once().await;
}

impl Scene {
    async fn set(system: &System, cloud: &'static Cloud) -> Scene {
        let ada = system.person(cloud, "ada").await;
        let (gwen, gus) = (system.person(cloud, "gwen").await, system.person(cloud, "gus").await);
        let link = ada.link(&cloud.partner(0), "reseller.azure-ad.office-365").await.expect("a link");
        let answer = gwen.accept(cloud.acceptance(&link.token, &cloud.customer(0))).await.expect("accepted");
        let held: Vec<String> = answer.into_inner().delegations.into_iter().map(|held| held.name).collect();
        let bob = system.person(cloud, "bob").await;
        let theirs = bob.link(&cloud.partner(1), "reseller").await.expect("a link");
        gwen.accept(cloud.acceptance(&theirs.token, &cloud.customer(0))).await.expect("accepted");
        // The one that the samples rotate and disable; what is accepted stays live.
        let spare = ada.link(&cloud.partner(0), "reseller.azure").await.expect("a link");
        Scene {
            cloud,
            otto: system.person(cloud, "otto").await,
            held: held.try_into().expect("two services"),
            link: (spare.name, link.token),
            ada,
            gwen,
            gus,
        }
    }

    /// A request for the method at this path. A method that has none is one that nobody has thought of here.
    fn sample(&self, path: &str) -> Sample<'_> {
        let (_, method) = path.rsplit_once('/').expect("a path of the contract");
        match method {
            "RotateInvitationLink" | "DisableInvitationLink" | "AcceptInvitation" => self.of_links(method),
            "RemoveDelegation" | "ReassignDelegation" => self.of_delegations(method),
            "UpdateSubscription" => {
                let request = |status: wire::SubscriptionStatus| {
                    let subscription = wire::Subscription {
                        name: format!("{}/subscriptions/repeated", self.cloud.customer(0)),
                        service: "azure".to_owned(),
                        status: status.into(),
                        ..Default::default()
                    };
                    wire::UpdateSubscriptionRequest {
                        subscription: Some(subscription),
                        allow_missing: true,
                        ..Default::default()
                    }
                };
                let (one, two) = (wire::SubscriptionStatus::Active, wire::SubscriptionStatus::Suspended);
                both(&self.otto, request(one), request(two), |request| &mut request.request_id)
            }
            "CreatePartner" | "CreateCustomer" | "CreateUser" => self.of_newcomers(method),
            "UpdatePartner" | "UpdateCustomer" => self.of_tenants(method),
            _ => panic!("{path} changes something: give it a sample request here"),
        }
    }

    fn of_links(&self, method: &str) -> Sample<'_> {
        let (name, token) = &self.link;
        match method {
            "RotateInvitationLink" => {
                let request = |reason: &str| links::RotateInvitationLinkRequest {
                    name: name.clone(),
                    reason: reason.to_owned(),
                    ..Default::default()
                };
                both(&self.ada, request("one"), request("two"), |request| &mut request.request_id)
            }
            "DisableInvitationLink" => {
                let request = |reason: &str| links::DisableInvitationLinkRequest {
                    name: name.clone(),
                    reason: reason.to_owned(),
                    ..Default::default()
                };
                both(&self.ada, request("one"), request("two"), |request| &mut request.request_id)
            }
            _ => {
                let request = self.cloud.acceptance(token, &self.cloud.customer(1));
                let mut other = request.clone();
                other.replace = vec![self.held[0].replace(&self.cloud.customer(0), &self.cloud.customer(1))];
                both(&self.gus, request, other, |request| &mut request.request_id)
            }
        }
    }

    fn of_delegations(&self, method: &str) -> Sample<'_> {
        let [first, second] = &self.held;
        if method == "RemoveDelegation" {
            let request = |reason: &str| wire::RemoveDelegationRequest {
                name: first.clone(),
                reason: reason.to_owned(),
                ..Default::default()
            };
            return both(&self.gwen, request("one"), request("two"), |request| &mut request.request_id);
        }
        let request = |reason: &str| wire::ReassignDelegationRequest {
            name: second.clone(),
            to_partner: self.cloud.partner(1),
            reason: reason.to_owned(),
            ..Default::default()
        };
        both(&self.gwen, request("one"), request("two"), |request| &mut request.request_id)
    }

    fn of_newcomers(&self, method: &str) -> Sample<'_> {
        let country = self.cloud.country.to_owned();
        match method {
            "CreatePartner" => {
                let partner = wire::Partner { display_name: "New".to_owned(), country, ..Default::default() };
                let request = |id: &str| wire::CreatePartnerRequest {
                    partner_id: id.to_owned(),
                    partner: Some(partner.clone()),
                    ..Default::default()
                };
                both(&self.otto, request("new-one"), request("new-two"), |request| &mut request.request_id)
            }
            "CreateCustomer" => {
                let customer = wire::Customer { display_name: "New".to_owned(), country, ..Default::default() };
                let request = |id: &str| wire::CreateCustomerRequest {
                    customer_id: id.to_owned(),
                    customer: Some(customer.clone()),
                    ..Default::default()
                };
                both(&self.otto, request("new-one"), request("new-two"), |request| &mut request.request_id)
            }
            _ => {
                let user = wire::User { display_name: "Ida".to_owned(), ..Default::default() };
                let request = |id: &str| wire::CreateUserRequest {
                    parent: self.cloud.customer(0),
                    user_id: id.to_owned(),
                    user: Some(user.clone()),
                    ..Default::default()
                };
                both(&self.otto, request("ida"), request("ivo"), |request| &mut request.request_id)
            }
        }
    }

    fn of_tenants(&self, method: &str) -> Sample<'_> {
        let update_mask = Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] });
        if method == "UpdatePartner" {
            let request = |title: &str| {
                let (name, display_name) = (self.cloud.partner(2), title.to_owned());
                let partner = wire::Partner { name, display_name, ..Default::default() };
                let update_mask = update_mask.clone();
                wire::UpdatePartnerRequest { partner: Some(partner), update_mask, ..Default::default() }
            };
            return both(&self.otto, request("One"), request("Two"), |request| &mut request.request_id);
        }
        let request = |title: &str| {
            let (name, display_name) = (self.cloud.customer(2), title.to_owned());
            let customer = wire::Customer { name, display_name, ..Default::default() };
            let update_mask = update_mask.clone();
            wire::UpdateCustomerRequest { customer: Some(customer), update_mask, ..Default::default() }
        };
        both(&self.otto, request("One"), request("Two"), |request| &mut request.request_id)
    }

    /// Nothing happened twice.
    async fn once(&self) {
        let customer = self.cloud.customer(1);
        assert_eq!(self.gus.partners(&customer).await.len(), 1);
        assert_eq!(self.gus.holders(&customer).await.len(), 2);
    }
}

/// Two requests with one id.
fn both<M: Message>(caller: &Caller, mut one: M, mut two: M, id: impl Fn(&mut M) -> &mut String) -> Sample<'_> {
    let shared = request_id();
    shared.clone_into(id(&mut one));
    shared.clone_into(id(&mut two));
    Sample { caller, request: one.encode_to_vec(), other: two.encode_to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_its_callers_own() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (ada, customers) = (system.person(cloud, "ada").await, [cloud.customer(0), cloud.customer(1)]);
        let token = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link").token;
        let mut request = cloud.acceptance(&token, &customers[0]);
        for (name, customer) in ["gwen", "gus"].iter().zip(&customers) {
            customer.clone_into(&mut request.customer);
            let admin = system.person(cloud, name).await;
            admin.accept(request.clone()).await.expect("the same id by another caller is another id");
        }
        assert_eq!(ada.customers(&cloud.partner(0)).await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_many_times_at_once_happens_once() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
        let token = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link").token;
        let request = cloud.acceptance(&token, &cloud.customer(0));
        let mut sending = JoinSet::new();
        for _ in 0..10 {
            let (gwen, request) = (gwen.clone(), request.clone());
            sending.spawn(async move { gwen.accept(request).await.map(Response::into_inner) });
        }
        let mut answers = Vec::new();
        while let Some(sent) = sending.join_next().await {
            answers.push(sent.expect("nobody panicked").expect("each is answered"));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{}: all of them alike", cloud.id);
        assert_eq!(gwen.holders(&cloud.customer(0)).await.len(), 1);
    }
}
