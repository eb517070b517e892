//! Measures the system against yardsticks on the same machine: accepts against pgbench, access checks against an empty call, the
//! gateway against a direct call, and a large system against a small one.
//!
//! `cargo xtask bench` runs it with release binaries; `docs/performance.md` says what is compared and why that is fair. It knows the
//! system from outside: its programs, their configuration and its calls. Only the seeds know tables, and the scripts for pgbench
//! are taken from what the server logs. It asserts no figure: machines differ.

mod accept;
mod caller;
mod check;
mod database;
mod growth;
mod load;
mod plan;
mod program;
mod report;
mod site;
mod statements;
mod suite;

use std::process::Command;

use anyhow::{Context as _, Result};
use clock::Clock;

pub use plan::Plan;
pub use report::Report;
use suite::Suite;

/// What can be measured, in this order.
pub const MEASUREMENTS: [&str; 3] = ["accept", "check", "growth"];

/// Measures what is named, and adds the results to the report.
///
/// # Errors
/// When a part of the system does not start, a call is refused or an answer is wrong.
pub async fn run(plan: Plan, what: &[&str], report: &mut Report) -> Result<()> {
    let start = Clock::system().now();
    let mut suite = Suite::start(plan).await.context("the system does not start")?;
    let plan = &suite.plan;
    report.say(&format!(
        "Plan `{}`: {} rounds, windows of {} s, medians. {} processors, PostgreSQL {}, commit {}, {} build.",
        plan.name,
        plan.rounds,
        plan.window.as_secs_f64(),
        std::thread::available_parallelism()?,
        suite.site.postgres.version()?,
        commit(),
        if cfg!(debug_assertions) { "debug" } else { "release" },
    ));
    if what.contains(&"accept") {
        accept::measure(&mut suite, report).await.context("accept")?;
    }
    if what.contains(&"check") {
        check::measure(&suite, report).await.context("check")?;
    }
    if what.contains(&"growth") {
        growth::measure(&mut suite, report).await.context("growth")?;
    }
    let seconds = Clock::system().now().seconds() - start.seconds();
    report.say(&format!("Measured in {} min {} s.", seconds / 60, seconds % 60));
    Ok(())
}

/// Which code was measured; with the word `changed` when it is not what was committed.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let is_clean = git(&["diff", "--quiet", "HEAD"]).is_some();
    if is_clean { commit } else { format!("{commit}, changed") }
}
