//! The policies in `deploy/clouds`, as a process reads them, and the refusal of files that are not quite policies.

mod overlays;
mod refusals;
mod regions;

use std::path::PathBuf;

use cloud::{CountryCode, Policy};

/// Every cloud that has a folder.
const CLOUDS: [&str; 4] = ["china", "germany", "public", "usgov"];

fn overlays() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds")
}

fn path(cloud: &str) -> PathBuf {
    overlays().join(cloud).join("policy/policy.toml")
}

fn text(cloud: &str) -> String {
    std::fs::read_to_string(path(cloud)).expect("every cloud has a policy")
}

fn policy(cloud: &str) -> Policy {
    Policy::load(path(cloud)).unwrap_or_else(|error| panic!("{error}"))
}

fn country(code: &str) -> CountryCode {
    CountryCode::parse(code).expect("tests write well-formed codes")
}
