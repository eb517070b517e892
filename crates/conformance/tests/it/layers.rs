//! The arrows: which package may depend on which, and inside a service which room may know which.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use crate::checkout::{self, Broken};
use crate::source::{Source, Target, leads_to};

/// What each package may take of ours. Those that are not named here are services: [`FOR_SERVICES`].
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("clock", &[]),
    ("cloud", &[]),
    ("failpoint", &[]),
    ("store", &[]),
    ("outbox", &["clock", "failpoint", "store"]),
    ("delivery", &["api", "clock", "outbox", "server", "store"]),
    ("server", &["api", "clock", "cloud", "failpoint"]),
    ("postgres", &[]),
    ("testkit", &["postgres"]),
    // It runs what ships and is not shipped.
    ("bench", &["api", "clock", "server", "testkit"]),
    ("chaos", &["api", "clock", "cloud", "failpoint", "postgres", "testkit"]),
    ("conformance", &[]),
    ("xtask", &["postgres"]),
];

/// What each service may take of ours.
const FOR_SERVICES: &[&str] = &["api", "clock", "cloud", "delivery", "failpoint", "outbox", "server", "store"];

/// The one package that runs the services, and so may depend on them.
const RUNS_SERVICES: &str = "mandate";

/// Foreign packages that stand for a layer: who may take them, and where their work is done instead.
const KEPT_TO: &[(&str, &[&str], &str)] = &[
    (
        "sqlx",
        &["store", "outbox", "testkit", "invitation", "relationship", "notification"],
        "statements live in the store rooms of services, in crates/store and crates/outbox",
    ),
    (
        "tonic",
        &[
            "api",
            "bench",
            "chaos",
            "server",
            "delivery",
            "gateway",
            "invitation",
            "relationship",
            "notification",
            RUNS_SERVICES,
        ],
        "what is below the calls knows nothing of them",
    ),
    (
        "prost",
        &[
            "api",
            "chaos",
            "outbox",
            "server",
            "delivery",
            "gateway",
            "invitation",
            "relationship",
            "notification",
            RUNS_SERVICES,
        ],
        "what is below the calls knows no message",
    ),
    ("anyhow", &["bench", "chaos", "postgres", "xtask"], "a library names its errors"),
];

/// A manifest.
struct Manifest {
    /// Below the root of the checkout.
    path: String,
    text: String,
    keys: toml::Table,
}

impl Manifest {
    fn all() -> Vec<Manifest> {
        let paths = ["crates", "services"].into_iter().flat_map(|folder| {
            checkout::names(folder).into_iter().map(move |name| format!("{folder}/{name}/Cargo.toml"))
        });
        let read = |path: String| {
            let text = checkout::text(&path);
            let keys = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
            Manifest { path, text, keys }
        };
        paths.map(read).collect()
    }

    fn folder(&self) -> &str {
        self.path.split('/').nth(1).expect("manifests lie two folders deep")
    }

    fn is_service(&self) -> bool {
        self.path.starts_with("services/")
    }

    fn dependencies(&self, kind: &str) -> Vec<(&str, &Value)> {
        let table = self.keys.get(kind).and_then(Value::as_table);
        table.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// The line of a key, in the section where it stands.
    fn line(&self, section: &str, key: &str) -> usize {
        let header = format!("[{section}]");
        let mut lines = self.text.lines().enumerate().skip_while(|(_, line)| *line != header);
        let found = lines.find(|(_, line)| {
            let rest = line.strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        });
        found.map_or(1, |(index, _)| index + 1)
    }
}

#[test]
fn packages_depend_along_the_arrows_and_no_others() {
    let manifests = Manifest::all();
    let ours: BTreeSet<&str> = manifests.iter().map(Manifest::folder).collect();
    let services: BTreeSet<&str> =
        manifests.iter().filter(|manifest| manifest.is_service()).map(Manifest::folder).collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut broken = Broken::default();
    for manifest in &manifests {
        let package = manifest.folder();
        let allowed = match arrows.get(package) {
            Some(allowed) => *allowed,
            None if manifest.is_service() => FOR_SERVICES,
            None => {
                broken.at(&manifest.path, 1, format!("say in ARROWS of layers.rs what {package} may depend on"));
                continue;
            }
        };
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let for_tests = kind == "dev-dependencies";
            for (name, _) in manifest.dependencies(kind).iter().filter(|(name, _)| ours.contains(name)) {
                let fits = allowed.contains(name)
                    || (package == RUNS_SERVICES && services.contains(name))
                    || (for_tests && (*name == "testkit" || package == "conformance"));
                if !fits {
                    let line = manifest.line(kind, name);
                    broken.at(&manifest.path, line, forbidden(package, name, services.contains(name)));
                }
            }
        }
    }
    broken.none();
}

fn forbidden(package: &str, other: &str, is_service: bool) -> String {
    if is_service {
        return format!("{package} must not depend on {other}: services meet in proto/, call it through server::peer");
    }
    match other {
        "testkit" | "conformance" => {
            format!("{package} may take {other} for its tests only: move it to [dev-dependencies]")
        }
        "xtask" => format!("{package} must not depend on xtask, which only runs commands"),
        _ => format!("{package} must not depend on {other}: move what it needs to where both may reach it"),
    }
}

#[test]
fn packages_that_stand_for_a_layer_stay_in_it() {
    let mut broken = Broken::default();
    for manifest in Manifest::all() {
        for (name, takers, instead) in KEPT_TO {
            let takes = manifest.dependencies("dependencies").iter().any(|(dependency, _)| dependency == name);
            if takes && !takers.contains(&manifest.folder()) {
                let line = manifest.line("dependencies", name);
                broken.at(&manifest.path, line, format!("{} must not use {name}: {instead}", manifest.folder()));
            }
        }
    }
    broken.none();
}

#[test]
fn every_manifest_takes_versions_and_lints_from_the_workspace() {
    let mut broken = Broken::default();
    for manifest in Manifest::all() {
        let path = manifest.path.as_str();
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (name, value) in manifest.dependencies(kind) {
                if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                    let sentence =
                        format!("write {name}.workspace = true and declare its version in the root manifest");
                    broken.at(path, manifest.line(kind, name), sentence);
                }
            }
        }
        let lints = manifest.keys.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        if lints != Some(true) {
            broken.at(path, 1, "add [lints] workspace = true: one set of lints holds for all");
        }
        let name = manifest.keys.get("package").and_then(|package| package.get("name")?.as_str());
        if name != Some(manifest.folder()) {
            broken.at(path, manifest.line("package", "name"), "name the package as its folder");
        }
    }
    broken.none();
}

/// What a room of a service may know.
struct Room {
    name: &'static str,
    /// The other rooms it may name.
    rooms: &'static [&'static str],
    /// The packages it may use, or may not.
    packages: Packages,
    /// What the room is for, as the end of a sentence.
    promise: &'static str,
}

enum Packages {
    Only(&'static [&'static str]),
    Not(&'static [&'static str]),
}

const ROOMS: &[Room] = &[
    Room {
        name: "domain",
        rooms: &[],
        // Beside the plain ones: what reads texts and writes tokens, and all of it works on values alone.
        packages: Packages::Only(&[
            "std",
            "core",
            "clock",
            "cloud",
            "thiserror",
            "serde",
            "toml",
            "percent_encoding",
            "aws_lc_rs",
            "base64",
        ]),
        promise: "deciding is pure: take a value instead",
    },
    Room {
        name: "store",
        rooms: &["domain"],
        packages: Packages::Not(&["api", "tonic", "tonic_types", "prost", "prost_types", "server", "outbox"]),
        promise: "a statement takes and answers domain values: convert in wire, decide in domain",
    },
    Room {
        name: "wire",
        rooms: &["domain", "error"],
        packages: Packages::Not(&["sqlx", "tonic", "tonic_types", "outbox"]),
        promise: "a conversion stands between messages and domain values: move what it needs to domain",
    },
    Room {
        name: "rpc",
        rooms: &["wire", "domain", "store", "error", "config"],
        packages: Packages::Not(&["sqlx"]),
        promise: "a call orders its steps: put the statement into store",
    },
];

#[test]
fn the_rooms_of_a_service_know_only_what_they_may() {
    let mut broken = Broken::default();
    let packages: BTreeMap<String, BTreeSet<String>> =
        Manifest::all().iter().map(|manifest| (manifest.folder().to_owned(), packages_of(manifest))).collect();
    for source in Source::all() {
        let Some(service) = source.service() else { continue };
        let Some(room) = ROOMS.iter().find(|room| source.module().first() == Some(&room.name)) else { continue };
        for path in source.paths() {
            let named = match leads_to(&source, &path, &packages[service]) {
                Some(Target::Room(other, _)) if other != room.name && !room.rooms.contains(&other.as_str()) => {
                    format!("crate::{other}")
                }
                Some(Target::Package(package)) if !room.packages.allow(package) => package.to_owned(),
                Some(Target::Room(..) | Target::Package(_)) | None => continue,
            };
            let sentence = format!("{} must not use {named}; {}", room.name, room.promise);
            broken.at(&source.path, path.line, sentence);
        }
    }
    broken.none();
}

impl Packages {
    fn allow(&self, package: &str) -> bool {
        match self {
            Packages::Only(allowed) => allowed.contains(&package),
            Packages::Not(refused) => !refused.contains(&package),
        }
    }
}

/// Every package that the code of this one can name.
fn packages_of(manifest: &Manifest) -> BTreeSet<String> {
    let declared = manifest.dependencies("dependencies");
    let names = declared.iter().map(|(name, _)| name.replace('-', "_"));
    names.chain(["std", "core", "alloc"].map(str::to_owned)).collect()
}

#[test]
fn domain_modules_are_neither_async_nor_in_random_order() {
    let mut broken = Broken::default();
    for source in Source::all() {
        if source.service().is_none() || source.module().first() != Some(&"domain") {
            continue;
        }
        for line in source.served() {
            let words: BTreeSet<&str> = line.code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if words.contains("async") || words.contains("await") {
                let sentence = "domain must not wait for anything: load what it needs before, in rpc";
                broken.at(&source.path, line.number, sentence);
            }
            if words.contains("HashMap") || words.contains("HashSet") {
                let sentence = "domain keeps its order the same in every run: use BTreeMap or BTreeSet";
                broken.at(&source.path, line.number, sentence);
            }
        }
    }
    broken.none();
}
