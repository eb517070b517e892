//! How calls of this service fail, and the one match that makes it a refusal.

use api::ErrorReason as Reason;
use api::status::{FailedCondition, Refusal};
use cloud::{Policy, RegionRefusalCause, TenantId};
use outbox::Reused;
use store::{Failure, HasFailure};

use crate::domain::acceptance::Obstacle;
use crate::domain::delegation::{CannotReassign, NotActive};
use crate::store::delegation::state_text;

/// Why a call failed. Nothing was written.
#[derive(Debug)]
pub enum Error {
    /// A field is malformed.
    Invalid {
        /// The field, as a path: `partner.country`.
        field: String,
        /// What it should be.
        problem: String,
    },
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

impl From<Reused> for Error {
    fn from(_: Reused) -> Error {
        Error::RequestIdReused
    }
}

impl HasFailure for Error {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Error::Store(failure) => Some(failure),
            Error::Invalid { .. }
            | Error::NotFound(_)
            | Error::Exists(_)
            | Error::EtagMismatch(_)
            | Error::RequestIdReused
            | Error::ServiceUnknown { .. }
            | Error::Refused { .. }
            | Error::DelegationEnded { .. }
            | Error::CannotReassign { .. }
            | Error::ConcurrentAcceptance(_) => None,
        }
    }
}

impl Error {
    /// A malformed field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The refusal to send. A failure of the database stays one: what it means is the same in every service.
    ///
    /// # Errors
    /// The [`Failure`].
    pub fn refusal(self, policy: &Policy) -> Result<Refusal, Failure> {
        Ok(match self {
            Error::Invalid { field, problem } => Refusal::field(&field, &problem),
            Error::NotFound(name) => Refusal::not_found(&name),
            Error::Exists(name) => {
                let message = format!("{name} exists; update it instead, or use another id");
                Refusal::new(Reason::ResourceExists, "AIP-133", &name, message)
            }
            Error::EtagMismatch(name) => {
                let message = format!("{name} has changed since its etag was read; read it again");
                Refusal::new(Reason::EtagMismatch, "AIP-154", &name, message)
            }
            Error::RequestIdReused => Refusal::new(
                Reason::RequestIdReused,
                "AIP-155",
                "",
                "the request_id was used for a different request; send a new one",
            )
            .and_field("request_id", "use a new UUID for a new request"),
            Error::ServiceUnknown { service, known } => {
                let known = known.join(", ");
                let message =
                    format!("this cloud delegates no service {service}; it delegates {known}");
                Refusal::new(Reason::ServiceUnknown, "R36", &service, message)
                    .with("services", known)
            }
            Error::Refused {
                customer,
                partner,
                link,
                obstacles,
            } => {
                let failed: Vec<FailedCondition> = obstacles
                    .iter()
                    .map(|obstacle| condition(obstacle, &customer, &partner, &link, policy))
                    .collect();
                Refusal::conditions(&failed)
            }
            Error::DelegationEnded { delegation, end } => ended(&delegation, end),
            Error::CannotReassign {
                delegation,
                to,
                why,
            } => cannot_reassign(&delegation, &to, why),
            Error::ConcurrentAcceptance(name) => Refusal::new(
                Reason::ConcurrentAcceptance,
                "R24",
                &name,
                "another acceptance took the service at the same moment; resolve the invitation again",
            ),
            Error::Store(failure) => return Err(failure),
        })
    }
}

fn ended(delegation: &str, NotActive(state): NotActive) -> Refusal {
    let message = "the delegation has ended; accepting the partner's link grants a new one";
    Refusal::new(Reason::DelegationNotActive, "I11", delegation, message)
        .with("state", state_text(state))
}

fn cannot_reassign(delegation: &str, to: &TenantId, why: CannotReassign) -> Refusal {
    match why {
        CannotReassign::NotActive(end) => ended(delegation, end),
        CannotReassign::NoRelationship => {
            let partner = format!("partners/{to}");
            let message = format!(
                "{partner} has no active relationship with the customer; accept its invitation first"
            );
            Refusal::new(Reason::RelationshipRequired, "R46", &partner, message)
        }
        CannotReassign::AlreadyHeld(holder) => {
            let message = format!("partners/{to} holds the service already");
            Refusal::new(Reason::ServiceAlreadyDelegated, "R46", delegation, message)
                .with("holder", holder)
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
    let customer = format!("customers/{customer}");
    let partner = format!("partners/{partner}");
    let failed = |reason, rule: &str, resource: &str, remedy: String| FailedCondition {
        reason,
        rule: rule.to_owned(),
        resource: resource.to_owned(),
        remedy,
        metadata: Vec::new(),
    };
    match obstacle {
        Obstacle::LinkDisabled => {
            failed(Reason::LinkDisabled, "R15", link, "the link is no longer valid: ask the partner for its current link".to_owned())
        }
        Obstacle::CustomerNotRegistered => failed(
            Reason::CustomerNotRegistered,
            "R52",
            &customer,
            "the customer is not registered in this cloud: ask the operator to register it".to_owned(),
        ),
        Obstacle::PartnerNotActive => failed(
            Reason::PartnerNotActive,
            "N97",
            &partner,
            "the partner is not active in this cloud: it has to settle that with the operator".to_owned(),
        ),
        Obstacle::ContractRequired => {
            let contract = &policy.partner_contract;
            let rule = policy.obligations.iter().find(|duty| duty.id == "partner-contract").map_or("N27", |duty| duty.rule.as_str());
            let remedy = format!("the partner has not signed the {}: it has to sign it first", contract.title);
            let mut condition = failed(Reason::PartnerContractRequired, rule, &partner, remedy);
            condition.metadata.push(("contract", contract.id.clone()));
            condition
        }
        Obstacle::RegionMismatch { rule, partner: from, customer: to, cause } => {
            let remedy = match cause {
                RegionRefusalCause::PartnerNotServed => format!("this cloud does not serve partners of {from}"),
                RegionRefusalCause::CustomerNotServed => format!("this cloud does not serve customers of {to}"),
                RegionRefusalCause::NoSharedMarket => {
                    format!("a partner of {from} cannot sell to a customer of {to}: choose a partner of the same market")
                }
            };
            let mut condition = failed(Reason::MarketMismatch, rule.as_str(), &customer, remedy);
            condition.metadata.push(("partner_country", from.to_string()));
            condition.metadata.push(("customer_country", to.to_string()));
            condition
        }
        Obstacle::AgreementRequired => agreement_required(failed(Reason::AgreementRequired, "R43", &customer, String::new()), policy),
        Obstacle::AgreementDateInFuture => failed(
            Reason::AgreementDateInFuture,
            "N33",
            &customer,
            "the agreement is dated in the future: date it today or leave the time out".to_owned(),
        ),
        Obstacle::DelegationMandatory { rule } => failed(
            Reason::DelegationMandatoryInCloud,
            rule.as_str(),
            link,
            "this cloud has no relationship without delegated admin privileges: ask the partner for a link that asks for them".to_owned(),
        ),
        Obstacle::ServiceUnknown(service) => failed(
            Reason::ServiceUnknown,
            "R36",
            link,
            format!("this cloud delegates no service {service}: ask the partner for another link"),
        ),
        Obstacle::ServiceAlreadyDelegated { service, rule, holder } => {
            let remedy = format!("another partner holds {service}: name {holder} in replace, or remove it first");
            let mut condition = failed(Reason::ServiceAlreadyDelegated, rule.as_str(), &customer, remedy);
            condition.metadata.push(("service", service.to_string()));
            condition.metadata.push(("holder", holder.clone()));
            condition
        }
        Obstacle::ReplacementInvalid(id) => failed(
            Reason::ReplacementInvalid,
            "R46",
            &customer,
            format!("{id} in replace is not an active delegation of another partner on a service asked for"),
        ),
        Obstacle::SelfDealing => failed(
            Reason::SelfDealing,
            "N24",
            &customer,
            "the customer is itself a partner that transacts in this cloud, which no partner can sell to".to_owned(),
        ),
    }
}

fn agreement_required(mut condition: FailedCondition, policy: &Policy) -> FailedCondition {
    let Some(agreement) = &policy.required_agreement else {
        return condition;
    };
    condition.remedy = format!(
        "accept the {}, version {}, with the invitation",
        agreement.title, agreement.version
    );
    condition.metadata.push(("agreement", agreement.id.clone()));
    condition
        .metadata
        .push(("version", agreement.version.clone()));
    condition
}
