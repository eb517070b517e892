//! Table D6, every row and column, in every cloud.
//!
//! A cell says what grants the action, or `no`, and the decisive rule.

use std::collections::BTreeSet;

use clock::Uuid;
use cloud::{DelegableService, Policy};

use super::{Action, Decision, Facts, Grant, TargetKind, decide};
use crate::domain::delegation::{self, Delegation};
use crate::domain::relationship::{self, Relationship, State, Type};
use crate::domain::subscription::Subscription;
use crate::domain::world::samples::{
    CLOUDS, delegation, id, policy, policy_with, relationship as bond, service, subscription, tenant,
};

/// On a subscription, in the clouds that ask for an agreement. The subscription is of office-365 unless the column says azure,
/// which a partner manages that has provisioned it. In the last two columns the agreement is missing.
const SUBSCRIPTIONS: &str = "
                       | nothing | relationship | + delegation | + elsewhere  | + sold       | + sold + delegation | + provisioned | azure + provisioned | + sold + delegation - agreement | azure + provisioned - agreement
ReceiveInvoice         | no R21  | no R6        | no R6        | no R6        | subscr. R6   | subscr. R6          | no R6         | no R6               | subscr. R6                      | no R6
RemoveSeats            | no R21  | no R7        | no R7        | no R7        | subscr. R7   | subscr. R7          | no R7         | no R7               | subscr. R7                      | no R7
OrderAddOn             | no R21  | no R8        | no R8        | no R8        | subscr. R8   | subscr. R8          | no R8         | no R8               | no N31                          | no R8
TransitionSubscription | no R21  | no R9        | no R9        | no R9        | subscr. R9   | subscr. R9          | no R9         | no R9               | no N31                          | no R9
MigrateSubscription    | no R21  | no R10       | no R10       | no R10       | subscr. R10  | subscr. R10         | no R10        | no R10              | no N31                          | no R10
ChangePartnerOfRecord  | no R21  | no R11       | no R11       | no R11       | subscr. R11  | subscr. R11         | no R11        | no R11              | subscr. R11                     | no R11
ManageSubscription     | no R21  | no N16       | deleg. R31   | no N16       | no N16       | deleg. R31          | no N16        | subscr. R32         | no R31                          | no R31
ManageService          | no R21  | no N16       | deleg. R31   | no N16       | no N16       | deleg. R31          | no N16        | no N16              | no R31                          | no N16
ManageUsers            | no R21  | no N16       | deleg. R45   | no N16       | no N16       | deleg. R45          | no N16        | no N16              | no R31                          | no N16
ManageLicenses         | no R21  | no N16       | deleg. R45   | no N16       | no N16       | deleg. R45          | no N16        | no N16              | no R31                          | no N16
OpenSupportRequest     | no R21  | relat. R48   | deleg. R48   | relat. R48   | subscr. R48  | deleg. R48          | relat. R48    | relat. R48          | deleg. R48                      | relat. R48
BeSupportContact       | no R21  | no N50       | deleg. N50   | no N50       | subscr. N50  | deleg. N50          | no N50        | no N50              | deleg. N50                      | no N50
";

/// On a service, in the same clouds. A part in a subscription gives nothing where none is asked about.
const SERVICES: &str = "
                       | nothing | relationship | + delegation | + elsewhere  | + sold       | + provisioned | azure        | + delegation - agreement | - agreement
ProvisionSubscription  | no R21  | relat. R26   | relat. R26   | relat. R26   | relat. R26   | relat. R26    | relat. R26   | no N31                   | no N31
ManageService          | no R21  | no N16       | deleg. R31   | no N16       | no N16       | no N16        | no N16       | no R31                   | no N16
ManageUsers            | no R21  | no N16       | deleg. R45   | no N16       | no N16       | no N16        | no N16       | no R31                   | no N16
ManageLicenses         | no R21  | no N16       | deleg. R45   | no N16       | no N16       | no N16        | no N16       | no R31                   | no N16
OpenSupportRequest     | no R21  | relat. R48   | deleg. R48   | relat. R48   | relat. R48   | relat. R48    | relat. R48   | deleg. R48               | relat. R48
";

/// On a subscription in China, which asks for no agreement and has no azure.
const SUBSCRIPTIONS_IN_CHINA: &str = "
                       | nothing | relationship | + delegation | + elsewhere  | + sold       | + sold + delegation | + provisioned | - agreement | + sold + delegation - agreement
ReceiveInvoice         | no R21  | no R6        | no R6        | no R6        | subscr. R6   | subscr. R6          | no R6         | no R6       | subscr. R6
RemoveSeats            | no R21  | no R7        | no R7        | no R7        | subscr. R7   | subscr. R7          | no R7         | no R7       | subscr. R7
OrderAddOn             | no R21  | no R8        | no R8        | no R8        | subscr. R8   | subscr. R8          | no R8         | no R8       | subscr. R8
TransitionSubscription | no R21  | no R9        | no R9        | no R9        | no N18       | subscr. R9          | no R9         | no R9       | subscr. R9
MigrateSubscription    | no R21  | no R10       | no R10       | no R10       | subscr. R10  | subscr. R10         | no R10        | no R10      | subscr. R10
ChangePartnerOfRecord  | no R21  | no R11       | no R11       | no R11       | subscr. R11  | subscr. R11         | no R11        | no R11      | subscr. R11
ManageSubscription     | no R21  | no N16       | deleg. R31   | no N16       | no N16       | deleg. R31          | no N16        | no N16      | deleg. R31
ManageService          | no R21  | no N16       | deleg. R31   | no N16       | no N16       | deleg. R31          | no N16        | no N16      | deleg. R31
ManageUsers            | no R21  | no N16       | deleg. R45   | no N16       | no N16       | deleg. R45          | no N16        | no N16      | deleg. R45
ManageLicenses         | no R21  | no N16       | deleg. R45   | no N16       | no N16       | deleg. R45          | no N16        | no N16      | deleg. R45
OpenSupportRequest     | no R21  | relat. R29   | deleg. R29   | relat. R29   | subscr. R29  | deleg. R29          | relat. R29    | relat. R29  | deleg. R29
BeSupportContact       | no R21  | no N50       | deleg. N50   | no N50       | subscr. N50  | deleg. N50          | no N50        | no N50      | deleg. N50
";

/// On a service in China.
const SERVICES_IN_CHINA: &str = "
                       | nothing | relationship | + delegation | + elsewhere  | + sold       | + provisioned | + delegation - agreement | - agreement
ProvisionSubscription  | no R21  | relat. R26   | relat. R26   | relat. R26   | relat. R26   | relat. R26    | relat. R26               | relat. R26
ManageService          | no R21  | no N16       | deleg. R31   | no N16       | no N16       | no N16        | deleg. R31               | no N16
ManageUsers            | no R21  | no N16       | deleg. R45   | no N16       | no N16       | no N16        | deleg. R45               | no N16
ManageLicenses         | no R21  | no N16       | deleg. R45   | no N16       | no N16       | no N16        | deleg. R45               | no N16
OpenSupportRequest     | no R21  | relat. R29   | deleg. R29   | relat. R29   | relat. R29   | relat. R29    | deleg. R29               | relat. R29
";

/// What a partner has of a customer.
#[derive(Clone, Debug)]
struct Holding {
    relationship: Option<Relationship>,
    delegation: Option<Delegation>,
    service: DelegableService,
    subscription: Subscription,
    agreement_accepted: bool,
}

impl Holding {
    /// A relationship in force and the agreement. The subscription is another partner's.
    fn relationship(policy: &Policy) -> Holding {
        let (partner, other, customer) = (tenant("north"), tenant("south"), tenant("alfa"));
        let office = service("office-365");
        let others = Subscription {
            original_reseller: Some(other.clone()),
            partner_of_record: Some(partner.clone()), // which decides nothing
            provisioned_by: Some(other),
            ..subscription(&customer, "s-1", office.clone())
        };
        Holding {
            relationship: Some(bond(id(1), &partner, &customer, Type::Reseller)),
            delegation: None,
            service: policy.service(&office).unwrap().clone(),
            subscription: others,
            agreement_accepted: true,
        }
    }

    /// What the heading of a column says.
    fn of(column: &str, policy: &Policy) -> Holding {
        let mut holding = Holding::relationship(policy);
        if column == "nothing" {
            // All there can be, and still nothing without a relationship.
            holding = Holding::of("+ sold + delegation", policy);
            holding.subscription.provisioned_by = Some(tenant("north"));
            holding.relationship = None;
            return holding;
        }
        if column.contains("azure") {
            holding.service = policy.service(&service("azure")).unwrap().clone();
            holding.subscription.service = holding.service.id.clone();
        }
        for word in column.replace("+ ", "+").replace("- ", "-").split_whitespace() {
            match word {
                "relationship" | "azure" => {}
                "+delegation" => holding.delegation = Some(holding.delegated(holding.service.id.as_str())),
                "+elsewhere" => holding.delegation = Some(holding.delegated("azure-ad")),
                "+sold" => holding.subscription.original_reseller = Some(tenant("north")),
                "+provisioned" => holding.subscription.provisioned_by = Some(tenant("north")),
                "-agreement" => holding.agreement_accepted = false,
                _ => panic!("what is {word:?} in {column:?}?"),
            }
        }
        holding
    }

    fn delegated(&self, on: &str) -> Delegation {
        delegation(id(2), self.relationship.as_ref().unwrap(), service(on))
    }

    fn decide(&self, action: Action, on: TargetKind, policy: &Policy) -> Decision {
        let facts = Facts {
            partner: &tenant("north"),
            relationship: self.relationship.as_ref(),
            delegation: self.delegation.as_ref(),
            service: &self.service,
            subscription: (on == TargetKind::Subscription).then_some(&self.subscription),
            agreement_accepted: self.agreement_accepted,
        };
        decide(action, &facts, policy)
    }
}

/// A decision as the tables write it.
fn cell(decision: &Decision) -> String {
    let grant = match decision.grant {
        None => "no",
        Some(Grant::Relationship) => "relat.",
        Some(Grant::Delegation) => "deleg.",
        Some(Grant::Subscription) => "subscr.",
    };
    format!("{grant} {}", decision.rule)
}

fn action(name: &str) -> Action {
    Action::ALL.into_iter().find(|action| format!("{action:?}") == name).unwrap_or_else(|| panic!("no action {name}"))
}

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

/// Compares a table with the decisions, row by row, and says which actions it covers.
fn expect(table: &str, on: TargetKind, cloud: &str) -> BTreeSet<Action> {
    let policy = policy(cloud);
    let mut lines = table.trim_matches('\n').lines();
    let columns = cells(lines.next().unwrap());
    let mut covered = BTreeSet::new();
    for line in lines {
        let row = cells(line);
        assert_eq!(row.len(), columns.len(), "{line}");
        let action = action(row[0]);
        assert!(covered.insert(action), "{action:?} twice");
        for (column, expected) in columns.iter().zip(&row).skip(1) {
            let decision = Holding::of(column, &policy).decide(action, on, &policy);
            assert_eq!(cell(&decision), *expected, "{action:?} with {column:?} in {cloud}: {}", decision.explanation);
            assert_eq!(decision.is_allowed(), !expected.starts_with("no"));
            assert!(!decision.explanation.is_empty());
        }
    }
    covered
}

fn actions_on(on: TargetKind) -> BTreeSet<Action> {
    let fits = |action: &Action| [on, TargetKind::Either].contains(&action.target());
    Action::ALL.into_iter().filter(fits).collect()
}

#[test]
fn d6_every_action_on_a_subscription_is_decided_as_the_table_says() {
    for cloud in ["public", "germany", "usgov"] {
        let covered = expect(SUBSCRIPTIONS, TargetKind::Subscription, cloud);
        assert_eq!(covered, actions_on(TargetKind::Subscription));
    }
    let covered = expect(SUBSCRIPTIONS_IN_CHINA, TargetKind::Subscription, "china");
    assert_eq!(covered, actions_on(TargetKind::Subscription));
}

#[test]
fn d6_every_action_on_a_service_is_decided_as_the_table_says() {
    for cloud in ["public", "germany", "usgov"] {
        let covered = expect(SERVICES, TargetKind::Service, cloud);
        assert_eq!(covered, actions_on(TargetKind::Service));
    }
    let covered = expect(SERVICES_IN_CHINA, TargetKind::Service, "china");
    assert_eq!(covered, actions_on(TargetKind::Service));
}

#[test]
fn the_tables_are_of_every_cloud_and_their_actions_are_all_there_are() {
    assert_eq!(CLOUDS, ["public", "china", "germany", "usgov"]);
    let both: BTreeSet<Action> = &actions_on(TargetKind::Subscription) | &actions_on(TargetKind::Service);
    assert_eq!(both, BTreeSet::from(Action::ALL));
    assert_eq!(both.len(), Action::ALL.len(), "none twice");
}

/// Every action, on whatever it can be done.
fn questions() -> impl Iterator<Item = (Action, TargetKind)> {
    let kinds = [TargetKind::Subscription, TargetKind::Service];
    kinds.into_iter().flat_map(|on| actions_on(on).into_iter().map(move |action| (action, on)))
}

#[test]
fn r21_without_a_relationship_in_force_nothing_is_ever_allowed() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let mut holding = Holding::of("nothing", &policy);
        let ended = Relationship { state: State::Terminated, ..Holding::relationship(&policy).relationship.unwrap() };
        for relationship in [None, Some(ended)] {
            holding.relationship = relationship;
            for (action, on) in questions() {
                assert_eq!(cell(&holding.decide(action, on, &policy)), "no R21", "{action:?} in {cloud}");
            }
        }
    }
}

#[test]
fn a_relationship_that_is_ending_still_gives_what_it_gave() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        for column in ["relationship", "+ delegation", "+ sold", "+ sold + delegation - agreement"] {
            let holding = Holding::of(column, &policy);
            let mut ending = holding.clone();
            ending.relationship.as_mut().unwrap().state = relationship::State::Terminating;
            for (action, on) in questions() {
                let (is, was) = (ending.decide(action, on, &policy), holding.decide(action, on, &policy));
                assert_eq!(is, was, "{action:?} with {column:?} in {cloud}");
            }
        }
    }
}

#[test]
fn r6_to_r11_a_delegation_alone_gives_no_right_over_a_subscription_another_partner_sold() {
    let commercial = [
        (Action::ReceiveInvoice, "no R6"),
        (Action::RemoveSeats, "no R7"),
        (Action::OrderAddOn, "no R8"),
        (Action::TransitionSubscription, "no R9"),
        (Action::MigrateSubscription, "no R10"),
        (Action::ChangePartnerOfRecord, "no R11"),
    ];
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let mut holding = Holding::of("+ delegation + provisioned", &policy);
        for seller in [Some(tenant("south")), None] {
            holding.subscription.original_reseller = seller;
            for (action, expected) in commercial {
                assert_eq!(cell(&holding.decide(action, TargetKind::Subscription, &policy)), expected, "{cloud}");
            }
        }
    }
}

#[test]
fn r27_a_delegation_that_has_ended_gives_what_none_gives() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        for (with, without) in [("+ delegation", "relationship"), ("+ sold + delegation", "+ sold")] {
            let (mut holding, none) = (Holding::of(with, &policy), Holding::of(without, &policy));
            for state in delegation::State::ALL.into_iter().filter(|state| *state != delegation::State::Active) {
                holding.delegation.as_mut().unwrap().state = state;
                for (action, on) in questions() {
                    let (is, expected) = (holding.decide(action, on, &policy), none.decide(action, on, &policy));
                    assert_eq!(is, expected, "{action:?} with {state:?} in {cloud}");
                }
            }
        }
    }
}

#[test]
fn i12_the_delegation_of_another_partner_gives_nothing() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let (mut holding, none) = (Holding::of("+ delegation", &policy), Holding::of("relationship", &policy));
        holding.delegation.as_mut().unwrap().partner = tenant("south");
        holding.delegation.as_mut().unwrap().relationship = Uuid::nil();
        for (action, on) in questions() {
            let (is, expected) = (holding.decide(action, on, &policy), none.decide(action, on, &policy));
            assert_eq!(is, expected, "{action:?} in {cloud}");
        }
    }
}

/// A question, the switch that decides it, and the answers with the switch on and off.
#[test]
fn what_sources_settle_differently_follows_the_switch_of_the_cloud() {
    type Switch = (&'static str, Action, &'static str, [&'static str; 2]);
    let switches: [Switch; 6] = [
        ("transition_needs_delegation", Action::TransitionSubscription, "+ sold", ["no N18", "subscr. R9"]),
        (
            "original_reseller_may_change_partner_of_record",
            Action::ChangePartnerOfRecord,
            "+ sold",
            ["subscr. R11", "no R11"],
        ),
        ("support_on_behalf_after_removal", Action::OpenSupportRequest, "relationship", ["relat. R48", "no R48"]),
        ("support_contact_without_delegation", Action::BeSupportContact, "relationship", ["relat. N50", "no N50"]),
        ("agreement_needed_to_order", Action::OrderAddOn, "+ sold - agreement", ["no N31", "subscr. R8"]),
        ("agreement_needed_to_manage", Action::ManageService, "+ delegation - agreement", ["no R31", "deleg. R31"]),
    ];
    for (key, action, column, answers) in switches {
        let policy = policy("public");
        let as_deployed = cell(&Holding::of(column, &policy).decide(action, TargetKind::Subscription, &policy));
        let (from, to) = if as_deployed == answers[0] { ("true", "false") } else { ("false", "true") };
        let turned = policy_with("public", key, from, to);
        let otherwise = cell(&Holding::of(column, &turned).decide(action, TargetKind::Subscription, &turned));
        let mut both = [as_deployed, otherwise];
        if from == "false" {
            both.reverse();
        }
        assert_eq!(both, answers, "{key} on and off");
    }
}
