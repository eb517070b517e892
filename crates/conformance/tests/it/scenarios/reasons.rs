//! Every reason of the contract: refused for in a test of the whole, or here with why it cannot be yet.

use std::collections::BTreeSet;

use api::ErrorReason as Reason;

use crate::checkout::{self, Broken};

/// Reasons that no test of the whole can see, and why.
const ELSEWHERE: &[(Reason, &str)] = &[
    (Reason::Unspecified, "is never sent"),
    (Reason::IndirectResellerMayNotInvite, "comes with providers and their resellers (N54-N60)"),
    (Reason::InviterBlockedByCustomer, "comes with the preferences of customers"),
    (Reason::PartnerMustTerminate, "comes with the other reading of N45: the tests of relationship turn the switch"),
    (Reason::InvitationNotPending, "comes with tracked invitations"),
    (Reason::CloudClosedToNewCustomers, "comes with the switch for it (N29)"),
    (Reason::LinkMissing, "is a violation of a checked text until texts are marked as sent"),
    (Reason::LinkChanged, "is a violation of a checked text until texts are marked as sent"),
    (Reason::AttestationExists, "comes with attested agreements (N34)"),
    (Reason::DisplayNameTaken, "comes with names of delegations (N76)"),
    (Reason::ConcurrentAcceptance, "is what the index behind R24 would say if changes of one customer did not queue"),
    (Reason::ConcurrentChange, "needs eight conflicts in a row, which changes that queue do not have"),
    (Reason::RateLimited, "comes with rate limits (N96)"),
    (
        Reason::Overloaded,
        "needs more work in flight than a test should make: the tests of server and gateway hold it still",
    ),
    (Reason::DeadlineExceeded, "races with the client's own clock: the tests of server and gateway hold it still"),
    (Reason::Internal, "is a defect, and there is none that we know"),
];

/// Every reason there is: numbers have gaps, and end well before this one.
fn all() -> Vec<Reason> {
    (0..1000).filter_map(|number| Reason::try_from(number).ok()).collect()
}

#[test]
fn every_reason_is_refused_for_in_a_test_or_listed_with_why_not() {
    let mut broken = Broken::default();
    let here = "crates/conformance/tests/it/scenarios/reasons.rs";
    let folders = ["mutations", "production", "scenarios"].map(|room| format!("crates/conformance/tests/it/{room}"));
    let folders = folders.each_ref().map(String::as_str);
    let files = checkout::files(&folders, ".rs").into_iter().filter(|path| path != here);
    let words: BTreeSet<String> = files.flat_map(|path| words(&checkout::text(&path))).collect();
    let reasons = all();
    assert!(reasons.len() > 40, "the contract has lost reasons");
    for reason in reasons {
        let name = format!("Reason::{reason:?}");
        let (seen, listed) = (words.contains(&name), ELSEWHERE.iter().any(|(other, _)| *other == reason));
        if seen && listed {
            broken.at(here, 1, format!("{} is seen by a test now: take it from the list", reason.wire()));
        }
        if !seen && !listed {
            let told = format!("{} is seen by no test of the whole: add one, or say here why not", reason.wire());
            broken.at("proto/mandate/error/v1/error_reason.proto", 1, told);
        }
    }
    broken.none();
}

/// The paths in a text: `Reason::LinkDisabled`.
fn words(text: &str) -> Vec<String> {
    let in_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    text.split(|character| !in_path(character)).map(|word| word.trim_end_matches(':').to_owned()).collect()
}
