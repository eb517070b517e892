//! The statuses that no call over the wire can provoke without the other services.

use super::*;

fn status(error: Error) -> Status {
    error.status(&CloudId::parse("china").unwrap())
}

fn text(rule: EditRule, violations: &[Violation]) -> Status {
    status(Error::Text { link: "a link".to_owned(), rule, violations: violations.to_vec() })
}

#[test]
fn a_text_that_breaks_the_rule_says_which_and_where() {
    let fixed = Violation::FixedTextChanged { paragraph: 3, position: 17 };
    let refused = text(EditRule::FirstTwoParagraphs, &[fixed, Violation::LinkMissing]);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((refused.code(), info.reason.as_str()), (Code::InvalidArgument, "FIXED_TEXT_CHANGED"));
    let metadata = |key: &str| info.metadata[key].as_str();
    assert_eq!((metadata("rule"), metadata("resource")), ("R14", "a link"));
    assert_eq!((metadata("paragraph"), metadata("position")), ("3", "17"));
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations.len(), 2);
}

#[test]
fn each_violation_has_its_reason_and_its_rule() {
    let changed = Violation::LinkChanged { position: 4 };
    let cases = [
        (EditRule::KeepLink, changed, "LINK_CHANGED", "R40"),
        (EditRule::FirstTwoParagraphs, changed, "LINK_CHANGED", "R15"),
        (EditRule::KeepLink, Violation::LinkMissing, "LINK_MISSING", "R40"),
        (EditRule::KeepLink, Violation::ParagraphNotFound { paragraph: 99 }, "FIELD_INVALID", "AIP-203"),
        (EditRule::KeepLink, Violation::ParagraphTooLong { paragraph: 1, length: 5000 }, "FIELD_INVALID", "AIP-203"),
    ];
    for (rule, violation, reason, number) in cases {
        let info = text(rule, &[violation]).get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.metadata["rule"].as_str()), (reason, number));
    }
}

#[test]
fn a_broken_rule_comes_before_a_malformed_edit() {
    let fixed = Violation::FixedTextChanged { paragraph: 3, position: 17 };
    let refused = text(EditRule::FirstTwoParagraphs, &[Violation::ParagraphRepeated { paragraph: 1 }, fixed]);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "FIXED_TEXT_CHANGED");
}

#[test]
fn a_refusal_of_the_relationship_service_passes_unchanged() {
    let theirs = Refusal::not_found("customers/c").status("china");
    let passed = status(Error::Peer(theirs.clone()));
    assert_eq!((passed.code(), passed.message()), (theirs.code(), theirs.message()));
    assert_eq!(passed.details(), theirs.details());
}

#[test]
fn a_failure_without_a_reason_is_ours_to_explain() {
    let reason = |code| {
        let refused = status(Error::Peer(Status::new(code, "a secret of the transport")));
        assert!(!refused.message().contains("secret"));
        (refused.get_details_error_info().unwrap().reason, refused.get_details_retry_info().is_some())
    };
    assert_eq!(reason(Code::Unavailable), ("DEPENDENCY_UNAVAILABLE".to_owned(), true));
    assert_eq!(reason(Code::Unknown), ("DEPENDENCY_UNAVAILABLE".to_owned(), true));
    assert_eq!(reason(Code::Unauthenticated), ("INTERNAL".to_owned(), false));
}

#[test]
fn failures_of_the_database_say_whether_a_retry_helps() {
    let reason = |failure| {
        let refused = status(Error::Store(failure));
        (refused.code(), refused.get_details_retry_info().is_some())
    };
    assert_eq!(reason(Failure::Interfered(sqlx::Error::WorkerCrashed)), (Code::Aborted, true));
    assert_eq!(reason(Failure::Unavailable(sqlx::Error::PoolTimedOut)), (Code::Unavailable, true));
    assert_eq!(reason(Failure::inconsistent("links", "odd")), (Code::Internal, false));
}
