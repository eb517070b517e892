//! Which cloud a call is for, and that its credential is of that cloud.

use serde_json::json;
use server::Shutdown;
use tonic::Code;

use crate::call::{Call, RESOLVE, connect};
use crate::world::{AGENT, World, nowhere, parse, section, start};
use testkit::provider::{NOW_SECONDS, Provider};

#[tokio::test]
async fn host_metadata_and_credential_each_choose_the_cloud() {
    let world = World::start().await;
    for (cloud, provider) in [("public", &world.public), ("china", &world.china)] {
        let token = provider.token(AGENT);
        let by_credential = Call::new(RESOLVE).token(&token);
        let answer = by_credential.send(&mut world.channel()).await;
        assert_eq!(answer.header("x-upstream"), cloud);

        let host = format!("{cloud}.mandate.example:7070");
        let mut named = connect(world.address, &host);
        let everything = Call::new(RESOLVE).token(&token).header("x-mandate-cloud", cloud);
        let answer = everything.send(&mut named).await;
        assert_eq!(answer.header("x-upstream"), cloud);
        assert_eq!(answer.header("saw-authorization"), format!("Bearer {token}"));
    }
}

#[tokio::test]
async fn a_call_that_names_two_clouds_is_refused() {
    let world = World::start().await;
    let both = [("rule", "R52"), ("cloud", ""), ("clouds", "china,public")];
    let mut china = connect(world.address, "china.mandate.example");
    for (call, channel) in [
        (Call::new(RESOLVE).token(&world.public.token(AGENT)), &mut china.clone()),
        (Call::new(RESOLVE).header("x-mandate-cloud", "public"), &mut china),
        (Call::new(RESOLVE).token(&world.china.token(AGENT)).header("x-mandate-cloud", "public"), &mut world.channel()),
    ] {
        let refused = call.refused(channel).await;
        refused.expect(Code::InvalidArgument, "CLOUD_DISAGREEMENT", &both, false);
    }
}

#[tokio::test]
async fn a_call_that_names_no_cloud_learns_which_there_are() {
    let world = World::start().await;
    let all = [("rule", "R52"), ("cloud", ""), ("clouds", "china,public")];
    let unknown = Call::new(RESOLVE).token(&world.public.token(AGENT)).header("x-mandate-cloud", "mars");
    for call in [Call::new(RESOLVE), unknown] {
        let refused = call.refused(&mut world.channel()).await;
        refused.expect(Code::InvalidArgument, "CLOUD_REQUIRED", &all, false);
    }
}

#[tokio::test]
async fn a_call_without_credential_is_refused_by_the_cloud_it_names() {
    let world = World::start().await;
    let mut china = connect(world.address, "china.mandate.example");
    let refused = Call::new(RESOLVE).refused(&mut china).await;
    let metadata = [("rule", "AIP-211"), ("cloud", "china")];
    refused.expect(Code::Unauthenticated, "TOKEN_REQUIRED", &metadata, false);
}

#[tokio::test]
async fn a_credential_of_nobody_we_know_is_refused() {
    let world = World::start().await;
    let stranger = world.public.token_with(AGENT, json!({"iss": "https://issuer.example"}));
    let twice = Call::new(RESOLVE).token(&world.public.token(AGENT)).token(&world.china.token(AGENT));
    for call in [
        Call::new(RESOLVE).token(&stranger),
        Call::new(RESOLVE).token("no.token.atall"),
        Call::new(RESOLVE).header("authorization", "Basic YTpi"),
        twice,
    ] {
        let refused = call.refused(&mut world.channel()).await;
        let metadata = [("rule", "AIP-211"), ("cloud", "")];
        refused.expect(Code::Unauthenticated, "TOKEN_INVALID", &metadata, false);
    }
}

#[tokio::test]
async fn a_forged_or_expired_credential_goes_no_further() {
    let world = World::start().await;
    // Signed by china's issuer, it claims to be of public's.
    let forged = world.china.token_with(AGENT, json!({"iss": world.public.uri()}));
    let refused = Call::new(RESOLVE).token(&forged).refused(&mut world.channel()).await;
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "TOKEN_INVALID"));
    assert_eq!(refused.metadata["cloud"], "public");

    let expired = world.public.token_with(AGENT, json!({"nbf": NOW_SECONDS - 7200, "exp": NOW_SECONDS - 3600}));
    let refused = Call::new(RESOLVE).token(&expired).refused(&mut world.channel()).await;
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "TOKEN_EXPIRED"));
    assert_eq!(refused.metadata["cloud"], "public");
}

#[tokio::test]
async fn an_issuer_that_gives_no_keys_is_worth_a_retry() {
    let issuer = format!("http://{}", nowhere().await);
    let provider = Provider::start().await;
    let text =
        format!("listen = \"127.0.0.1:0\"\ndevelopment = true\n{}", section("public", &issuer, "http://127.0.0.1:9"));
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();
    let token = provider.token_with(AGENT, json!({"iss": issuer}));
    let mut channel = connect(running.address, "localhost");
    let refused = Call::new(RESOLVE).token(&token).refused(&mut channel).await;
    let metadata = [("rule", "AIP-194"), ("cloud", "public")];
    refused.expect(Code::Unavailable, "DEPENDENCY_UNAVAILABLE", &metadata, true);
}
