//! What the cloud says of itself, and what it refuses to everybody.

use serde_json::json;

use super::cast::Cast;
use super::stage::{Stage, answered, refused};
use crate::contract::{list, text};
use crate::failure::Failure;

/// What a cloud is known to ask.
struct Known {
    cloud: &'static str,
    delegation_optional: bool,
    mandatory_rule: &'static str,
    edits: &'static str,
    agreement: bool,
    contract: &'static str,
    one_holder: bool,
    portal: &'static str,
    support_rule: &'static str,
}

const KNOWN: [Known; 4] = [
    Known {
        cloud: "public",
        delegation_optional: true,
        mandatory_rule: "",
        edits: "TEXT_EDIT_RULE_KEEP_LINK",
        agreement: true,
        contract: "microsoft-partner-agreement",
        one_holder: false,
        portal: "Microsoft 365 admin center",
        support_rule: "R48",
    },
    Known {
        cloud: "china",
        delegation_optional: false,
        mandatory_rule: "R5",
        edits: "TEXT_EDIT_RULE_FIRST_TWO_PARAGRAPHS",
        agreement: false,
        contract: "china-csp-reseller-agreement",
        one_holder: true,
        portal: "Office 365 admin center operated by 21Vianet",
        support_rule: "R29",
    },
    Known {
        cloud: "germany",
        delegation_optional: false,
        mandatory_rule: "R34",
        edits: "TEXT_EDIT_RULE_KEEP_LINK",
        agreement: true,
        contract: "microsoft-partner-agreement",
        one_holder: false,
        portal: "Microsoft Office admin portal",
        support_rule: "R48",
    },
    Known {
        cloud: "usgov",
        delegation_optional: false,
        mandatory_rule: "R33",
        edits: "TEXT_EDIT_RULE_KEEP_LINK",
        agreement: true,
        contract: "microsoft-partner-agreement",
        one_holder: false,
        portal: "Microsoft Office admin portal",
        support_rule: "R48",
    },
];

/// Asks the cloud for its rules.
pub(super) async fn play(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let name = format!("clouds/{}", cast.cloud);
    let expected = answered().that(format!("{name} with its issuer"), {
        let name = name.clone();
        move |answer| {
            let mut clouds = list(answer, "/clouds").iter();
            clouds.any(|cloud| text(cloud, "/name") == name && !text(cloud, "/issuer").is_empty())
        }
    });
    let call = ("CloudService/ListClouds", json!({}));
    stage.step("anybody may ask which clouds there are", &cast.nobody, call, expected).await?;

    let mut expected = answered();
    if let Some(known) = known(cast) {
        expected = expected
            .is("/delegationOptional", known.delegation_optional)
            .is("/delegationMandatoryRule", known.mandatory_rule)
            .is("/textEditRule", known.edits)
            .is("/partnerContract/id", known.contract)
            .is("/singleDelegatePerService", known.one_holder)
            .is("/acceptancePortal/title", known.portal)
            .that("an agreement exactly where one is due", |policy| {
                policy["requiredAgreement"].is_object() == known.agreement
            });
    }
    let call = ("CloudService/GetCloudPolicy", json!({ "name": format!("{name}/policy") }));
    stage.step("anybody may ask for the rules of the cloud", &cast.nobody, call, expected).await?;

    let call = ("CloudService/ListMarkets", json!({ "parent": name }));
    let expected = answered().count("/markets", 15);
    stage.step("and for its markets (R35)", &cast.nobody, call, expected).await?;
    Ok(())
}

fn known(cast: &Cast) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.cloud == cast.cloud)
}

/// The rule that says whether support survives the loss of admin privileges; empty where it is not known.
pub(super) fn support_rule(cast: &Cast) -> &'static str {
    known(cast).map_or("", |known| known.support_rule)
}

/// The rule that lets a service have one holder only; empty where it is not known.
pub(super) fn one_holder_rule(cast: &Cast) -> &'static str {
    known(cast).filter(|known| known.one_holder).map_or("", |_| "R24")
}

/// The rule by which the cloud refuses a relationship without admin privileges; empty where it does not.
pub(super) fn mandatory_rule(cast: &Cast) -> &str {
    text(&cast.policy, "/delegationMandatoryRule")
}

/// Calls without a credential, or to what only services may call.
pub(super) async fn strangers(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let partner = cast.partner("partner");
    let call = ("RelationshipService/ListPartnerCustomers", json!({ "parent": partner }));
    let expected = refused("TOKEN_REQUIRED", "");
    stage.step("without a token nothing is told", &cast.nobody, call, expected).await?;
    for (method, request) in [
        ("IngestService/IngestEvents", json!({})),
        ("EstablishmentService/Establish", json!({ "customer": cast.customer("first") })),
    ] {
        let expected = refused("METHOD_UNKNOWN", "");
        let title = "calls between services are hidden from everybody else";
        stage.step(title, &cast.operator, (method, request), expected).await?;
    }
    Ok(())
}
