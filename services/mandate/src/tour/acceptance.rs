//! The customer looks, and a global administrator accepts: with every condition checked and told at once (R21, R25, R35, R43,
//! R44).

use serde_json::{Value, json};

use super::cast::Cast;
use super::stage::{Stage, answered, refused};
use super::texts::altered;
use crate::contract::{list, text};
use crate::failure::Failure;

const ACCEPT: &str = "InvitationService/AcceptInvitation";
const RESOLVE: &str = "InvitationService/ResolveInvitation";
const GET: &str = "InvitationService/GetInvitationLink";
/// Beyond any clock that could be wrong.
const FUTURE: &str = "2999-01-01T00:00:00Z";

/// A request to accept, with the agreement where one is due.
pub(super) fn request(cast: &Cast, token: &str, which: &str) -> Value {
    let mut request = json!({
        "token": token,
        "customer": cast.customer(which),
        "requestId": cast.request_id(),
    });
    if let Some(consent) = cast.consent() {
        request["agreement"] = consent;
    }
    request
}

/// Resolves and accepts.
pub(super) async fn play(stage: &mut Stage, cast: &Cast, link: &Value) -> Result<(), Failure> {
    let token = text(link, "/token");
    looks(stage, cast, token).await?;
    refusals(stage, cast, token).await?;
    accepts(stage, cast, token).await?;
    lists(stage, cast).await?;
    others(stage, cast).await
}

async fn looks(stage: &mut Stage, cast: &Cast, token: &str) -> Result<(), Failure> {
    let request = json!({ "token": token, "customer": cast.customer("first") });
    let is_due = cast.consent().is_some();
    let expected = answered()
        .is("/partner/name", cast.partner("partner"))
        .is("/partner/verifiedDomain", "partner.tour.example")
        .is("/kind", "INVITATION_KIND_RESELLER_WITH_DELEGATION")
        .count("/services", cast.services.len())
        .count("/obstacles", 0)
        .is("/existingRelationship", "")
        .is("/portalTitle", text(&cast.policy, "/acceptancePortal/title"))
        .holds("/portalUri", token)
        .that("an agreement exactly where one is due (R43)", move |answer| answer["agreement"].is_object() == is_due);
    let title = "any user of the customer sees who asks for what (R21)";
    stage.step(title, &cast.clerk, (RESOLVE, request), expected).await?;

    let request = json!({ "token": altered(token), "customer": cast.customer("first") });
    let expected = refused("LINK_TAMPERED", "R15");
    let title = "an altered link is refused (R15)";
    stage.step(title, &cast.clerk, (RESOLVE, request), expected).await?;
    let request = json!({ "token": token, "customer": cast.customer("second") });
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    let title = "nobody looks for another customer (I12)";
    stage.step(title, &cast.clerk, (RESOLVE, request), expected).await?;
    Ok(())
}

async fn refusals(stage: &mut Stage, cast: &Cast, token: &str) -> Result<(), Failure> {
    let whole = request(cast, token, "first");
    let expected = refused("ACCEPTOR_ROLE_REQUIRED", "R44");
    let title = "who is no global administrator cannot accept (R44)";
    stage.step(title, &cast.clerk, (ACCEPT, whole.clone()), expected).await?;
    if cast.consent().is_some() {
        let mut bare = whole.clone();
        bare["agreement"] = Value::Null;
        let expected = refused("AGREEMENT_REQUIRED", "R43");
        let title = "the agreement is asked for at acceptance (R43)";
        stage.step(title, &cast.admin, (ACCEPT, bare), expected).await?;
        let mut early = whole.clone();
        early["agreement"]["acceptTime"] = json!(FUTURE);
        let expected = refused("AGREEMENT_DATE_IN_FUTURE", "N33");
        let title = "and cannot be dated in the future (N33)";
        stage.step(title, &cast.admin, (ACCEPT, early), expected).await?;
    }
    let mut only = whole;
    only["validateOnly"] = json!(true);
    let expected = answered().is("/relationship/partner", cast.partner("partner"));
    let title = "asked first, nothing stands in the way";
    stage.step(title, &cast.admin, (ACCEPT, only), expected).await?;
    let call = ("RelationshipService/ListPartnerCustomers", json!({ "parent": cast.partner("partner") }));
    let expected = answered().count("/partnerCustomers", 0);
    let title = "and until now nothing has changed (R21, R25)";
    stage.step(title, &cast.agent, call, expected).await?;
    Ok(())
}

async fn accepts(stage: &mut Stage, cast: &Cast, token: &str) -> Result<(), Failure> {
    let whole = request(cast, token, "first");
    let services = cast.services.len();
    let is_due = cast.consent().is_some();
    let expected = answered()
        .is("/relationship/partner", cast.partner("partner"))
        .is("/relationship/state", "RELATIONSHIP_STATE_ACTIVE")
        .is("/relationship/acceptor", format!("{}/users/tour-admin", cast.customer("first")))
        .count("/delegations", services)
        .that("the agreement taken exactly where due (R43)", move |answer| {
            answer["agreementAcceptance"].is_object() == is_due
        })
        .that("what binds the partner (R29, R30, R47)", |answer| !list(answer, "/relationship/obligations").is_empty());
    let title = "the global administrator accepts (R44)";
    let first = stage.step(title, &cast.admin, (ACCEPT, whole.clone()), expected).await?;

    let name = text(&first, "/relationship/name").to_owned();
    let expected = answered().is("/relationship/name", name.clone()).count("/delegations", services);
    let title = "the same request sent again gets the same answer";
    stage.step(title, &cast.admin, (ACCEPT, whole.clone()), expected).await?;

    let mut other = whole;
    let (nobody, customer) = (cast.request_id(), cast.customer("first"));
    other["replace"] = json!([format!("{customer}/relationships/{nobody}/delegations/{nobody}")]);
    let expected = refused("REQUEST_ID_REUSED", "");
    let title = "its id is for no other request";
    stage.step(title, &cast.admin, (ACCEPT, other), expected).await?;

    let again = json!({
        "token": token,
        "customer": cast.customer("first"),
        "requestId": cast.request_id(),
    });
    let expected = answered()
        .is("/relationship/name", name)
        .that("no agreement", |answer| !answer["agreementAcceptance"].is_object());
    let title = "accepted again, the relationship is the same and no agreement is asked for (R43)";
    stage.step(title, &cast.admin, (ACCEPT, again), expected).await?;

    let call = (ACCEPT, request(cast, token, "second"));
    let expected = answered().is("/relationship/state", "RELATIONSHIP_STATE_ACTIVE");
    let title = "another customer accepts through the same link (R18)";
    stage.step(title, &cast.second, call, expected).await?;
    Ok(())
}

/// What both sides then see (R22, R23, R25).
async fn lists(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let partner = cast.partner("partner");
    let method = "RelationshipService/ListPartnerCustomers";
    let call = (method, json!({ "parent": partner }));
    let expected = answered()
        .count("/partnerCustomers", 2)
        .is("/partnerCustomers/0/customer", cast.customer("first"))
        .is("/partnerCustomers/0/delegatedServices", json!(cast.services));
    let title = "both customers are in the partner's list (R25)";
    stage.step(title, &cast.agent, call, expected).await?;
    let call = (method, json!({ "parent": partner, "pageSize": 1 }));
    let expected =
        answered().count("/partnerCustomers", 1).that("a next page", |page| !text(page, "/nextPageToken").is_empty());
    stage.step("which comes in pages", &cast.agent, call, expected).await?;
    let call = (method, json!({ "parent": partner }));
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    stage.step("and is nobody else's to see (I12)", &cast.rival, call, expected).await?;

    let id = cast.customer("first");
    let name = format!("{partner}/{id}");
    let call = ("RelationshipService/GetPartnerCustomer", json!({ "name": name }));
    let expected = answered().is("/displayName", "Tessera Ceramics");
    stage.step("the partner's record of the customer (R45)", &cast.agent, call, expected).await?;

    let customer = cast.customer("first");
    let call = ("RelationshipService/ListRelationships", json!({ "parent": customer }));
    let expected = answered().count("/relationships", 1).is("/relationships/0/partnerDisplayName", "Alpenglow IT");
    let title = "the customer sees all its partners (R22)";
    stage.step(title, &cast.clerk, call, expected).await?;
    let page = json!({
        "parent": format!("{customer}/relationships/-"),
        "filter": "state = ACTIVE",
    });
    let call = ("DelegationService/ListDelegations", page);
    let expected =
        answered().count("/delegations", cast.services.len()).is("/delegations/0/partnerDisplayName", "Alpenglow IT");
    let title = "and for each service who administers it (R23)";
    stage.step(title, &cast.clerk, call, expected).await?;
    let status = format!("{customer}/agreementStatus");
    let call = ("AgreementService/GetAgreementStatus", json!({ "name": status }));
    let expected = answered().is("/satisfied", true);
    stage.step("no agreement is missing (R43)", &cast.clerk, call, expected).await?;
    Ok(())
}

/// Partners that no customer of this cloud can accept.
async fn others(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let name = cast.link("unsigned", &cast.services);
    let title = "a partner without contract has a link, too";
    let call = (GET, json!({ "name": name }));
    let link = stage.step(title, &cast.unsigned, call, answered()).await?;
    let call = (ACCEPT, request(cast, text(&link, "/token"), "second"));
    let expected = refused("PARTNER_CONTRACT_REQUIRED", "");
    let title = "but nobody can accept it (R30, R47)";
    stage.step(title, &cast.second, call, expected).await?;

    let name = cast.link("abroad", &cast.services);
    let title = "so has a partner from abroad";
    let call = (GET, json!({ "name": name }));
    let link = stage.step(title, &cast.stranger, call, answered()).await?;
    let token = text(&link, "/token");
    let (home, abroad, rule) = &cast.countries;
    let call = (ACCEPT, request(cast, token, "second"));
    let title = format!("a partner of {abroad} cannot have a customer of {home} (R35)");
    let expected = refused("MARKET_MISMATCH", rule);
    stage.step(&title, &cast.second, call, expected).await?;
    if cast.consent().is_some() {
        let bare = json!({ "token": token, "customer": cast.customer("third") });
        let expected = refused("MARKET_MISMATCH", rule).also("AGREEMENT_REQUIRED");
        let title = "everything that stands in the way is told at once";
        stage.step(title, &cast.third, (ACCEPT, bare), expected).await?;
    }
    let call = (RESOLVE, json!({ "token": token, "customer": cast.customer("third") }));
    let expected = answered().is("/obstacles/0/reason", "MARKET_MISMATCH");
    let title = "and before anybody tries";
    stage.step(title, &cast.third, call, expected).await?;
    Ok(())
}
