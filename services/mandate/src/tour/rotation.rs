//! The partner replaces its link: all earlier ones are refused from then on, and the new one is live.

use serde_json::{Value, json};

use super::acceptance;
use super::cast::Cast;
use super::stage::{Stage, answered, refused};
use crate::contract::text;
use crate::failure::Failure;

const ACCEPT: &str = "InvitationService/AcceptInvitation";
const RESOLVE: &str = "InvitationService/ResolveInvitation";
const ROTATE: &str = "InvitationService/RotateInvitationLink";
const DISABLE: &str = "InvitationService/DisableInvitationLink";

/// Rotates and disables. Returns the token of the link, as it is now.
pub(super) async fn play(stage: &mut Stage, cast: &Cast, link: &Value) -> Result<String, Failure> {
    let (name, old) = (text(link, "/name"), text(link, "/token"));
    let request = |reason: &str| json!({ "name": name, "reason": reason, "requestId": cast.request_id() });
    let expected = refused("REQUESTER_ROLE_REQUIRED", "N61");
    let title = "a sales agent cannot end what others have sent (N62)";
    stage.step(title, &cast.seller, (ROTATE, request("")), expected).await?;
    let before = old.to_owned();
    let expected = answered()
        .is("/state", "INVITATION_LINK_STATE_ACTIVE")
        .that("another token", move |link| text(link, "/token") != before);
    let title = "the agent replaces the link";
    let call = (ROTATE, request("an old mail went astray"));
    let rotated = stage.step(title, &cast.agent, call, expected).await?;
    let token = text(&rotated, "/token").to_owned();

    let look = |token: &str| json!({ "token": token, "customer": cast.customer("third") });
    let expected = answered().is("/obstacles/0/reason", "LINK_DISABLED");
    let title = "who follows the old one is told";
    stage.step(title, &cast.third, (RESOLVE, look(old)), expected).await?;
    let expected = refused("LINK_DISABLED", "");
    let title = "and cannot accept";
    let call = (ACCEPT, acceptance::request(cast, old, "third"));
    stage.step(title, &cast.third, call, expected).await?;
    let mut asked = acceptance::request(cast, &token, "third");
    asked["validateOnly"] = json!(true);
    let expected = answered().is("/relationship/partner", cast.partner("partner"));
    stage.step("the new one is live", &cast.third, (ACCEPT, asked), expected).await?;
    disable(stage, cast, (name, &token), request("")).await?;

    let call = (ROTATE, request("live again"));
    let expected = answered().is("/state", "INVITATION_LINK_STATE_ACTIVE");
    let title = "rotated once more, it is live again";
    let live = stage.step(title, &cast.agent, call, expected).await?;
    Ok(text(&live, "/token").to_owned())
}

async fn disable(stage: &mut Stage, cast: &Cast, (name, token): (&str, &str), request: Value) -> Result<(), Failure> {
    let expected = answered().is("/state", "INVITATION_LINK_STATE_DISABLED");
    let title = "the agent disables the link";
    stage.step(title, &cast.agent, (DISABLE, request), expected).await?;
    let call = ("InvitationService/RenderInvitationText", json!({ "name": name, "locale": "en" }));
    let expected = refused("LINK_DISABLED", "");
    stage.step("and drafts no more mails with it", &cast.agent, call, expected).await?;
    let call = (ACCEPT, acceptance::request(cast, token, "third"));
    let expected = refused("LINK_DISABLED", "");
    stage.step("nobody can accept through it", &cast.third, call, expected).await?;
    Ok(())
}
