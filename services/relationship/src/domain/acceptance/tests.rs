//! Every condition of an acceptance alone, all of them together, and the same where the cloud does not ask for it.

use std::collections::BTreeSet;

use clock::{Time, Uuid};
use cloud::{MarketTable, Policy, RegionRefusalCause, RuleNumber, TenantId};

use super::{Answer, Facts, Invitation, Law, Obstacle, Plan, Scene, carry_out, decide};
use crate::domain::agreement::{Acceptance, Consent, Method};
use crate::domain::delegation::{Delegation, State};
use crate::domain::directory::{Partner, Status};
use crate::domain::relationship::{self, Relationship, Type};
use crate::domain::world::samples::{
    CLOUDS, NOW, agreement, consent, country, customer, delegation, home, id, partner, policy, relationship as bond,
    service, tenant,
};

/// An acceptance in which nothing is in the way: `north` asks `alfa` for the two services that every cloud has.
#[derive(Clone)]
struct Case {
    policy: Policy,
    invitation: Invitation,
    answer: Answer,
    facts: Facts,
}

impl Case {
    fn of(cloud: &str) -> Case {
        let policy = policy(cloud);
        let invitation = Invitation {
            partner: tenant("north"),
            link: "partners/north/invitationLinks/default".to_owned(),
            link_active: true,
            kind: Type::Reseller,
            services: [service("azure-ad"), service("office-365")].into(),
        };
        let given = policy.required_agreement.is_some().then(|| consent(&policy));
        let answer = Answer { customer: tenant("alfa"), consent: given, replace: BTreeSet::new() };
        let facts = Facts {
            partner: Some(partner("north", home(cloud), &policy)),
            customer: Some(customer("alfa", home(cloud))),
            ..Facts::default()
        };
        Case { policy, invitation, answer, facts }
    }

    fn decide(&self) -> Result<Plan, Vec<Obstacle>> {
        let markets = MarketTable::embedded();
        decide(&self.invitation, &self.answer, &self.facts, &Law { policy: &self.policy, markets: &markets }, NOW)
    }

    fn plan(&self) -> Plan {
        self.decide().unwrap_or_else(|obstacles| panic!("in {}: {obstacles:?}", self.policy.cloud))
    }

    fn obstacles(&self) -> Vec<Obstacle> {
        self.decide().expect_err("something is in the way")
    }

    /// What decides, after a change, that nothing else is in the way.
    #[track_caller]
    fn refused_for(&self, obstacle: Obstacle) {
        assert_eq!(self.decide(), Err(vec![obstacle]), "in {}", self.policy.cloud);
    }

    fn partner(&mut self) -> &mut Partner {
        self.facts.partner.as_mut().unwrap()
    }

    /// Lets a partner hold a service of `alfa`, exclusively where the cloud says so.
    fn held_by(&mut self, partner: &str, kind: Type, on: &str) -> Delegation {
        let number = 100 + self.facts.delegations.len() as u128;
        let on_it = bond(id(number), &tenant(partner), &tenant("alfa"), kind);
        let exclusive = self.policy.delegation.exclusive_holder && kind.transacts();
        let held = Delegation { exclusive, ..delegation(id(number), &on_it, service(on)) };
        self.facts.delegations.push(held.clone());
        held
    }
}

fn rule(number: &str) -> RuleNumber {
    RuleNumber::parse(number).unwrap()
}

fn taken(held: &Delegation) -> Obstacle {
    Obstacle::ServiceAlreadyDelegated { service: held.service.clone(), rule: rule("R24"), holder: held.name() }
}

fn asking_for_an_agreement() -> impl Iterator<Item = &'static str> {
    CLOUDS.into_iter().filter(|cloud| *cloud != "china")
}

fn with_many_holders() -> impl Iterator<Item = &'static str> {
    CLOUDS.into_iter().filter(|cloud| *cloud != "china")
}

#[test]
fn r21_with_nothing_in_the_way_the_services_asked_for_are_granted() {
    for cloud in CLOUDS {
        let case = Case::of(cloud);
        let expected = Plan {
            grant: case.invitation.services.clone(),
            exclusive: cloud == "china",
            held: vec![],
            replace: vec![],
            consent: case.answer.consent.clone(),
        };
        assert_eq!(case.plan(), expected, "{cloud}");
    }
}

#[test]
fn r37_public_grants_a_relationship_without_delegation() {
    let mut case = Case::of("public");
    case.invitation.services.clear();
    let plan = case.plan();
    assert!(plan.grant.is_empty() && plan.held.is_empty());
    assert_eq!(plan.consent, case.answer.consent, "the agreement is due all the same");
}

#[test]
fn r24_only_partners_that_transact_hold_exclusively_and_only_where_the_cloud_says_so() {
    for cloud in CLOUDS {
        for kind in Type::ALL {
            let mut case = Case::of(cloud);
            case.invitation.kind = kind;
            assert_eq!(case.plan().exclusive, cloud == "china" && kind != Type::Advisor, "{kind:?} in {cloud}");
        }
    }
}

#[test]
fn a_link_disabled_or_rotated_away_is_refused() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.invitation.link_active = false;
        case.refused_for(Obstacle::LinkDisabled);
    }
}

#[test]
fn an_unknown_customer_is_refused() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.facts.customer = None;
        case.refused_for(Obstacle::CustomerNotRegistered);
    }
}

#[test]
fn an_unknown_partner_is_refused() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.facts.partner = None;
        case.refused_for(Obstacle::PartnerNotActive);
    }
}

#[test]
fn a_suspended_partner_is_refused_whether_or_not_it_has_signed() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.partner().status = Status::Suspended;
        case.refused_for(Obstacle::PartnerNotActive);
        case.partner().signed_contract.clear();
        case.refused_for(Obstacle::PartnerNotActive);
    }
}

#[test]
fn r30_r47_a_partner_that_has_not_signed_the_contract_of_the_cloud_is_refused() {
    for (cloud, of_another) in [
        ("public", "china-csp-reseller-agreement"),
        ("china", "microsoft-partner-agreement"),
        ("germany", "china-csp-reseller-agreement"),
        ("usgov", "china-csp-reseller-agreement"),
    ] {
        for signed in ["", of_another] {
            let mut case = Case::of(cloud);
            case.partner().signed_contract = signed.to_owned();
            case.refused_for(Obstacle::ContractRequired);
        }
    }
}

#[test]
fn r35_n25_n29_n74_partner_and_customer_must_be_where_the_cloud_lets_them_meet() {
    use RegionRefusalCause::{CustomerNotServed, NoSharedMarket, PartnerNotServed};
    for (cloud, of_partner, of_customer, number, cause) in [
        ("public", "DE", "US", "R35", NoSharedMarket),
        ("public", "US", "DE", "R35", NoSharedMarket),
        ("china", "US", "CN", "N25", PartnerNotServed),
        ("china", "CN", "US", "N25", CustomerNotServed),
        ("germany", "MC", "DE", "N29", PartnerNotServed),
        ("germany", "DE", "MC", "N29", CustomerNotServed),
        ("usgov", "CA", "US", "N74", PartnerNotServed),
        ("usgov", "US", "CA", "N74", CustomerNotServed),
    ] {
        let mut case = Case::of(cloud);
        let (partner, customer) = (country(of_partner), country(of_customer));
        case.partner().country = partner;
        case.facts.customer.as_mut().unwrap().country = customer;
        case.refused_for(Obstacle::RegionMismatch { rule: rule(number), partner, customer, cause });
    }
}

#[test]
fn r35_another_country_of_the_same_market_is_no_obstacle() {
    for (cloud, of_partner, of_customer) in
        [("public", "DE", "MC"), ("public", "US", "GU"), ("germany", "DE", "CH"), ("usgov", "GU", "US")]
    {
        let mut case = Case::of(cloud);
        case.partner().country = country(of_partner);
        case.facts.customer.as_mut().unwrap().country = country(of_customer);
        case.plan();
    }
}

#[test]
fn r43_the_agreement_is_due_where_the_cloud_asks_for_one() {
    for cloud in asking_for_an_agreement() {
        let mut case = Case::of(cloud);
        case.answer.consent = None;
        case.refused_for(Obstacle::AgreementRequired);
    }
}

#[test]
fn r43_consent_to_another_version_or_agreement_is_none() {
    for cloud in asking_for_an_agreement() {
        let case = Case::of(cloud);
        let right = consent(&case.policy);
        for wrong in [
            Consent { version: "0".to_owned(), ..right.clone() },
            Consent { version: String::new(), ..right.clone() },
            Consent { agreement: "china-csp-reseller-agreement".to_owned(), ..right.clone() },
        ] {
            let mut case = case.clone();
            case.answer.consent = Some(wrong);
            case.refused_for(Obstacle::AgreementRequired);
        }
    }
}

#[test]
fn r43_an_agreement_accepted_before_is_not_asked_for_again() {
    for cloud in asking_for_an_agreement() {
        let mut case = Case::of(cloud);
        let required = case.policy.required_agreement.clone().unwrap();
        case.facts.agreement = Some(agreement(id(7), &tenant("alfa"), &required.id));
        assert_eq!(case.plan().consent, None, "what is given again is not recorded again in {cloud}");
        case.answer.consent.as_mut().unwrap().accept_time = Some(Time::from_micros(NOW.micros() + 1));
        assert_eq!(case.plan().consent, None, "nor looked at");
        case.answer.consent = None;
        assert_eq!(case.plan().consent, None);
    }
}

#[test]
fn n36_an_agreement_accepted_in_another_version_is_asked_for_anew() {
    for cloud in asking_for_an_agreement() {
        let mut case = Case::of(cloud);
        let required = case.policy.required_agreement.clone().unwrap();
        let accepted = agreement(id(7), &tenant("alfa"), &required.id);
        for other in [
            Acceptance { version: "0".to_owned(), ..accepted.clone() },
            Acceptance { agreement: "some-agreement".to_owned(), ..accepted },
        ] {
            case.facts.agreement = Some(other);
            let mut silent = case.clone();
            silent.answer.consent = None;
            silent.refused_for(Obstacle::AgreementRequired);
            assert_eq!(case.plan().consent, Some(consent(&case.policy)), "{cloud}");
        }
    }
}

#[test]
fn r43_where_the_cloud_asks_for_no_agreement_none_is_due_and_none_is_recorded() {
    let mut case = Case::of("china");
    assert_eq!(case.plan().consent, None);
    case.answer.consent =
        Some(Consent { accept_time: Some(Time::from_micros(NOW.micros() + 1)), ..consent(&case.policy) });
    assert_eq!(case.plan().consent, None);
}

#[test]
fn n33_consent_dated_in_the_future_is_refused() {
    for cloud in asking_for_an_agreement() {
        let mut case = Case::of(cloud);
        for (micros, is_refused) in [(-1, false), (0, false), (1, true)] {
            let date = Time::from_micros(NOW.micros() + micros);
            case.answer.consent.as_mut().unwrap().accept_time = Some(date);
            if is_refused {
                case.refused_for(Obstacle::AgreementDateInFuture);
            } else {
                assert_eq!(case.plan().consent.unwrap().accept_time, Some(date));
            }
        }
    }
}

/// R5, R33, R34: refused without delegation; the rule is that of the cloud.
fn refused_without_delegation(cloud: &str, number: &str) {
    let mut case = Case::of(cloud);
    case.invitation.services.clear();
    case.refused_for(Obstacle::DelegationMandatory { rule: rule(number) });
}

#[test]
fn r5_china_allows_no_relationship_without_delegation() {
    refused_without_delegation("china", "R5");
}

#[test]
fn r33_usgov_allows_no_relationship_without_delegation() {
    refused_without_delegation("usgov", "R33");
}

#[test]
fn r34_germany_allows_no_relationship_without_delegation() {
    refused_without_delegation("germany", "R34");
}

#[test]
fn services_the_cloud_does_not_have_are_refused_each() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.invitation.services.extend([service("telephony"), service("abacus")]);
        let unknown = ["abacus", "telephony"].map(|id| Obstacle::ServiceUnknown(service(id)));
        assert_eq!(case.obstacles(), unknown, "{cloud}");
    }
    let mut case = Case::of("china");
    case.invitation.services.insert(service("azure"));
    case.refused_for(Obstacle::ServiceUnknown(service("azure")));
}

#[test]
fn n24_a_customer_that_is_itself_a_transacting_partner_is_refused() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.facts.customer_transacts = true;
        case.refused_for(Obstacle::SelfDealing);
    }
}

#[test]
fn r24_china_refuses_a_second_holder_of_a_service_and_names_the_first() {
    for (holder, asking) in [(Type::Reseller, Type::Reseller), (Type::IndirectProvider, Type::IndirectReseller)] {
        let mut case = Case::of("china");
        let held = case.held_by("south", holder, "office-365");
        case.invitation.kind = asking;
        case.refused_for(taken(&held));
    }
}

#[test]
fn r24_china_refuses_every_service_that_is_held_in_their_order() {
    let mut case = Case::of("china");
    let office = case.held_by("south", Type::Reseller, "office-365");
    let directory = case.held_by("west", Type::Reseller, "azure-ad");
    assert_eq!(case.obstacles(), [taken(&directory), taken(&office)]);
}

#[test]
fn r2_r24_only_the_service_asked_for_counts() {
    let mut case = Case::of("china");
    case.held_by("south", Type::Reseller, "office-365");
    case.invitation.services = [service("azure-ad")].into();
    assert_eq!(case.plan().grant, case.invitation.services, "another partner's relationship is no ground for refusal");
}

#[test]
fn r24_who_does_not_transact_neither_blocks_nor_is_blocked() {
    let mut case = Case::of("china");
    case.held_by("sage", Type::Advisor, "office-365");
    assert!(case.plan().exclusive, "an advisor does not block a reseller");
    let mut case = Case::of("china");
    case.held_by("south", Type::Reseller, "office-365");
    case.invitation.kind = Type::Advisor;
    assert!(!case.plan().exclusive, "a reseller does not block an advisor");
}

#[test]
fn r3_r24_a_holder_given_up_in_the_same_step_makes_room() {
    let mut case = Case::of("china");
    let held = case.held_by("south", Type::Reseller, "office-365");
    case.answer.replace.insert(held.id);
    let plan = case.plan();
    assert_eq!(plan.grant, case.invitation.services);
    assert_eq!(plan.replace, [held]);
    assert!(plan.exclusive);
}

#[test]
fn r24_every_holder_must_be_given_up() {
    let mut case = Case::of("china");
    let office = case.held_by("south", Type::Reseller, "office-365");
    let directory = case.held_by("south", Type::Reseller, "azure-ad");
    case.answer.replace.insert(office.id);
    case.refused_for(taken(&directory));
    case.answer.replace.insert(directory.id);
    assert_eq!(case.plan().replace.len(), 2);
}

#[test]
fn r2_other_clouds_let_partners_hold_a_service_side_by_side() {
    for cloud in with_many_holders() {
        let mut case = Case::of(cloud);
        case.held_by("south", Type::Reseller, "office-365");
        case.held_by("west", Type::Reseller, "office-365");
        let plan = case.plan();
        assert_eq!(plan.grant, case.invitation.services, "{cloud}");
        assert!(plan.replace.is_empty() && !plan.exclusive);
    }
}

#[test]
fn other_clouds_let_the_customer_replace_one_holder_and_keep_another() {
    for cloud in with_many_holders() {
        let mut case = Case::of(cloud);
        let replaced = case.held_by("south", Type::Reseller, "office-365");
        case.held_by("west", Type::Reseller, "office-365");
        case.answer.replace.insert(replaced.id);
        assert_eq!(case.plan().replace, [replaced], "{cloud}");
    }
}

#[test]
fn only_active_delegations_of_others_on_services_asked_for_can_be_replaced() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.invitation.services = [service("azure-ad")].into();
        case.held_by("south", Type::Advisor, "azure-ad");
        let elsewhere = case.held_by("south", Type::Reseller, "office-365").id;
        let own = case.held_by("north", Type::Reseller, "office-365").id;
        let ended = case.held_by("west", Type::Reseller, "azure-ad").id;
        case.facts.delegations.last_mut().unwrap().state = State::RemovedByCustomer;
        for id in [elsewhere, own, ended, Uuid::nil()] {
            case.answer.replace = [id].into();
            case.refused_for(Obstacle::ReplacementInvalid(id));
        }
        case.answer.replace = [ended, own, elsewhere, Uuid::nil()].into();
        let each = [Uuid::nil(), elsewhere, own, ended].map(Obstacle::ReplacementInvalid);
        assert_eq!(case.obstacles(), each, "in the order of the ids in {cloud}");
    }
}

#[test]
fn a_service_that_the_partner_holds_already_gives_nothing_to_replace_another_by() {
    for cloud in with_many_holders() {
        let mut case = Case::of(cloud);
        case.held_by("north", Type::Reseller, "office-365");
        let other = case.held_by("south", Type::Reseller, "office-365").id;
        case.answer.replace.insert(other);
        case.refused_for(Obstacle::ReplacementInvalid(other));
    }
}

#[test]
fn a_delegation_that_has_ended_blocks_nobody() {
    for state in State::ALL.into_iter().filter(|state| *state != State::Active) {
        let mut case = Case::of("china");
        case.held_by("south", Type::Reseller, "office-365");
        case.facts.delegations[0].state = state;
        assert_eq!(case.plan().grant, case.invitation.services, "{state:?}");
    }
}

#[test]
fn r4_privileges_the_customer_removed_are_restored_by_the_same_link() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.facts.relationship = Some(bond(id(1), &tenant("north"), &tenant("alfa"), Type::Reseller));
        case.held_by("north", Type::Reseller, "office-365");
        case.held_by("north", Type::Reseller, "azure-ad");
        case.facts.delegations[0].state = State::RemovedByCustomer;
        let plan = case.plan();
        assert_eq!(plan.grant, [service("office-365")].into(), "{cloud}");
        assert_eq!(plan.held, case.facts.delegations[1..], "what is still held is not granted twice");
    }
}

#[test]
fn r3_privileges_granted_to_another_partner_are_restored_by_taking_them_from_it() {
    let mut case = Case::of("china");
    case.facts.relationship = Some(bond(id(1), &tenant("north"), &tenant("alfa"), Type::Reseller));
    case.held_by("north", Type::Reseller, "office-365");
    case.facts.delegations[0].state = State::Reassigned;
    let other = case.held_by("south", Type::Reseller, "office-365");
    case.refused_for(taken(&other));
    case.answer.replace.insert(other.id);
    assert_eq!(case.plan().replace, [other]);
}

#[test]
fn r18_accepting_once_more_grants_nothing_and_records_nothing() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.held_by("north", Type::Reseller, "office-365");
        case.held_by("north", Type::Reseller, "azure-ad");
        let required = case.policy.required_agreement.clone();
        case.facts.agreement = required.map(|required| agreement(id(7), &tenant("alfa"), &required.id));
        case.answer.consent = None;
        let plan = case.plan();
        assert!(plan.grant.is_empty() && plan.replace.is_empty() && plan.consent.is_none(), "{cloud}: {plan:?}");
        assert_eq!(plan.held.len(), 2);
    }
}

/// Everything in the way that can be in every cloud at once.
fn hopeless(cloud: &str) -> Case {
    let mut case = Case::of(cloud);
    case.invitation.link_active = false;
    case.partner().signed_contract.clear();
    case.partner().country = country("BR");
    case.facts.customer_transacts = true;
    case.answer.consent = None;
    case.answer.replace.insert(Uuid::nil());
    case
}

/// What comes back for it, with what is special to the cloud in the middle.
fn all_of(region: (&str, RegionRefusalCause), cloud: &str, special: &[Obstacle]) -> Vec<Obstacle> {
    let (number, cause) = region;
    let (partner, customer) = (country("BR"), home(cloud));
    let mismatch = Obstacle::RegionMismatch { rule: rule(number), partner, customer, cause };
    let first = [Obstacle::LinkDisabled, Obstacle::ContractRequired, mismatch];
    let last = [Obstacle::ReplacementInvalid(Uuid::nil()), Obstacle::SelfDealing];
    [&first, special, &last].concat()
}

#[test]
fn every_obstacle_of_china_comes_back_at_once_in_the_order_of_the_conditions() {
    let mut case = hopeless("china");
    let held = case.held_by("south", Type::Reseller, "office-365");
    case.invitation.services.insert(service("telephony"));
    let special = [taken(&held), Obstacle::ServiceUnknown(service("telephony"))];
    let region = ("N25", RegionRefusalCause::PartnerNotServed);
    assert_eq!(case.obstacles(), all_of(region, "china", &special));
}

#[test]
fn every_obstacle_of_germany_and_usgov_comes_back_at_once_in_the_order_of_the_conditions() {
    for (cloud, mandatory, number) in [("germany", "R34", "N29"), ("usgov", "R33", "N74")] {
        let mut case = hopeless(cloud);
        case.invitation.services.clear();
        let mandatory = Obstacle::DelegationMandatory { rule: rule(mandatory) };
        let special = [Obstacle::AgreementRequired, mandatory];
        let region = (number, RegionRefusalCause::PartnerNotServed);
        assert_eq!(case.obstacles(), all_of(region, cloud, &special), "{cloud}");
    }
}

#[test]
fn every_obstacle_of_public_comes_back_at_once_in_the_order_of_the_conditions() {
    let mut case = hopeless("public");
    let accept_time = Some(Time::from_micros(NOW.micros() + 1));
    case.answer.consent = Some(Consent { accept_time, ..consent(&case.policy) });
    let region = ("R35", RegionRefusalCause::NoSharedMarket);
    assert_eq!(case.obstacles(), all_of(region, "public", &[Obstacle::AgreementDateInFuture]));
}

#[test]
fn with_neither_party_known_both_are_named_and_no_region_is() {
    for cloud in CLOUDS {
        let mut case = Case::of(cloud);
        case.facts = Facts::default();
        assert_eq!(case.obstacles(), [Obstacle::CustomerNotRegistered, Obstacle::PartnerNotActive], "{cloud}");
        case.answer.consent = None;
        case.invitation.link_active = false;
        let agreement_due = case.policy.required_agreement.is_some();
        let mut expected = vec![Obstacle::LinkDisabled, Obstacle::CustomerNotRegistered, Obstacle::PartnerNotActive];
        expected.extend(agreement_due.then_some(Obstacle::AgreementRequired));
        assert_eq!(case.obstacles(), expected, "{cloud}");
    }
}

fn outcome(case: &Case) -> super::Outcome {
    let scene = Scene { customer: &case.answer.customer, acceptor: "customers/alfa/users/ada", now: NOW };
    let mut minted = 0;
    let mint = || {
        minted += 1;
        id(minted)
    };
    carry_out(&case.invitation, case.facts.relationship.as_ref(), case.plan(), &scene, mint)
}

#[test]
fn r21_a_first_acceptance_begins_a_relationship_with_what_it_grants() {
    for cloud in CLOUDS {
        let case = Case::of(cloud);
        let outcome = outcome(&case);
        let expected =
            Relationship { ..bond(outcome.relationship.id, &tenant("north"), &tenant("alfa"), Type::Reseller) };
        assert_eq!((outcome.is_new, &outcome.relationship), (true, &expected), "{cloud}");
        let granted: BTreeSet<_> = outcome.granted.iter().map(|granted| granted.service.clone()).collect();
        assert_eq!(granted, case.invitation.services);
        let ids: BTreeSet<Uuid> = outcome.granted.iter().map(|granted| granted.id).collect();
        assert_eq!(ids.len(), 2, "each has an id of its own");
        for granted in &outcome.granted {
            let exclusive = cloud == "china";
            assert_eq!(
                *granted,
                Delegation { exclusive, ..delegation(granted.id, &expected, granted.service.clone()) }
            );
        }
        let recorded = outcome.agreement.map(|accepted| (accepted.customer, accepted.agreement, accepted.accept_time));
        let required = case.policy.required_agreement.as_ref();
        assert_eq!(recorded, required.map(|required| (tenant("alfa"), required.id.clone(), NOW)), "{cloud}");
    }
}

#[test]
fn r3_r4_a_relationship_in_force_is_extended_and_stays_as_it_is() {
    for state in [relationship::State::Active, relationship::State::Terminating] {
        let mut case = Case::of("public");
        let first =
            Relationship { state, version: 3, ..bond(id(9), &tenant("north"), &tenant("alfa"), Type::Reseller) };
        case.facts.relationship = Some(first.clone());
        let outcome = outcome(&case);
        assert_eq!((outcome.is_new, &outcome.relationship), (false, &first));
        assert!(outcome.granted.iter().all(|granted| granted.relationship == first.id));
    }
}

#[test]
fn what_is_replaced_ends_as_reassigned_by_the_acceptor_and_what_is_held_stays() {
    let mut case = Case::of("china");
    let replaced = case.held_by("south", Type::Reseller, "office-365");
    let held = case.held_by("north", Type::Reseller, "azure-ad");
    case.answer.replace.insert(replaced.id);
    let outcome = outcome(&case);
    assert_eq!(outcome.held, [held]);
    let ended = &outcome.replaced[0];
    assert_eq!((ended.id, ended.state, ended.version), (replaced.id, State::Reassigned, replaced.version + 1));
    let end = ended.end.as_ref().unwrap();
    assert_eq!((end.time, end.by.as_str()), (NOW, "customers/alfa/users/ada"));
    assert_eq!(outcome.granted.len(), 1);
}

#[test]
fn r43_the_consent_is_recorded_as_given() {
    let mut case = Case::of("public");
    let signed = Time::from_micros(NOW.micros() - 5);
    case.answer.consent.as_mut().unwrap().accept_time = Some(signed);
    let given = consent(&case.policy);
    let accepted = outcome(&case).agreement.unwrap();
    assert_eq!((accepted.accept_time, accepted.create_time, accepted.method), (signed, NOW, Method::Direct));
    assert_eq!((accepted.agreement, accepted.version, accepted.signer), (given.agreement, given.version, given.signer));
}

/// The customer of an answer is the one that is written, whatever else is known.
#[test]
fn i12_everything_written_is_of_the_customer_that_answers_and_the_partner_that_asks() {
    let (north, alfa): (TenantId, TenantId) = (tenant("north"), tenant("alfa"));
    for cloud in CLOUDS {
        let outcome = outcome(&Case::of(cloud));
        assert_eq!((&outcome.relationship.partner, &outcome.relationship.customer), (&north, &alfa));
        for granted in &outcome.granted {
            assert_eq!((&granted.partner, &granted.customer), (&north, &alfa), "{cloud}");
        }
    }
}
