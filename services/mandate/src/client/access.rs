//! The question asked on every later call, and all its answers at once.

use clap::Args;
use serde_json::json;

use super::{Desk, qualified};
use crate::cli::Connection;
use crate::contract::{list, text};
use crate::failure::Failure;
use crate::screen;

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// What the partner wants to do: `manage-users`, `receive-invoice`, …
    action: String,
    /// The id of the partner; the caller's own when left out.
    #[arg(long)]
    partner: Option<String>,
    /// The id of the customer; the caller's own when left out.
    #[arg(long)]
    customer: Option<String>,
    /// On which service.
    #[arg(long, conflicts_with = "subscription", required_unless_present = "subscription")]
    service: Option<String>,
    /// On which subscription of the customer.
    #[arg(long)]
    subscription: Option<String>,
    /// See at least the change that returned this consistency token.
    #[arg(long, value_name = "TOKEN", conflicts_with = "fresh")]
    after: Option<String>,
    /// See every change acknowledged before now.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The id of the customer; the caller's own when left out.
    customer: Option<String>,
    /// One partner only.
    #[arg(long)]
    partner: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn check(task: Check) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let customer = desk.tenant("customers", task.customer.as_deref())?;
    let action = task.action.to_uppercase().replace('-', "_");
    let mut request = json!({
        "partner": desk.tenant("partners", task.partner.as_deref())?,
        "customer": customer,
        "action": format!("ACTION_{}", action.trim_start_matches("ACTION_")),
    });
    if let Some(service) = &task.service {
        request["service"] = json!(service);
    }
    if let Some(subscription) = &task.subscription {
        let collection = format!("{customer}/subscriptions");
        request["subscription"] = json!(qualified(&collection, subscription));
    }
    if task.fresh {
        request["consistency"] = json!({ "fullyConsistent": {} });
    } else if let Some(token) = &task.after {
        request["consistency"] = json!({ "atLeastAsFresh": token });
    }
    let answer = desk.call("AccessService/CheckAccess", &request).await?;
    let is_allowed = answer["allowed"] == json!(true);
    desk.show(&answer, |answer| {
        let verdict = if is_allowed { "yes" } else { "no" };
        let told = |field: &str| text(answer, field).to_owned();
        let (rule, explanation) = (told("/rule"), told("/explanation"));
        screen::line(format_args!("{verdict} (rule {rule}): {explanation}"))?;
        match text(answer, "/grant") {
            "" => Ok(()),
            grant => screen::line(format_args!("  granted by {grant}")),
        }
    })?;
    if is_allowed { Ok(()) } else { Err(Failure::Denied) }
}

pub(super) async fn explain(task: Explain) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let mut request = json!({
        "customer": desk.tenant("customers", task.customer.as_deref())?,
        "pageSize": 100,
    });
    if let Some(partner) = &task.partner {
        request["partner"] = json!(qualified("partners", partner));
    }
    let method = "AccessService/ExplainAccess";
    let answer = desk.pages(method, &request, "explanations").await?;
    desk.show(&answer, |answer| {
        let rows = list(answer, "/explanations").iter().map(|line| {
            let is_allowed = line["decision"]["allowed"] == json!(true);
            let target = match text(line, "/subscription") {
                "" => text(line, "/service").to_owned(),
                subscription => format!("subscription {}", screen::id(subscription)),
            };
            vec![
                text(line, "/partnerDisplayName").to_owned(),
                screen::word(text(line, "/action"), "ACTION_"),
                target,
                if is_allowed { "yes" } else { "no" }.to_owned(),
                text(line, "/decision/rule").to_owned(),
                text(line, "/decision/explanation").to_owned(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let heading = ["partner", "action", "on", "may", "rule", "because"];
        screen::table(&heading, &rows, "no partner has a relationship with this customer")
    })
}
