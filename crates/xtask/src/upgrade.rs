//! Upgrades a database of the schema before, with data in it, while the version before serves from it.
//!
//! This finds and builds the version before; what happens then is the test of conformance that replaces a version by another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, command, output, succeed};
use crate::steps::Steps;
use crate::{checkout, test, tools};

/// Names the folder with the programs of the version before; the test reads it.
const FROM_VARIABLE: &str = "MANDATE_UPGRADE_FROM";
const TEST: &str =
    "production::upgrade::a_version_takes_over_from_the_one_before_while_customers_work_and_nothing_is_lost";
const PROGRAMS: [&str; 4] = ["gateway", "invitation", "notification", "relationship"];
const MIGRATIONS: &str = ":(glob)services/*/migrations/**";

/// Upgrades from this revision, or from the last one with another schema.
pub(crate) fn run(steps: &mut Steps, from: Option<&str>) {
    let found = steps.run("upgrade: the version before", || match from {
        Some(from) => Ok(Some(commit(from)?)),
        None => before(),
    });
    let Some(found) = found else {
        return;
    };
    let Some(revision) = found else {
        println!("there is no earlier schema: every service has had one since all of them are there");
        return;
    };
    println!("upgrading from {}", described(&revision));
    let Some(programs) = steps.run("upgrade: its programs", || programs(&revision)) else {
        return;
    };
    steps.run("upgrade", || upgrade(&programs));
}

/// The whole name of a commit.
fn commit(revision: &str) -> Result<String> {
    let found = git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")]);
    found.with_context(|| format!("{revision} is no revision of this repository; a shallow clone lacks the older ones"))
}

/// The last version without the newest migration: the one in the checkout, when that migration is not in it yet. None when a
/// service has no schema there.
fn before() -> Result<Option<String>> {
    let is_new = |line: &str| line.starts_with("??") || line.starts_with('A');
    let revision = match git(&["status", "--porcelain", "--", MIGRATIONS])?.lines().any(is_new) {
        true => commit("HEAD")?,
        false => {
            let added = git(&["log", "--diff-filter=A", "--format=%H", "--", MIGRATIONS])?;
            let mut before = added.lines().filter_map(|newer| commit(&format!("{newer}^")).ok());
            // One that lacks a migration and has none that was another then: a migration may be edited until it is on main.
            let Some(revision) = before.find(|revision| only_lacks(revision)) else {
                bail!("the history shows no earlier schema: a shallow clone lacks it");
            };
            revision
        }
    };
    let files = git(&["ls-tree", "-r", "--name-only", &revision, "--", "services"])?;
    let has_schema = |service: &str| files.contains(&format!("services/{service}/migrations/"));
    let with_schema = PROGRAMS.iter().filter(|service| **service != "gateway");
    Ok(with_schema.into_iter().all(|service| has_schema(service)).then_some(revision))
}

fn only_lacks(revision: &str) -> bool {
    let changed = git(&["diff", "--name-status", revision, "HEAD", "--", MIGRATIONS]).unwrap_or_default();
    !changed.is_empty() && changed.lines().all(|line| line.starts_with('A'))
}

/// A revision and what it was for.
fn described(revision: &str) -> String {
    git(&["log", "-1", "--format=%h %s", revision]).unwrap_or_else(|_| revision.to_owned())
}

/// The folder with the programs of a revision, built once.
fn programs(revision: &str) -> Result<PathBuf> {
    let folder = checkout::root().join("target/upgrade");
    let built = folder.join(revision);
    if PROGRAMS.iter().all(|program| built.join(program).is_file()) {
        return Ok(built);
    }
    // One place for all revisions, so that what they have in common is built once.
    let (source, target) = (folder.join("source"), folder.join("build"));
    remove(&source)?;
    git(&["worktree", "add", "--detach", "--force", text(&source)?, revision])?;
    let done = build(&source, &target).and_then(|()| keep(&target.join("debug"), &built));
    // Whatever became of the build, the worktree is not to stay in the repository's books.
    remove(&source).and(done)?;
    Ok(built)
}

fn build(source: &Path, target: &Path) -> Result<()> {
    let mut build = cargo();
    build.current_dir(source).args(["build", "--locked", "--bins"]);
    build.args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    build.env("CARGO_TARGET_DIR", target);
    // Nobody debugs them or changes them.
    build.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    succeed(&mut build)
}

fn keep(from: &Path, built: &Path) -> Result<()> {
    // Renamed last: a folder of this name holds all of them, whole.
    let draft = built.with_extension("new");
    fs::create_dir_all(&draft).with_context(|| format!("{} cannot be made", draft.display()))?;
    for program in PROGRAMS {
        fs::copy(from.join(program), draft.join(program)).with_context(|| format!("{program} was not built"))?;
    }
    fs::rename(&draft, built).with_context(|| format!("{} cannot be made", built.display()))
}

/// Removes a worktree, if there is one.
fn remove(source: &Path) -> Result<()> {
    if source.exists() {
        git(&["worktree", "remove", "--force", text(source)?])?;
    }
    git(&["worktree", "prune"]).map(drop)
}

/// Builds this version and runs the test with both.
fn upgrade(programs: &Path) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--bins"]).args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    succeed(&mut build)?;
    let server = test::server()?;
    let mut runner = cargo();
    runner.env(test::SERVER_VARIABLE, server.url()).env(FROM_VARIABLE, programs);
    runner.env(postgres::PROGRAMS_VARIABLE, tools::postgres::find()?);
    runner.args(["test", "--package", "conformance", "--test", "it", "--", "--exact", "--nocapture", TEST]);
    // What the test tells people stands on the error stream.
    let ended = runner.stderr(Stdio::inherit()).output().context("cargo cannot be started")?;
    let said = String::from_utf8_lossy(&ended.stdout);
    if !ended.status.success() {
        bail!("{TEST} failed:\n{}", said.trim());
    }
    // A test of another name is none that failed.
    if !said.contains("1 passed") {
        bail!("conformance has no test {TEST}");
    }
    Ok(())
}

fn git(arguments: &[&str]) -> Result<String> {
    Ok(output(command("git").args(arguments))?.trim().to_owned())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}
