//! The link itself: where it leads a browser, what is refused of it, and what becomes of it (R15-R18, R20, R49-R52).

use api::ErrorReason as Reason;
use api::invitation::{DisableInvitationLinkRequest, InvitationLinkState, RotateInvitationLinkRequest};
use reqwest::StatusCode;
use reqwest::header::{HOST, LOCATION};

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, refused};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What can be read in a token without any key, as text.
pub(crate) fn unpacked(token: &str) -> String {
    let (_, payload) = token.split_once('.').expect("cloud and payload");
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for character in payload.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character).expect("base64url");
        bits = (bits << 6) | u32::try_from(value).expect("it is below 64");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).expect("a byte"));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_r49_to_r52_a_link_leads_a_browser_to_the_portal_of_its_own_cloud_and_no_other() {
    let system = System::start().await;
    for (place, cloud) in CLOUDS.iter().enumerate() {
        let ada = system.person(cloud, "ada").await;
        let link = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link");
        assert_eq!(link.uri, format!("{}/i/{}", system.uri, link.token));
        let answer = system.http.get(&link.uri).send().await.expect("the gateway answers");
        assert_eq!(answer.status(), StatusCode::FOUND);
        let location = answer.headers()[LOCATION].to_str().expect("ASCII").to_owned();
        assert!(location.starts_with(cloud.portal) && location.contains(&link.token), "{location}");
        let seen = system.person(cloud, "uma").await.resolve(&link.uri, "").await.expect("the whole link will do");
        assert_eq!(seen.portal_uri, location, "what the customer is told is where the browser goes");

        let host = |cloud: &Cloud| format!("{}.localhost", cloud.id);
        for (host, status) in
            [(host(cloud), StatusCode::FOUND), (host(&CLOUDS[(place + 1) % 4]), StatusCode::NOT_FOUND)]
        {
            let answer = system.http.get(&link.uri).header(HOST, &host).send().await.expect("the gateway answers");
            assert_eq!(answer.status(), status, "{host}");
        }
    }
    for nothing in ["moon.AAAA", "public", "public.A=", ""] {
        let answer = system.http.get(format!("{}/i/{nothing}", system.uri)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nothing}");
        assert!(!answer.text().await.expect("a text").contains("moon"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_link_with_one_character_changed_anywhere_is_refused() {
    let system = System::start().await;
    for cloud in [Cloud::of("china"), Cloud::of("public")] {
        let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
        let customer = cloud.customer(0);
        let token = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link").token;
        let (start, _) = token.split_once('.').expect("cloud and payload");
        for place in start.len()..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).expect("ASCII");
            tampered(&gwen, cloud, &altered, &customer).await;
        }
        for altered in [
            token[..token.len() - 1].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            token.to_uppercase(),
            token.replace('.', ""),
            format!("Public{}", &token[start.len()..]),
            "public.AAAA".to_owned(),
            "x".repeat(600),
        ] {
            tampered(&gwen, cloud, &altered, &customer).await;
        }
        let accepted = gwen.accept(cloud.acceptance(&format!("{token}A"), &customer)).await;
        refused(accepted, Reason::LinkTampered, ["R15", cloud.id, ""], &[]);
        gwen.resolve(&token, &customer).await.expect("as it was issued it is good");
    }
}

async fn tampered(caller: &Caller, cloud: &Cloud, token: &str, customer: &str) {
    let told = refused(caller.resolve(token, customer).await, Reason::LinkTampered, ["R15", cloud.id, ""], &[]);
    assert_eq!(told.fields, ["token"]);
    assert!(!told.message.contains(token), "a token is never repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn r52_a_link_of_one_cloud_opens_nothing_in_another() {
    let system = System::start().await;
    for (place, cloud) in CLOUDS.iter().enumerate() {
        let other = &CLOUDS[(place + 1) % 4];
        let ada = system.person(cloud, "ada").await;
        let token = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link").token;
        let (gwen, customer) = (system.person(other, "gwen").await, other.customer(0));
        let more = [("link_cloud", cloud.id)];
        let at = ["R52", other.id, ""];
        refused(gwen.resolve(&token, &customer).await, Reason::CloudMismatch, at, &more);
        refused(gwen.accept(other.acceptance(&token, &customer)).await, Reason::CloudMismatch, at, &more);
        // Renamed, it is signed by nobody.
        let (_, payload) = token.split_once('.').expect("cloud and payload");
        tampered(&gwen, other, &format!("{}.{payload}", other.id), &customer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_rotated_or_disabled_link_is_refused_and_rotation_makes_a_live_one() {
    let system = System::start().await;
    let cloud = Cloud::of("china");
    let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
    let (partner, customer) = (cloud.partner(0), cloud.customer(0));
    let first = ada.link(&partner, "reseller.office-365").await.expect("a link");
    let rotate = RotateInvitationLinkRequest { name: first.name.clone(), ..Default::default() };
    let second = ada.invitations().rotate_invitation_link(rotate.clone()).await.expect("rotated").into_inner();
    assert_eq!((second.name.as_str(), second.state()), (first.name.as_str(), InvitationLinkState::Active));
    assert!(second.token != first.token && second.etag != first.etag);
    dead(&gwen, cloud, &first.token, &first.name).await;
    gwen.resolve(&second.token, &customer).await.expect("the new one is live");
    assert_eq!(ada.link(&partner, "reseller.office-365").await.expect("a link"), second, "R18");

    let disable = DisableInvitationLinkRequest { name: first.name.clone(), ..Default::default() };
    let disabled = ada.invitations().disable_invitation_link(disable).await.expect("disabled").into_inner();
    assert_eq!(disabled.state(), InvitationLinkState::Disabled);
    dead(&gwen, cloud, &second.token, &first.name).await;
    let render = api::invitation::RenderInvitationTextRequest {
        name: first.name.clone(),
        locale: "en".to_owned(),
        edits: Vec::new(),
    };
    let drafted = ada.invitations().render_invitation_text(render).await;
    refused(drafted, Reason::LinkDisabled, ["R15", cloud.id, &first.name], &[]);

    let third = ada.invitations().rotate_invitation_link(rotate).await.expect("rotated").into_inner();
    dead(&gwen, cloud, &second.token, &first.name).await;
    gwen.accept(cloud.acceptance(&third.token, &customer)).await.expect("live again");
}

/// A dead link is an obstacle to who looks, and refused to who accepts.
async fn dead(caller: &Caller, cloud: &Cloud, token: &str, link: &str) {
    let customer = cloud.customer(0);
    let seen = caller.resolve(token, &customer).await.expect("looking is no error");
    assert_eq!(seen.obstacles.first().map(|told| told.reason.as_str()), Some("LINK_DISABLED"));
    let accepted = caller.accept(cloud.acceptance(token, &customer)).await;
    let told = refused(accepted, Reason::LinkDisabled, ["R15", cloud.id, link], &[]);
    assert_eq!(told.conditions.len(), 1);
}
