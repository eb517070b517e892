//! Builds the system and the harness that breaks it, and runs that.

use anyhow::{Result, bail};

use crate::process::{cargo, succeed};
use crate::tools;

/// Passes the arguments on.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--bins"]);
    for package in ["chaos", "gateway", "invitation", "notification", "relationship"] {
        build.args(["--package", package]);
    }
    succeed(&mut build)?;
    let mut harness = cargo();
    harness.args(["run", "--quiet", "--package", "chaos", "--"]).args(arguments);
    harness.env(postgres::PROGRAMS_VARIABLE, tools::postgres::find()?);
    // It has said what broke, on its own output.
    if !harness.status()?.success() {
        bail!("promises were broken, or could not be checked");
    }
    Ok(())
}
