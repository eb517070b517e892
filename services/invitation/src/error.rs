//! How calls of this service fail, and the one match that makes it a status.

use api::ErrorReason as Reason;
use api::field::{Invalid, Stale};
use api::status::Refusal;
use cloud::{CloudId, RuleNumber};
use outbox::Reused;
use store::{Failure, HasFailure};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::domain::text::{EditRule, Violation};
use crate::domain::token::Refused;

/// Who takes part in most calls of this service.
const RELATIONSHIP: &str = "the relationship service";

/// Why a call failed. Nothing was written.
#[derive(Debug)]
pub enum Error {
    /// A field is malformed.
    Invalid(Invalid),
    /// There is no such resource, or it is not the caller's to see (I12).
    NotFound(String),
    /// The etag given is not the current one.
    EtagMismatch(String),
    /// The request id was used for another request.
    RequestIdReused,
    /// The caller's roles do not hold a permission that what it asks for needs.
    RequesterRoleRequired {
        /// What it asks for.
        link: String,
        /// The permission.
        permission: &'static str,
        /// The roles that hold it.
        roles: Vec<String>,
    },
    /// The cloud has no such delegable service.
    ServiceUnknown {
        /// The service asked for.
        service: String,
        /// The services there are.
        known: Vec<String>,
    },
    /// The cloud has no links without delegation.
    DelegationMandatory {
        /// The link asked for.
        link: String,
        /// The rule that says so.
        rule: RuleNumber,
    },
    /// The link leads nowhere at present.
    LinkDisabled(String),
    /// The token is not one of this cloud's.
    Token(Refused),
    /// There is no text in this language.
    LocaleUnsupported {
        /// The languages there are.
        locales: Vec<String>,
    },
    /// The text of an invitation would break the rule of the cloud.
    Text {
        /// The link it carries.
        link: String,
        /// The rule.
        rule: EditRule,
        /// All that is wrong, at least one thing.
        violations: Vec<Violation>,
    },
    /// The relationship service answered with a failure.
    Peer(Status),
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

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        Error::Token(refused)
    }
}

impl HasFailure for Error {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Error::Store(failure) => Some(failure),
            Error::Invalid(_)
            | Error::NotFound(_)
            | Error::EtagMismatch(_)
            | Error::RequestIdReused
            | Error::RequesterRoleRequired { .. }
            | Error::ServiceUnknown { .. }
            | Error::DelegationMandatory { .. }
            | Error::LinkDisabled(_)
            | Error::Token(_)
            | Error::LocaleUnsupported { .. }
            | Error::Text { .. }
            | Error::Peer(_) => None,
        }
    }
}

impl Error {
    /// A malformed field.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Invalid(Invalid::new(field, problem))
    }

    /// The status to send.
    #[must_use]
    pub fn status(self, cloud: &CloudId) -> Status {
        let cloud = cloud.as_str();
        let refusal = match self {
            Error::Invalid(invalid) => invalid.into(),
            Error::NotFound(name) => Refusal::not_found(&name),
            Error::EtagMismatch(name) => Refusal::etag_mismatch(&name),
            Error::RequestIdReused => Refusal::request_id_reused(),
            Error::RequesterRoleRequired { link, permission, roles } => role_required(&link, permission, &roles),
            Error::ServiceUnknown { service, known } => service_unknown(&service, &known),
            Error::DelegationMandatory { link, rule } => {
                let message = "this cloud has no relationship without delegated admin privileges: name the services to \
                               administer in the id of the link, as in `reseller.azure-ad`";
                Refusal::new(Reason::DelegationMandatoryInCloud, rule.as_str(), &link, message)
            }
            Error::LinkDisabled(link) => {
                let message = "the link is disabled; rotate it to get a live one";
                Refusal::new(Reason::LinkDisabled, "R15", &link, message)
            }
            Error::Token(refused) => token_refused(refused),
            Error::LocaleUnsupported { locales } => locale_unsupported(&locales),
            Error::Text { link, rule, violations } => text_refused(&link, rule, &violations),
            Error::Peer(status) => return passed_on(status, cloud),
            Error::Store(failure) => {
                return server::failure::database(cloud, &failure, Failure::is_interference, Failure::unavailable);
            }
        };
        refusal.status(cloud)
    }
}

fn role_required(link: &str, permission: &str, roles: &[String]) -> Refusal {
    let roles = roles.join(",");
    let message = format!("asking for admin privileges needs one of the roles {roles}");
    let refusal = Refusal::new(Reason::RequesterRoleRequired, "N61", link, message);
    refusal.with("permission", permission).with("roles", roles)
}

fn service_unknown(service: &str, known: &[String]) -> Refusal {
    let known = known.join(",");
    let message = format!("this cloud delegates no service {service}; it delegates {known}");
    Refusal::new(Reason::ServiceUnknown, "R36", service, message).with("services", known)
}

fn locale_unsupported(locales: &[String]) -> Refusal {
    let locales = locales.join(",");
    let problem = format!("ask for one of {locales}");
    let refusal = Refusal::new(Reason::LocaleUnsupported, "R13", "", format!("locale: {problem}"));
    refusal.and_field("locale", &problem).with("locales", locales)
}

/// What reads like a token and is none of ours. It is never repeated.
fn token_refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Tampered => {
            let message =
                "the invitation link is not one that this cloud issued: use it exactly as the partner sent it";
            Refusal::new(Reason::LinkTampered, "R15", "", message)
                .and_field("token", "the token at the end of the link, or the whole link")
        }
        Refused::OtherCloud(other) => {
            let message = format!("the invitation link belongs to the cloud {other}; accept it there");
            Refusal::new(Reason::CloudMismatch, "R52", "", message).with("link_cloud", other.as_str())
        }
    }
}

/// All violations as fields; the first that breaks a rule of the cloud gives the reason.
fn text_refused(link: &str, rule: EditRule, violations: &[Violation]) -> Refusal {
    let broken = violations.iter().find_map(|violation| Some((violation, violation.rule(rule)?)));
    let sentences: Vec<String> = violations.iter().map(Violation::to_string).collect();
    let mut refusal = match broken {
        Some((violation, number)) => {
            let mut refusal = Refusal::new(reason_of(violation), number, link, sentences.join("; "));
            if let Some(position) = violation.position() {
                refusal = refusal.with("position", position.to_string());
            }
            if let Some(paragraph) = violation.paragraph() {
                refusal = refusal.with("paragraph", paragraph.to_string());
            }
            refusal
        }
        None => Refusal::new(Reason::FieldInvalid, "AIP-203", link, sentences.join("; ")),
    };
    for sentence in &sentences {
        refusal = refusal.and_field("edits", sentence);
    }
    refusal
}

fn reason_of(violation: &Violation) -> Reason {
    match violation {
        Violation::LinkMissing => Reason::LinkMissing,
        Violation::LinkChanged { .. } => Reason::LinkChanged,
        Violation::FixedTextChanged { .. } => Reason::FixedTextChanged,
        Violation::ParagraphNotFound { .. }
        | Violation::ParagraphRepeated { .. }
        | Violation::ParagraphTooLong { .. }
        | Violation::ControlCharacter { .. }
        | Violation::TextTooLong { .. } => Reason::FieldInvalid,
    }
}

/// A refusal of the other service as it is; a failure to reach it as ours.
fn passed_on(status: Status, cloud: &str) -> Status {
    if status.get_details_error_info().is_some_and(|info| info.domain == api::status::DOMAIN) {
        // Its details and no more: what else it sent along was meant for us.
        return Status::with_details(status.code(), status.message(), status.details().to_vec().into());
    }
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown => {
            server::failure::unavailable(cloud, RELATIONSHIP, &status)
        }
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => server::failure::internal(cloud, &status),
    }
}

#[cfg(test)]
mod tests;
