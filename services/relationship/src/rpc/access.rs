//! Answering who may do what.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::page::Page;
use api::relationship as wire;
use api::relationship::access_explanation;
use api::rule::PrincipalKind;
use cloud::{DelegableService, ServiceId, TenantId};
use server::Caller;
use server::consistency::Required;
use store::{Failure, Freshness, HasFailure as _, Tx};

use super::{Calls, View, view_of};
use crate::domain::access::{self, Action, Facts, TargetKind};
use crate::domain::delegation::Delegation;
use crate::domain::relationship::Relationship;
use crate::domain::subscription::Subscription;
use crate::error::Error;
use crate::store::{agreement, delegation, directory, relationship, subscription};
use crate::wire::access::{self as convert, Grants, Question, Target};

/// How many partners a page of explanations holds when the caller does not say, and at most.
const PARTNERS_DEFAULT: i32 = 10;
const PARTNERS_MAX: i32 = 100;
/// How many subscriptions of a customer are explained.
const SUBSCRIPTIONS_MAX: i64 = 1000;

pub(super) async fn check_access(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::CheckAccessRequest,
) -> Result<wire::CheckAccessResponse, Error> {
    let question = convert::question(&request)?;
    expect_entitled(&calls, &caller, &question)?;
    let freshness = freshness(&calls, request.consistency.as_ref())?;
    match looked_up(&calls, &question, freshness).await {
        // A replica can break off what it began to answer. The primary has all that was asked for.
        Err(error) if freshness != Freshness::Latest && error.failure().is_some_and(passes) => {
            looked_up(&calls, &question, Freshness::Latest).await
        }
        done => done,
    }
}

fn passes(failure: &Failure) -> bool {
    failure.is_interference() || failure.unavailable().is_some()
}

async fn looked_up(
    calls: &Calls,
    question: &Question,
    freshness: Freshness,
) -> Result<wire::CheckAccessResponse, Error> {
    let mut tx = begin(calls, freshness).await?;
    let relationships = relationship::in_force(&mut tx, &question.customer, &question.partner).await?;
    // Without a relationship the answer is no, and tells nothing of what the customer has (I12).
    let Some(relationship) = relationships.first() else {
        return no_relationship(calls, question);
    };
    let subscription = match &question.target {
        Target::Service(_) => None,
        Target::Subscription(id) => Some(subscription_of(&mut tx, &question.customer, id).await?),
    };
    let service = match (&question.target, &subscription) {
        (Target::Service(id), _) => known_service(calls, id)?,
        (Target::Subscription(_), Some(subscription)) => known_service(calls, &subscription.service)?,
        (Target::Subscription(_), None) => {
            return Err(Error::invalid("subscription", "is required"));
        }
    };
    let active = delegation::active_of_pair(&mut tx, &question.customer, &question.partner).await?;
    let held = Held {
        relationship,
        delegations: active.iter().map(|found| &found.delegation).collect(),
        agreement_accepted: agreed(calls, &mut tx, &question.customer).await?,
    };
    Ok(answer(calls, &question.partner, question.action, &held, (service, subscription.as_ref())))
}

fn stale(problem: String) -> Error {
    Error::invalid("consistency.at_least_as_fresh", problem)
}

/// What the caller requires to see.
fn freshness(calls: &Calls, consistency: Option<&wire::Consistency>) -> Result<Freshness, Error> {
    match server::consistency::required(consistency, &calls.process).map_err(stale)? {
        Required::Latest => Ok(Freshness::Latest),
        Required::Position(position) => {
            let position = position.parse().map_err(|error: store::NoPosition| stale(error.to_string()))?;
            Ok(Freshness::AtLeast(position))
        }
        Required::Nothing => Ok(Freshness::Any),
    }
}

/// Begins a read that sees as much.
async fn begin(calls: &Calls, freshness: Freshness) -> Result<Tx, Error> {
    match calls.reads.begin(freshness).await {
        Ok(tx) => Ok(tx),
        Err(Failure::BeyondLog(_)) => Err(stale(
            "the database was restored or replaced since this token was given, and may lack its change; drop the token, \
             look whether the change is there, and use fully_consistent"
                .to_owned(),
        )),
        Err(failure) => Err(failure.into()),
    }
}

/// Lets in workloads that check access, a partner that asks about itself, a customer that asks about its own tenant.
fn expect_entitled(calls: &Calls, caller: &Caller, question: &Question) -> Result<(), Error> {
    let entitled = match caller.kind {
        PrincipalKind::Workload => calls.process.policy.permits("access.check_any", &caller.roles),
        PrincipalKind::Partner => caller.tenant == question.partner,
        PrincipalKind::Customer => caller.tenant == question.customer,
        PrincipalKind::Operator | PrincipalKind::Unspecified => false,
    };
    if entitled {
        return Ok(());
    }
    let name = match caller.kind {
        PrincipalKind::Partner => format!("partners/{}", question.partner),
        PrincipalKind::Customer | PrincipalKind::Operator | PrincipalKind::Workload | PrincipalKind::Unspecified => {
            format!("customers/{}", question.customer)
        }
    };
    Err(Error::NotFound(name))
}

fn no_relationship(calls: &Calls, question: &Question) -> Result<wire::CheckAccessResponse, Error> {
    let service = match &question.target {
        Target::Service(id) => known_service(calls, id)?,
        // Whether there is such a subscription is not this partner's to know: any service serves to say no.
        Target::Subscription(_) => {
            calls.process.policy.services.first().ok_or_else(|| Error::NotFound("services".to_owned()))?
        }
    };
    let facts = Facts {
        partner: &question.partner,
        relationship: None,
        delegation: None,
        service,
        subscription: None,
        agreement_accepted: false,
    };
    let decision = access::decide(question.action, &facts, &calls.process.policy);
    Ok(convert::decision(&decision, Grants { relationship: None, delegation: None, subscription: None }))
}

async fn subscription_of(tx: &mut Tx, customer: &TenantId, id: &str) -> Result<Subscription, Error> {
    let found = subscription::find(tx, customer, id).await?;
    found.ok_or_else(|| Error::NotFound(format!("customers/{customer}/subscriptions/{id}")))
}

fn known_service<'a>(calls: &'a Calls, id: &ServiceId) -> Result<&'a DelegableService, Error> {
    let policy = &calls.process.policy;
    policy.service(id).ok_or_else(|| Error::ServiceUnknown {
        service: id.to_string(),
        known: policy.services.iter().map(|service| service.id.to_string()).collect(),
    })
}

/// An earlier version of the agreement carries what rests on it; the version in force is asked for at the next acceptance.
async fn agreed(calls: &Calls, tx: &mut Tx, customer: &TenantId) -> Result<bool, Error> {
    match &calls.process.policy.required_agreement {
        Some(required) => Ok(agreement::of(tx, customer, &required.id).await?.is_some()),
        None => Ok(false),
    }
}

/// What a partner has of a customer.
struct Held<'a> {
    relationship: &'a Relationship,
    delegations: Vec<&'a Delegation>,
    agreement_accepted: bool,
}

fn answer(
    calls: &Calls,
    partner: &TenantId,
    action: Action,
    held: &Held<'_>,
    (service, subscription): (&DelegableService, Option<&Subscription>),
) -> wire::CheckAccessResponse {
    let delegation = held.delegations.iter().copied().find(|delegation| delegation.service == service.id);
    let facts = Facts {
        partner,
        relationship: Some(held.relationship),
        delegation,
        service,
        subscription,
        agreement_accepted: held.agreement_accepted,
    };
    let decision = access::decide(action, &facts, &calls.process.policy);
    convert::decision(&decision, Grants { relationship: Some(held.relationship), delegation, subscription })
}

pub(super) async fn explain_access(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ExplainAccessRequest,
) -> Result<wire::ExplainAccessResponse, Error> {
    let customer = crate::wire::customer("customer", &request.customer)?;
    let mut only = None;
    if !request.partner.is_empty() {
        only = Some(crate::wire::partner("partner", &request.partner)?);
    }
    if let View::Partner(own) = view_of(&caller, &customer, &request.customer)? {
        if only.as_ref().is_some_and(|asked| *asked != own) {
            return Err(Error::NotFound(request.partner));
        }
        only = Some(own);
    }
    let size = if request.page_size == 0 { PARTNERS_DEFAULT } else { request.page_size.min(PARTNERS_MAX) };
    let page = Page::parse(format!("access {customer} {only:?}"), size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    explain(&calls, &mut tx, &customer, only.as_ref(), &page).await
}

async fn explain(
    calls: &Calls,
    tx: &mut Tx,
    customer: &TenantId,
    only: Option<&TenantId>,
    page: &Page,
) -> Result<wire::ExplainAccessResponse, Error> {
    let relationships =
        relationship::of_customer(tx, customer, (only, None), clock::Uuid::nil(), SUBSCRIPTIONS_MAX).await?;
    let in_force: Vec<_> = relationships.into_iter().filter(|found| found.relationship.state.is_in_force()).collect();
    let partners: BTreeSet<&TenantId> = in_force.iter().map(|found| &found.relationship.partner).collect();
    let after = partners.into_iter().filter(|partner| partner.as_str() > page.after.as_str());
    let (partners, next_page_token) = page.cut(after.collect(), |partner| partner.to_string());

    let subscriptions = subscription::list(tx, customer, "", SUBSCRIPTIONS_MAX).await?;
    let active = delegation::active(tx, customer).await?;
    let agreement_accepted = agreed(calls, tx, customer).await?;
    let mut explanations = Vec::new();
    for partner in partners {
        let Some(found) = in_force.iter().find(|found| found.relationship.partner == *partner) else {
            continue;
        };
        let own = active.iter().map(|found| &found.delegation).filter(|held| held.partner == *partner);
        let held = Held { relationship: &found.relationship, delegations: own.collect(), agreement_accepted };
        for action in Action::ALL {
            explain_action(calls, action, &held, &subscriptions, &mut |target, decision| {
                explanations.push(wire::AccessExplanation {
                    partner: format!("partners/{partner}"),
                    partner_display_name: found.partner_display_name.clone(),
                    action: convert::action(action).into(),
                    target: Some(target),
                    decision: Some(decision),
                });
            });
        }
    }
    // To a partner without a relationship a customer is as good as none (I12).
    let hidden = only.is_some() && in_force.is_empty();
    if hidden || (in_force.is_empty() && directory::customer(tx, customer).await?.is_none()) {
        return Err(Error::NotFound(format!("customers/{customer}")));
    }
    Ok(wire::ExplainAccessResponse { explanations, next_page_token })
}

/// One action on everything it can be done on.
fn explain_action(
    calls: &Calls,
    action: Action,
    held: &Held<'_>,
    subscriptions: &[Subscription],
    tell: &mut dyn FnMut(access_explanation::Target, wire::CheckAccessResponse),
) {
    let partner = &held.relationship.partner;
    let services = &calls.process.policy.services;
    let on_services = matches!(action.target(), TargetKind::Service | TargetKind::Either);
    for service in services.iter().filter(|_| on_services) {
        let decision = answer(calls, partner, action, held, (service, None));
        tell(access_explanation::Target::Service(service.id.to_string()), decision);
    }
    let on_subscriptions = matches!(action.target(), TargetKind::Subscription | TargetKind::Either);
    for subscription in subscriptions.iter().filter(|_| on_subscriptions) {
        let Some(service) = services.iter().find(|service| service.id == subscription.service) else {
            continue;
        };
        let decision = answer(calls, partner, action, held, (service, Some(subscription)));
        tell(access_explanation::Target::Subscription(subscription.name()), decision);
    }
}
