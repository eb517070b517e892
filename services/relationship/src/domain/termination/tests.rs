//! How relationships end, by every reading of the sources.

use std::time::Duration;

use clock::Time;
use cloud::Policy;

use super::{
    Blocker, CannotCancel, CannotRequest, Obstacle, Outcome, SYSTEM, Side, Standing, Wish, blockers, cancel, end_due,
    is_due, request,
};
use crate::domain::delegation::{self, Delegation};
use crate::domain::relationship::{Relationship, State, Type};
use crate::domain::subscription::{Status, Subscription};
use crate::domain::world::samples;
use crate::domain::world::samples::{CLOUDS, NOW, delegation, id, policy, policy_with, relationship, service, tenant};

const DAY: Duration = Duration::from_hours(24);

fn between() -> Relationship {
    relationship(id(1), &tenant("north"), &tenant("alfa"), Type::Reseller)
}

fn held(status: Status, parts: [bool; 3]) -> Subscription {
    let part = |is: bool| is.then(|| tenant("north"));
    Subscription {
        status,
        original_reseller: part(parts[0]),
        partner_of_record: part(parts[1]),
        provisioned_by: part(parts[2]),
        ..samples::subscription(&tenant("alfa"), "mail", service("office-365"))
    }
}

fn wish(side: Side, effective_time: Option<Time>) -> Wish<'static> {
    Wish { side, by: "somebody", reason: "a reason", effective_time }
}

fn asked(
    relationship: &Relationship,
    tied: &[Subscription],
    wish: &Wish<'_>,
    policy: &Policy,
) -> Result<Outcome, CannotRequest> {
    let blockers = blockers(relationship, tied, &policy.termination);
    let standing = Standing { relationship, active: &[], blockers: &blockers };
    request(standing, wish, &policy.termination, NOW)
}

#[test]
fn n41_what_the_partner_sold_provisioned_or_is_of_record_for_blocks_while_active() {
    for cloud in CLOUDS {
        let rule = policy(cloud).termination.clone();
        for parts in [[true, false, false], [false, true, false], [false, false, true]] {
            let found = blockers(&between(), &[held(Status::Active, parts)], &rule);
            let subscription = "customers/alfa/subscriptions/mail".to_owned();
            let expected = Blocker { subscription, rule: rule.blocking_rule.clone(), may_be_suspended: true };
            assert_eq!(found, [expected], "{cloud} {parts:?}");
        }
        for status in [Status::Suspended, Status::Cancelled] {
            assert_eq!(blockers(&between(), &[held(status, [true; 3])], &rule), [], "{cloud} {status:?}");
        }
        let of_another = Subscription { original_reseller: Some(tenant("south")), ..held(Status::Active, [false; 3]) };
        let elsewhere = Subscription { customer: tenant("bravo"), ..held(Status::Active, [true; 3]) };
        assert_eq!(blockers(&between(), &[of_another, elsewhere], &rule), [], "{cloud}");
        let ended = Relationship { state: State::Terminated, ..between() };
        assert_eq!(blockers(&ended, &[held(Status::Active, [true; 3])], &rule), [], "{cloud}");
    }
}

#[test]
fn n44_by_the_other_reading_suspending_is_not_enough() {
    for cloud in CLOUDS {
        let rule =
            policy_with(cloud, "blocking_statuses", "[\"active\"]", "[\"active\", \"suspended\"]").termination.clone();
        let [blocker] = &blockers(&between(), &[held(Status::Suspended, [true; 3])], &rule)[..] else {
            panic!("{cloud}: it blocks");
        };
        assert!(!blocker.may_be_suspended, "{cloud}");
        assert_eq!(blockers(&between(), &[held(Status::Cancelled, [true; 3])], &rule), [], "{cloud}");
    }
}

#[test]
fn n45_by_the_other_reading_a_customer_asks_the_partner_that_sells_and_is_told_all_else_too() {
    for cloud in CLOUDS {
        let text = ("customer_may_request", "true", "false\ncustomer_rule = \"N45\"");
        let policy = samples::policy_without(cloud, text, "\ncustomer_rule = \"none\"");
        let tied = [held(Status::Active, [true; 3])];
        let Err(CannotRequest::Obstacles(told)) = asked(&between(), &tied, &wish(Side::Customer, None), &policy) else {
            panic!("{cloud}: it is refused");
        };
        assert!(
            matches!(&told[..], [Obstacle::PartnerMustTerminate { rule, .. }, Obstacle::Blocked(_)] if rule.as_str() == "N45"),
            "{cloud}: {told:?}"
        );
        let notice = wish(Side::Customer, Some(NOW.plus(DAY)));
        assert!(asked(&between(), &[], &notice, &policy).is_err(), "{cloud}: nor by a notice");
        assert!(asked(&between(), &[], &wish(Side::Partner, None), &policy).is_ok(), "{cloud}");
        let advisor = Relationship { kind: Type::Advisor, ..between() };
        assert!(asked(&advisor, &[], &wish(Side::Customer, None), &policy).is_ok(), "{cloud}: N45 speaks of sellers");
    }
}

#[test]
fn n40_ending_at_once_closes_every_delegation_of_it_and_no_other() {
    let policy = policy("public");
    let (own, other) = (between(), relationship(id(2), &tenant("north"), &tenant("alfa"), Type::Advisor));
    let held = [delegation(id(3), &own, service("azure-ad")), delegation(id(4), &other, service("azure-ad"))];
    let standing = Standing { relationship: &own, active: &held, blockers: &[] };
    for effective_time in [None, Some(NOW), Some(Time::from_seconds(0))] {
        let outcome = request(standing, &wish(Side::Partner, effective_time), &policy.termination, NOW);
        let Outcome { relationship, closed } = outcome.expect("nothing blocks it");
        assert_eq!((relationship.state, relationship.terminate_time), (State::Terminated, Some(NOW)));
        let termination = relationship.termination.expect("it was requested");
        assert_eq!((termination.request_time, termination.effective_time), (NOW, NOW));
        let [Delegation { id: closed, state: delegation::State::Closed, end: Some(end), .. }] = &closed[..] else {
            panic!("its own alone: {closed:?}");
        };
        assert_eq!((*closed, end.by.as_str(), end.reason.as_str()), (id(3), "somebody", "a reason"));
    }
}

#[test]
fn n47_a_notice_is_within_the_bounds_of_the_policy() {
    let policy = policy_with("public", "notice_days_min", "0", "30");
    let ask = |days: u32, more: Duration| {
        asked(&between(), &[], &wish(Side::Partner, Some(NOW.plus(DAY * days + more))), &policy)
    };
    let outside = Err(CannotRequest::NoticeOutOfRange { days_min: 30, days_max: 365 });
    assert_eq!(ask(0, Duration::from_secs(1)), outside);
    assert_eq!(ask(29, DAY - Duration::from_micros(1)), outside);
    assert_eq!(ask(365, Duration::from_micros(1)), outside);
    for days in [30, 365] {
        let relationship = ask(days, Duration::ZERO).expect("within the bounds").relationship;
        assert_eq!(relationship.state, State::Terminating);
    }
    assert!(asked(&between(), &[], &wish(Side::Partner, None), &policy).is_ok(), "ending at once is no notice");
}

#[test]
fn n41_a_notice_passes_what_blocks_and_ends_when_its_time_has_come_and_nothing_does() {
    let policy = policy("public");
    let until = NOW.plus(DAY);
    let tied = [held(Status::Active, [true; 3])];
    let noticed =
        asked(&between(), &tied, &wish(Side::Partner, Some(until)), &policy).expect("there is time").relationship;
    let blocked = blockers(&noticed, &tied, &policy.termination);
    let ends = |blockers: &[Blocker], now: Time| {
        end_due(Standing { relationship: &noticed, active: &[], blockers }, now).map(|outcome| outcome.relationship)
    };
    assert!(!is_due(&noticed, Time::from_micros(until.micros() - 1)) && is_due(&noticed, until));
    assert_eq!(ends(&[], Time::from_micros(until.micros() - 1)), None);
    assert_eq!(ends(&blocked, until), None);
    let ended = ends(&[], until.plus(DAY)).expect("due and free");
    assert_eq!((ended.state, ended.terminate_time), (State::Terminated, Some(until.plus(DAY))));
    assert_eq!((ended.termination, ended.version), (noticed.termination.clone(), 3));
    assert_eq!(SYSTEM, "system");
}

#[test]
fn d4_only_the_side_that_gave_notice_takes_it_back() {
    let policy = policy("public");
    for side in Side::ALL {
        let noticed = asked(&between(), &[], &wish(side, Some(NOW.plus(DAY))), &policy).expect("a notice").relationship;
        let again = asked(&noticed, &[], &wish(side, None), &policy);
        assert_eq!(again, Err(CannotRequest::NotActive(State::Terminating)));
        for other in Side::ALL {
            let expected = if side == other {
                Ok(Relationship { version: 3, ..between() })
            } else {
                Err(CannotCancel::OtherSide("somebody".to_owned()))
            };
            assert_eq!(cancel(&noticed, other), expected);
        }
    }
    assert_eq!(cancel(&between(), Side::Partner), Err(CannotCancel::NotTerminating(State::Active)));
}

#[test]
fn i11_what_has_ended_ends_no_more() {
    let policy = policy("public");
    let ended = asked(&between(), &[], &wish(Side::Partner, None), &policy).expect("nothing blocks it").relationship;
    for side in Side::ALL {
        let again = asked(&ended, &[], &wish(side, None), &policy);
        assert_eq!(again, Err(CannotRequest::NotActive(State::Terminated)));
        assert_eq!(cancel(&ended, side), Err(CannotCancel::NotTerminating(State::Terminated)));
    }
    assert!(!is_due(&ended, NOW.plus(DAY)));
}
