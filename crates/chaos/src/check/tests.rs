//! Outcomes that are none of the contract. The rooms beside have their own: each breaks one promise in a round that kept all others.

use api::invitation as links;
use api::relationship as wire;
use tonic::Code;

use super::repeats;
use crate::check::sample::{answered, call, found, link, partner, refused, removal};
use crate::client::{Answer, Refusal};
use crate::history::Outcome;
use crate::kind::Kind;

#[test]
fn a_round_that_kept_every_promise_is_not_blamed() {
    assert_eq!(found(|_| {}), "");
}

fn removed_with(code: Code, reasons: &[&str]) -> String {
    let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
    let refusal = Outcome::Refused(Refusal { code, reasons, message: "a sentence".to_owned() });
    found(|it| it.at(50).outcome = refusal)
}

#[test]
fn a_refusal_has_a_reason_that_such_a_call_cannot_have() {
    for reason in ["INTERNAL", "LINK_DISABLED", "NO_REASON_OF_OURS"] {
        let found = removed_with(Code::FailedPrecondition, &[reason]);
        assert!(
            found.starts_with("Remove /mandate.relationship.v1.DelegationService/RemoveDelegation was refused"),
            "{found}"
        );
    }
}

#[test]
fn a_refusal_has_no_reason() {
    let found = removed_with(Code::Unknown, &[]);
    assert!(found.contains("was refused with"), "{found}");
}

#[test]
fn a_refusal_has_the_code_of_another() {
    assert_eq!(removed_with(Code::FailedPrecondition, &["DELEGATION_NOT_ACTIVE"]), "");
    let found = removed_with(Code::Internal, &["DELEGATION_NOT_ACTIVE"]);
    assert!(found.contains("was refused with"), "{found}");
    let found = removed_with(Code::FailedPrecondition, &["ETAG_MISMATCH"]);
    assert!(found.contains("was refused with"), "{found}");
}

#[test]
fn an_outcome_is_never_known() {
    let found = found(|it| it.at(50).outcome = Outcome::Unknown("no answer in time".to_owned()));
    assert_eq!(found, "Remove at 50 µs never had an outcome: no answer in time");
}

#[tokio::test]
async fn a_repeat_gets_another_answer() {
    let (first, other) = (partner("p", 1, wire::PartnerStatus::Active), partner("p", 2, wire::PartnerStatus::Active));
    let request = wire::CreatePartnerRequest::default();
    let calls = [call(Kind::CreatePartner, 1, &request, answered(&first))];
    let again = |outcome: Outcome| repeats(&calls, move |_| std::future::ready(outcome.clone()));
    assert_eq!(again(answered(&first)).await, Vec::<String>::new());
    for outcome in [answered(&other), refused("RESOURCE_EXISTS"), Outcome::Unknown("gone".to_owned())] {
        let broken = again(outcome).await.join("\n");
        assert!(broken.starts_with("CreatePartner of 1 µs, repeated, got another answer"), "{broken}");
    }
}

#[tokio::test]
async fn reads_and_refusals_are_not_repeated() {
    let calls = [
        call(Kind::Read, 1, &links::GetInvitationLinkRequest::default(), answered(&link("p", 1, "p1"))),
        call(Kind::Remove, 2, &removal("p"), refused("DELEGATION_NOT_ACTIVE")),
    ];
    let asked = |_| std::future::ready(Outcome::Answered(Answer { message: vec![1].into(), token: None }));
    assert_eq!(repeats(&calls, asked).await, Vec::<String>::new());
}
