//! The mail that carries the link: drafted in six languages, edited as far as the cloud lets one (R13-R15, R38-R40).

use serde_json::{Value, json};

use super::cast::Cast;
use super::stage::{Stage, answered, refused};
use crate::contract::text;
use crate::failure::{Failure, Refusal};

const RENDER: &str = "InvitationService/RenderInvitationText";
const CHECK: &str = "InvitationService/CheckInvitationText";
const LOCALES: [&str; 6] = ["en", "it", "de", "fr", "zh-Hans", "ja"];

/// Drafts, edits and checks the mail, and follows its link.
pub(super) async fn play(stage: &mut Stage, cast: &Cast, link: &Value) -> Result<(), Failure> {
    let name = text(link, "/name");
    let uri = text(link, "/uri");
    let mut english = String::new();
    for locale in LOCALES {
        let call = (RENDER, json!({ "name": name, "locale": locale }));
        let expected =
            answered().is("/locale", locale).holds("/plainText", uri).holds("/mailtoUri", "mailto:?subject=");
        let title = format!("the mail in {locale}: parts, plain text, mail program (R13, R39)");
        let draft = stage.step(&title, &cast.agent, call, expected).await?;
        if locale == "en" {
            text(&draft, "/plainText").clone_into(&mut english);
        }
    }
    let call = (RENDER, json!({ "name": name, "locale": "tlh" }));
    let expected = refused("LOCALE_UNSUPPORTED", "");
    stage.step("there is no mail in Klingon", &cast.agent, call, expected).await?;
    edits(stage, cast, name).await?;
    checks(stage, cast, (name, uri), &english).await?;
    redirect(stage, cast, link).await
}

fn keeps_fixed_text(cast: &Cast) -> bool {
    text(&cast.policy, "/textEditRule") == "TEXT_EDIT_RULE_FIRST_TWO_PARAGRAPHS"
}

async fn edits(stage: &mut Stage, cast: &Cast, name: &str) -> Result<(), Failure> {
    let edit = |paragraph: i32, text: &str| {
        let edits = json!([{ "paragraph": paragraph, "text": text }]);
        (RENDER, json!({ "name": name, "locale": "en", "edits": edits }))
    };
    let expected = answered().holds("/plainText", "Dear friends");
    let title = "the agent edits the first paragraph (R14, R40)";
    stage.step(title, &cast.agent, edit(1, "Dear friends"), expected).await?;
    let expected = match keeps_fixed_text(cast) {
        true => refused("FIXED_TEXT_CHANGED", "R14"),
        false => answered().holds("/plainText", "Accept, please"),
    };
    let title = "whether the third can be edited is the cloud's to say (R14, R40)";
    stage.step(title, &cast.agent, edit(3, "Accept, please"), expected).await?;
    Ok(())
}

async fn checks(stage: &mut Stage, cast: &Cast, (name, uri): (&str, &str), draft: &str) -> Result<(), Failure> {
    let link_rule = if keeps_fixed_text(cast) { "R15" } else { "R40" };
    let fine = || answered().is("/acceptable", true).count("/violations", 0);
    let wrong = |reason: &str, rule: &str| {
        let told = json!({ "reason": reason, "rule": rule });
        answered().is("/acceptable", false).that(format!("the violation {told}"), move |answer| {
            let violations = answer["violations"].as_array().cloned().unwrap_or_default();
            violations
                .iter()
                .any(|violation| violation["reason"] == told["reason"] && violation["rule"] == told["rule"])
        })
    };
    let paragraphs: Vec<&str> = draft.split("\n\n").collect();
    let rewritten = [&["Our own words."], paragraphs.get(2..).unwrap_or_default()].concat();
    let mut changed = paragraphs.clone();
    if let Some(third) = changed.get_mut(2) {
        *third = "Nothing to see here.";
    }
    let fixed = match keeps_fixed_text(cast) {
        true => wrong("FIXED_TEXT_CHANGED", "R14"),
        false => fine(),
    };
    for (title, body, expected) in [
        ("the mail as drafted may be sent", draft.to_owned(), fine()),
        ("also with one paragraph deleted and one rewritten (R14)", rewritten.join("\n\n"), fine()),
        ("another paragraph is the cloud's to say (R14, R40)", changed.join("\n\n"), fixed),
        (
            "not with one character of the link changed (R15, R40)",
            draft.replace(uri, &altered(uri)),
            wrong("LINK_CHANGED", link_rule),
        ),
        ("not without the link (R15, R40)", draft.replace(uri, "(the link)"), wrong("LINK_MISSING", link_rule)),
    ] {
        let call = (CHECK, json!({ "name": name, "locale": "en", "text": body }));
        stage.step(title, &cast.agent, call, expected).await?;
    }
    Ok(())
}

/// The same text with another last character but one, which no encoding ignores.
pub(super) fn altered(uri: &str) -> String {
    let mut characters: Vec<char> = uri.chars().collect();
    let place = characters.len().saturating_sub(2);
    if let Some(character) = characters.get_mut(place) {
        *character = if *character == 'A' { 'B' } else { 'A' };
    }
    characters.into_iter().collect()
}

/// The browser of the customer follows the link (R20, R49-R52).
async fn redirect(stage: &mut Stage, cast: &Cast, link: &Value) -> Result<(), Failure> {
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Failure::Other(format!("no HTTP client: {error}")))?;
    let portal = text(&cast.policy, "/acceptancePortal/uriTemplate");
    let location = portal.replace("{token}", text(link, "/token"));
    let uri = text(link, "/uri").to_owned();
    let unknown = format!("{}/i/nowhere.AAAA", cast.gateway.uri());
    for (title, uri, expected) in [
        (
            "the link leads a browser to the portal of this cloud (R52)",
            uri,
            answered().is("/status", 302).is("/location", location),
        ),
        ("a link of no cloud leads nowhere", unknown, answered().is("/status", 404)),
    ] {
        let response = browser.get(&uri).send().await;
        let outcome = match response {
            Ok(response) => {
                let location = response.headers().get("location");
                let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
                Ok(json!({ "status": response.status().as_u16(), "location": location }))
            }
            Err(error) => Err(Refusal {
                code: "HTTP",
                reason: String::new(),
                rule: String::new(),
                remedy: error.without_url().to_string(),
                conditions: Vec::new(),
                trace: String::new(),
            }),
        };
        stage.report(title, &format!("a browser gets {uri}"), &outcome, &expected)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::altered;

    #[test]
    fn an_altered_link_differs_in_one_character() {
        assert_eq!(altered("http://x/i/public.abcd"), "http://x/i/public.abAd");
        assert_eq!(altered("xAy"), "xBy");
        assert_eq!(altered(""), "");
    }
}
