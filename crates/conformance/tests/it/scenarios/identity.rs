//! Who gets in, and as whom: for every method of the contract, not for a choice of them. Scenario D11 13.

use std::collections::BTreeMap;

use api::ErrorReason as Reason;
use api::rule::{MethodRule, PrincipalKind, RULES};
use tonic::Code;

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, raw, refused};

const LIST: &str = "/mandate.relationship.v1.RelationshipService/ListPartnerCustomers";

fn public() -> impl Iterator<Item = &'static MethodRule> {
    RULES.iter().filter(|rule| !rule.is_internal())
}

fn kind_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Unspecified => panic!("no method admits it"),
        PrincipalKind::Partner => "partner",
        PrincipalKind::Customer => "customer",
        PrincipalKind::Operator => "operator",
        PrincipalKind::Workload => "workload",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_13_n69_a_credential_of_one_cloud_is_refused_by_every_other() {
    let system = System::start().await;
    for (place, cloud) in CLOUDS.iter().enumerate() {
        let other = &CLOUDS[(place + 1) % 4];
        let (kind, tenant, role) = cloud.person("ada");
        let claims = [("sub", "ada"), ("kind", kind), ("tid", tenant), ("roles", role)];
        let token = system.token(cloud.id, &claims).await;
        let both: Vec<&str> =
            CLOUDS.iter().map(|known| known.id).filter(|id| [cloud.id, other.id].contains(id)).collect();
        let strayed = Caller::new(&system.channel, Some(other.id), Some(&token));
        let more = [("clouds", both.join(","))];
        let more: Vec<(&str, &str)> = more.iter().map(|(key, value)| (*key, value.as_str())).collect();
        for rule in public().filter(|rule| !rule.anonymous) {
            let answer = raw::call(&strayed, rule.path, Vec::new()).await;
            refused(answer, Reason::CloudDisagreement, ["R52", "", ""], &more);
        }
        // The issuer of the token alone names the cloud.
        let silent = Caller::new(&system.channel, None, Some(&token));
        assert!(silent.customers(&cloud.partner(0)).await.is_empty());
        // Two clouds named by one call are one too many.
        let torn = silent.with("x-mandate-cloud", cloud.id).with("x-mandate-cloud", other.id);
        let answer = raw::call(&torn, LIST, Vec::new()).await;
        refused(answer, Reason::CloudDisagreement, ["R52", "", ""], &more);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_but_the_anonymous_ones_needs_a_token_and_a_cloud() {
    let system = System::start().await;
    let cloud = Cloud::of("germany");
    let (nobody, nowhere) = (system.nobody(cloud.id), Caller::new(&system.channel, None, None));
    let moon = Caller::new(&system.channel, Some("moon"), None);
    let forged = Caller::new(&system.channel, Some(cloud.id), Some("e30.e30.e30"));
    let clouds = [("clouds", "china,germany,public,usgov")];
    for rule in public() {
        if rule.anonymous {
            // Whatever an empty request lacks, it is no credential.
            let answer = raw::call(&nowhere, rule.path, Vec::new()).await;
            let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
            assert!([Code::Ok, Code::InvalidArgument].contains(&code), "{}: {code:?}", rule.path);
            continue;
        }
        let answer = raw::call(&nobody, rule.path, Vec::new()).await;
        refused(answer, Reason::TokenRequired, ["AIP-211", cloud.id, ""], &[]);
        refused(raw::call(&forged, rule.path, Vec::new()).await, Reason::TokenInvalid, ["AIP-211", "", ""], &[]);
        for lost in [&nowhere, &moon] {
            let answer = raw::call(lost, rule.path, Vec::new()).await;
            refused(answer, Reason::CloudRequired, ["R52", "", ""], &clouds);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_name_leads_to_its_cloud_and_must_agree_with_the_rest() {
    let system = System::start().await;
    for (place, cloud) in CLOUDS.iter().enumerate() {
        let (other, (kind, tenant, role)) = (&CLOUDS[(place + 1) % 4], cloud.person("ada"));
        let claims = [("sub", "ada"), ("kind", kind), ("tid", tenant), ("roles", role)];
        let token = system.token(cloud.id, &claims).await;
        let (own, foreign) = (system.hosted(cloud.id), system.hosted(other.id));
        assert!(Caller::new(&own, None, Some(&token)).customers(&cloud.partner(0)).await.is_empty());
        let answer = raw::call(&Caller::new(&own, None, None), LIST, Vec::new()).await;
        refused(answer, Reason::TokenRequired, ["AIP-211", cloud.id, ""], &[]);
        for caller in [Caller::new(&foreign, None, Some(&token)), Caller::new(&foreign, Some(cloud.id), None)] {
            let answer = raw::call(&caller, LIST, Vec::new()).await;
            let told = refused(answer, Reason::CloudDisagreement, ["R52", "", ""], &[("clouds", "*")]);
            assert!(told.metadata["clouds"].contains(cloud.id) && told.metadata["clouds"].contains(other.id));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_sound_are_refused() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let (kind, tenant, role) = cloud.person("ada");
    let claims = [("sub", "ada"), ("kind", kind), ("tid", tenant), ("roles", role)];
    let token = system.token(cloud.id, &claims).await;
    let other_audience = system.token(cloud.id, &[&claims[..], &[("aud", "somebody-else")]].concat()).await;
    let (unsigned, _) = token.rsplit_once('.').expect("three parts");
    let mut parts: Vec<&str> = token.split('.').collect();
    let richer = system.token(cloud.id, &[&claims[..3], &[("roles", "global_admin")]].concat()).await;
    let stolen: Vec<&str> = richer.split('.').collect();
    parts[1] = stolen[1];
    for unsound in [format!("{unsigned}."), format!("{unsigned}.AAAA"), parts.join("."), other_audience] {
        let caller = Caller::new(&system.channel, Some(cloud.id), Some(&unsound));
        let answer = raw::call(&caller, LIST, Vec::new()).await;
        refused(answer, Reason::TokenInvalid, ["AIP-211", cloud.id, ""], &[]);
    }
    let twice = Caller::new(&system.channel, Some(cloud.id), Some(&token)).with("authorization", "Bearer e30.e30.e30");
    refused(raw::call(&twice, LIST, Vec::new()).await, Reason::TokenInvalid, ["AIP-211", "", ""], &[]);
    let basic = Caller::new(&system.channel, Some(cloud.id), None).with("authorization", "Basic YTpi");
    refused(raw::call(&basic, LIST, Vec::new()).await, Reason::TokenInvalid, ["AIP-211", "", ""], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_the_kinds_and_roles_that_it_does_not_name() {
    let system = System::start().await;
    let cloud = Cloud::of("china");
    let mut idle = BTreeMap::new();
    for kind in ["partner", "customer", "operator", "workload"] {
        let tenant = match kind {
            "partner" => cloud.partners[0],
            "customer" => cloud.customers[0],
            _ => "platform",
        };
        idle.insert(kind, system.sign_in(cloud.id, "idle", [kind, tenant, "passer_by"]).await);
    }
    let mut refusals = 0;
    for rule in public().filter(|rule| !rule.anonymous) {
        let admitted: Vec<&str> = rule.callers.iter().map(|kind| kind_name(*kind)).collect();
        let allowed_kinds = admitted.join(",");
        for (kind, caller) in &idle {
            let answer = raw::call(caller, rule.path, Vec::new()).await;
            if !admitted.contains(kind) {
                let more = [("kind", *kind), ("allowed_kinds", allowed_kinds.as_str())];
                refused(answer, Reason::PrincipalKindNotAllowed, ["AIP-211", cloud.id, ""], &more);
                refusals += 1;
                continue;
            }
            // Where the policy admits every role, an empty request goes on, and is refused for what it lacks.
            if answer.as_ref().err().is_none_or(|status| status.code() != Code::PermissionDenied) {
                continue;
            }
            let number = if rule.refusal_rule.is_empty() { "AIP-211" } else { rule.refusal_rule };
            let more = [("permission", rule.permission), ("roles", "*")];
            refused(answer, rule.refusal, [number, cloud.id, ""], &more);
            refusals += 1;
        }
    }
    assert!(refusals > public().count(), "{refusals}");
    // The three reasons that a lack of role can have, by name.
    for (kind, path, reason, rule) in [
        ("operator", "/mandate.relationship.v1.DirectoryService/CreatePartner", Reason::RoleRequired, "AIP-211"),
        ("partner", "/mandate.invitation.v1.InvitationService/GetInvitationLink", Reason::RequesterRoleRequired, "N61"),
        ("customer", "/mandate.invitation.v1.InvitationService/AcceptInvitation", Reason::AcceptorRoleRequired, "R44"),
        (
            "customer",
            "/mandate.relationship.v1.DelegationService/RemoveDelegation",
            Reason::AcceptorRoleRequired,
            "R27",
        ),
    ] {
        let answer = raw::call(&idle[kind], path, Vec::new()).await;
        refused(answer, reason, [rule, cloud.id, ""], &[("permission", "*"), ("roles", "*")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_internal_or_made_up_is_unknown_and_both_look_the_same() {
    let system = System::start().await;
    let otto = system.person(Cloud::of("public"), "otto").await;
    let internal = RULES.iter().filter(|rule| rule.is_internal()).map(|rule| rule.path);
    let internal: Vec<&str> = internal.collect();
    assert!(internal.len() >= 2);
    let mut sentences = Vec::new();
    for path in internal.into_iter().chain(["/mandate.relationship.v1.TeapotService/Brew", "/a.B/C"]) {
        for caller in [&otto, &system.nobody("public")] {
            let answer = raw::call(caller, path, Vec::new()).await;
            let told = refused(answer, Reason::MethodUnknown, ["AIP-193", "", ""], &[]);
            sentences.push(told.message);
        }
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "nobody learns what is hidden: {sentences:?}");
    // A method of a service that there is.
    let answer = raw::call(&otto, "/mandate.relationship.v1.AccessService/Brew", Vec::new()).await;
    refused(answer, Reason::MethodUnknown, ["AIP-193", "public", ""], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_refused() {
    let system = System::start().await;
    let cloud = Cloud::of("public");
    let ada = system.person(cloud, "ada").await;
    let answer = raw::call(&ada, LIST, vec![0; 2 * 1024 * 1024]).await;
    refused(answer, Reason::MessageTooLarge, ["AIP-193", cloud.id, ""], &[]);
    assert!(ada.customers(&cloud.partner(0)).await.is_empty(), "the connection lives on");
}
