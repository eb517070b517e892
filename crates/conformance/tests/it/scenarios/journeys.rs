//! What Mandate is for, from the first look at a link to the last privilege taken back: scenarios D11 1, 2, 4, 6-9.

use std::collections::{BTreeMap, BTreeSet};

use api::ErrorReason as Reason;
use api::invitation::{InvitationKind, InvitationLinkState};
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use api::relationship::{Action, Consistency, DelegationState, RelationshipState, SubscriptionStatus};

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, refused};

/// Action, target, and the answer with its rule.
type Row<'a> = (Action, Target, bool, &'a str);

async fn decided(caller: &Caller, partner: &str, customer: &str, (action, target): (Action, Target)) -> (bool, String) {
    let request = wire::CheckAccessRequest {
        partner: partner.to_owned(),
        customer: customer.to_owned(),
        action: action.into(),
        target: Some(target),
        consistency: Some(Consistency { requirement: Some(Requirement::FullyConsistent(())) }),
    };
    let answer = caller.access().check_access(request).await.expect("an answer").into_inner();
    assert_eq!(answer.allowed, !answer.grant.is_empty(), "a grant exactly when allowed: {answer:?}");
    assert!(!answer.explanation.is_empty());
    (answer.allowed, answer.rule)
}

fn service(id: &str) -> Target {
    Target::Service(id.to_owned())
}

fn subscription(customer: &str, id: &str) -> Target {
    Target::Subscription(format!("{customer}/subscriptions/{id}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_1_r37_r43_in_public_a_relationship_alone_needs_the_agreement_and_gives_no_administration() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
    let (partner, customer) = (cloud.partner(0), cloud.customer(0));
    let link = ada.link(&partner, "reseller").await.expect("R37: the option may be cleared");
    assert_eq!((link.kind(), link.services.len()), (InvitationKind::Reseller, 0));

    let seen = gwen.resolve(&link.token, &customer).await.expect("anybody of the customer may look");
    let offer = seen.agreement.as_ref().expect("R43: the agreement is due");
    assert_eq!((offer.agreement.as_str(), offer.version.as_str()), ("microsoft-customer-agreement", "1"));
    assert_eq!(seen.partner.as_ref().expect("who asks").name, partner);
    assert_eq!((seen.services.len(), seen.existing_relationship.as_str()), (0, ""));
    let mut bare = cloud.acceptance(&link.token, &customer);
    bare.agreement = None;
    bare.validate_only = true;
    let more = [("agreement", "microsoft-customer-agreement"), ("version", "1")];
    let told = refused(gwen.accept(bare.clone()).await, Reason::AgreementRequired, ["R43", "public", &customer], &more);
    assert_eq!(told.conditions, [("AGREEMENT_REQUIRED".to_owned(), customer.clone())]);
    assert!(ada.customers(&partner).await.is_empty(), "R21, R25: nothing exists before acceptance");

    let answer = gwen.accept(cloud.acceptance(&link.token, &customer)).await.expect("R44").into_inner();
    let relationship = answer.relationship.expect("established");
    assert_eq!(relationship.acceptor, format!("{customer}/users/gwen"));
    assert_eq!((relationship.state(), answer.delegations.len()), (RelationshipState::Active, 0));
    assert!(answer.agreement_acceptance.is_some(), "R43: taken with the acceptance");
    let listed = ada.customers(&partner).await;
    assert_eq!(listed.iter().map(|row| row.customer.as_str()).collect::<Vec<_>>(), [customer.as_str()], "R25");
    let status = wire::GetAgreementStatusRequest { name: format!("{customer}/agreementStatus") };
    assert!(gwen.agreements().get_agreement_status(status).await.expect("its own").into_inner().satisfied);

    let billing = system.person(cloud, "billing").await;
    for (action, target, allowed, rule) in [
        (Action::ManageUsers, service("azure-ad"), false, "N16"),
        (Action::ManageService, service("office-365"), false, "N16"),
        (Action::ProvisionSubscription, service("azure"), true, "R26"),
    ] {
        let answer = decided(&billing, &partner, &customer, (action, target)).await;
        assert_eq!(answer, (allowed, rule.to_owned()), "{action:?}");
    }
    bare.validate_only = false;
    bare.request_id = super::request_id();
    let again = gwen.accept(bare).await.expect("R43: it is not asked for twice").into_inner();
    assert_eq!(again.relationship.expect("the same").name, relationship.name);
    assert!(again.agreement_acceptance.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_2_r5_r33_r34_only_public_has_relationships_without_delegation() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let ada = system.person(cloud, "ada").await;
        let link = ada.link(&cloud.partner(0), "reseller").await;
        let name = format!("{}/invitationLinks/reseller", cloud.partner(0));
        match cloud.mandatory_rule {
            None => assert_eq!(link.expect("R37").state(), InvitationLinkState::Active),
            Some(rule) => {
                refused(link, Reason::DelegationMandatoryInCloud, [rule, cloud.id, &name], &[]);
            }
        }
        let whole = ada.link(&cloud.partner(0), "reseller.azure-ad.office-365").await.expect("R36");
        assert_eq!(whole.kind(), InvitationKind::ResellerWithDelegation);
        assert_eq!(whole.services, ["azure-ad", "office-365"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_4_r17_r18_in_china_two_customers_accept_one_link_that_knows_neither() {
    let system = System::start().await;
    let cloud = Cloud::of("china");
    let ada = system.person(cloud, "ada").await;
    let (partner, options) = (cloud.partner(0), "reseller.azure-ad.office-365");
    let link = ada.link(&partner, options).await.expect("a link");
    let mut relationships = BTreeSet::new();
    for (place, name) in [(0, "gwen"), (1, "gus")] {
        let customer = cloud.customer(place);
        let admin = system.person(cloud, name).await;
        let answer = admin.accept(cloud.acceptance(&link.token, &customer)).await.expect("accepted").into_inner();
        assert_eq!(answer.delegations.len(), 2);
        assert!(answer.agreement_acceptance.is_none(), "R43: this cloud asks for none");
        relationships.insert(answer.relationship.expect("established").name);
        let again = ada.link(&partner, options).await.expect("a link");
        assert_eq!(again, link, "R18: acceptance changes nothing of the link");
    }
    assert_eq!(relationships.len(), 2);
    assert_eq!(ada.customers(&partner).await.len(), 2);
    for customer in cloud.customers {
        assert!(!link.uri.contains(customer) && !link.token.contains(customer), "R17");
        assert!(!super::links::unpacked(&link.token).contains(customer), "R17");
    }
    assert!(super::links::unpacked(&link.token).contains(cloud.partners[0]), "R16");
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_6_r27_r30_r47_removing_every_delegation_leaves_the_relationships_and_the_link_restores() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (gwen, customer) = (system.person(cloud, "gwen").await, cloud.customer(0));
        let mut tokens = BTreeMap::new();
        for (place, name, options) in [(0, "ada", "reseller.office-365"), (1, "bob", "reseller.azure-ad")] {
            let agent = system.person(cloud, name).await;
            let link = agent.link(&cloud.partner(place), options).await.expect("a link");
            let answer = gwen.accept(cloud.acceptance(&link.token, &customer)).await;
            answer.unwrap_or_else(|status| panic!("{}: {status:?}", cloud.id));
            tokens.insert(cloud.partner(place), link.token);
        }
        let before = gwen.partners(&customer).await;
        for held in gwen.holders(&customer).await {
            let request = wire::RemoveDelegationRequest { name: held.name, etag: held.etag, ..Default::default() };
            let removed = gwen.delegations().remove_delegation(request).await.expect("R27").into_inner();
            assert_eq!(removed.state(), DelegationState::RemovedByCustomer);
            assert_eq!(removed.ended_by, format!("{customer}/users/gwen"));
        }
        let after = gwen.partners(&customer).await;
        assert_eq!((before.len(), after.len()), (2, 2), "R28");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(after.state(), RelationshipState::Active, "R28");
            assert!(!before.delegated_services.is_empty() && after.delegated_services.is_empty());
            assert_eq!(after.obligations, before.obligations, "R29, R30, R47");
            assert!(after.obligations.iter().any(|duty| duty.rule == "R29"), "R29");
        }
        let ada = system.person(cloud, "ada").await;
        let support = (Action::OpenSupportRequest, service("office-365"));
        let answer = decided(&ada, &cloud.partner(0), &customer, support).await;
        assert_eq!(answer, (true, cloud.support_rule.to_owned()), "R48");
        let users = || (Action::ManageUsers, service("office-365"));
        assert!(!decided(&ada, &cloud.partner(0), &customer, users()).await.0);

        let mut again = cloud.acceptance(&tokens[&cloud.partner(0)], &customer);
        again.agreement = None;
        let restored = gwen.accept(again).await.expect("R3, R4").into_inner();
        let same = after.iter().any(|old| Some(&old.name) == restored.relationship.as_ref().map(|new| &new.name));
        assert!(same, "the relationship is extended, not made anew");
        assert!(decided(&ada, &cloud.partner(0), &customer, users()).await.0, "R31");
    }
}

/// The table D6 for a subscription: what it takes to hold a delegation only, and to be the original reseller.
fn commercial() -> [(Action, &'static str); 6] {
    [
        (Action::ReceiveInvoice, "R6"),
        (Action::RemoveSeats, "R7"),
        (Action::OrderAddOn, "R8"),
        (Action::TransitionSubscription, "R9"),
        (Action::MigrateSubscription, "R10"),
        (Action::ChangePartnerOfRecord, "R11"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_7_r5_to_r11_delegation_alone_gives_no_commercial_right_and_the_original_reseller_has_them() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (gwen, billing) = (system.person(cloud, "gwen").await, system.person(cloud, "billing").await);
        let (ada, customer) = (system.person(cloud, "ada").await, cloud.customer(0));
        let link = ada.link(&cloud.partner(0), "reseller.azure-ad.office-365").await.expect("a link");
        gwen.accept(cloud.acceptance(&link.token, &customer)).await.expect("accepted");
        // The demonstration: `office-seats` was sold by ada's company, `directory-premium` by nobody here.
        let mut rows: Vec<Row<'_>> = Vec::new();
        for (action, rule) in commercial() {
            rows.push((action, subscription(&customer, "office-seats"), true, rule));
            rows.push((action, subscription(&customer, "directory-premium"), false, rule));
        }
        rows.extend([
            (Action::ProvisionSubscription, service("office-365"), true, "R26"),
            (Action::ManageSubscription, subscription(&customer, "directory-premium"), true, "R31"),
            (Action::ManageService, service("office-365"), true, "R31"),
            (Action::ManageUsers, service("azure-ad"), true, "R45"),
            (Action::ManageLicenses, service("office-365"), true, "R45"),
            (Action::OpenSupportRequest, service("office-365"), true, cloud.support_rule),
            (Action::BeSupportContact, subscription(&customer, "directory-premium"), true, "N50"),
        ]);
        let facts = facts(&gwen, &customer).await;
        for (action, target, allowed, rule) in rows {
            let answer = decided(&billing, &cloud.partner(0), &customer, (action, target.clone())).await;
            assert_eq!(answer, (allowed, rule.to_owned()), "{} {action:?} {target:?}", cloud.id);
        }
        explained(&gwen, &customer).await;
        assert_eq!(facts, self::facts(&gwen, &customer).await, "R5: no subscription has changed");
    }
}

async fn facts(caller: &Caller, customer: &str) -> Vec<wire::Subscription> {
    let request = wire::ListSubscriptionsRequest { parent: customer.to_owned(), ..Default::default() };
    let page = caller.subscriptions().list_subscriptions(request).await.expect("its own").into_inner();
    assert!(page.subscriptions.iter().all(|found| found.status() == SubscriptionStatus::Active));
    page.subscriptions
}

/// What is explained is what is decided.
async fn explained(caller: &Caller, customer: &str) {
    let request = wire::ExplainAccessRequest { customer: customer.to_owned(), ..Default::default() };
    let lines = caller.access().explain_access(request).await.expect("its own tenant").into_inner().explanations;
    assert!(lines.len() > commercial().len());
    for line in lines {
        let target = match line.target.clone().expect("every line is about something") {
            wire::access_explanation::Target::Subscription(name) => Target::Subscription(name),
            wire::access_explanation::Target::Service(id) => Target::Service(id),
        };
        let told = line.decision.clone().expect("a decision");
        let answer = decided(caller, &line.partner, customer, (line.action(), target)).await;
        assert_eq!(answer, (told.allowed, told.rule), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_8_r44_nobody_but_a_global_administrator_accepts_and_a_refusal_changes_nothing() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (ada, uma) = (system.person(cloud, "ada").await, system.person(cloud, "uma").await);
        let (partner, customer) = (cloud.partner(0), cloud.customer(0));
        let link = ada.link(&partner, "reseller.office-365").await.expect("a link");
        let more = [("permission", "invitations.accept"), ("roles", "global_admin")];
        let answer = uma.accept(cloud.acceptance(&link.token, &customer)).await;
        refused(answer, Reason::AcceptorRoleRequired, ["R44", cloud.id, ""], &more);
        // An agent of the partner is of the wrong kind altogether.
        let answer = ada.accept(cloud.acceptance(&link.token, &customer)).await;
        let more = [("kind", "partner"), ("allowed_kinds", "customer")];
        refused(answer, Reason::PrincipalKindNotAllowed, ["AIP-211", cloud.id, ""], &more);
        assert!(uma.partners(&customer).await.is_empty() && ada.customers(&partner).await.is_empty());
        let status = wire::GetAgreementStatusRequest { name: format!("{customer}/agreementStatus") };
        let status = uma.agreements().get_agreement_status(status).await.expect("its own").into_inner();
        assert_eq!(status.satisfied, cloud.agreement.is_none(), "{}", cloud.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_9_r35_the_countries_of_the_tenants_decide_who_may_meet() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let otto = system.person(cloud, "otto").await;
        let (gil, customer) = (system.person(cloud, "gil").await, cloud.customer(2));
        let (abroad, rule) = cloud.abroad;
        otto.register_partner("farshore", abroad, cloud.contract).await;
        let agent = system.sign_in(cloud.id, "eve", ["partner", "farshore", "admin_agent"]).await;
        let link = agent.link("partners/farshore", "reseller.office-365").await.expect("a link may be had");
        let seen = gil.resolve(&link.token, &customer).await.expect("looking is free");
        assert!(seen.obstacles.iter().any(|told| told.reason == "MARKET_MISMATCH" && told.rule == rule));
        let country = otto
            .directory()
            .get_customer(wire::GetCustomerRequest { name: customer.clone() })
            .await
            .expect("an operator reads")
            .into_inner()
            .country;
        let answer = gil.accept(cloud.acceptance(&link.token, &customer)).await;
        let more = [("partner_country", abroad), ("customer_country", country.as_str())];
        refused(answer, Reason::MarketMismatch, [rule, cloud.id, &customer], &more);
        assert!(gil.partners(&customer).await.is_empty());

        // N26: the tenant's country setting is what counts, and it can be set right.
        let mut partner = wire::Partner { name: "partners/farshore".to_owned(), ..Default::default() };
        cloud.country.clone_into(&mut partner.country);
        let update_mask = Some(field_mask("country"));
        let request = wire::UpdatePartnerRequest { partner: Some(partner), update_mask, ..Default::default() };
        otto.directory().update_partner(request).await.expect("an operator writes");
        gil.accept(cloud.acceptance(&link.token, &customer)).await.expect("R35: now they share a market");
    }
}

fn field_mask(path: &str) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: vec![path.to_owned()] }
}
