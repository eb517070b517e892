//! What a refused call says.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Code, reason and rule of a refusal.
pub(crate) fn refusal(status: &Status) -> (Code, String, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!(info.domain, "mandate");
    assert!(info.metadata.contains_key("cloud") && info.metadata.contains_key("resource"), "{info:?}");
    (status.code(), info.reason, info.metadata["rule"].clone())
}

pub(crate) fn metadata(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info().unwrap();
    info.metadata.get(key).unwrap_or_else(|| panic!("{info:?} lacks {key}")).clone()
}

/// The fields that a refusal names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request().unwrap_or_else(|| panic!("{status:?} names no field"));
    request.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[track_caller]
pub(crate) fn expect<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str, rule: &str) -> Status {
    let status = answer.unwrap_err();
    assert_eq!(refusal(&status), (code, reason.to_owned(), rule.to_owned()), "{}", status.message());
    status
}
