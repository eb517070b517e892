//! The mail that carries the link: what may be edited is the cloud's to say (R13-R15, R38-R40). Scenario D11 3.

use api::ErrorReason as Reason;
use api::invitation::{
    CheckInvitationTextRequest, InvitationText, ParagraphEdit, RenderInvitationTextRequest, TextPartKind, TextViolation,
};
use tonic::Status;

use super::cloud::{CLOUDS, Cloud};
use super::system::System;
use super::{Caller, refused};

async fn rendered(caller: &Caller, link: &str, locale: &str, edits: &[(i32, &str)]) -> Result<InvitationText, Status> {
    let edits = edits.iter().map(|(paragraph, text)| ParagraphEdit { paragraph: *paragraph, text: (*text).to_owned() });
    let request =
        RenderInvitationTextRequest { name: link.to_owned(), locale: locale.to_owned(), edits: edits.collect() };
    Ok(caller.invitations().render_invitation_text(request).await?.into_inner())
}

async fn checked(caller: &Caller, link: &str, text: &str) -> Vec<TextViolation> {
    let request = CheckInvitationTextRequest { name: link.to_owned(), locale: "en".to_owned(), text: text.to_owned() };
    let answer = caller.invitations().check_invitation_text(request).await.expect("violations are the answer");
    let answer = answer.into_inner();
    assert_eq!(answer.acceptable, answer.violations.is_empty());
    answer.violations
}

fn reasons(violations: &[TextViolation]) -> Vec<(&str, &str)> {
    violations.iter().map(|told| (told.reason.as_str(), told.rule.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_3_r14_r15_in_china_two_paragraphs_are_the_partners_and_the_link_is_nobodys() {
    let system = System::start().await;
    let cloud = Cloud::of("china");
    let ada = system.person(cloud, "ada").await;
    let link = ada.link(&cloud.partner(0), "reseller.azure-ad.office-365").await.expect("a link");
    let edited = rendered(&ada, &link.name, "en", &[(1, ""), (2, "Our own words.")]).await.expect("R14");
    assert!(edited.plain_text.contains("Our own words.") && edited.plain_text.contains(&link.uri));
    assert_eq!(checked(&ada, &link.name, &edited.plain_text).await, [], "R14: as edited it may be sent");
    let kinds: Vec<TextPartKind> = edited.parts.iter().map(|part| part.kind()).collect();
    assert!(kinds.contains(&TextPartKind::Link) && kinds.contains(&TextPartKind::Fixed));

    for place in [0, link.uri.len() / 2, link.uri.len() - 1] {
        let mut bytes = link.uri.clone().into_bytes();
        bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
        let other = String::from_utf8(bytes).expect("ASCII");
        let violations = checked(&ada, &link.name, &edited.plain_text.replace(&link.uri, &other)).await;
        assert!(!violations.is_empty(), "R15: one byte of the link changed at {place}");
        assert!(violations.iter().all(|told| told.reason != "FIXED_TEXT_CHANGED" || told.rule == "R14"));
    }
    let whole = rendered(&ada, &link.name, "en", &[]).await.expect("a draft").plain_text;
    let third = edited.parts.iter().find(|part| part.paragraph == 3).expect("a third paragraph");
    let changed = checked(&ada, &link.name, &whole.replace(&third.text, "Nothing to see here.")).await;
    assert_eq!(reasons(&changed), [("FIXED_TEXT_CHANGED", "R14")]);
    assert_eq!(changed[0].paragraph, Some(3));
    let answer = rendered(&ada, &link.name, "en", &[(3, "Nothing to see here.")]).await;
    refused(answer, Reason::FixedTextChanged, ["R14", cloud.id, &link.name], &[("paragraph", "3"), ("position", "*")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_r38_to_r40_every_cloud_drafts_in_six_languages_and_elsewhere_all_but_the_link_may_be_edited() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let ada = system.person(cloud, "ada").await;
        let link = ada.link(&cloud.partner(0), "reseller.office-365").await.expect("a link");
        for locale in ["en", "it", "de", "fr", "zh-Hans", "ja"] {
            let text = rendered(&ada, &link.name, locale, &[]).await.expect("R13");
            assert_eq!(text.locale, locale);
            assert!(text.plain_text.contains(&link.uri) && text.mailto_uri.starts_with("mailto:?subject="), "R39");
        }
        assert_eq!(rendered(&ada, &link.name, "it-CH", &[]).await.expect("it falls back").locale, "it");
        let answer = rendered(&ada, &link.name, "tlh", &[]).await;
        let told = refused(answer, Reason::LocaleUnsupported, ["R13", cloud.id, ""], &[("locales", "*")]);
        assert_eq!(told.fields, ["locale"]);
        let whole = rendered(&ada, &link.name, "en", &[]).await.expect("a draft").plain_text;
        let fixed = cloud.id == "china";
        let link_rule = if fixed { "R15" } else { "R40" };
        let without = checked(&ada, &link.name, &whole.replace(&link.uri, "(the link)")).await;
        assert!(reasons(&without).contains(&("LINK_MISSING", link_rule)), "{without:?}");
        if !fixed {
            let edits = [(1, "One."), (2, "Two."), (3, "Three.")];
            let text = rendered(&ada, &link.name, "en", &edits).await.expect("R40").plain_text;
            assert_eq!(checked(&ada, &link.name, &text).await, []);
            let own = format!("All our own words. {}", link.uri);
            assert_eq!(checked(&ada, &link.name, &own).await, [], "R40: the link is all that must stay");
        }
    }
}
