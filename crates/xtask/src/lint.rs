//! Everything that can be said about the checkout without running it.

use crate::process::{cargo, command, succeed};
use crate::steps::Steps;
use crate::tools;

/// Runs every check, whichever of them fails, the quick ones first.
pub(crate) fn run(steps: &mut Steps) {
    steps.run("fmt", || {
        tools::require_component("rustfmt", "cargo-fmt")?;
        succeed(cargo().args(["fmt", "--all", "--check"]))
    });
    steps.run("buf lint", || succeed(tools::buf()?.args(["lint", "proto"])));
    steps.run("deny", || {
        let deny = tools::cargo_deny()?;
        succeed(command(deny).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
    });
    steps.run("clippy", || {
        tools::require_component("clippy", "cargo-clippy")?;
        succeed(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.run("doc", || {
        let mut doc = cargo();
        // There are no examples; asking for them makes cargo take the features of the tests, as clippy does, so
        // that what was checked for clippy need not be checked again. The other programs are a line each.
        doc.args(["doc", "--workspace", "--no-deps", "--lib", "--bin", "xtask", "--examples"]);
        succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
}
