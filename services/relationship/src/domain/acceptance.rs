//! Accepting an invitation: every condition evaluated, every failure returned, and what to write when there is none.

use std::collections::{BTreeMap, BTreeSet};

use clock::{Time, Uuid};
use cloud::{CountryCode, MarketTable, Policy, RegionRefusalCause, RuleNumber, ServiceId, TenantId};

use super::agreement::{Acceptance, Consent, Method};
use super::delegation::{Delegation, End, State, Verb};
use super::directory::{Customer, Partner, Status};
use super::relationship::{Relationship, Type};

/// What a verified invitation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Who asks.
    pub partner: TenantId,
    /// The link: `partners/{partner}/invitationLinks/{link}`.
    pub link: String,
    /// False when the link has been disabled or rotated away.
    pub link_active: bool,
    /// What the partner is to become.
    pub kind: Type,
    /// The services whose administration is asked for. Empty: none.
    pub services: BTreeSet<ServiceId>,
}

/// What the customer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The customer.
    pub customer: TenantId,
    /// Its consent to the agreement, when it gives one.
    pub consent: Option<Consent>,
    /// Delegations of others it gives up in favor of this partner.
    pub replace: BTreeSet<Uuid>,
}

/// What is known when the decision is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The partner, if it is registered.
    pub partner: Option<Partner>,
    /// The customer, if it is registered.
    pub customer: Option<Customer>,
    /// The customer's tenant is also a partner that transacts.
    pub customer_transacts: bool,
    /// The relationship in force of this pair and type.
    pub relationship: Option<Relationship>,
    /// The customer's active delegations on the services asked for, whoever holds them, and those it wants replaced.
    pub delegations: Vec<Delegation>,
    /// The customer's acceptance of the agreement of the cloud.
    pub agreement: Option<Acceptance>,
}

/// A reason why an acceptance is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The link has been disabled or rotated away.
    LinkDisabled,
    /// The customer is not registered in this cloud.
    CustomerNotRegistered,
    /// The partner is not registered in this cloud, or suspended.
    PartnerNotActive,
    /// The partner has not signed the contract of the cloud (R30, R47).
    ContractRequired,
    /// Partner and customer may not meet (R35).
    RegionMismatch {
        /// The rule that forbids it.
        rule: RuleNumber,
        /// The partner's country.
        partner: CountryCode,
        /// The customer's country.
        customer: CountryCode,
        /// What is in the way.
        cause: RegionRefusalCause,
    },
    /// The agreement of the cloud is due, and not consented to (R43).
    AgreementRequired,
    /// The consent is dated in the future (N33).
    AgreementDateInFuture,
    /// The cloud allows no relationship without delegation (R5, R33, R34).
    DelegationMandatory {
        /// The rule of the cloud.
        rule: RuleNumber,
    },
    /// The cloud has no such delegable service.
    ServiceUnknown(ServiceId),
    /// Another partner holds the service, and the cloud allows one holder (R24).
    ServiceAlreadyDelegated {
        /// The service.
        service: ServiceId,
        /// The rule of the cloud.
        rule: RuleNumber,
        /// The name of the delegation that holds it.
        holder: String,
    },
    /// A delegation to be replaced is not an active one of another partner on a service asked for.
    ReplacementInvalid(Uuid),
    /// The customer is itself a partner that transacts (N24).
    SelfDealing,
}

/// What to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The services to grant.
    pub grant: BTreeSet<ServiceId>,
    /// Whether grants are exclusive (R24).
    pub exclusive: bool,
    /// What the partner holds already.
    pub held: Vec<Delegation>,
    /// Delegations of others that end, each in favor of a grant.
    pub replace: Vec<Delegation>,
    /// The consent to record; set exactly when an agreement is due (R43).
    pub consent: Option<Consent>,
}

/// Decides over an acceptance.
///
/// # Errors
/// Every obstacle, in the order of the conditions.
pub fn decide(
    invitation: &Invitation,
    answer: &Answer,
    facts: &Facts,
    law: &Law<'_>,
    now: Time,
) -> Result<Plan, Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    parties(invitation, facts, law, &mut obstacles);
    let consent = agreement(answer, facts, law.policy, now, &mut obstacles);
    let mut plan = delegations(invitation, answer, facts, law.policy, &mut obstacles);
    plan.consent = consent;
    // N24: a partner cannot resell to another partner's transacting tenant, nor to itself.
    if facts.customer_transacts {
        obstacles.push(Obstacle::SelfDealing);
    }
    if obstacles.is_empty() { Ok(plan) } else { Err(obstacles) }
}

/// What an acceptance comes to, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The relationship, new or extended.
    pub relationship: Relationship,
    /// True when it did not exist before.
    pub is_new: bool,
    /// The delegations that begin.
    pub granted: Vec<Delegation>,
    /// The delegations on services asked for that the partner held before.
    pub held: Vec<Delegation>,
    /// The delegations of others that end.
    pub replaced: Vec<Delegation>,
    /// The agreement taken.
    pub agreement: Option<Acceptance>,
}

/// Carries out a plan: a relationship in force is extended (R3, R4), otherwise one begins (R21).
pub fn carry_out(
    invitation: &Invitation,
    relationship: Option<&Relationship>,
    plan: Plan,
    scene: &Scene<'_>,
    mut mint: impl FnMut() -> Uuid,
) -> Outcome {
    let Scene { customer, acceptor, now } = *scene;
    let is_new = relationship.is_none();
    let relationship = relationship.cloned().unwrap_or_else(|| Relationship {
        id: mint(),
        customer: customer.clone(),
        partner: invitation.partner.clone(),
        kind: invitation.kind,
        state: super::relationship::State::Active,
        termination: None,
        terminate_time: None,
        origin_link: invitation.link.clone(),
        accept_time: now,
        acceptor: acceptor.to_owned(),
        version: 1,
    });
    let granted = plan.grant.into_iter().map(|service| Delegation {
        id: mint(),
        relationship: relationship.id,
        customer: customer.clone(),
        partner: invitation.partner.clone(),
        service,
        exclusive: plan.exclusive,
        state: State::Active,
        create_time: now,
        end: None,
        version: 1,
    });
    let granted: Vec<Delegation> = granted.collect();
    let end = End { time: now, by: acceptor.to_owned(), reason: String::new() };
    let replaced = plan
        .replace
        .iter()
        .map(|other| other.after(Verb::Reassign, end.clone()).expect("a plan replaces active delegations only"));
    let replaced = replaced.collect();
    let agreement = plan.consent.map(|consent| Acceptance {
        id: mint(),
        customer: customer.clone(),
        agreement: consent.agreement,
        version: consent.version,
        method: Method::Direct,
        signer: consent.signer,
        accept_time: consent.accept_time.unwrap_or(now),
        create_time: now,
    });
    Outcome { relationship, is_new, granted, held: plan.held, replaced, agreement }
}

/// Who accepts, and when.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The customer.
    pub customer: &'a TenantId,
    /// The name of the user that accepts (I8).
    pub acceptor: &'a str,
    /// Now.
    pub now: Time,
}

/// The rules a cloud decides by.
#[derive(Clone, Copy, Debug)]
pub struct Law<'a> {
    /// The policy of the cloud.
    pub policy: &'a Policy,
    /// The markets.
    pub markets: &'a MarketTable,
}

fn parties(invitation: &Invitation, facts: &Facts, law: &Law<'_>, obstacles: &mut Vec<Obstacle>) {
    if !invitation.link_active {
        obstacles.push(Obstacle::LinkDisabled);
    }
    if facts.customer.is_none() {
        obstacles.push(Obstacle::CustomerNotRegistered);
    }
    match &facts.partner {
        Some(partner) if partner.status == Status::Active => {
            // R30, R47: the contract of this cloud binds whoever sells in it.
            if partner.signed_contract != law.policy.partner_contract.id {
                obstacles.push(Obstacle::ContractRequired);
            }
        }
        Some(_) | None => obstacles.push(Obstacle::PartnerNotActive),
    }
    // R35, N26: the countries of the tenants decide.
    if let (Some(partner), Some(customer)) = (&facts.partner, &facts.customer)
        && let Err(refusal) = law.policy.same_region(law.markets, &partner.country, &customer.country)
    {
        obstacles.push(Obstacle::RegionMismatch {
            rule: refusal.rule,
            partner: refusal.partner,
            customer: refusal.customer,
            cause: refusal.cause,
        });
    }
}

/// R43: an agreement is taken at acceptance when the cloud asks for one, and not asked for twice.
fn agreement(
    answer: &Answer,
    facts: &Facts,
    policy: &Policy,
    now: Time,
    obstacles: &mut Vec<Obstacle>,
) -> Option<Consent> {
    let required = policy.required_agreement.as_ref()?;
    // The version in force counts, and no other: who accepted an earlier one is asked anew.
    let in_force = |id: &str, version: &str| id == required.id && version == required.version;
    let accepted = facts.agreement.as_ref();
    if accepted.is_some_and(|accepted| in_force(&accepted.agreement, &accepted.version)) {
        return None;
    }
    let offered = answer.consent.as_ref();
    let Some(consent) = offered.filter(|consent| in_force(&consent.agreement, &consent.version)) else {
        obstacles.push(Obstacle::AgreementRequired);
        return None;
    };
    if consent.accept_time.is_some_and(|time| time > now) {
        obstacles.push(Obstacle::AgreementDateInFuture);
    }
    Some(consent.clone())
}

fn delegations(
    invitation: &Invitation,
    answer: &Answer,
    facts: &Facts,
    policy: &Policy,
    obstacles: &mut Vec<Obstacle>,
) -> Plan {
    // R5, R33, R34: where delegation is not optional, a relationship without it cannot be had.
    if invitation.services.is_empty()
        && let Some(rule) = policy.delegation.mandatory_rule.clone().filter(|_| !policy.delegation.optional)
    {
        obstacles.push(Obstacle::DelegationMandatory { rule });
    }
    let mut plan =
        Plan { exclusive: policy.delegation.exclusive_holder && invitation.kind.transacts(), ..Plan::default() };
    let mut replaceable = BTreeMap::new();
    for service in &invitation.services {
        if policy.service(service).is_none() {
            obstacles.push(Obstacle::ServiceUnknown(service.clone()));
            continue;
        }
        let on_service =
            || facts.delegations.iter().filter(|held| held.state == State::Active && held.service == *service);
        // What an advisor holds beside the one holder is not the privilege that a reseller asks for (R24).
        let serves = |held: &&Delegation| held.partner == invitation.partner && (held.exclusive || !plan.exclusive);
        if let Some(own) = on_service().find(serves) {
            plan.held.push(own.clone());
            continue;
        }
        plan.grant.insert(service.clone());
        for other in on_service() {
            replaceable.insert(other.id, other);
            // R24: one holder per service, unless the customer hands it over in the same step.
            let blocks = plan.exclusive && other.exclusive && !answer.replace.contains(&other.id);
            if let Some(rule) = policy.delegation.exclusive_rule.clone().filter(|_| blocks) {
                let holder = other.name();
                obstacles.push(Obstacle::ServiceAlreadyDelegated { service: service.clone(), rule, holder });
            }
        }
    }
    for id in &answer.replace {
        match replaceable.get(id) {
            Some(other) => plan.replace.push((*other).clone()),
            None => obstacles.push(Obstacle::ReplacementInvalid(*id)),
        }
    }
    plan
}

#[cfg(test)]
mod tests;
