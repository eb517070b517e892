//! The customer takes admin privileges back, restores them, and hands them over: the relationship stays (R3, R4, R24, R27-R30,
//! R46, R47).

use serde_json::{Value, json};

use super::acceptance;
use super::access::{ask, by, question, verdict};
use super::cast::Cast;
use super::rules;
use super::stage::{Stage, answered, refused};
use crate::contract::{list, text};
use crate::failure::Failure;

const ACCEPT: &str = "InvitationService/AcceptInvitation";
const LIST: &str = "DelegationService/ListDelegations";
const REASSIGN: &str = "DelegationService/ReassignDelegation";
const REMOVE: &str = "DelegationService/RemoveDelegation";

/// Removes, restores and reassigns.
pub(super) async fn play(stage: &mut Stage, cast: &Cast, link: &Value) -> Result<(), Failure> {
    let held = active(stage, cast, "office-365", "before the change, who holds office-365").await?;
    let name = text(&held, "/delegations/0/name").to_owned();
    remove(stage, cast, &held).await?;
    stays(stage, cast).await?;
    restore(stage, cast, link, &name).await?;
    second_partner(stage, cast).await?;
    reassign(stage, cast).await?;
    lab(stage, cast).await
}

async fn active(stage: &mut Stage, cast: &Cast, service: &str, title: &str) -> Result<Value, Failure> {
    let request = json!({
        "parent": format!("{}/relationships/-", cast.customer("first")),
        "filter": format!("service = {service:?} AND state = ACTIVE"),
    });
    let expected = answered().that("a holder", |answer| !list(answer, "/delegations").is_empty());
    stage.step(title, &cast.admin, (LIST, request), expected).await
}

async fn remove(stage: &mut Stage, cast: &Cast, held: &Value) -> Result<(), Failure> {
    let name = text(held, "/delegations/0/name");
    let request = json!({
        "name": name,
        "etag": text(held, "/delegations/0/etag"),
        "reason": "we look after it ourselves",
        "requestId": cast.request_id(),
    });
    let expected = refused("ACCEPTOR_ROLE_REQUIRED", "R27");
    let title = "who is no global administrator takes nothing away (R27)";
    stage.step(title, &cast.clerk, (REMOVE, request.clone()), expected).await?;
    let mut stale = request.clone();
    stale["etag"] = json!("W/\"of another time\"");
    stale["requestId"] = json!(cast.request_id());
    let expected = refused("ETAG_MISMATCH", "");
    let title = "who decides over an old state is told so";
    stage.step(title, &cast.admin, (REMOVE, stale), expected).await?;
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    let title = "another customer touches nothing here (I12)";
    stage.step(title, &cast.second, (REMOVE, request.clone()), expected).await?;

    let expected = answered()
        .is("/state", "DELEGATION_STATE_REMOVED_BY_CUSTOMER")
        .is("/endReason", "we look after it ourselves")
        .is("/endedBy", format!("{}/users/tour-admin", cast.customer("first")));
    let title = "the customer takes the privileges back, and asks nobody (R27)";
    let call = (REMOVE, request);
    let (_, token) = stage.step_with_token(title, &cast.admin, call, expected).await?;

    let mut denied = question(cast, "partner", "MANAGE_LICENSES", "office-365");
    denied["consistency"] = json!({ "atLeastAsFresh": token });
    let title = "with the token of the removal, the check says no (N16)";
    ask(stage, title, &cast.checker, denied, verdict(false, "N16")).await?;
    let again = json!({ "name": name, "requestId": cast.request_id() });
    let expected = refused("DELEGATION_NOT_ACTIVE", "");
    stage.step("what has ended cannot end again (I11)", &cast.admin, (REMOVE, again), expected).await?;
    Ok(())
}

/// What the removal has not touched (R28-R30, R47).
async fn stays(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let call = ("RelationshipService/ListRelationships", json!({ "parent": cast.customer("first") }));
    let expected = answered()
        .is("/relationships/0/state", "RELATIONSHIP_STATE_ACTIVE")
        .that("the obligations of before (R29, R30, R47)", |answer| {
            !list(answer, "/relationships/0/obligations").is_empty()
        });
    let title = "the relationship stays, and what binds the partner (R28-R30)";
    stage.step(title, &cast.admin, call, expected).await?;
    let rule = rules::support_rule(cast);
    let allowed = cast.policy["supportOnBehalfAfterRemoval"] == json!(true);
    let support = question(cast, "partner", "OPEN_SUPPORT_REQUEST", "office-365");
    let title = format!("whether support is still the partner's to give is the cloud's to say {}", by(rule));
    ask(stage, &title, &cast.checker, support, verdict(allowed, rule)).await?;
    let invoice = question(cast, "partner", "RECEIVE_INVOICE", "subscriptions/seats");
    let title = "and the invoice still the original reseller's (R6)";
    ask(stage, title, &cast.checker, invoice, verdict(true, "R6")).await?;
    Ok(())
}

async fn restore(stage: &mut Stage, cast: &Cast, link: &Value, removed: &str) -> Result<(), Failure> {
    let request = acceptance::request(cast, text(link, "/token"), "first");
    let removed = removed.to_owned();
    let expected = answered().count("/delegations", cast.services.len()).that(
        "a new delegation in place of the removed one",
        move |answer| {
            list(answer, "/delegations").iter().all(|delegation| {
                text(delegation, "/name") != removed && text(delegation, "/state") == "DELEGATION_STATE_ACTIVE"
            })
        },
    );
    let title = "the same link restores them (R3, R4)";
    stage.step(title, &cast.admin, (ACCEPT, request), expected).await?;
    let allowed = question(cast, "partner", "MANAGE_LICENSES", "office-365");
    ask(stage, "and the check says yes again", &cast.checker, allowed, verdict(true, "R45")).await
}

/// A second partner asks for one service: where one may hold it, the customer must say whose it replaces (R24).
async fn second_partner(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let name = cast.link("rival", &["azure-ad".to_owned()]);
    let call = ("InvitationService/GetInvitationLink", json!({ "name": name }));
    let title = "a second partner asks for azure-ad (R2)";
    let link = stage.step(title, &cast.rival, call, answered()).await?;
    let mut request = acceptance::request(cast, text(&link, "/token"), "first");
    if cast.is_exclusive() {
        let expected = refused("SERVICE_ALREADY_DELEGATED", rules::one_holder_rule(cast));
        let title = "here a service has one holder: refused (R24)";
        stage.step(title, &cast.admin, (ACCEPT, request.clone()), expected).await?;
        let held = active(stage, cast, "azure-ad", "which the customer can look up").await?;
        request["replace"] = json!([text(&held, "/delegations/0/name")]);
        request["requestId"] = json!(cast.request_id());
    }
    let ended = usize::from(cast.is_exclusive());
    let expected = answered()
        .is("/relationship/partner", cast.partner("rival"))
        .count("/delegations", 1)
        .count("/replaced", ended);
    let title = match cast.is_exclusive() {
        true => "and names what it replaces: handed over in one step (R24)",
        false => "here both may hold it side by side (R2)",
    };
    stage.step(title, &cast.admin, (ACCEPT, request), expected).await?;
    let held = if cast.is_exclusive() { 1 } else { 2 };
    let filter = json!({
        "parent": format!("{}/relationships/-", cast.customer("first")),
        "filter": "service = \"azure-ad\" AND state = ACTIVE",
    });
    let expected = answered().count("/delegations", held);
    let title = format!("so azure-ad has {held} of them");
    stage.step(&title, &cast.admin, (LIST, filter), expected).await?;
    Ok(())
}

async fn reassign(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let held = active(stage, cast, "office-365", "office-365 is to change hands").await?;
    let name = text(&held, "/delegations/0/name");
    let request = |to: String| json!({ "name": name, "toPartner": to, "requestId": cast.request_id() });
    let expected = refused("RELATIONSHIP_REQUIRED", "");
    let title = "not to a partner without a relationship";
    let call = (REASSIGN, request(cast.partner("unsigned")));
    stage.step(title, &cast.admin, call, expected).await?;
    let expected = refused("ACCEPTOR_ROLE_REQUIRED", "R46");
    let title = "nor by who is no global administrator (R46)";
    let call = (REASSIGN, request(cast.partner("rival")));
    stage.step(title, &cast.clerk, call, expected).await?;
    let expected = answered()
        .is("/ended/state", "DELEGATION_STATE_REASSIGNED")
        .is("/ended/partner", cast.partner("partner"))
        .is("/granted/state", "DELEGATION_STATE_ACTIVE")
        .is("/granted/partner", cast.partner("rival"));
    let title = "the customer hands it over, in one step (R46)";
    let call = (REASSIGN, request(cast.partner("rival")));
    stage.step(title, &cast.admin, call, expected).await?;

    let filter = json!({
        "parent": format!("{}/relationships/-", cast.customer("first")),
        "filter": "service = \"office-365\" AND state = ACTIVE",
    });
    let expected = answered().count("/delegations", 1).is("/delegations/0/partner", cast.partner("rival"));
    stage.step("it has one holder now, the other", &cast.admin, (LIST, filter), expected).await?;
    let before = question(cast, "partner", "MANAGE_LICENSES", "office-365");
    let title = "the one before manages no more (N16)";
    ask(stage, title, &cast.agent, before, verdict(false, "N16")).await?;
    let after = question(cast, "rival", "MANAGE_LICENSES", "office-365");
    ask(stage, "the one after does (R45)", &cast.rival, after, verdict(true, "R45")).await?;
    let seats = question(cast, "rival", "REMOVE_SEATS", "subscriptions/seats");
    let title = "and has no part in what the other sold (R5, R7)";
    ask(stage, title, &cast.rival, seats, verdict(false, "R7")).await
}

/// Who provisioned an Azure subscription manages it without any delegation (R32).
async fn lab(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    if !cast.has_service("azure") {
        return Ok(());
    }
    let own = question(cast, "rival", "MANAGE_SUBSCRIPTION", "subscriptions/lab");
    let title = "who provisioned an Azure subscription manages it without admin privileges (R32)";
    ask(stage, title, &cast.rival, own, verdict(true, "R32")).await?;
    let other = question(cast, "partner", "MANAGE_SUBSCRIPTION", "subscriptions/lab");
    ask(stage, "nobody else does (N16)", &cast.agent, other, verdict(false, "N16")).await
}
