//! What was asked and what came of it: in memory for the checks, and on disk, line by line, for whoever looks for a cause.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Answer, Refusal};
use crate::kind::Kind;
use crate::subject::Subject;

/// A call and its outcome, after as many repeats as it took.
#[derive(Clone, Debug)]
pub struct Call {
    /// The cloud, by place.
    pub cloud: usize,
    /// What it was.
    pub kind: Kind,
    /// Who asked, by index of [`crate::client::Actor`].
    pub actor: crate::client::Actor,
    /// The path of the method.
    pub path: &'static str,
    /// The request, encoded.
    pub request: Bytes,
    /// When it was first sent, in microseconds since the round began.
    pub begin_us: u64,
    /// When its outcome was known.
    pub end_us: u64,
    /// How often it was sent.
    pub sent: u32,
    /// The outcome.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was answered.
    Answered(Answer),
    /// It was refused, and has changed nothing.
    Refused(Refusal),
    /// It was sent again and again, and its outcome never became known.
    Unknown(String),
}

/// A call as its line tells it. Messages are encoded as they travelled, in base64.
fn line(call: &Call) -> Value {
    let outcome = match &call.outcome {
        Outcome::Answered(answer) => json!({ "answered": STANDARD.encode(&answer.message), "token": answer.token }),
        Outcome::Refused(Refusal { code, reasons, message }) => {
            json!({ "refused": reasons, "code": format!("{code:?}"), "message": message })
        }
        Outcome::Unknown(problem) => json!({ "unknown": problem }),
    };
    // A repeat is what it repeats.
    let kind = Kind::CHANGES.into_iter().find(|kind| kind.path() == call.path).unwrap_or(call.kind);
    let Subject { resource, request_id } = Subject::of(kind, &call.request);
    json!({
        "cloud": call.cloud, "kind": format!("{:?}", call.kind), "actor": format!("{:?}", call.actor), "path": call.path,
        "resource": resource, "request_id": request_id, "begin_us": call.begin_us, "end_us": call.end_us,
        "sent": call.sent, "request": STANDARD.encode(&call.request), "outcome": outcome,
    })
}

/// The history of one round.
#[derive(Debug)]
pub struct History {
    begin: Instant,
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
    calls: Mutex<Vec<Call>>,
    problems: Mutex<Vec<String>>,
}

impl History {
    /// An empty history, kept in this file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(path: &Path) -> Result<History> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(History {
            begin: Instant::now(),
            path: path.to_owned(),
            file: Mutex::new(BufWriter::new(file)),
            calls: Mutex::default(),
            problems: Mutex::default(),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Microseconds since the round began.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Writes a line. A disk that is full costs the line, not the round.
    pub fn note(&self, what: &str, value: &Value) {
        let line = json!({ "at_us": self.now_us(), what: value });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{line}").ok();
    }

    /// Keeps a call with its outcome.
    pub fn keep(&self, call: Call) {
        self.note("call", &line(&call));
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// Notes a promise that was broken while the round ran.
    pub fn problem(&self, problem: String) {
        self.note("problem", &json!(problem));
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// All calls up to now.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The promises that were broken while the round ran.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use api::relationship::RemoveDelegationRequest;
    use prost::Message as _;
    use serde_json::json;
    use tonic::Code;

    use super::{Answer, Call, Kind, Outcome, Refusal, line};
    use crate::client::Actor;

    fn removal(outcome: Outcome) -> Call {
        let name = "customers/c/relationships/r/delegations/d".to_owned();
        let request = RemoveDelegationRequest { name, request_id: "one".to_owned(), ..Default::default() };
        Call {
            cloud: 1,
            kind: Kind::Remove,
            actor: Actor::Admin(2),
            path: Kind::Remove.path(),
            request: request.encode_to_vec().into(),
            begin_us: 3,
            end_us: 4,
            sent: 5,
            outcome,
        }
    }

    #[test]
    fn a_line_says_who_asked_for_what_and_when() {
        let line = line(&removal(Outcome::Answered(Answer { message: vec![8, 1].into(), token: None })));
        let request = "CiljdXN0b21lcnMvYy9yZWxhdGlvbnNoaXBzL3IvZGVsZWdhdGlvbnMvZCIDb25l";
        let expected = json!({
            "cloud": 1, "kind": "Remove", "actor": "Admin(2)",
            "path": "/mandate.relationship.v1.DelegationService/RemoveDelegation",
            "resource": "customers/c/relationships/r/delegations/d", "request_id": "one",
            "begin_us": 3, "end_us": 4, "sent": 5, "request": request,
            "outcome": { "answered": "CAE=", "token": null },
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_says_all_of_a_refusal() {
        let reasons = vec!["DELEGATION_NOT_ACTIVE".to_owned()];
        let refusal = Refusal { code: Code::FailedPrecondition, reasons, message: "it has ended".to_owned() };
        let expected = json!({
            "refused": ["DELEGATION_NOT_ACTIVE"], "code": "FailedPrecondition", "message": "it has ended",
        });
        assert_eq!(line(&removal(Outcome::Refused(refusal)))["outcome"], expected);
    }
}
