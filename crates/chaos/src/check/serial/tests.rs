//! Histories that no order explains, and answers and refusals that no moment does.

use api::invitation as links;
use api::notification::ResourceSnapshot;
use prost::Message as _;

use super::{Event, Policy, Requirement, Resource, Told, Window, World, check, wire};
use crate::check::sample::{
    CUSTOMER, REMOVAL, acceptance, allowed, answered, call, delegation, denied, found, link, question, reassignment,
    refused, removal,
};
use crate::client::Answer;
use crate::history::{Call, Outcome};
use crate::kind::Kind;

fn event(kind: &str, name: &str, after: Resource) -> Event {
    let after = Some(ResourceSnapshot { resource: Some(after) });
    Event { r#type: kind.to_owned(), resource: name.to_owned(), after, ..Event::default() }
}

fn established(partner: &str) -> Event {
    let name = format!("{CUSTOMER}/relationships/{partner}");
    let relationship = wire::Relationship { name: name.clone(), partner: partner.to_owned(), ..Default::default() };
    event("relationship.established", &name, Resource::Relationship(relationship))
}

fn granted(partner: &str) -> Event {
    let name = format!("{CUSTOMER}/relationships/{partner}/delegations/d");
    let (partner, service) = (partner.to_owned(), "office-365".to_owned());
    let delegation = wire::Delegation { name: name.clone(), partner, service, ..Default::default() };
    event("delegation.granted", &name, Resource::Delegation(delegation))
}

fn told(windows: &[(&'static str, &Event, u64, u64)]) -> Told {
    let mut told = Told::default();
    for (kind, event, begin_us, end_us) in windows {
        let key = (*kind, event.resource.clone(), String::new());
        told.events.insert(key, Window { begin_us: *begin_us, end_us: *end_us });
    }
    told
}

/// What is broken when these are the events of the customer, in a cloud with one holder of a service.
fn broken(events: &[Event], told: &Told) -> String {
    let policies = crate::cluster::unlike().expect("the clouds of this checkout");
    let policy = Policy::load(&policies[0]).expect("a policy");
    let mut world = World::default();
    world.feeds.insert(CUSTOMER.to_owned(), events.to_vec());
    for event in events {
        match event.after.clone().and_then(|after| after.resource) {
            Some(Resource::Relationship(after)) => world.relationships.push(after),
            Some(Resource::Delegation(mut after)) => {
                after.set_state(wire::DelegationState::Active);
                world.delegations.push(after);
            }
            Some(Resource::AgreementAcceptance(_) | Resource::InvitationLink(_)) | None => {}
        }
    }
    check(&[], told, &world, &policy).expect("messages of the contract").join("\n")
}

#[test]
fn a_history_in_the_order_of_its_calls_is_explained() {
    let (one, two) = (established("p"), granted("p"));
    let told = told(&[("relationship.established", &one, 10, 20), ("delegation.granted", &two, 10, 20)]);
    assert_eq!(broken(&[one, two], &told), "");
}

#[test]
fn two_holders_of_a_service_are_not() {
    let events = [established("p"), established("q"), granted("p"), granted("q")];
    let found = broken(&events, &Told::default());
    assert!(found.contains("cannot have happened then: p held office-365"), "{found}");
}

#[test]
fn an_order_against_that_of_the_calls_is_not() {
    let (one, two) = (established("p"), granted("p"));
    let told = told(&[("relationship.established", &one, 30, 40), ("delegation.granted", &two, 10, 20)]);
    let found = broken(&[one, two], &told);
    assert!(found.contains("was answered by 20 µs and comes after what was asked for at 30 µs"), "{found}");
}

#[test]
fn a_state_that_the_history_does_not_lead_to_is_not() {
    let found = broken(&[granted("p")], &Told::default());
    assert!(found.contains("p had no relationship"), "{found}");
    assert!(found.contains("the history of customers/c leads to"), "{found}");
}

#[test]
fn a_removal_is_refused_as_ended_while_it_is_active() {
    let found = found(|it| it.at(50).begin_us = 30);
    assert_eq!(found, "");
    let found =
        self::found(|it| it.calls.push(call(Kind::Remove, 30, &removal("p"), refused("DELEGATION_NOT_ACTIVE"))));
    assert!(found.contains("no moment of customers/c explains Refused"), "{found}");
    assert!(found.contains("(Remove from 30 to 34 µs)"), "{found}");
}

#[test]
fn a_check_is_allowed_after_the_removal_with_its_token() {
    let found = found(|it| it.at(45).outcome = allowed("p"));
    assert!(found.contains("(CheckAccess from 45 to 49 µs)"), "{found}");
}

#[test]
fn a_later_removal_with_the_same_token_does_not_count() {
    // On files, every answer may have the same token: what is held at 85 µs is removed at 95.
    let ended = wire::Delegation { etag: "v2".to_owned(), ..delegation("q") };
    let token = Some(REMOVAL.to_owned());
    let removed = Outcome::Answered(Answer { message: ended.encode_to_vec().into(), token });
    let later = |check: Call| {
        found(|it| {
            let event = event("delegation.removedByCustomer", &ended.name, Resource::Delegation(ended.clone()));
            it.tell(&["partners/q", CUSTOMER], &event);
            it.calls.push(call(Kind::Remove, 95, &removal("q"), removed.clone()));
            it.calls.push(check);
        })
    };
    let request = question("q", Requirement::AtLeastAsFresh(REMOVAL.to_owned()));
    let before = later(call(Kind::CheckAccess, 85, &request, allowed("q")));
    assert!(!before.contains("(CheckAccess from"), "{before}");
    let after = later(call(Kind::CheckAccess, 100, &request, allowed("q")));
    assert!(after.contains("(CheckAccess from 100 to 104 µs)"), "{after}");
}

#[test]
fn removals_of_two_customers_share_a_token() {
    let elsewhere =
        wire::Delegation { name: "customers/d/relationships/p/delegations/d".to_owned(), ..delegation("p") };
    let token = Some(REMOVAL.to_owned());
    let removed = Outcome::Answered(Answer { message: elsewhere.encode_to_vec().into(), token });
    let found = found(|it| {
        it.calls.push(call(Kind::Remove, 39, &wire::RemoveDelegationRequest::default(), removed));
        it.at(45).outcome = allowed("p");
    });
    assert!(found.contains("(CheckAccess from 45 to 49 µs)"), "{found}");
    assert!(!found.contains("has no removal"), "{found}");
}

#[test]
fn a_check_shows_a_token_that_nobody_was_given() {
    let request = question("p", Requirement::AtLeastAsFresh("forged".to_owned()));
    let found = found(|it| it.calls.push(call(Kind::CheckAccess, 95, &request, denied())));
    assert!(found.starts_with("customers/c has no removal with the token forged"), "{found}");
}

#[test]
fn a_fresh_check_is_denied_what_is_held_or_allowed_by_something_else() {
    let denied = found(|it| it.at(35).outcome = denied());
    assert!(denied.contains("(CheckAccess from 35 to 39 µs)"), "{denied}");
    let another = found(|it| it.at(35).outcome = allowed("q"));
    assert!(another.contains("(CheckAccess from 35 to 39 µs)"), "{another}");
}

#[test]
fn what_the_customer_has_is_not_what_the_history_leads_to() {
    let found = found(|it| drop(it.world.relationships.remove(0)));
    assert!(found.contains("the history of customers/c leads to"), "{found}");
}

/// Each refusal at a moment at which nothing of what it says stood in the way.
#[test]
fn a_refusal_that_nothing_explains() {
    for reason in ["SERVICE_ALREADY_DELEGATED", "REPLACEMENT_INVALID", "AGREEMENT_REQUIRED"] {
        let found = found(|it| it.calls.push(call(Kind::Accept, 55, &acceptance("q1"), refused(reason))));
        assert!(found.contains(&format!("explains the refusal for [\"{reason}\"]")), "{found}");
    }
    let (other, own) = (reassignment("p", "q"), reassignment("q", "p"));
    let cases = [
        (30, &other, "SERVICE_ALREADY_DELEGATED"),
        (30, &other, "PARTNER_NOT_ACTIVE"),
        (90, &own, "SERVICE_ALREADY_DELEGATED"),
        (90, &own, "RELATIONSHIP_REQUIRED"),
        (90, &own, "ETAG_MISMATCH"),
    ];
    for (begin_us, request, reason) in cases {
        let found = found(|it| it.calls.push(call(Kind::Reassign, begin_us, request, refused(reason))));
        assert!(found.contains("no moment of customers/c explains Refused"), "{reason} at {begin_us}: {found}");
    }
}

#[test]
fn the_service_of_a_refusal_counts() {
    let other = links::InvitationLink {
        name: "partners/q/invitationLinks/reseller.azure-ad".to_owned(),
        services: vec!["azure-ad".to_owned()],
        ..link("q", 1, "other")
    };
    let found = found(|it| {
        it.world.links.push(other.clone());
        it.calls.push(call(Kind::Read, 10, &links::GetInvitationLinkRequest::default(), answered(&other)));
        it.calls.push(call(Kind::Accept, 28, &acceptance("other"), refused("SERVICE_ALREADY_DELEGATED")));
    });
    assert!(found.contains("explains the refusal for [\"SERVICE_ALREADY_DELEGATED\"]"), "{found}");
}

#[test]
fn what_is_given_up_stands_in_nobodys_way() {
    let replacing = links::AcceptInvitationRequest { replace: vec![delegation("p").name], ..acceptance("q1") };
    for reason in ["SERVICE_ALREADY_DELEGATED", "REPLACEMENT_INVALID"] {
        let found = found(|it| it.calls.push(call(Kind::Accept, 28, &replacing, refused(reason))));
        assert!(found.contains(&format!("explains the refusal for [\"{reason}\"]")), "{found}");
    }
    let late = found(|it| it.calls.push(call(Kind::Accept, 55, &replacing, refused("REPLACEMENT_INVALID"))));
    assert_eq!(late, "", "it had ended");
}
