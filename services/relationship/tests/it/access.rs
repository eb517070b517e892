//! The question asked on every later call. The whole table stands in the domain; here it is asked on the wire.

use api::relationship as wire;
use api::relationship::check_access_request::Target;
use testkit::Database;
use testkit::provider::Identity;
use tonic::Code;

use crate::world::{BILLING, OPERATOR, World, admin, agent, told};

testkit::on_both!(
    r5_to_r11_delegation_alone_gives_no_commercial_right,
    r31_a_removed_delegation_denies_at_once,
    questions_are_for_the_parties_and_for_trusted_services,
    unknown_actions_and_unfit_targets_are_refused,
    a_customer_sees_who_can_do_what_and_through_which_grant,
);

fn ask(partner: &str, action: wire::Action, target: Target) -> wire::CheckAccessRequest {
    wire::CheckAccessRequest {
        partner: format!("partners/{partner}"),
        customer: "customers/cedar".to_owned(),
        action: action.into(),
        target: Some(target),
        consistency: None,
    }
}

fn mail() -> Target {
    Target::Subscription("customers/cedar/subscriptions/mail".to_owned())
}

fn service(id: &str) -> Target {
    Target::Service(id.to_owned())
}

/// A subscription to mail, sold by one partner, and admin privileges for it, held by another.
async fn sold_and_delegated(database: Database) -> World {
    let world = World::start("public", database).await;
    let request = wire::UpdateSubscriptionRequest {
        subscription: Some(wire::Subscription {
            name: "customers/cedar/subscriptions/mail".to_owned(),
            service: "office-365".to_owned(),
            status: wire::SubscriptionStatus::Active.into(),
            original_reseller: "partners/alpenglow".to_owned(),
            ..Default::default()
        }),
        allow_missing: true,
        ..Default::default()
    };
    world.subscriptions().update_subscription(world.by(OPERATOR, request)).await.expect("fed");
    world.accept("cedar", "alpenglow", &[]).await.expect("accepted");
    world.accept("cedar", "birchwood", &["office-365"]).await.expect("accepted");
    world
}

async fn decided(world: &World, by: Identity<'_>, question: wire::CheckAccessRequest) -> (bool, String, String) {
    let answer = world.access().check_access(world.by(by, question)).await.expect("an answer").into_inner();
    (answer.allowed, answer.rule, answer.grant)
}

async fn r5_to_r11_delegation_alone_gives_no_commercial_right(database: Database) {
    let world = sold_and_delegated(database).await;
    let subscription = "customers/cedar/subscriptions/mail".to_owned();
    for (action, rule) in [
        (wire::Action::ReceiveInvoice, "R6"),
        (wire::Action::RemoveSeats, "R7"),
        (wire::Action::OrderAddOn, "R8"),
        (wire::Action::TransitionSubscription, "R9"),
        (wire::Action::MigrateSubscription, "R10"),
        (wire::Action::ChangePartnerOfRecord, "R11"),
    ] {
        let holder = decided(&world, BILLING, ask("birchwood", action, mail())).await;
        assert_eq!(holder, (false, rule.to_owned(), String::new()), "{action:?}");
        let seller = decided(&world, BILLING, ask("alpenglow", action, mail())).await;
        assert_eq!(seller, (true, rule.to_owned(), subscription.clone()), "{action:?}");
    }
    let (allowed, rule, grant) = decided(&world, BILLING, ask("birchwood", wire::Action::ManageUsers, mail())).await;
    assert!(allowed && rule == "R45" && grant.contains("/delegations/"), "{rule} {grant}");
    let (allowed, rule, _) = decided(&world, BILLING, ask("alpenglow", wire::Action::ManageUsers, mail())).await;
    assert_eq!((allowed, rule.as_str()), (false, "N16"));
    let (allowed, rule, _) =
        decided(&world, BILLING, ask("alpenglow", wire::Action::ProvisionSubscription, service("azure"))).await;
    assert_eq!((allowed, rule.as_str()), (true, "R26"));
}

async fn r31_a_removed_delegation_denies_at_once(database: Database) {
    let world = sold_and_delegated(database).await;
    let question = || ask("birchwood", wire::Action::ManageService, service("office-365"));
    let (allowed, _, grant) = decided(&world, agent("birchwood"), question()).await;
    assert!(allowed);
    let remove = wire::RemoveDelegationRequest { name: grant, ..Default::default() };
    let removed = world.delegations().remove_delegation(world.by(admin("cedar"), remove)).await.expect("R27");
    let token = removed.metadata().get("mandate-consistency-token").expect("every change has one");
    let mut fresh = question();
    let requirement = wire::consistency::Requirement::AtLeastAsFresh(token.to_str().expect("ASCII").to_owned());
    fresh.consistency = Some(wire::Consistency { requirement: Some(requirement) });
    let (allowed, rule, _) = decided(&world, agent("birchwood"), fresh).await;
    assert_eq!((allowed, rule.as_str()), (false, "N16"));
    let (allowed, rule, _) =
        decided(&world, agent("birchwood"), ask("birchwood", wire::Action::OpenSupportRequest, mail())).await;
    assert_eq!((allowed, rule.as_str()), (true, "R48"));

    let mut foreign = question();
    let requirement = wire::consistency::Requirement::AtLeastAsFresh("bm9uc2Vuc2U".to_owned());
    foreign.consistency = Some(wire::Consistency { requirement: Some(requirement) });
    let refused = world.access().check_access(world.by(agent("birchwood"), foreign)).await.expect_err("not our token");
    assert_eq!(told(&refused).1, "FIELD_INVALID");
}

async fn questions_are_for_the_parties_and_for_trusted_services(database: Database) {
    let world = sold_and_delegated(database).await;
    let question = || ask("birchwood", wire::Action::ManageService, service("office-365"));
    for entitled in [BILLING, agent("birchwood"), admin("cedar")] {
        assert!(decided(&world, entitled, question()).await.0, "{entitled:?}");
    }
    let untrusted = Identity { roles: &[], ..BILLING };
    for (stranger, resource) in [
        (agent("alpenglow"), "partners/birchwood"),
        (admin("dunes"), "customers/cedar"),
        (untrusted, "customers/cedar"),
    ] {
        let refused = world.access().check_access(world.by(stranger, question())).await.expect_err("I12");
        let told = told(&refused);
        assert_eq!((told.0, told.1.as_str(), told.3.as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND", resource));
    }
    let operator = world.access().check_access(world.by(OPERATOR, question())).await.expect_err("not a kind that asks");
    assert_eq!(told(&operator).1, "PRINCIPAL_KIND_NOT_ALLOWED");

    // A partner without a relationship learns nothing of what the customer has.
    world.register_partner("fjord", "IT", "microsoft-partner-agreement").await;
    for target in [mail(), Target::Subscription("customers/cedar/subscriptions/none".to_owned())] {
        let answer = decided(&world, agent("fjord"), ask("fjord", wire::Action::ReceiveInvoice, target)).await;
        assert_eq!(answer, (false, "R21".to_owned(), String::new()));
    }
}

async fn unknown_actions_and_unfit_targets_are_refused(database: Database) {
    let world = sold_and_delegated(database).await;
    let mut unknown = ask("birchwood", wire::Action::ManageService, mail());
    unknown.action = 99;
    let mut unspecified = unknown.clone();
    unspecified.action = 0;
    let mut targetless = ask("birchwood", wire::Action::ManageService, mail());
    targetless.target = None;
    let foreign = Target::Subscription("customers/dunes/subscriptions/mail".to_owned());
    for (field, question) in [
        ("action", unknown),
        ("action", unspecified),
        ("target", targetless),
        ("subscription", ask("birchwood", wire::Action::ReceiveInvoice, service("office-365"))),
        ("service", ask("birchwood", wire::Action::ProvisionSubscription, mail())),
        ("subscription", ask("birchwood", wire::Action::ReceiveInvoice, foreign)),
    ] {
        let refused = world.access().check_access(world.by(BILLING, question)).await.expect_err(field);
        let bad = tonic_types::StatusExt::get_details_bad_request(&refused).expect("the field is named");
        assert_eq!((refused.code(), bad.field_violations[0].field.as_str()), (Code::InvalidArgument, field));
    }
    let missing = Target::Subscription("customers/cedar/subscriptions/none".to_owned());
    let refused =
        world.access().check_access(world.by(BILLING, ask("birchwood", wire::Action::ReceiveInvoice, missing))).await;
    assert_eq!(told(&refused.expect_err("no such subscription")).1, "RESOURCE_NOT_FOUND");
    let telegraph = ask("birchwood", wire::Action::ManageService, service("telegraph"));
    let refused = world.access().check_access(world.by(BILLING, telegraph)).await.expect_err("no such service");
    assert_eq!(told(&refused).1, "SERVICE_UNKNOWN");
}

async fn a_customer_sees_who_can_do_what_and_through_which_grant(database: Database) {
    let world = sold_and_delegated(database).await;
    let explain = |partner: &str, token: &str| wire::ExplainAccessRequest {
        customer: "customers/cedar".to_owned(),
        partner: partner.to_owned(),
        page_size: 1,
        page_token: token.to_owned(),
    };
    let first =
        world.access().explain_access(world.by(admin("cedar"), explain("", ""))).await.expect("its own").into_inner();
    assert!(first.explanations.iter().all(|line| line.partner == "partners/alpenglow"));
    let second = world.access().explain_access(world.by(admin("cedar"), explain("", &first.next_page_token))).await;
    let second = second.expect("the next page").into_inner();
    assert!(second.explanations.iter().all(|line| line.partner == "partners/birchwood"));
    assert!(second.next_page_token.is_empty());
    for line in first.explanations.iter().chain(&second.explanations) {
        // Explaining and checking never differ.
        let target = match line.target.clone().expect("set") {
            wire::access_explanation::Target::Subscription(name) => Target::Subscription(name),
            wire::access_explanation::Target::Service(id) => Target::Service(id),
        };
        let question = ask(line.partner.trim_start_matches("partners/"), line.action(), target);
        let answer =
            world.access().check_access(world.by(admin("cedar"), question)).await.expect("an answer").into_inner();
        assert_eq!(Some(answer), line.decision, "{line:?}");
    }
    let own = world
        .access()
        .explain_access(world.by(agent("birchwood"), explain("", "")))
        .await
        .expect("itself")
        .into_inner();
    assert_eq!(own.explanations, second.explanations);
    let other = world.access().explain_access(world.by(agent("birchwood"), explain("partners/alpenglow", ""))).await;
    assert_eq!(told(&other.expect_err("I12")).1, "RESOURCE_NOT_FOUND");
    world.register_partner("fjord", "IT", "microsoft-partner-agreement").await;
    for customer in ["customers/cedar", "customers/nobody"] {
        let explain = wire::ExplainAccessRequest { customer: customer.to_owned(), ..Default::default() };
        let stranger = world.access().explain_access(world.by(agent("fjord"), explain)).await.expect_err("I12");
        assert_eq!(told(&stranger).1, "RESOURCE_NOT_FOUND", "{customer}");
    }
}
