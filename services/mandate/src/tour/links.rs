//! The partner gets its link: stable, customer-free, and only what the cloud lets it ask for (R16-R18, R33-R37).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::cast::Cast;
use super::rules;
use super::stage::{Stage, answered, refused};
use crate::contract::text;
use crate::failure::Failure;

const GET: &str = "InvitationService/GetInvitationLink";

/// Asks for links. Returns the one that asks for admin privileges.
pub(super) async fn play(stage: &mut Stage, cast: &Cast) -> Result<Value, Failure> {
    let name = cast.link("partner", &cast.services);
    let request = json!({ "name": name });
    let first = format!("{}/i/{}.", cast.gateway.uri(), cast.cloud);
    let expected = answered()
        .is("/name", name.clone())
        .is("/kind", "INVITATION_KIND_RESELLER_WITH_DELEGATION")
        .is("/services", json!(cast.services))
        .is("/state", "INVITATION_LINK_STATE_ACTIVE")
        .holds("/uri", &format!("/i/{}.", cast.cloud));
    let title = "the agent asks for the link with admin privileges (R36)";
    let link = stage.step(title, &cast.agent, (GET, request.clone()), expected).await?;

    let uri = text(&link, "/uri").to_owned();
    let hidden = cast.customer("first").trim_start_matches("customers/").to_owned();
    let expected = answered()
        .is("/uri", uri)
        .that(format!("a link below {first}"), move |link| text(link, "/uri").starts_with(&first))
        .that("no customer in it", move |link| is_customer_free(text(link, "/token"), &hidden));
    let title = "asked again, it is the same, and no customer stands in it (R16-R18)";
    stage.step(title, &cast.agent, (GET, request.clone()), expected).await?;

    let call = ("InvitationService/ListInvitationLinks", json!({ "parent": cast.partner("partner") }));
    let expected = answered().is("/invitationLinks/0/name", name);
    stage.step("it is in the list of the partner's links", &cast.agent, call, expected).await?;
    without_delegation(stage, cast).await?;
    refusals(stage, cast, &request).await?;
    Ok(link)
}

fn is_customer_free(token: &str, customer: &str) -> bool {
    let payload = token.split_once('.').map(|(_, payload)| payload).unwrap_or_default();
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(payload) else {
        return false;
    };
    !bytes.windows(customer.len()).any(|part| part == customer.as_bytes())
}

async fn without_delegation(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let name = cast.link("partner", &[]);
    let rule = rules::mandatory_rule(cast);
    let (title, expected) = if rule.is_empty() {
        let expected = answered().is("/kind", "INVITATION_KIND_RESELLER").count("/services", 0);
        ("here a link without admin privileges can be had (R37)".to_owned(), expected)
    } else {
        let title = format!("here a link without admin privileges is refused ({rule})");
        (title, refused("DELEGATION_MANDATORY_IN_CLOUD", rule))
    };
    stage.step(&title, &cast.agent, (GET, json!({ "name": name })), expected).await?;
    Ok(())
}

async fn refusals(stage: &mut Stage, cast: &Cast, request: &Value) -> Result<(), Failure> {
    let expected = match cast.permits("invitation_links.request_delegation", "sales_agent") {
        true => answered(),
        false => refused("REQUESTER_ROLE_REQUIRED", "N61"),
    };
    let title = "whether a sales agent may ask for admin privileges is the cloud's to say (N62)";
    stage.step(title, &cast.seller, (GET, request.clone()), expected).await?;
    let expected = refused("REQUESTER_ROLE_REQUIRED", "N61");
    let title = "a helpdesk agent may not ask for links (N63)";
    stage.step(title, &cast.helper, (GET, request.clone()), expected).await?;
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    let title = "another partner sees nothing of it (I12)";
    stage.step(title, &cast.rival, (GET, request.clone()), expected).await?;
    let expected = refused("PRINCIPAL_KIND_NOT_ALLOWED", "");
    let title = "links are not for customers";
    stage.step(title, &cast.admin, (GET, request.clone()), expected).await?;
    let name = format!("{}/invitationLinks/reseller.no-such-service", cast.partner("partner"));
    let expected = refused("SERVICE_UNKNOWN", "");
    let title = "a service that the cloud does not have is refused";
    stage.step(title, &cast.agent, (GET, json!({ "name": name })), expected).await?;
    Ok(())
}
