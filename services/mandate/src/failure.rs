//! What went wrong, for the person at the terminal: one or two lines, and an exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use tonic::Status;
use tonic_types::StatusExt as _;

/// The exit code of a call that was refused, or could not be made.
pub(crate) const EXIT_REFUSED: u8 = 1;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command cannot be run as it was given.
    Usage(String),
    /// The other side said no.
    Refused(Box<Status>),
    /// Something else, in a sentence.
    Other(String),
    /// The answer is no, and has been printed.
    Denied,
    /// The terminal takes no more text.
    Output(io::Error),
}

impl Failure {
    /// A command that cannot be run as it was given.
    pub(crate) fn usage(sentence: impl Into<String>) -> Failure {
        Failure::Usage(sentence.into())
    }

    /// A gateway that does not answer.
    pub(crate) fn unreachable(uri: &str) -> Failure {
        Failure::Other(format!(
            "nothing answers at {uri}: start it with `mandate up`, or name another address with --gateway"
        ))
    }

    /// What the process exits with. Says what went wrong on standard error.
    pub(crate) fn exit(&self, usage: u8) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(usage),
            Failure::Refused(_) | Failure::Other(_) | Failure::Denied => ExitCode::from(EXIT_REFUSED),
            // Whoever reads along has seen enough: `mandate clouds | head -1`.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Output(_) => ExitCode::from(EXIT_REFUSED),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(sentence) | Failure::Other(sentence) => formatter.write_str(sentence),
            Failure::Refused(status) => Refusal::of(status).fmt(formatter),
            Failure::Denied => Ok(()),
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Failure::Output(error) => write!(formatter, "cannot write to the terminal: {error}"),
        }
    }
}

/// A status of the contract, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The code of gRPC: `NOT_FOUND`.
    pub(crate) code: &'static str,
    /// The reason: `MARKET_MISMATCH`. Empty when the status is not one of ours.
    pub(crate) reason: String,
    /// The rule behind it.
    pub(crate) rule: String,
    /// What to do about it.
    pub(crate) remedy: String,
    /// Each condition that failed, by reason, when there are several.
    pub(crate) conditions: Vec<String>,
    /// What the operator needs to find the log.
    pub(crate) trace: String,
}

impl Refusal {
    /// Takes a status apart.
    pub(crate) fn of(status: &Status) -> Refusal {
        let info = status.get_details_error_info();
        let of_info = |key: &str| {
            let found = info.as_ref().and_then(|info| info.metadata.get(key));
            found.cloned().unwrap_or_default()
        };
        let failed = status.get_details_precondition_failure();
        let conditions = failed.map(|failed| failed.violations).unwrap_or_default();
        Refusal {
            code: code(status.code()),
            rule: of_info("rule"),
            remedy: status.message().to_owned(),
            conditions: conditions.into_iter().map(|condition| condition.r#type).collect(),
            trace: of_info("trace_id"),
            reason: info.map(|info| info.reason).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = if self.reason.is_empty() { self.code } else { &self.reason };
        write!(formatter, "{reason}")?;
        if !self.rule.is_empty() {
            write!(formatter, " (rule {})", self.rule)?;
        }
        write!(formatter, ": {}", self.remedy)?;
        if self.conditions.len() > 1 {
            write!(formatter, "\n  all that failed: {}", self.conditions.join(", "))?;
        }
        if !self.trace.is_empty() {
            write!(formatter, "\n  trace id: {}", self.trace)?;
        }
        Ok(())
    }
}

fn code(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use api::ErrorReason;
    use api::status::{FailedCondition, Refusal as Sent};

    use super::Failure;

    #[test]
    fn a_refusal_is_one_line_with_reason_rule_and_remedy() {
        let status = Sent::not_found("partners/p").status("public");
        let failure = Failure::Refused(Box::new(status));
        assert_eq!(failure.to_string(), "RESOURCE_NOT_FOUND (rule I12): there is no partners/p that you may see");
    }

    #[test]
    fn several_conditions_take_a_second_line() {
        let failed = |reason, rule: &str| FailedCondition {
            reason,
            rule: rule.to_owned(),
            resource: "customers/c".to_owned(),
            remedy: format!("mend {rule}"),
            metadata: Vec::new(),
        };
        let both = [failed(ErrorReason::AgreementRequired, "R43"), failed(ErrorReason::MarketMismatch, "R35")];
        let status = Sent::conditions(&both).status("public");
        assert_eq!(
            Failure::Refused(Box::new(status)).to_string(),
            "AGREEMENT_REQUIRED (rule R43): mend R43; mend R35\n  all that failed: AGREEMENT_REQUIRED, MARKET_MISMATCH"
        );
    }

    #[test]
    fn a_foreign_status_is_told_by_its_code() {
        let failure = Failure::Refused(Box::new(tonic::Status::unknown("what")));
        assert_eq!(failure.to_string(), "UNKNOWN: what");
    }
}
