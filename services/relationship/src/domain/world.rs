//! A small world in memory, for tests only: it keeps what the store keeps, finds the facts of a decision as the store finds
//! them, and writes exactly what the domain decided.
//!
//! It has no rules and no constraints of its own, so an invariant that holds here holds by the decisions alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock::{Time, Uuid};
use cloud::{ServiceId, TenantId};

use super::acceptance::{self, Answer, Invitation, Law, Scene};
use super::access::{self, Action, Decision};
use super::agreement::{Acceptance, Consent};
use super::delegation::{self, Delegation, End, HandOver, Verb};
use super::directory::{Customer, Partner};
use super::relationship::{self, Relationship, Type};
use super::subscription::{Status, Subscription};
use super::termination::{self, Side, Standing, Wish};
use command::{Accept, Command, Offer, Outcome, Refusal, Replace};
use samples::{NOW, consent, id, subscription};

mod command;
pub(super) mod samples;
mod tests;

const DAY: Duration = Duration::from_hours(24);

/// Everything that is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) partners: BTreeMap<TenantId, Partner>,
    pub(super) customers: BTreeMap<TenantId, Customer>,
    pub(super) relationships: BTreeMap<Uuid, Relationship>,
    pub(super) delegations: BTreeMap<Uuid, Delegation>,
    pub(super) agreements: Vec<Acceptance>,
    pub(super) subscriptions: BTreeMap<(TenantId, String), Subscription>,
    /// The role an acceptor had when it accepted, by relationship.
    pub(super) acceptor_roles: BTreeMap<Uuid, &'static str>,
    minted: u128,
}

/// One cloud with its records, at a moment.
#[derive(Clone, Debug)]
pub(super) struct World<'a> {
    pub(super) law: Law<'a>,
    pub(super) records: Records,
    pub(super) now: Time,
}

impl<'a> World<'a> {
    pub(super) fn new(law: Law<'a>) -> World<'a> {
        World { law, records: Records::default(), now: NOW }
    }

    /// Does what the command says, if the domain decides so.
    pub(super) fn apply(&mut self, command: &Command) -> Outcome {
        self.now = Time::from_micros(self.now.micros() + 1_000_000);
        let result = match command {
            Command::Accept(accept) => return self.accept(accept),
            Command::Remove { pick } => self.remove(*pick),
            Command::Reassign { pick, to } => self.reassign(*pick, to),
            Command::WriteSubscription { customer, id, service, original_reseller, provisioned_by, suspended } => self
                .write_subscription(Subscription {
                    original_reseller: original_reseller.clone(),
                    provisioned_by: provisioned_by.clone(),
                    status: if *suspended { Status::Suspended } else { Status::Active },
                    ..subscription(customer, id, service.clone())
                }),
            Command::Terminate { pick, side, days } => self.terminate(*pick, *side, *days),
            Command::Cancel { pick, side } => self.cancel(*pick, *side),
            Command::Wait { days } => {
                self.now = self.now.plus(DAY * *days);
                self.end_due(|_| true);
                Ok(())
            }
        };
        result.map_or_else(Outcome::Refused, |()| Outcome::Done)
    }

    fn accept(&mut self, accept: &Accept) -> Outcome {
        if !self.law.policy.permits("invitations.accept", &BTreeSet::from([accept.role.to_owned()])) {
            return Outcome::Refused(Refusal::Role);
        }
        let (invitation, answer) = self.call(accept);
        let facts = self.facts(&invitation, &answer);
        match acceptance::decide(&invitation, &answer, &facts, &self.law, self.now) {
            Ok(plan) => {
                let acceptor = format!("customers/{}/users/ada", answer.customer);
                let scene = Scene { customer: &answer.customer, acceptor: &acceptor, now: self.now };
                let in_force = facts.relationship.as_ref();
                let outcome = acceptance::carry_out(&invitation, in_force, plan.clone(), &scene, || self.mint());
                self.write(outcome, accept.role);
                Outcome::Accepted(Box::new(plan))
            }
            Err(obstacles) => Outcome::Refused(Refusal::Obstacles(obstacles)),
        }
    }

    /// The call that an acceptance makes.
    pub(super) fn call(&self, accept: &Accept) -> (Invitation, Answer) {
        let replace = match accept.replace {
            Replace::Nothing => BTreeSet::new(),
            Replace::Holders => self
                .delegations_of(&accept.customer)
                .filter(|held| accept.services.contains(&held.service) && held.partner != accept.partner)
                .map(|held| held.id)
                .collect(),
            Replace::Picked(pick) => self.pick(pick).map(|held| held.id).into_iter().collect(),
        };
        let consent = match accept.consent {
            Offer::Nothing => None,
            Offer::InForce => Some(consent(self.law.policy)),
            Offer::OldVersion => Some(Consent { version: "0".to_owned(), ..consent(self.law.policy) }),
            Offer::InFuture => {
                let accept_time = Some(Time::from_micros(self.now.micros() + 1));
                Some(Consent { accept_time, ..consent(self.law.policy) })
            }
        };
        let invitation = Invitation {
            partner: accept.partner.clone(),
            link: format!("partners/{}/invitationLinks/default", accept.partner),
            link_active: accept.link_active,
            kind: accept.kind,
            services: accept.services.clone(),
        };
        (invitation, Answer { customer: accept.customer.clone(), consent, replace })
    }

    pub(super) fn facts(&self, invitation: &Invitation, answer: &Answer) -> acceptance::Facts {
        let records = &self.records;
        let as_partner = records.partners.get(&answer.customer);
        acceptance::Facts {
            partner: records.partners.get(&invitation.partner).cloned(),
            customer: records.customers.get(&answer.customer).cloned(),
            customer_transacts: as_partner.is_some_and(|partner| partner.tier.transacts()),
            relationship: self.in_force(&invitation.partner, &answer.customer, Some(invitation.kind)).cloned(),
            delegations: self.delegations_of(&answer.customer).cloned().collect(),
            agreement: records.agreements.iter().rfind(|held| held.customer == answer.customer).cloned(),
        }
    }

    fn write(&mut self, outcome: acceptance::Outcome, role: &'static str) {
        let records = &mut self.records;
        records.acceptor_roles.entry(outcome.relationship.id).or_insert(role);
        records.relationships.insert(outcome.relationship.id, outcome.relationship);
        records.agreements.extend(outcome.agreement);
        let delegations = outcome.granted.into_iter().chain(outcome.replaced);
        records.delegations.extend(delegations.map(|written| (written.id, written)));
    }

    fn remove(&mut self, pick: usize) -> Result<(), Refusal> {
        let held = self.pick(pick).ok_or(Refusal::Nowhere)?;
        let ended = held.after(Verb::Remove, self.end()).map_err(Refusal::NotActive)?;
        self.records.delegations.insert(ended.id, ended);
        Ok(())
    }

    fn reassign(&mut self, pick: usize, to: &TenantId) -> Result<(), Refusal> {
        let id = self.mint();
        let (ended, granted) = {
            let held = self.pick(pick).ok_or(Refusal::Nowhere)?;
            let is_active = |on: &&Relationship| on.state == relationship::State::Active;
            let active = self.bound(to, &held.customer).find(is_active);
            let receiver = active.or(self.in_force(to, &held.customer, None));
            let active: Vec<Delegation> =
                self.records.delegations.values().filter(|on| on.customer == held.customer).cloned().collect();
            let exclusive_holder = self.law.policy.delegation.exclusive_holder;
            let contract = &self.law.policy.partner_contract.id;
            let receiver_may_act = self.records.partners.get(to).is_some_and(|partner| partner.may_act(contract));
            let over = HandOver { receiver, receiver_may_act, active: &active, exclusive_holder };
            delegation::reassign(held, &over, id, self.end()).map_err(Refusal::CannotReassign)?
        };
        self.records.delegations.insert(ended.id, ended);
        self.records.delegations.insert(granted.id, granted);
        Ok(())
    }

    fn write_subscription(&mut self, written: Subscription) -> Result<(), Refusal> {
        if !self.records.customers.contains_key(&written.customer)
            || self.law.policy.service(&written.service).is_none()
        {
            return Err(Refusal::Nowhere);
        }
        let customer = written.customer.clone();
        self.records.subscriptions.insert((written.customer.clone(), written.id.clone()), written);
        self.end_due(|held| held.customer == customer);
        Ok(())
    }

    fn terminate(&mut self, pick: usize, side: Side, days: Option<u32>) -> Result<(), Refusal> {
        let relationship = self.pick_relationship(pick).ok_or(Refusal::Nowhere)?.clone();
        let effective_time = days.map(|days| self.now.plus(DAY * days));
        let wish = Wish { side, by: "somebody", reason: "", effective_time };
        let rule = &self.law.policy.termination;
        let outcome = self.on(&relationship, |standing| termination::request(standing, &wish, rule, self.now));
        self.write_end(outcome.map_err(Refusal::CannotRequest)?);
        Ok(())
    }

    fn cancel(&mut self, pick: usize, side: Side) -> Result<(), Refusal> {
        let relationship = self.pick_relationship(pick).ok_or(Refusal::Nowhere)?;
        let relationship = termination::cancel(relationship, side).map_err(Refusal::CannotCancel)?;
        self.records.relationships.insert(relationship.id, relationship);
        Ok(())
    }

    /// Ends what is due and free, of those that fit.
    fn end_due(&mut self, fits: impl Fn(&Relationship) -> bool) {
        let fitting: Vec<Relationship> = self.records.relationships.values().filter(|it| fits(it)).cloned().collect();
        for relationship in fitting {
            let ends = self.on(&relationship, |standing| termination::end_due(standing, self.now));
            ends.into_iter().for_each(|outcome| self.write_end(outcome));
        }
    }

    fn on<T>(&self, relationship: &Relationship, decide: impl FnOnce(Standing<'_>) -> T) -> T {
        let active: Vec<Delegation> = self.delegations_of(&relationship.customer).cloned().collect();
        let subscriptions: Vec<Subscription> = self.records.subscriptions.values().cloned().collect();
        let blockers = termination::blockers(relationship, &subscriptions, &self.law.policy.termination);
        decide(Standing { relationship, active: &active, blockers: &blockers })
    }

    fn write_end(&mut self, outcome: termination::Outcome) {
        self.records.relationships.insert(outcome.relationship.id, outcome.relationship);
        self.records.delegations.extend(outcome.closed.into_iter().map(|closed| (closed.id, closed)));
    }

    fn pick_relationship(&self, pick: usize) -> Option<&Relationship> {
        let count = self.records.relationships.len();
        self.records.relationships.values().nth(pick.checked_rem(count)?)
    }

    fn mint(&mut self) -> Uuid {
        self.records.minted += 1;
        id(self.records.minted)
    }

    fn end(&self) -> End {
        End { time: self.now, by: "customers/somebody".to_owned(), reason: String::new() }
    }

    fn pick(&self, pick: usize) -> Option<&Delegation> {
        let count = self.records.delegations.len();
        self.records.delegations.values().nth(pick.checked_rem(count)?)
    }

    /// The active delegations of a customer.
    fn delegations_of<'s>(&'s self, customer: &'s TenantId) -> impl Iterator<Item = &'s Delegation> {
        let active = |held: &&Delegation| held.state == delegation::State::Active;
        self.records.delegations.values().filter(active).filter(move |held| held.customer == *customer)
    }

    pub(super) fn held(&self, partner: &TenantId, customer: &TenantId, service: &ServiceId) -> Option<&Delegation> {
        let of_pair = |held: &&Delegation| held.partner == *partner && held.customer == *customer;
        let active = |held: &&Delegation| held.state == delegation::State::Active && held.service == *service;
        self.records.delegations.values().filter(of_pair).find(active)
    }

    /// The acceptance, in its version in force, of the agreement of the cloud.
    pub(super) fn agreement_of(&self, customer: &TenantId) -> Option<&Acceptance> {
        let required = self.law.policy.required_agreement.as_ref()?;
        let fits = |held: &&Acceptance| held.agreement == required.id && held.version == required.version;
        self.records.agreements.iter().filter(fits).find(|held| held.customer == *customer)
    }

    /// The relationships in force of a pair.
    fn bound(&self, partner: &TenantId, customer: &TenantId) -> impl Iterator<Item = &Relationship> {
        let of_pair = |held: &&Relationship| held.partner == *partner && held.customer == *customer;
        let in_force = |held: &&Relationship| held.state.is_in_force();
        self.records.relationships.values().filter(in_force).filter(of_pair)
    }

    /// The relationship in force of a pair, of one type or any.
    pub(super) fn in_force(
        &self,
        partner: &TenantId,
        customer: &TenantId,
        kind: Option<Type>,
    ) -> Option<&Relationship> {
        self.bound(partner, customer).find(|held| kind.is_none_or(|kind| held.kind == kind))
    }

    /// The customers in a partner's list (R25).
    pub(super) fn customers_of(&self, partner: &TenantId) -> BTreeSet<TenantId> {
        let in_force = |held: &&Relationship| held.state.is_in_force();
        let own = self.records.relationships.values().filter(in_force).filter(|held| held.partner == *partner);
        own.map(|held| held.customer.clone()).collect()
    }

    /// What binds a partner to a customer whatever privileges it holds (R28-R30, R47).
    pub(super) fn obligations(&self, partner: &TenantId, customer: &TenantId) -> Vec<&str> {
        let bound = self.in_force(partner, customer, None).is_some();
        let all = self.law.policy.obligations.iter().filter(|_| bound);
        all.map(|obligation| obligation.id.as_str()).collect()
    }

    /// The answer about a service of the cloud.
    pub(super) fn check_service(
        &self,
        partner: &TenantId,
        customer: &TenantId,
        action: Action,
        service: &ServiceId,
    ) -> Decision {
        let facts = access::Facts {
            partner,
            relationship: self.in_force(partner, customer, None),
            delegation: self.held(partner, customer, service),
            service: self.law.policy.service(service).expect("a service of the cloud"),
            subscription: None,
            agreement_accepted: self.agreement_of(customer).is_some(),
        };
        access::decide(action, &facts, self.law.policy)
    }

    /// The answer about a subscription.
    pub(super) fn check_subscription(
        &self,
        partner: &TenantId,
        action: Action,
        subscription: &Subscription,
    ) -> Decision {
        let service = self.law.policy.service(&subscription.service);
        let facts = access::Facts {
            partner,
            relationship: self.in_force(partner, &subscription.customer, None),
            delegation: self.held(partner, &subscription.customer, &subscription.service),
            service: service.expect("a service of the cloud"),
            subscription: Some(subscription),
            agreement_accepted: self.agreement_of(&subscription.customer).is_some(),
        };
        access::decide(action, &facts, self.law.policy)
    }
}
