//! Everything that can be said about the checkout without running it.

use crate::process::{cargo, command, succeed};
use crate::steps::Steps;
use crate::tools;

/// Runs every check, whichever of them fails.
pub(crate) fn run(steps: &mut Steps) {
    steps.run("fmt", || {
        tools::require_component("rustfmt", "cargo-fmt")?;
        succeed(cargo().args(["fmt", "--all", "--check"]))
    });
    steps.run("clippy", || {
        tools::require_component("clippy", "cargo-clippy")?;
        succeed(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.run("doc", || {
        let mut doc = cargo();
        doc.args(["doc", "--workspace", "--no-deps"]);
        succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    steps.run("deny", || {
        let deny = tools::cargo_deny()?;
        succeed(command(deny).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
    });
    steps.run("buf lint", || succeed(tools::buf()?.args(["lint", "proto"])));
}
