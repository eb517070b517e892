//! Establishing relationships from verified invitations: the other half of accepting.

use std::sync::Arc;

use api::event::Change;
use api::notification::resource_snapshot::Resource;
use api::relationship as wire;
use cloud::TenantId;
use outbox::{Done, Scope};
use server::Caller;
use store::{Failure, Tx};

use super::delegation::{write_end, write_grant};
use super::termination::blockers;
use super::{Calls, both, change_request, expect_customer};
use crate::domain::acceptance::{self, Answer, Facts, Invitation, Law, Obstacle, Outcome, Plan, Scene};
use crate::domain::termination::Blocker;
use crate::error::{self, Error};
use crate::store::{agreement, delegation, directory, relationship};
use crate::wire::acceptance as convert;
use crate::wire::relationship::Around;

pub(super) async fn establish(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::EstablishRequest,
) -> Result<Done<wire::EstablishResponse>, Error> {
    let invitation = convert::invitation(request.invitation.as_ref())?;
    let answer = convert::answer(&request)?;
    expect_customer(&caller, &answer.customer, &request.customer)?;
    let acceptor = caller.user_name();
    // A repeat is the same request whatever has become of the link since.
    let mut lasting = request.clone();
    lasting.invitation.iter_mut().for_each(|invitation| invitation.link_active = true);
    let asked = change_request(&acceptor, "Establish", &request.request_id, &lasting)?;
    if request.validate_only {
        let answer = foretell(&calls, &invitation, &answer, &acceptor).await?;
        return Ok(Done { answer, position: None });
    }
    let key = format!("customers/{}", answer.customer);
    let change = Establish { calls: &calls, key, invitation, answer, acceptor: &acceptor };
    calls.outbox.change(&asked, &change).await
}

struct Establish<'a> {
    calls: &'a Calls,
    key: String,
    invitation: Invitation,
    answer: Answer,
    acceptor: &'a str,
}

impl outbox::Change for Establish<'_> {
    const NAME: &'static str = "establish";
    type Answer = wire::EstablishResponse;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::EstablishResponse, Error> {
        let facts = facts(self.calls, scope.tx, &self.invitation, &self.answer.customer).await?;
        let scene = Scene { customer: &self.answer.customer, acceptor: self.acceptor, now: scope.now };
        let plan = decide(self.calls, &self.invitation, &self.answer, &facts, scope.now)?;
        let relationship = facts.relationship.as_ref();
        let outcome = acceptance::carry_out(&self.invitation, relationship, plan, &scene, || scope.id());
        write(self.calls, scope, &facts, &outcome, self.acceptor).await
    }
}

/// All that the decision needs to know, read in this transaction.
async fn facts(calls: &Calls, tx: &mut Tx, invitation: &Invitation, customer: &TenantId) -> Result<Facts, Failure> {
    let namesake = directory::partner(tx, customer).await?;
    let in_force = relationship::in_force(tx, customer, &invitation.partner).await?;
    let active = delegation::active(tx, customer).await?;
    let agreement = match &calls.process.policy.required_agreement {
        Some(required) => agreement::of(tx, customer, &required.id).await?,
        None => None,
    };
    Ok(Facts {
        partner: directory::partner(tx, &invitation.partner).await?,
        customer: directory::customer(tx, customer).await?,
        customer_transacts: namesake.is_some_and(|partner| partner.tier.transacts()),
        relationship: in_force.into_iter().find(|found| found.kind == invitation.kind),
        delegations: active.into_iter().map(|found| found.delegation).collect(),
        agreement,
    })
}

fn decide(
    calls: &Calls,
    invitation: &Invitation,
    answer: &Answer,
    facts: &Facts,
    now: clock::Time,
) -> Result<Plan, Error> {
    let law = Law { policy: &calls.process.policy, markets: &calls.process.markets };
    acceptance::decide(invitation, answer, facts, &law, now).map_err(|obstacles| Error::Refused {
        customer: answer.customer.clone(),
        partner: invitation.partner.clone(),
        link: invitation.link.clone(),
        obstacles,
    })
}

/// Writes relationship, agreement and delegations, each with its event.
async fn write(
    calls: &Calls,
    scope: &mut Scope<'_>,
    facts: &Facts,
    outcome: &Outcome,
    acceptor: &str,
) -> Result<wire::EstablishResponse, Error> {
    let mut response = described(calls, facts, outcome, &blockers(calls, scope.tx, &outcome.relationship).await?);
    let Outcome { relationship, .. } = outcome;
    if outcome.is_new {
        relationship::insert(scope.tx, relationship).await?;
        let change = Change {
            kind: "relationship.established",
            resource: relationship.name(),
            feeds: both(&relationship.customer, &relationship.partner),
            actor: acceptor,
            reason: "",
            before: None,
            after: response.relationship.clone().map(Resource::Relationship),
        };
        calls.emit(scope, change).await?;
    }
    if let Some(acceptance) = &outcome.agreement {
        agreement::insert(scope.tx, acceptance).await?;
        let change = Change {
            kind: "agreement.accepted",
            resource: acceptance.name(),
            feeds: both(&relationship.customer, &relationship.partner),
            actor: acceptor,
            reason: "",
            before: None,
            after: response.agreement_acceptance.clone().map(Resource::AgreementAcceptance),
        };
        calls.emit(scope, change).await?;
    }
    response.replaced.clear();
    for ended in &outcome.replaced {
        let held = facts.delegations.iter().find(|held| held.id == ended.id).unwrap_or(ended);
        let holder = directory::partner(scope.tx, &ended.partner).await?;
        let holder = holder.map(|partner| partner.display_name).unwrap_or_default();
        response.replaced.push(write_end(calls, scope, "delegation.reassigned", (held, &holder), ended).await?);
    }
    let display_name = facts.partner.as_ref().map(|partner| partner.display_name.as_str()).unwrap_or_default();
    for granted in &outcome.granted {
        write_grant(calls, scope, granted, display_name, acceptor).await?;
    }
    Ok(response)
}

/// An outcome as it travels.
fn described(calls: &Calls, facts: &Facts, outcome: &Outcome, blockers: &[Blocker]) -> wire::EstablishResponse {
    let partner = facts.partner.as_ref();
    let display_name = partner.map(|partner| partner.display_name.clone()).unwrap_or_default();
    let mut delegations: Vec<_> = outcome.held.iter().chain(&outcome.granted).collect();
    delegations.sort_by(|one, other| one.service.cmp(&other.service));
    // What the partner held before counts too, also on services that this invitation does not ask for.
    let own = facts.delegations.iter().filter(|held| held.relationship == outcome.relationship.id);
    let mut services: Vec<String> = own.chain(&outcome.granted).map(|held| held.service.to_string()).collect();
    services.sort();
    let found = crate::domain::relationship::Found {
        relationship: outcome.relationship.clone(),
        partner_display_name: display_name.clone(),
        partner_verified_domain: partner.map(|partner| partner.verified_domain.clone()).unwrap_or_default(),
    };
    let around = Around { delegated_services: &services, blockers };
    let delegation = |held| crate::wire::delegation::delegation(held, &display_name);
    let replaced = outcome.replaced.iter().map(|ended| crate::wire::delegation::delegation(ended, ""));
    wire::EstablishResponse {
        relationship: Some(crate::wire::relationship::relationship(&found, around, &calls.process.policy)),
        delegations: delegations.into_iter().map(delegation).collect(),
        agreement_acceptance: outcome.agreement.as_ref().map(crate::wire::agreement::acceptance),
        replaced: replaced.collect(),
    }
}

/// What an acceptance would establish. Nothing is written, and what would be new has no name.
async fn foretell(
    calls: &Calls,
    invitation: &Invitation,
    answer: &Answer,
    acceptor: &str,
) -> Result<wire::EstablishResponse, Error> {
    let mut tx = store::read(&calls.pool).await?;
    let facts = facts(calls, &mut tx, invitation, &answer.customer).await?;
    let scene = Scene { customer: &answer.customer, acceptor, now: calls.process.clock.now() };
    let plan = decide(calls, invitation, answer, &facts, scene.now)?;
    let outcome = acceptance::carry_out(invitation, facts.relationship.as_ref(), plan, &scene, clock::Uuid::nil);
    let mut response = described(calls, &facts, &outcome, &blockers(calls, &mut tx, &outcome.relationship).await?);
    if let Some(relationship) = response.relationship.as_mut().filter(|_| outcome.is_new) {
        relationship.name.clear();
    }
    for delegation in &mut response.delegations {
        if delegation.name.ends_with(&clock::Uuid::nil().to_string()) {
            delegation.name.clear();
        }
    }
    if let Some(acceptance) = &mut response.agreement_acceptance {
        acceptance.name.clear();
    }
    Ok(response)
}

pub(super) async fn preview_establishment(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::PreviewEstablishmentRequest,
) -> Result<wire::PreviewEstablishmentResponse, Error> {
    let invitation = convert::invitation(request.invitation.as_ref())?;
    let customer = crate::wire::customer("customer", &request.customer)?;
    expect_customer(&caller, &customer, &request.customer)?;
    let mut tx = store::read(&calls.pool).await?;
    let facts = facts(&calls, &mut tx, &invitation, &customer).await?;
    let answer = Answer { customer: customer.clone(), consent: None, replace: [].into() };
    let policy = &calls.process.policy;
    let law = Law { policy, markets: &calls.process.markets };
    let obstacles =
        acceptance::decide(&invitation, &answer, &facts, &law, calls.process.clock.now()).err().unwrap_or_default();
    let agreement_due = obstacles.contains(&Obstacle::AgreementRequired);
    let obstacles = obstacles.iter().filter(|obstacle| **obstacle != Obstacle::AgreementRequired).map(|obstacle| {
        convert::obstacle(error::condition(obstacle, &customer, &invitation.partner, &invitation.link, policy))
    });
    let delegated = facts.delegations.iter().filter(|held| held.partner == invitation.partner);
    let delegated = delegated.filter(|held| invitation.services.contains(&held.service));
    let (partner_display_name, partner_verified_domain, partner_country) =
        facts.partner.as_ref().map_or_else(Default::default, |partner| {
            (partner.display_name.clone(), partner.verified_domain.clone(), partner.country.to_string())
        });
    Ok(wire::PreviewEstablishmentResponse {
        partner_display_name,
        partner_verified_domain,
        partner_country,
        agreement: policy.required_agreement.as_ref().filter(|_| agreement_due).map(crate::wire::agreement::offer),
        obstacles: obstacles.collect(),
        existing_relationship: facts.relationship.as_ref().map(|found| found.name()).unwrap_or_default(),
        delegated_services: delegated.map(|held| held.service.to_string()).collect(),
    })
}
