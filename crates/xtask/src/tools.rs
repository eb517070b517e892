//! The programs the checks need beside cargo: found on this machine, or installed under `target/tools`.

mod debian;
pub(crate) mod postgres;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::checkout;
use crate::process::{cargo, command, on_path, output, require, succeed};
use crate::steps::Steps;

const CARGO_DENY_VERSION: &str = "0.20.2";
/// The oldest kustomize that renders `deploy` as we wrote it; kubectl has it built in.
const KUSTOMIZE_MAJOR_MIN: u32 = 5;

/// Installs what is missing, and says where each tool is.
pub(crate) fn install(steps: &mut Steps) {
    steps.run("tools: buf", || {
        buf()?;
        println!("buf is ready in target/tools");
        Ok(())
    });
    steps.run("tools: deny", || {
        println!("cargo-deny is {}", cargo_deny()?.display());
        Ok(())
    });
    steps.run("tools: kubectl", || {
        println!("kubectl is {}", kubectl()?.display());
        Ok(())
    });
    steps.run("tools: postgres", || {
        println!("PostgreSQL is in {}", postgres::find()?.display());
        Ok(())
    });
}

/// buf, from npm, at the version of the committed lock file.
pub(crate) fn buf() -> Result<Command> {
    require("node", "buf comes from npm and needs Node.js; install Node.js 18 or later")?;
    let folder = checkout::tools().join("npm");
    let program = folder.join("node_modules/.bin/buf");
    let source = checkout::root().join(".ci/tools");
    let lock =
        fs::read_to_string(source.join("package-lock.json")).context(".ci/tools/package-lock.json cannot be read")?;
    let installed = folder.join("installed-lock.json");
    if !program.exists() || fs::read_to_string(&installed).ok().as_deref() != Some(lock.as_str()) {
        require("npm", "buf comes from npm; install Node.js 18 or later together with npm")?;
        fs::create_dir_all(&folder).context("target/tools cannot be created")?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source.join(file), folder.join(file))
                .with_context(|| format!(".ci/tools/{file} cannot be copied"))?;
        }
        let mut npm = command("npm");
        // The binaries come in the packages themselves, so nothing of theirs has to run at install.
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        npm.env("npm_config_cache", checkout::tools().join("npm-cache"));
        succeed(&mut npm)?;
        fs::write(&installed, lock).context("target/tools cannot be written")?;
    }
    let mut buf = command(program);
    buf.env("BUF_CACHE_DIR", checkout::tools().join("buf-cache"));
    Ok(buf)
}

/// cargo-deny, from the PATH, else built once.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    if let Some(program) = on_path("cargo-deny") {
        return Ok(program);
    }
    // The version is in the name, so raising it installs anew.
    let root = checkout::tools().join(format!("cargo-deny-{CARGO_DENY_VERSION}"));
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        println!("building cargo-deny {CARGO_DENY_VERSION}, once; this takes a few minutes");
        let build = checkout::tools().join("build");
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "cargo-deny"]);
        install.args(["--version", CARGO_DENY_VERSION]);
        // It is built for minutes as it comes, and runs for seconds.
        install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        install.arg("--root").arg(&root).arg("--target-dir").arg(&build);
        succeed(&mut install)?;
        fs::remove_dir_all(&build).context("target/tools/build cannot be removed")?;
    }
    Ok(program)
}

/// kubectl, from the PATH if it is new enough, else from Debian's packages.
pub(crate) fn kubectl() -> Result<PathBuf> {
    if let Some(program) = on_path("kubectl").filter(|program| has_kustomize(program)) {
        return Ok(program);
    }
    let folder = checkout::tools().join("kubectl");
    let program = folder.join("usr/bin/kubectl");
    if !has_kustomize(&program) {
        println!("unpacking Debian's kubectl under target/tools");
        debian::unpack("kubectl", &folder).context(
            "kubectl is not on the PATH or too old, and Debian's cannot be had; install kubectl 1.30 or newer",
        )?;
    }
    Ok(program)
}

/// The PATH on which tests find kubectl.
pub(crate) fn path_with_kubectl() -> Result<OsString> {
    let kubectl = kubectl()?;
    // One of this machine is found as it is: its folder put first would put its neighbors first too.
    let ours = kubectl.parent().filter(|folder| folder.starts_with(checkout::tools()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ours.map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("target/tools cannot be on the PATH: there is a colon in its name")
}

/// Whether this is a kubectl that runs here and can render `deploy`.
fn has_kustomize(kubectl: &Path) -> bool {
    let versions = output(command(kubectl).args(["version", "--client"])).unwrap_or_default();
    let kustomize = versions.lines().find_map(|line| line.strip_prefix("Kustomize Version: v")?.split('.').next());
    kustomize.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= KUSTOMIZE_MAJOR_MIN)
}

/// A part of the Rust toolchain that a minimal installation leaves out.
pub(crate) fn require_component(component: &str, program: &str) -> Result<PathBuf> {
    require(program, &format!("install it with `rustup component add {component}`"))
}
