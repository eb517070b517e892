//! Tokens: which are believed, which are not and why, and what happens when the issuer's keys change or cannot be had.

use std::time::Duration;

use api::ErrorReason;
use api::rule::PrincipalKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, Time};
use jsonwebtoken::Algorithm;

use crate::issuer::{FakeIssuer, SigningKey, Token};
use crate::system::{NOW, verifier};

fn clock() -> Clock {
    Clock::manual(Time::from_seconds(NOW))
}

fn partner(issuer: &FakeIssuer) -> Token {
    Token::new(&issuer.uri, "partner", &["admin_agent"])
}

#[tokio::test]
async fn a_token_of_the_issuer_speaks_for_its_caller() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let caller = verifier.verify(&issuer.sign(&partner(&issuer))).await.unwrap();
    assert_eq!(caller.kind, PrincipalKind::Partner);
    assert_eq!(caller.user_name(), "partners/contoso/users/ann");
    assert!(caller.roles.contains("admin_agent"));
}

#[tokio::test]
async fn all_three_algorithms_are_taken() {
    let issuer = FakeIssuer::start().await;
    let (rsa, ed25519) = (SigningKey::rsa("rsa"), SigningKey::ed25519("ed"));
    issuer.publish(&[&issuer.key, &rsa, &ed25519]);
    let verifier = verifier(&issuer, &clock());
    for key in [&issuer.key, &rsa, &ed25519] {
        let verified = verifier.verify(&key.sign(&partner(&issuer))).await;
        assert!(verified.is_ok(), "{}: {verified:?}", key.id);
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_right_is_invalid() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let right = partner(&issuer);
    let signed = issuer.sign(&right);
    let (head, signature) = signed.rsplit_once('.').unwrap();
    let forged = SigningKey::new("first");
    let unsigned = {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"first"}"#);
        format!("{header}.{}.", head.split_once('.').unwrap().1)
    };
    let tokens = [
        ("empty", String::new()),
        ("no JWT", "abc".to_owned()),
        ("too long", format!("{head}.{}", "a".repeat(9000))),
        ("unsigned", unsigned),
        ("cut signature", format!("{head}.{}", &signature[..40])),
        ("of a forged key with a known id", forged.sign(&right)),
        ("for another audience", issuer.sign(&right.clone().with("aud", "billing"))),
        ("for no audience", issuer.sign(&right.clone().without("aud"))),
        ("without a tenant", issuer.sign(&right.clone().without("tid"))),
        ("with a malformed tenant", issuer.sign(&right.clone().with("tid", "a/b"))),
        ("without a subject", issuer.sign(&right.clone().without("sub"))),
        ("of an unknown kind", issuer.sign(&right.clone().with("kind", "robot"))),
        ("without an end", issuer.sign(&right.clone().without("exp"))),
        ("with an end that is no time", issuer.sign(&right.clone().with("exp", "tomorrow"))),
        ("with roles that are no list", issuer.sign(&right.clone().with("roles", "global_admin"))),
        ("without an issuer", issuer.sign(&right.clone().without("iss"))),
    ];
    for (what, token) in tokens {
        let refusal = verifier.verify(&token).await.expect_err(what);
        assert_eq!(refusal.reason(), ErrorReason::TokenInvalid, "{what}");
    }
}

#[tokio::test]
async fn a_key_signs_with_its_own_algorithm_alone() {
    let issuer = FakeIssuer::start().await;
    let rsa = SigningKey::rsa("rsa");
    issuer.publish(&[&rsa]);
    let verifier = verifier(&issuer, &clock());
    let token = rsa.sign_as(&partner(&issuer), Algorithm::RS512);
    let refusal = verifier.verify(&token).await.unwrap_err();
    assert_eq!(refusal.reason(), ErrorReason::TokenInvalid);
}

#[tokio::test]
async fn an_audience_can_be_one_of_several() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let token = partner(&issuer).with("aud", serde_json::json!(["billing", "mandate"]));
    assert!(verifier.verify(&issuer.sign(&token)).await.is_ok());
}

#[tokio::test]
async fn a_token_of_another_issuer_is_of_another_cloud() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let token = partner(&issuer).with("iss", "https://issuer.elsewhere");
    let status = verifier.verify(&issuer.sign(&token)).await.unwrap_err().status("public");
    crate::system::assert_refused(
        &status,
        tonic::Code::Unauthenticated,
        "TOKEN_OF_ANOTHER_CLOUD",
        &[("issuer", "https://issuer.elsewhere"), ("rule", "N69")],
    );
    assert_eq!(issuer.fetches(), 0, "nothing of a stranger makes us ask");
}

#[tokio::test]
async fn times_have_a_minute_of_leeway_and_no_more() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let verify = async |claim: &str, offset: i64| {
        let token = issuer.sign(&partner(&issuer).with(claim, NOW + offset));
        verifier.verify(&token).await.map(|_| ()).map_err(|refusal| refusal.reason())
    };
    assert_eq!(verify("exp", -59).await, Ok(()));
    assert_eq!(verify("exp", -60).await, Err(ErrorReason::TokenExpired));
    assert_eq!(verify("nbf", 60).await, Ok(()));
    assert_eq!(verify("nbf", 61).await, Err(ErrorReason::TokenExpired));
}

#[tokio::test]
async fn a_remembered_token_is_forgotten_when_it_ends() {
    let issuer = FakeIssuer::start().await;
    let clock = clock();
    let verifier = verifier(&issuer, &clock);
    let token = issuer.sign(&partner(&issuer));
    assert!(verifier.verify(&token).await.is_ok());
    clock.advance(Duration::from_secs(3599));
    assert!(verifier.verify(&token).await.is_ok());
    clock.advance(Duration::from_secs(61));
    let refusal = verifier.verify(&token).await.unwrap_err();
    assert_eq!(refusal.reason(), ErrorReason::TokenExpired);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    assert!(verifier.verify(&issuer.sign(&partner(&issuer))).await.is_ok());
    let second = SigningKey::new("second");
    issuer.publish(&[&issuer.key, &second]);
    let token = second.sign(&partner(&issuer));
    // Asked too soon, the issuer is spared, and the token not believed.
    let refusal = verifier.verify(&token).await.unwrap_err();
    assert_eq!(refusal.reason(), ErrorReason::TokenInvalid);
    assert_eq!(issuer.fetches(), 1);
    pass(Duration::from_secs(10)).await;
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn the_last_good_keys_outlive_the_issuer() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    assert!(verifier.verify(&issuer.sign(&partner(&issuer))).await.is_ok());
    issuer.set_down(true);
    pass(Duration::from_secs(2 * 60 * 60)).await;
    let unseen = partner(&issuer).with("sub", "bob");
    assert!(verifier.verify(&issuer.sign(&unseen)).await.is_ok());
}

#[tokio::test]
async fn a_withdrawn_key_is_noticed_within_the_hour() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    assert!(verifier.verify(&issuer.sign(&partner(&issuer))).await.is_ok());
    issuer.publish(&[&SigningKey::new("second")]);
    pass(Duration::from_secs(60 * 60)).await;
    let unseen = partner(&issuer).with("sub", "bob");
    let refusal = verifier.verify(&issuer.sign(&unseen)).await.unwrap_err();
    assert_eq!(refusal.reason(), ErrorReason::TokenInvalid);
}

#[tokio::test]
async fn without_any_keys_the_caller_is_asked_to_come_back() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    issuer.set_down(true);
    let token = issuer.sign(&partner(&issuer));
    let status = verifier.verify(&token).await.unwrap_err().status("public");
    crate::system::assert_refused(&status, tonic::Code::Unavailable, "DEPENDENCY_UNAVAILABLE", &[]);
    let retry = tonic_types::StatusExt::get_details_retry_info(&status).unwrap();
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
    issuer.set_down(false);
    pass(Duration::from_secs(1)).await;
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_believed() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let token = issuer.sign(&partner(&issuer));
    issuer.claim_to_be("http://127.0.0.1:1");
    let refusal = verifier.verify(&token).await.unwrap_err();
    assert_eq!(refusal.reason(), ErrorReason::DependencyUnavailable);
}

#[tokio::test]
async fn many_callers_make_one_fetch() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(&issuer, &clock());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..50 {
        let token = issuer.sign(&partner(&issuer).with("sub", format!("user-{number}")));
        let verifier = std::sync::Arc::clone(&verifier);
        calls.spawn(async move { verifier.verify(&token).await.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|verified| verified));
    assert_eq!(issuer.fetches(), 1);
}

/// Lets monotonic time pass without waiting for it.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
