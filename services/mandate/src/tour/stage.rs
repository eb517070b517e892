//! One step of the tour: what is sent, what is answered, and whether that is what was expected.

use serde_json::{Value, json};

use crate::contract::{Session, brief, list, text};
use crate::failure::{Failure, Refusal};
use crate::screen;

/// Somebody who takes part.
#[derive(Clone)]
pub(super) struct Player {
    /// Who it is, to be read before what it sends.
    pub(super) label: String,
    /// How it calls.
    pub(super) session: Session,
}

/// Counts the steps and keeps those that deviate.
#[derive(Debug)]
pub(super) struct Stage {
    cloud: String,
    steps: usize,
    deviating: Vec<usize>,
}

type Check = (String, Box<dyn Fn(&Value) -> bool + Send + Sync>);

/// What a step must be answered.
pub(super) enum Expected {
    /// An answer for which all of this holds.
    Answer(Vec<Check>),
    /// A refusal with this reason, this rule when one is named, and these conditions among those that failed.
    Refusal {
        /// The first reason.
        reason: String,
        /// The rule behind it; any when empty.
        rule: String,
        /// What else failed.
        also: Vec<String>,
    },
}

/// Any answer that is no refusal.
pub(super) fn answered() -> Expected {
    Expected::Answer(Vec::new())
}

/// A refusal with this reason; the rule is not looked at when it is empty.
pub(super) fn refused(reason: &str, rule: &str) -> Expected {
    Expected::Refusal { reason: reason.to_owned(), rule: rule.to_owned(), also: Vec::new() }
}

impl Expected {
    /// The value at this pointer is this one.
    pub(super) fn is(self, pointer: &'static str, expected: impl Into<Value>) -> Expected {
        let expected = expected.into();
        let sentence = format!("{pointer} = {expected}");
        self.that(sentence, move |answer| answer.pointer(pointer) == Some(&expected))
    }

    /// The list at this pointer has so many entries.
    pub(super) fn count(self, pointer: &'static str, expected: usize) -> Expected {
        self.that(format!("{pointer} has {expected} entries"), move |answer| list(answer, pointer).len() == expected)
    }

    /// The text at this pointer holds this one.
    pub(super) fn holds(self, pointer: &'static str, part: &str) -> Expected {
        let part = part.to_owned();
        self.that(format!("{pointer} holds {part:?}"), move |answer| text(answer, pointer).contains(&part))
    }

    /// What the sentence says is true.
    pub(super) fn that(
        self,
        sentence: impl Into<String>,
        check: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) -> Expected {
        match self {
            Expected::Answer(mut checks) => {
                checks.push((sentence.into(), Box::new(check)));
                Expected::Answer(checks)
            }
            refusal @ Expected::Refusal { .. } => refusal,
        }
    }

    /// This failed as well.
    pub(super) fn also(self, reason: &str) -> Expected {
        match self {
            Expected::Refusal { reason: first, rule, mut also } => {
                also.push(reason.to_owned());
                Expected::Refusal { reason: first, rule, also }
            }
            answer @ Expected::Answer(_) => answer,
        }
    }

    /// What of it does not hold; nothing when all does.
    fn deviation(&self, outcome: &Result<Value, Refusal>) -> Option<String> {
        match (self, outcome) {
            (Expected::Answer(checks), Ok(answer)) => {
                let broken = checks.iter().filter(|(_, check)| !check(answer));
                let broken: Vec<&str> = broken.map(|(sentence, _)| sentence.as_str()).collect();
                (!broken.is_empty()).then(|| broken.join(" and "))
            }
            (Expected::Refusal { reason, rule, also }, Err(refusal)) => {
                let is_first = refusal.reason == *reason;
                let is_rule = rule.is_empty() || refusal.rule == *rule;
                let is_told = also.iter().all(|reason| refusal.conditions.contains(reason));
                (!(is_first && is_rule && is_told)).then(|| self.sentence())
            }
            (Expected::Answer(_), Err(_)) | (Expected::Refusal { .. }, Ok(_)) => Some(self.sentence()),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Expected::Answer(checks) => {
                let checks: Vec<&str> = checks.iter().map(|(sentence, _)| sentence.as_str()).collect();
                match checks.is_empty() {
                    true => "an answer".to_owned(),
                    false => format!("an answer with {}", checks.join(" and ")),
                }
            }
            Expected::Refusal { reason, rule, also } => {
                let rule = match rule.is_empty() {
                    true => String::new(),
                    false => format!(" by rule {rule}"),
                };
                let also: String = also.iter().map(|reason| format!(" and {reason}")).collect();
                format!("the refusal {reason}{rule}{also}")
            }
        }
    }
}

impl Stage {
    /// Nothing played yet.
    pub(super) fn new() -> Stage {
        Stage { cloud: String::new(), steps: 0, deviating: Vec::new() }
    }

    /// The next steps play in this cloud.
    pub(super) fn enter(&mut self, cloud: &str) {
        cloud.clone_into(&mut self.cloud);
    }

    /// How many steps were played.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// The numbers of the steps that deviate.
    pub(super) fn deviating(&self) -> &[usize] {
        &self.deviating
    }

    /// Plays a step: `who` calls `method` with `request`. Returns what was answered; null when it was refused.
    ///
    /// # Errors
    /// When nothing answers at all, or the terminal takes no more text.
    pub(super) async fn step(
        &mut self,
        title: &str,
        who: &Player,
        (method, request): (&str, Value),
        expected: Expected,
    ) -> Result<Value, Failure> {
        let (answer, _) = self.step_with_token(title, who, (method, request), expected).await?;
        Ok(answer)
    }

    /// As [`Stage::step`], with the consistency token of the answer.
    ///
    /// # Errors
    /// As [`Stage::step`].
    pub(super) async fn step_with_token(
        &mut self,
        title: &str,
        who: &Player,
        (method, request): (&str, Value),
        expected: Expected,
    ) -> Result<(Value, String), Failure> {
        let sent = format!("{} calls {method} {}", who.label, shown(&request));
        let (outcome, token) = match who.session.call(method, &request).await {
            Ok(answer) => (Ok(answer.message), answer.consistency_token.unwrap_or_default()),
            Err(Failure::Refused(status)) => (Err(Refusal::of(&status)), String::new()),
            Err(other) => return Err(other),
        };
        self.report(title, &sent, &outcome, &expected)?;
        Ok((outcome.unwrap_or(Value::Null), token))
    }

    /// Says what came of a step that was played elsewhere.
    ///
    /// # Errors
    /// When the terminal takes no more text.
    pub(super) fn report(
        &mut self,
        title: &str,
        sent: &str,
        outcome: &Result<Value, Refusal>,
        expected: &Expected,
    ) -> Result<(), Failure> {
        self.steps += 1;
        let (number, cloud) = (self.steps, &self.cloud);
        screen::line(format_args!("{number:>3} {cloud}: {title}"))?;
        screen::line(format_args!("    > {sent}"))?;
        match outcome {
            Ok(answer) => screen::line(format_args!("    < {}", shown(answer)))?,
            Err(refusal) => {
                let told = refusal.to_string().replace('\n', "\n     ");
                screen::line(format_args!("    < {} {told}", refusal.code))?;
            }
        }
        match expected.deviation(outcome) {
            None => screen::line("    OK"),
            Some(deviation) => {
                self.deviating.push(number);
                screen::line(format_args!("    DEVIATES, expected {deviation}"))
            }
        }
    }
}

/// The longest text that is shown as a whole.
const TEXT_SHOWN_MAX: usize = 240;

/// A value as it is shown: without what says nothing, and without the end of long texts.
fn shown(value: &Value) -> Value {
    shorten(&brief(value))
}

fn shorten(value: &Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > TEXT_SHOWN_MAX => {
            let start: String = text.chars().take(TEXT_SHOWN_MAX).collect();
            json!(format!("{start}…"))
        }
        Value::Array(items) => items.iter().map(shorten).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), shorten(value)));
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{answered, refused};
    use crate::failure::Refusal;

    fn refusal(reason: &str, conditions: &[&str]) -> Refusal {
        Refusal {
            code: "FAILED_PRECONDITION",
            reason: reason.to_owned(),
            rule: "R35".to_owned(),
            remedy: String::new(),
            conditions: conditions.iter().map(|text| (*text).to_owned()).collect(),
            trace: String::new(),
        }
    }

    #[test]
    fn an_answer_deviates_in_what_does_not_hold() {
        let answer = Ok(json!({"state": "A", "list": [1], "text": "abc"}));
        let fits = answered().is("/state", "A").count("/list", 1).holds("/text", "b");
        assert_eq!(fits.deviation(&answer), None);
        let differs = answered().is("/state", "B").count("/list", 1);
        assert_eq!(differs.deviation(&answer).as_deref(), Some("/state = \"B\""));
        assert!(answered().deviation(&Err(refusal("X", &[]))).is_some());
    }

    #[test]
    fn a_refusal_deviates_in_reason_rule_and_conditions() {
        let told = Err(refusal("MARKET_MISMATCH", &["MARKET_MISMATCH", "AGREEMENT_REQUIRED"]));
        let expected = || refused("MARKET_MISMATCH", "R35");
        assert_eq!(expected().deviation(&told), None);
        assert_eq!(expected().also("AGREEMENT_REQUIRED").deviation(&told), None);
        assert!(expected().also("SELF_DEALING").deviation(&told).is_some());
        assert!(refused("MARKET_MISMATCH", "N29").deviation(&told).is_some());
        assert_eq!(refused("MARKET_MISMATCH", "").deviation(&told), None);
        assert!(expected().deviation(&Ok(json!({}))).is_some());
    }
}
