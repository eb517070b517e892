//! Ending relationships, from either side.

use clap::Args;
use serde_json::{Value, json};

use super::Desk;
use crate::cli::Connection;
use crate::contract::{list, text};
use crate::failure::Failure;
use crate::screen;

/// What to end.
#[derive(Debug, Args)]
pub(crate) struct Terminate {
    /// The name of the relationship, as `mandate partners` shows it with `--output json`.
    relationship: String,
    /// When it shall end, such as 2030-01-31T00:00:00Z; now when left out.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,
    /// Check everything and change nothing.
    #[arg(long)]
    validate_only: bool,
    /// A UUID; a repeat of the request returns the first answer.
    #[arg(long, default_value = "")]
    request_id: String,
    #[command(flatten)]
    connection: Connection,
}

/// What to keep.
#[derive(Debug, Args)]
pub(crate) struct CancelTermination {
    /// The name of the relationship, as `mandate partners` shows it with `--output json`.
    relationship: String,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Blockers {
    /// The name of the relationship, as `mandate partners` shows it with `--output json`.
    relationship: String,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn terminate(task: Terminate) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({
        "name": task.relationship,
        "effectiveTime": task.at,
        "reason": task.reason,
        "validateOnly": task.validate_only,
        "requestId": task.request_id,
    });
    let relationship = desk.call("RelationshipService/RequestTermination", &request).await?;
    desk.show(&relationship, |relationship| {
        if task.validate_only {
            screen::line("nothing stands in the way")?;
        }
        told(relationship)
    })
}

pub(super) async fn cancel(task: CancelTermination) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({ "name": task.relationship, "reason": task.reason });
    let relationship = desk.call("RelationshipService/CancelTermination", &request).await?;
    desk.show(&relationship, told)
}

pub(super) async fn blockers(task: Blockers) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({ "name": task.relationship });
    let answer = desk.call("RelationshipService/ListTerminationBlockers", &request).await?;
    desk.show(&answer, |answer| table(list(answer, "/blockers")))
}

/// Where a relationship stands, and what still blocks its end.
fn told(relationship: &Value) -> Result<(), Failure> {
    let row = vec![
        screen::id(text(relationship, "/partner")).to_owned(),
        screen::word(text(relationship, "/state"), "RELATIONSHIP_STATE_"),
        screen::moment(text(relationship, "/termination/effectiveTime")),
        screen::moment(text(relationship, "/terminateTime")),
        text(relationship, "/name").to_owned(),
    ];
    screen::table(&["partner", "state", "ends", "ended", "relationship"], &[row], "")?;
    match list(relationship, "/termination/blockers") {
        [] => Ok(()),
        blockers => table(blockers),
    }
}

fn table(blockers: &[Value]) -> Result<(), Failure> {
    let rows = blockers.iter().map(|blocker| {
        let told = |field: &str| text(blocker, field).to_owned();
        vec![told("/resource"), told("/rule"), told("/description")]
    });
    let rows: Vec<_> = rows.collect();
    screen::table(&["in the way", "rule", "what to do"], &rows, "nothing stands in the way")
}
