//! What a refusal must say: code, reason, and all of the metadata; nothing less, nothing more, and nothing that the contract
//! does not document.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use api::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::checkout;

/// What the contract says of each reason: its comment.
static CONTRACT: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let (mut comments, mut comment) = (BTreeMap::new(), String::new());
    for line in checkout::text("proto/mandate/error/v1/error_reason.proto").lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//") {
            comment.push_str(text);
        } else {
            if let Some((name, _)) = line.split_once(" = ") {
                comments.insert(name.trim_start_matches("ERROR_REASON_").to_owned(), comment.clone());
            }
            comment.clear();
        }
    }
    comments
});

/// The code as the contract writes it.
fn written(code: Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

/// Asserts that the contract tells callers of this code and these keys.
#[track_caller]
fn documented(reason: ErrorReason, code: Code, keys: &[&str]) {
    let comment = &CONTRACT[reason.wire()];
    assert!(comment.contains(&written(code)), "{}: the contract does not say {}", reason.wire(), written(code));
    let told: BTreeSet<&str> = comment.split('`').skip(1).step_by(2).collect();
    // What the comment of the whole says that every refusal has.
    let always = ["rule", "cloud", "resource", "rules"];
    for key in keys.iter().filter(|key| !always.contains(key)) {
        assert!(told.contains(key), "{}: the contract does not speak of {key}", reason.wire());
    }
}

/// What came beside the reason.
#[derive(Debug)]
pub(crate) struct Told {
    /// The conditions that failed, as reason and subject.
    pub(crate) conditions: Vec<(String, String)>,
    /// The fields that are wrong.
    pub(crate) fields: Vec<String>,
    /// When to come back.
    pub(crate) retry: Option<Duration>,
    /// The sentence.
    pub(crate) message: String,
    /// The metadata.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Asserts that a call was refused for this reason, with this rule, cloud and resource, and with these further metadata and no
/// others. `*` stands for any text but the empty one.
#[track_caller]
pub(crate) fn refused<T: Debug>(
    answer: Result<T, Status>,
    reason: ErrorReason,
    [rule, cloud, resource]: [&str; 3],
    more: &[(&str, &str)],
) -> Told {
    let status = answer.expect_err("a refusal was due");
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason.wire(), "mandate"), "{status:?}");
    let conditions = status.get_details_precondition_failure().map(|failure| failure.violations).unwrap_or_default();
    let code = if conditions.is_empty() { reason.code() } else { Code::FailedPrecondition };
    assert_eq!(status.code(), code, "{status:?}");
    assert!(!status.message().is_empty(), "a refusal says what to do");
    let mut expected = BTreeMap::from([("rule", rule), ("cloud", cloud), ("resource", resource)]);
    expected.extend(more.iter().copied());
    if !conditions.is_empty() {
        expected.entry("rules").or_insert("*");
    }
    let metadata: BTreeMap<String, String> = info.metadata.into_iter().collect();
    let keys: Vec<&str> = metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, expected.keys().copied().collect::<Vec<_>>(), "{status:?}");
    documented(reason, code, &keys);
    for (key, wanted) in expected {
        let value = &metadata[key];
        assert!(
            value == wanted || (wanted == "*" && !value.is_empty()),
            "{key}: {value:?}, not {wanted:?}: {status:?}"
        );
    }
    if let Some(first) = conditions.first() {
        assert_eq!(first.r#type, reason.wire(), "the first condition gives the reason");
        assert_eq!(metadata["rules"].split(',').count(), conditions.len(), "one rule each: {status:?}");
    }
    let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    Told {
        conditions: conditions.into_iter().map(|violation| (violation.r#type, violation.subject)).collect(),
        fields: fields.into_iter().map(|violation| violation.field).collect(),
        retry: status.get_details_retry_info().and_then(|info| info.retry_delay),
        message: status.message().to_owned(),
        metadata,
    }
}
