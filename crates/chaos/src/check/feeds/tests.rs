//! Histories that lost, invented or doubled something.

use api::notification::resource_snapshot::Resource;
use api::relationship as wire;

use crate::check::sample::{CUSTOMER, SERVICE, delegation, found};

#[test]
fn an_acknowledged_change_is_missing() {
    let found = found(|it| {
        it.untell(CUSTOMER, "delegation.removedByCustomer");
        it.untell("partners/p", "delegation.removedByCustomer");
    });
    assert!(found.contains("delegations/d v2 was acknowledged and is not in the history"), "{found}");
}

#[test]
fn a_change_of_a_link_is_missing() {
    let found = found(|it| drop(it.untell("partners/p", "invitationLink.rotated")));
    assert!(found.contains("office-365 v2 was acknowledged and is not in the history"), "{found}");
}

#[test]
fn a_change_is_told_twice() {
    let found = found(|it| {
        let again = it.feed(CUSTOMER)[0].clone();
        it.tell(&["partners/p", CUSTOMER], &again);
    });
    assert!(found.contains("relationships/p is told 2 times"), "{found}");
}

#[test]
fn an_event_stands_twice_in_a_feed() {
    let found = found(|it| {
        for feed in [CUSTOMER, "partners/p"] {
            let again = api::notification::Event { sequence: 99, ..it.feed(feed)[0].clone() };
            it.feed(feed).push(again);
        }
    });
    assert!(found.contains("customers/c tells customers/c/events/0 twice"), "{found}");
    assert!(found.contains("partners/p/events/0 stands twice in feeds of partners"), "{found}");
}

#[test]
fn a_change_is_told_to_the_customer_alone() {
    let found = found(|it| drop(it.untell("partners/p", "delegation.removedByCustomer")));
    assert_eq!(found, "customers/c/events/4 is in the feed of no partner");
}

#[test]
fn a_change_is_told_to_the_partner_alone() {
    let found = found(|it| drop(it.untell(CUSTOMER, "delegation.removedByCustomer")));
    assert!(found.contains("partners/p/events/4 is not in the feed of its customer"), "{found}");
}

#[test]
fn two_sides_are_told_different_things() {
    let found = found(|it| it.feed("partners/q")[1].reason = "another".to_owned());
    assert!(found.contains("partners/q/events/9 and customers/c/events/9 say different things"), "{found}");
}

#[test]
fn a_change_is_told_that_nobody_made() {
    let found = found(|it| it.calls.retain(|call| call.begin_us != 60));
    assert!(found.contains("office-365 v2 is in the history, and nobody was told that it happened"), "{found}");
}

#[test]
fn a_sequence_has_a_gap() {
    let found = found(|it| it.feed("partners/q")[1].sequence = 3);
    assert_eq!(found, "partners/q has 3 in the place of sequence 2");
}

#[test]
fn what_was_before_is_not_what_was_left() {
    let found = found(|it| {
        for feed in [CUSTOMER, "partners/p"] {
            let before = it.feed(feed)[2].before.as_mut().expect("it was granted");
            before.resource = Some(Resource::Delegation(wire::Delegation { etag: "v7".to_owned(), ..delegation("p") }));
        }
    });
    assert_eq!(found, "before customers/c/events/4 was not what the event before left");
}

#[test]
fn a_history_begins_in_the_middle() {
    let found = found(|it| {
        for feed in [CUSTOMER, "partners/q"] {
            let granted = it.feed(feed).iter_mut().rfind(|event| event.r#type == "delegation.granted");
            let granted = granted.expect("it was granted");
            granted.before = granted.after.clone();
        }
    });
    assert_eq!(found, "before customers/c/events/9 was not what the event before left");
}

#[test]
fn what_there_is_is_not_what_the_history_leaves() {
    let found = found(|it| it.world.delegations[1].end_reason = "because".to_owned());
    assert!(found.starts_with("the history leaves customers/c/relationships/q/delegations/d as"), "{found}");
}

#[test]
fn there_is_more_than_the_history_tells() {
    let unheard = "customers/c/agreementAcceptances/a".to_owned();
    let found = found(|it| {
        it.world.agreements.push(wire::AgreementAcceptance { name: unheard.clone(), ..Default::default() });
    });
    assert_eq!(found, format!("{unheard} is there, and the history does not tell of it"));
}

#[test]
fn there_is_less_than_the_history_tells() {
    let found = found(|it| it.world.delegations.retain(|held| held.partner == "partners/q"));
    assert_eq!(found, format!("{} is in the history and is not there", delegation("p").name));
}

#[test]
fn a_relationship_lists_what_its_partner_does_not_hold() {
    let found = found(|it| it.world.relationships[0].delegated_services.push(SERVICE.to_owned()));
    assert!(found.contains("relationships/p lists [\"office-365\"], and holds []"), "{found}");
}

#[test]
fn a_partner_sees_a_customer_of_another() {
    let found = found(|it| {
        let seen = it.world.seen_by["partners/q"].clone();
        it.world.seen_by.insert("partners/p".to_owned(), seen);
    });
    assert!(found.starts_with("partners/p sees [(\"customers/c/relationships/q\""), "{found}");
}
