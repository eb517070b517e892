//! The only shape of `Status` we send: `ErrorInfo` always, further details where they say something.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::ErrorReason;
use crate::field::Invalid;

/// The `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "mandate";

impl ErrorReason {
    /// The reason as it travels: `ETAG_MISMATCH`.
    #[must_use]
    pub fn wire(self) -> &'static str {
        self.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// The code the reason comes with.
    #[must_use]
    pub fn code(self) -> Code {
        use ErrorReason as Reason;
        match self {
            Reason::TokenRequired
            | Reason::TokenInvalid
            | Reason::TokenExpired
            | Reason::TokenOfAnotherCloud
            | Reason::WorkloadIdentityRequired => Code::Unauthenticated,
            Reason::PrincipalKindNotAllowed
            | Reason::RoleRequired
            | Reason::RequesterRoleRequired
            | Reason::AcceptorRoleRequired
            | Reason::IndirectResellerMayNotInvite
            | Reason::InviterBlockedByCustomer => Code::PermissionDenied,
            Reason::DelegationMandatoryInCloud
            | Reason::MarketMismatch
            | Reason::CloudMismatch
            | Reason::AgreementRequired
            | Reason::PartnerContractRequired
            | Reason::PartnerNotActive
            | Reason::CustomerNotRegistered
            | Reason::ServiceAlreadyDelegated
            | Reason::ReplacementInvalid
            | Reason::RelationshipRequired
            | Reason::TerminationBlocked
            | Reason::InvitationNotPending
            | Reason::DelegationNotActive
            | Reason::LinkDisabled
            | Reason::CloudClosedToNewCustomers
            | Reason::SelfDealing
            | Reason::RelationshipNotActive
            | Reason::RelationshipNotTerminating
            | Reason::TerminationOfOtherSide
            | Reason::PartnerMustTerminate => Code::FailedPrecondition,
            Reason::FieldInvalid
            | Reason::LinkTampered
            | Reason::LinkMissing
            | Reason::LinkChanged
            | Reason::FixedTextChanged
            | Reason::AgreementDateInFuture
            | Reason::DurationOutOfRange
            | Reason::LocaleUnsupported
            | Reason::ServiceUnknown
            | Reason::RequestIdReused
            | Reason::CloudRequired
            | Reason::CloudDisagreement => Code::InvalidArgument,
            Reason::ResourceExists | Reason::AttestationExists | Reason::DisplayNameTaken => Code::AlreadyExists,
            Reason::EtagMismatch | Reason::ConcurrentAcceptance | Reason::ConcurrentChange => Code::Aborted,
            Reason::ResourceNotFound => Code::NotFound,
            Reason::RateLimited | Reason::Overloaded | Reason::MessageTooLarge => Code::ResourceExhausted,
            Reason::CloudInstanceUnreachable | Reason::DependencyUnavailable => Code::Unavailable,
            Reason::DeadlineExceeded => Code::DeadlineExceeded,
            Reason::MethodUnknown => Code::Unimplemented,
            Reason::Internal | Reason::Unspecified => Code::Internal,
        }
    }
}

/// A condition that a call failed, one of all that it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCondition {
    /// Why.
    pub reason: ErrorReason,
    /// The number of the rule behind it.
    pub rule: String,
    /// The resource it concerns.
    pub resource: String,
    /// A sentence that says what to do about it.
    pub remedy: String,
    /// What the reason adds to the metadata, should it stand first.
    pub metadata: Vec<(&'static str, String)>,
}

impl FailedCondition {
    /// Adds to what the reason says when it stands first.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: &str) -> FailedCondition {
        self.metadata.push((key, value.to_owned()));
        self
    }
}

/// A refusal on its way to becoming a [`Status`].
#[derive(Clone, Debug)]
pub struct Refusal {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: HashMap<String, String>,
    details: Box<ErrorDetails>,
}

impl Refusal {
    /// A refusal for one reason. `rule` is the number of the rule behind it, `resource` the name of what it concerns, and
    /// `message` a sentence that says what to do about it.
    #[must_use]
    pub fn new(reason: ErrorReason, rule: &str, resource: &str, message: impl Into<String>) -> Refusal {
        let metadata =
            HashMap::from([("rule".to_owned(), rule.to_owned()), ("resource".to_owned(), resource.to_owned())]);
        Refusal { code: reason.code(), reason, message: message.into(), metadata, details: Box::default() }
    }

    /// The refusal of a call that failed one or more conditions, all of them told.
    ///
    /// # Panics
    /// When there is no condition.
    #[must_use]
    pub fn conditions(failed: &[FailedCondition]) -> Refusal {
        let first = failed.first().expect("a refusal has at least one failed condition");
        let remedies: Vec<&str> = failed.iter().map(|condition| condition.remedy.as_str()).collect();
        let rules: Vec<&str> = failed.iter().map(|condition| condition.rule.as_str()).collect();
        let mut refusal = Refusal::new(first.reason, &first.rule, &first.resource, remedies.join("; "));
        refusal.code = Code::FailedPrecondition;
        for (key, value) in &first.metadata {
            refusal = refusal.with(key, value);
        }
        refusal = refusal.with("rules", rules.join(","));
        for condition in failed {
            refusal.details.add_precondition_failure_violation(
                condition.reason.wire(),
                condition.resource.as_str(),
                format!("{} (rule {})", condition.remedy, condition.rule),
            );
        }
        refusal
    }

    /// The refusal of a change of something that is no longer as the caller read it.
    #[must_use]
    pub fn etag_mismatch(resource: &str) -> Refusal {
        let message = format!("{resource} has changed since its etag was read; read it again");
        Refusal::new(ErrorReason::EtagMismatch, "AIP-154", resource, message)
    }

    /// The refusal of a request id that came with another request before.
    #[must_use]
    pub fn request_id_reused() -> Refusal {
        let message = "the request_id was used for a different request; send a new one";
        let refusal = Refusal::new(ErrorReason::RequestIdReused, "AIP-155", "", message);
        refusal.and_field("request_id", "use a new UUID for a new request")
    }

    /// The refusal of one malformed field. `problem` says what it should be.
    #[must_use]
    pub fn field(field: &str, problem: &str) -> Refusal {
        let message = format!("{field}: {problem}");
        Refusal::new(ErrorReason::FieldInvalid, "AIP-203", "", message).and_field(field, problem)
    }

    /// The refusal of a resource that does not exist, or that is not the caller's to see: one answer for both (I12).
    #[must_use]
    pub fn not_found(resource: &str) -> Refusal {
        Refusal::new(ErrorReason::ResourceNotFound, "I12", resource, format!("there is no {resource} that you may see"))
    }

    /// Adds a field to `BadRequest`.
    #[must_use]
    pub fn and_field(mut self, field: &str, problem: &str) -> Refusal {
        self.details.add_bad_request_violation(field, problem);
        self
    }

    /// Adds to the metadata of `ErrorInfo`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Refusal {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Says that a retry can help, and when.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Refusal {
        self.details.set_retry_info(Some(wait));
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        self.reason
    }

    /// The status to send, from this cloud (empty when there is none, as in a gateway that could not choose).
    #[must_use]
    pub fn status(mut self, cloud: &str) -> Status {
        self.metadata.insert("cloud".to_owned(), cloud.to_owned());
        self.details.set_error_info(self.reason.wire(), DOMAIN, self.metadata);
        Status::with_error_details(self.code, self.message, *self.details)
    }
}

impl From<Invalid> for Refusal {
    fn from(Invalid { field, problem }: Invalid) -> Refusal {
        Refusal::field(&field, &problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_always_names_reason_rule_cloud_and_resource() {
        let status = Refusal::not_found("partners/p").status("public");
        let info = status.get_details_error_info().expect("every status has it");
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RESOURCE_NOT_FOUND", "mandate"));
        assert_eq!((info.metadata["rule"].as_str(), info.metadata["cloud"].as_str()), ("I12", "public"));
        assert_eq!(info.metadata["resource"], "partners/p");
    }

    #[test]
    fn all_failed_conditions_travel_together() {
        let failed = |reason, rule: &str| FailedCondition {
            reason,
            rule: rule.to_owned(),
            resource: "customers/c".to_owned(),
            remedy: format!("mend {rule}"),
            metadata: vec![("agreement", "mca".to_owned())],
        };
        let both = [failed(ErrorReason::AgreementDateInFuture, "N33"), failed(ErrorReason::MarketMismatch, "R35")];
        let status = Refusal::conditions(&both).status("public");
        assert_eq!(status.code(), Code::FailedPrecondition, "whatever code the first reason has alone");
        let info = status.get_details_error_info().expect("every status has it");
        assert_eq!(info.metadata["rules"], "N33,R35");
        assert_eq!(info.metadata["agreement"], "mca");
        let all = status.get_details_precondition_failure().expect("conditions failed");
        let reasons: Vec<&str> = all.violations.iter().map(|violation| violation.r#type.as_str()).collect();
        assert_eq!(reasons, ["AGREEMENT_DATE_IN_FUTURE", "MARKET_MISMATCH"]);
    }
}
