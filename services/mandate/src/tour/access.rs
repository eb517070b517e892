//! What the partner may do, by the table of decisions (D6): every row, as original reseller and as holder of admin privileges
//! only (R5-R11, R26, R31, R32, R45, R48, N50).

use serde_json::{Value, json};

use super::cast::Cast;
use super::rules;
use super::stage::{Expected, Player, Stage, answered, refused};
use crate::contract::{list, text};
use crate::failure::Failure;

const CHECK: &str = "AccessService/CheckAccess";

/// The actions that only the original reseller of a subscription may do, with their rules.
const ORIGINAL_RESELLER_ONLY: [(&str, &str); 6] = [
    ("RECEIVE_INVOICE", "R6"),
    ("REMOVE_SEATS", "R7"),
    ("ORDER_ADD_ON", "R8"),
    ("TRANSITION_SUBSCRIPTION", "R9"),
    ("MIGRATE_SUBSCRIPTION", "R10"),
    ("CHANGE_PARTNER_OF_RECORD", "R11"),
];

/// A question about the first customer. The target is a service, or a subscription called `subscriptions/{id}`.
pub(super) fn question(cast: &Cast, which: &str, action: &str, target: &str) -> Value {
    let customer = cast.customer("first");
    let mut question = json!({
        "partner": cast.partner(which),
        "customer": customer,
        "action": format!("ACTION_{action}"),
        "consistency": { "fullyConsistent": {} },
    });
    if target.starts_with("subscriptions/") {
        question["subscription"] = json!(format!("{customer}/{target}"));
    } else {
        question["service"] = json!(target);
    }
    question
}

/// Yes or no, by this rule, or by any when it is empty.
pub(super) fn verdict(allowed: bool, rule: &str) -> Expected {
    let expected = answered().is("/allowed", allowed).that("a grant exactly when allowed", |answer| {
        (answer["allowed"] == json!(true)) != text(answer, "/grant").is_empty()
    });
    if rule.is_empty() { expected } else { expected.is("/rule", rule) }
}

/// Asks.
pub(super) async fn play(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    for (action, rule) in ORIGINAL_RESELLER_ONLY {
        let sold = question(cast, "partner", action, "subscriptions/seats");
        let title = format!("{action} of a subscription it sold: yes ({rule})");
        stage.step(&title, &cast.checker, (CHECK, sold), verdict(true, rule)).await?;
        let other = question(cast, "partner", action, "subscriptions/elsewhere");
        let title = format!("{action} of one it did not sell, admin privileges or not: no ({rule})");
        stage.step(&title, &cast.checker, (CHECK, other), verdict(false, rule)).await?;
    }
    let support = rules::support_rule(cast);
    for (action, target, rule) in [
        ("PROVISION_SUBSCRIPTION", "office-365", "R26"),
        ("MANAGE_SUBSCRIPTION", "subscriptions/elsewhere", "R31"),
        ("MANAGE_SERVICE", "office-365", "R31"),
        ("MANAGE_USERS", "azure-ad", "R45"),
        ("MANAGE_LICENSES", "office-365", "R45"),
        ("OPEN_SUPPORT_REQUEST", "office-365", support),
        ("BE_SUPPORT_CONTACT", "subscriptions/elsewhere", "N50"),
    ] {
        let title = format!("{action} with admin privileges: yes {}", by(rule));
        let call = (CHECK, question(cast, "partner", action, target));
        stage.step(&title, &cast.checker, call, verdict(true, rule)).await?;
    }
    callers(stage, cast).await?;
    explains(stage, cast).await
}

/// A rule in brackets; nothing when it is not known.
pub(super) fn by(rule: &str) -> String {
    if rule.is_empty() { String::new() } else { format!("({rule})") }
}

async fn callers(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let ask = |which: &str| (CHECK, question(cast, which, "MANAGE_USERS", "azure-ad"));
    let own = verdict(true, "R45");
    stage.step("a partner may ask about itself", &cast.agent, ask("partner"), own).await?;
    let theirs = verdict(true, "R45");
    let title = "a customer about its partners";
    stage.step(title, &cast.clerk, ask("partner"), theirs).await?;
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    let title = "but no partner about another (I12)";
    stage.step(title, &cast.rival, ask("partner"), expected).await?;
    let title = "without a relationship every answer is no (R21)";
    stage.step(title, &cast.rival, ask("rival"), verdict(false, "R21")).await?;
    let mut nothing = ask("partner").1;
    nothing["action"] = json!("ACTION_UNSPECIFIED");
    let expected = refused("FIELD_INVALID", "");
    let title = "an unknown action is never answered by yes or no";
    stage.step(title, &cast.checker, (CHECK, nothing), expected).await?;
    let misfit = question(cast, "partner", "REMOVE_SEATS", "office-365");
    let expected = refused("FIELD_INVALID", "");
    let title = "nor one that does not fit its target";
    stage.step(title, &cast.checker, (CHECK, misfit), expected).await?;
    Ok(())
}

async fn explains(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let partner = cast.partner("partner");
    let call = ("AccessService/ExplainAccess", json!({ "customer": cast.customer("first"), "pageSize": 100 }));
    let expected = answered().that("every line of its one partner, each with its rule", {
        let partner = partner.clone();
        move |answer| {
            let lines = list(answer, "/explanations");
            lines.len() > 13
                && lines
                    .iter()
                    .all(|line| text(line, "/partner") == partner && !text(line, "/decision/rule").is_empty())
        }
    });
    let title = "the customer has explained who can do what in its tenant";
    let explained = stage.step(title, &cast.admin, call, expected).await?;
    let lines = list(&explained, "/explanations");
    let Some(line) = lines.iter().find(|line| text(line, "/action") == "ACTION_REMOVE_SEATS") else {
        return Ok(());
    };
    let request = json!({
        "partner": text(line, "/partner"),
        "customer": cast.customer("first"),
        "action": text(line, "/action"),
        "subscription": text(line, "/subscription"),
        "consistency": { "fullyConsistent": {} },
    });
    let expected =
        answered().is("/allowed", line["decision"]["allowed"].clone()).is("/rule", line["decision"]["rule"].clone());
    let title = "the check gives the same answer as the explanation";
    stage.step(title, &cast.admin, (CHECK, request), expected).await?;
    agent(stage, cast).await
}

async fn agent(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let method = "AccessService/ExplainAccess";
    let own = json!({ "customer": cast.customer("first"), "partner": cast.partner("partner") });
    let expected = answered().that("lines", |answer| !list(answer, "/explanations").is_empty());
    let title = "a partner has its own part explained";
    stage.step(title, &cast.agent, (method, own.clone()), expected).await?;
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    stage.step("and no other's (I12)", &cast.rival, (method, own), expected).await?;
    Ok(())
}

/// Sends one question.
pub(super) async fn ask(
    stage: &mut Stage,
    title: &str,
    who: &Player,
    question: Value,
    expected: Expected,
) -> Result<(), Failure> {
    stage.step(title, who, (CHECK, question), expected).await?;
    Ok(())
}
