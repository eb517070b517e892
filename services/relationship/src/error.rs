//! How calls of this service fail, and the one match that makes it a status.

use std::fmt;

use api::ErrorReason as Reason;
use api::field::{Invalid, Stale};
use api::status::{FailedCondition, Refusal};
use cloud::{CountryCode, Policy, RegionRefusalCause, TenantId};
use outbox::Reused;
use store::{Failure, HasFailure};
use tonic::Status;

use crate::domain::acceptance::Obstacle;
use crate::domain::delegation::{CannotReassign, NotActive};
use crate::domain::termination::{self, Blocker, CannotCancel, CannotRequest};

/// Why a call failed. Nothing was written.
#[derive(Debug)]
pub enum Error {
    /// A field is malformed.
    Invalid(Invalid),
    /// There is no such resource, or it is not the caller's to see (I12).
    NotFound(String),
    /// The resource exists.
    Exists(String),
    /// The etag given is not the current one.
    EtagMismatch(String),
    /// The request id was used for another request.
    RequestIdReused,
    /// The cloud has no such delegable service.
    ServiceUnknown {
        /// The service asked for.
        service: String,
        /// The services there are.
        known: Vec<String>,
    },
    /// An acceptance is refused.
    Refused {
        /// The customer.
        customer: TenantId,
        /// The partner.
        partner: TenantId,
        /// The link.
        link: String,
        /// Why, all of it.
        obstacles: Vec<Obstacle>,
    },
    /// The delegation has ended.
    DelegationEnded {
        /// Its name.
        delegation: String,
        /// How it ended.
        end: NotActive,
    },
    /// A delegation cannot be handed over.
    CannotReassign {
        /// Its name.
        delegation: String,
        /// The partner that would get it.
        to: TenantId,
        /// Why.
        why: CannotReassign,
    },
    /// The end of a relationship cannot be requested.
    CannotTerminate {
        /// Its name.
        relationship: String,
        /// Why.
        why: CannotRequest,
    },
    /// The end of a relationship cannot be taken back.
    CannotCancel {
        /// Its name.
        relationship: String,
        /// Why.
        why: CannotCancel,
    },
    /// A concurrent acceptance took the service.
    ConcurrentAcceptance(String),
    /// The database failed.
    Store(Failure),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Store(failure)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Error {
        Error::Invalid(invalid)
    }
}

impl From<Stale> for Error {
    fn from(Stale(name): Stale) -> Error {
        Error::EtagMismatch(name)
    }
}

impl From<Reused> for Error {
    fn from(_: Reused) -> Error {
        Error::RequestIdReused
    }
}

impl HasFailure for Error {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Error::Store(failure) => Some(failure),
            Error::Invalid(_)
            | Error::NotFound(_)
            | Error::Exists(_)
            | Error::EtagMismatch(_)
            | Error::RequestIdReused
            | Error::ServiceUnknown { .. }
            | Error::Refused { .. }
            | Error::DelegationEnded { .. }
            | Error::CannotReassign { .. }
            | Error::CannotTerminate { .. }
            | Error::CannotCancel { .. }
            | Error::ConcurrentAcceptance(_) => None,
        }
    }
}

/// For the log, where nobody was called: what the database says, and nothing that a caller wrote.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure() {
            Some(failure) => failure.fmt(f),
            None => f.write_str("it was refused"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// A malformed field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Invalid(Invalid::new(field, problem))
    }

    /// The status to send, in the cloud of this policy.
    #[must_use]
    pub fn status(self, policy: &Policy) -> Status {
        let cloud = policy.cloud.as_str();
        let refusal = match self {
            Error::Invalid(invalid) => invalid.into(),
            Error::NotFound(name) => Refusal::not_found(&name),
            Error::Exists(name) => {
                let message = format!("{name} exists; update it instead, or use another id");
                Refusal::new(Reason::ResourceExists, "AIP-133", &name, message)
            }
            Error::EtagMismatch(name) => Refusal::etag_mismatch(&name),
            Error::RequestIdReused => Refusal::request_id_reused(),
            Error::ServiceUnknown { service, known } => {
                let message = format!("this cloud delegates no service {service}; it delegates {}", known.join(", "));
                Refusal::new(Reason::ServiceUnknown, "R36", &service, message).with("services", known.join(","))
            }
            Error::Refused { customer, partner, link, obstacles } => {
                let failed: Vec<FailedCondition> =
                    obstacles.iter().map(|obstacle| condition(obstacle, &customer, &partner, &link, policy)).collect();
                Refusal::conditions(&failed)
            }
            Error::DelegationEnded { delegation, end } => ended(&delegation, end),
            Error::CannotReassign { delegation, to, why } => cannot_reassign(&delegation, &to, why),
            Error::CannotTerminate { relationship, why } => cannot_terminate(&relationship, why),
            Error::CannotCancel { relationship, why } => cannot_cancel(&relationship, why),
            Error::ConcurrentAcceptance(name) => Refusal::new(
                Reason::ConcurrentAcceptance,
                "R24",
                &name,
                "another acceptance took the service at the same moment; resolve the invitation again",
            ),
            Error::Store(failure) => {
                return server::failure::database(cloud, &failure, Failure::is_interference, Failure::unavailable);
            }
        };
        refusal.status(cloud)
    }
}

fn ended(delegation: &str, NotActive(state): NotActive) -> Refusal {
    let message = "the delegation has ended; accepting the partner's link grants a new one";
    Refusal::new(Reason::DelegationNotActive, "I11", delegation, message).with("state", state.text())
}

fn cannot_reassign(delegation: &str, to: &TenantId, why: CannotReassign) -> Refusal {
    match why {
        CannotReassign::NotActive(end) => ended(delegation, end),
        CannotReassign::NoRelationship => {
            let partner = format!("partners/{to}");
            let message =
                format!("{partner} has no active relationship with the customer; accept its invitation first");
            Refusal::new(Reason::RelationshipRequired, "R46", &partner, message)
        }
        CannotReassign::ReceiverMayNotAct => {
            let partner = format!("partners/{to}");
            let message = format!(
                "{partner} is suspended or lacks the contract of this cloud: it settles that with the operator"
            );
            Refusal::new(Reason::PartnerNotActive, "N97", &partner, message)
        }
        CannotReassign::AlreadyHeld { service, holder } => {
            let message = format!("{service} is held by {holder}: partners/{to} cannot get it besides");
            let refusal = Refusal::new(Reason::ServiceAlreadyDelegated, "R46", delegation, message);
            refusal.with("service", service.as_str()).with("holder", holder)
        }
    }
}

fn cannot_terminate(relationship: &str, why: CannotRequest) -> Refusal {
    match why {
        CannotRequest::NotActive(state) => {
            let message = "the relationship has ended, or its end has been requested already";
            Refusal::new(Reason::RelationshipNotActive, "I11", relationship, message).with("state", state.text())
        }
        CannotRequest::NoticeOutOfRange { days_min, days_max } => {
            let problem =
                format!("a notice here is of {days_min} to {days_max} days; leave the time out to end at once");
            let refusal = Refusal::new(Reason::DurationOutOfRange, "N47", relationship, &problem);
            let refusal = refusal.and_field("effective_time", &problem);
            refusal.with("minimum", format!("{days_min} days")).with("maximum", format!("{days_max} days"))
        }
        CannotRequest::Obstacles(obstacles) => {
            let failed = obstacles.iter().map(|obstacle| match obstacle {
                termination::Obstacle::PartnerMustTerminate { partner, rule } => {
                    let remedy = format!("a customer does not end this relationship itself: ask partners/{partner} to");
                    failed(Reason::PartnerMustTerminate, rule.as_str(), relationship.to_owned(), &remedy)
                        .with("partner", &format!("partners/{partner}"))
                }
                termination::Obstacle::Blocked(blocker) => {
                    let subscription = blocker.subscription.clone();
                    failed(Reason::TerminationBlocked, blocker.rule.as_str(), subscription, unblock(blocker))
                }
            });
            Refusal::conditions(&failed.collect::<Vec<_>>())
        }
    }
}

/// What to do about something that blocks the end of a relationship.
#[must_use]
pub fn unblock(blocker: &Blocker) -> &'static str {
    if blocker.may_be_suspended {
        "the subscription is active: suspend or cancel it, or give notice for a later time"
    } else {
        "the subscription is not cancelled: cancel it, or give notice for a later time"
    }
}

fn cannot_cancel(relationship: &str, why: CannotCancel) -> Refusal {
    match why {
        CannotCancel::NotTerminating(state) => {
            let message = "nobody has given notice of the end of the relationship, or it has ended";
            Refusal::new(Reason::RelationshipNotTerminating, "I11", relationship, message).with("state", state.text())
        }
        CannotCancel::OtherSide(by) => {
            let message = "the other side gave notice, and it alone can take that back: ask it to";
            Refusal::new(Reason::TerminationOfOtherSide, "D4", relationship, message).with("requested_by", by)
        }
    }
}

/// An obstacle as the condition that failed: reason, rule, resource and what to do.
#[must_use]
pub fn condition(
    obstacle: &Obstacle,
    customer: &TenantId,
    partner: &TenantId,
    link: &str,
    policy: &Policy,
) -> FailedCondition {
    let on_link = |reason, rule, remedy: &str| failed(reason, rule, link.to_owned(), remedy);
    let on_customer = |reason, rule, remedy: &str| failed(reason, rule, format!("customers/{customer}"), remedy);
    let on_partner = |reason, rule, remedy: &str| failed(reason, rule, format!("partners/{partner}"), remedy);
    match obstacle {
        Obstacle::LinkDisabled => {
            on_link(Reason::LinkDisabled, "R15", "the link is no longer valid: ask the partner for its current link")
        }
        Obstacle::CustomerNotRegistered => {
            let remedy = "the customer is not registered in this cloud: ask the operator to register it";
            on_customer(Reason::CustomerNotRegistered, "R52", remedy)
        }
        Obstacle::PartnerNotActive => {
            let remedy = "the partner is not active in this cloud: it has to settle that with the operator";
            on_partner(Reason::PartnerNotActive, "N97", remedy)
        }
        Obstacle::ContractRequired => {
            let contract = &policy.partner_contract;
            let remedy = format!("the partner has not signed the {}: it has to sign it first", contract.title);
            on_partner(Reason::PartnerContractRequired, "N27", &remedy).with("contract", &contract.id)
        }
        Obstacle::RegionMismatch { rule, partner: from, customer: to, cause } => {
            on_customer(Reason::MarketMismatch, rule.as_str(), &region_remedy(*cause, *from, *to))
                .with("partner_country", from.as_str())
                .with("customer_country", to.as_str())
        }
        Obstacle::AgreementRequired => {
            let (title, id, version) = agreement(policy);
            let remedy = format!("accept the {title}, version {version}, with the invitation");
            on_customer(Reason::AgreementRequired, "R43", &remedy).with("agreement", id).with("version", version)
        }
        Obstacle::AgreementDateInFuture => {
            let remedy = "the agreement is dated in the future: date it today or leave the time out";
            on_customer(Reason::AgreementDateInFuture, "N33", remedy)
        }
        Obstacle::DelegationMandatory { rule } => {
            let remedy =
                "this cloud has no relationship without delegated admin privileges: ask for a link that includes them";
            on_link(Reason::DelegationMandatoryInCloud, rule.as_str(), remedy)
        }
        Obstacle::ServiceUnknown(service) => {
            let remedy = format!("this cloud delegates no service {service}: ask the partner for another link");
            let known: Vec<&str> = policy.services.iter().map(|service| service.id.as_str()).collect();
            on_link(Reason::ServiceUnknown, "R36", &remedy).with("services", &known.join(","))
        }
        Obstacle::ServiceAlreadyDelegated { service, rule, holder } => {
            let remedy = format!("another partner holds {service}: name {holder} in replace, or remove it first");
            on_customer(Reason::ServiceAlreadyDelegated, rule.as_str(), &remedy)
                .with("service", service.as_str())
                .with("holder", holder)
        }
        Obstacle::ReplacementInvalid(id) => {
            let remedy =
                format!("{id} in replace is not an active delegation of another partner on a service asked for");
            on_customer(Reason::ReplacementInvalid, "R46", &remedy)
        }
        Obstacle::SelfDealing => {
            let remedy = "the customer is itself a partner that transacts in this cloud, which no partner can sell to";
            on_customer(Reason::SelfDealing, "N24", remedy)
        }
    }
}

/// Title, id and version of the agreement of the cloud; an obstacle that speaks of it comes only where there is one.
fn agreement(policy: &Policy) -> (&str, &str, &str) {
    let required = policy.required_agreement.as_ref();
    required.map_or(("agreement", "", ""), |required| (&required.title, &required.id, &required.version))
}

fn failed(reason: Reason, rule: &str, resource: String, remedy: &str) -> FailedCondition {
    FailedCondition { reason, rule: rule.to_owned(), resource, remedy: remedy.to_owned(), metadata: Vec::new() }
}

fn region_remedy(cause: RegionRefusalCause, from: CountryCode, to: CountryCode) -> String {
    match cause {
        RegionRefusalCause::PartnerNotServed => format!("this cloud does not serve partners of {from}"),
        RegionRefusalCause::CustomerNotServed => format!("this cloud does not serve customers of {to}"),
        RegionRefusalCause::NoSharedMarket => {
            format!("a partner of {from} cannot sell to a customer of {to}: choose a partner of the same market")
        }
    }
}
