//! What anybody may ask: which clouds there are, what their rules are; and what happened, for those it concerns.

use clap::Args;
use serde_json::{Value, json};

use super::Desk;
use crate::cli::Connection;
use crate::contract::{brief, list, text};
use crate::failure::Failure;
use crate::screen::{self, Output};

/// Which clouds there are.
#[derive(Debug, Args)]
pub(crate) struct Clouds {
    #[command(flatten)]
    connection: Connection,
}

/// Whose rules.
#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(flatten)]
    connection: Connection,
}

/// What to follow.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// `partners/{id}` or `customers/{id}`.
    feed: String,
    /// Show only events after this sequence; 0 shows all, -1 only those to come.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    after: i64,
    /// Stop after so many events.
    #[arg(long)]
    count: Option<usize>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn clouds(task: Clouds) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let answer = desk.call("CloudService/ListClouds", &json!({})).await?;
    desk.show(&answer, |answer| {
        let rows = list(answer, "/clouds").iter().map(|cloud| {
            vec![
                screen::id(text(cloud, "/name")).to_owned(),
                text(cloud, "/title").to_owned(),
                super::joined(cloud, "/hosts"),
                text(cloud, "/issuer").to_owned(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        screen::table(&["cloud", "title", "hosts", "issuer"], &rows, "no cloud")
    })
}

pub(super) async fn policy(task: Policy) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let name = format!("clouds/{}/policy", task.connection.cloud);
    let answer = desk.call("CloudService/GetCloudPolicy", &json!({ "name": name })).await?;
    desk.show(&answer, |policy| {
        let told = |pointer: &str| text(policy, pointer).to_owned();
        let yes = |key: &str| if policy[key] == json!(true) { "yes" } else { "no" };
        let agreement = match told("/requiredAgreement/title") {
            title if title.is_empty() => "none".to_owned(),
            title => title,
        };
        let without = match told("/delegationMandatoryRule") {
            rule if rule.is_empty() => "can be asked for".to_owned(),
            rule => format!("refused (rule {rule})"),
        };
        let countries = match super::joined(policy, "/countries") {
            countries if countries.is_empty() => "any that share a market".to_owned(),
            countries => countries,
        };
        let edits = screen::word(&told("/textEditRule"), "TEXT_EDIT_RULE_");
        let services = list(policy, "/services").iter();
        let services: Vec<&str> = services.map(|service| text(service, "/id")).collect();
        let transition = yes("transitionNeedsDelegation");
        let support = yes("supportOnBehalfAfterRemoval");
        for (what, how) in [
            ("customers accept in", told("/acceptancePortal/title").as_str()),
            ("relationship without admin privileges", &without),
            ("invitation text", &edits),
            ("agreement of customers", &agreement),
            ("contract of partners", &told("/partnerContract/title")),
            ("one holder per service", yes("singleDelegatePerService")),
            ("services", &services.join(" ")),
            ("countries", &countries),
            ("transition needs admin privileges", transition),
            ("support without admin privileges", support),
        ] {
            screen::line(format_args!("{what:<38} {how}"))?;
        }
        Ok(())
    })
}

pub(super) async fn watch(task: Watch) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({ "parent": task.feed, "afterSequence": task.after.to_string() });
    let mut answers = desk.session.stream("EventService/WatchEvents", &request).await?;
    let mut left = task.count.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(answer) = answers.next().await? else {
            return Ok(());
        };
        let Some(event) = answer.get("event").filter(|event| !event.is_null()) else {
            continue;
        };
        left -= 1;
        show(desk.output, event)?;
    }
    Ok(())
}

fn show(output: Output, event: &Value) -> Result<(), Failure> {
    match output {
        // One line per event, which is what programs that read along expect.
        Output::Json => screen::line(brief(event)),
        Output::Table => {
            let told = |pointer: &str| text(event, pointer).to_owned();
            let (sequence, kind) = (told("/sequence"), told("/type"));
            let (time, actor) = (screen::moment(&told("/eventTime")), told("/actor"));
            screen::line(format_args!("{sequence:>5}  {time}  {kind:<34} {actor}"))?;
            screen::line(format_args!("       {}", told("/resource")))?;
            match told("/reason") {
                reason if reason.is_empty() => Ok(()),
                reason => screen::line(format_args!("       because: {reason}")),
            }
        }
    }
}
