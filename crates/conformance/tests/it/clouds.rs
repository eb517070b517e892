//! The clouds as data: every folder in `deploy/clouds` is a cloud of its own, they differ where the sources differ and nowhere
//! else, and one more is one folder more.
//!
//! What each value must be is asserted beside the type it is read into, in `crates/cloud`.

use std::collections::{BTreeMap, BTreeSet};

use cloud::Policy;
use toml::Value;

use crate::checkout;

/// In which values clouds may differ, and the rules that say so. A difference that is not listed was not decided by anybody.
const DIFFERENCES: &[(&str, &str)] = &[
    ("cloud", "R1"),
    ("title", "R1"),
    ("text_edit_rule", "R14, R40"),
    ("text_edit_rule_number", "R14, R40"),
    ("required_agreement", "R43, N37"),
    ("acceptance_portal", "R20, R49-R52"),
    ("delegation.optional", "R5, R33, R34, R37"),
    ("delegation.mandatory_rule", "R5, R33, R34, R37"),
    ("delegation.exclusive_holder", "R24"),
    ("delegation.exclusive_rule", "R24"),
    ("partner_contract", "R30, R47"),
    ("services.azure", "N71"),
    ("region", "R35, N25, N29, N74"),
    ("access.transition_needs_delegation", "N18"),
    ("access.support_on_behalf_rule", "R29, R48"),
    ("obligations", "R29, R30, R47"),
    ("permissions.invitation_links.request_delegation", "N62, N66"),
];

/// Every value of a policy by the keys that lead to it. Tables in lists are found by their id.
fn values(cloud: &str) -> BTreeMap<String, String> {
    fn gather(keys: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        let below = |key: &str| if keys.is_empty() { key.to_owned() } else { format!("{keys}.{key}") };
        match value {
            Value::Table(table) => table.iter().for_each(|(key, value)| gather(&below(key), value, found)),
            Value::Array(items) if items.iter().all(|item| item.get("id").is_some()) => {
                for item in items {
                    let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
                    gather(&below(id), item, found);
                }
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                found.insert(keys.to_owned(), value.to_string());
            }
        }
    }
    let text = checkout::text(&path(cloud));
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path(cloud)));
    let mut found = BTreeMap::new();
    gather("", &Value::Table(table), &mut found);
    found
}

fn path(cloud: &str) -> String {
    format!("deploy/clouds/{cloud}/policy/policy.toml")
}

fn policy(cloud: &str) -> Policy {
    Policy::load(checkout::root().join(path(cloud))).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_folder_is_the_cloud_it_is_named_after() {
    for cloud in checkout::clouds() {
        assert_eq!(policy(&cloud).cloud.as_str(), cloud, "{}: let `cloud` be the name of the folder", path(&cloud));
    }
}

#[test]
fn clouds_differ_only_where_it_was_decided() {
    let clouds: Vec<BTreeMap<String, String>> = checkout::clouds().iter().map(|cloud| values(cloud)).collect();
    let keys: BTreeSet<&String> = clouds.iter().flat_map(BTreeMap::keys).collect();
    let listed = |key: &str| {
        let lists = |(prefix, _): &&(&str, &str)| key == *prefix || key.starts_with(&format!("{prefix}."));
        DIFFERENCES.iter().find(lists).map(|(prefix, _)| *prefix)
    };
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    for key in keys {
        let different: BTreeSet<Option<&String>> = clouds.iter().map(|values| values.get(key)).collect();
        if different.len() > 1 {
            match listed(key) {
                Some(prefix) => _ = seen.insert(prefix),
                None => broken.push(format!(
                    "deploy/clouds/*/policy/policy.toml: {key} differs: list it in DIFFERENCES with its rule"
                )),
            }
        }
    }
    assert!(broken.is_empty(), "\n\n{}\n", broken.join("\n"));
    let stale: Vec<&str> = DIFFERENCES.iter().map(|(key, _)| *key).filter(|key| !seen.contains(key)).collect();
    assert!(stale.is_empty(), "no clouds differ in {stale:?}: take it out of DIFFERENCES");
}

#[test]
fn every_cloud_sends_its_customers_somewhere_else() {
    let clouds = checkout::clouds();
    let hosts: BTreeSet<String> = clouds
        .iter()
        .map(|cloud| policy(cloud).acceptance_portal.uri.split('/').nth(2).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(hosts.len(), clouds.len(), "two clouds share a portal (R52): {hosts:?}");
}

#[test]
fn one_more_cloud_is_one_more_folder() {
    for cloud in checkout::clouds() {
        let text = checkout::text(&path(&cloud)).replacen(&format!("cloud = \"{cloud}\""), "cloud = \"atlantis\"", 1);
        let copy = Policy::parse(&text, "policy.toml").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(copy.cloud.as_str(), "atlantis", "a copy of {} under another name must be a cloud", path(&cloud));
    }
}

#[test]
fn no_cloud_takes_the_token_of_a_stranger() {
    for cloud in checkout::clouds() {
        let policy = policy(&cloud);
        assert!(!policy.identity.audience.is_empty(), "{}: name the audience tokens must be for (N69)", path(&cloud));
        for (permission, roles) in &policy.permissions {
            let writes = ["write", "manage", "accept", "request", "request_delegation", "check_any"];
            let verb = permission.rsplit('.').next().unwrap_or_default();
            let open = roles.iter().any(cloud::Role::is_any);
            assert!(!(open && writes.contains(&verb)), "{}: name the roles that hold {permission}", path(&cloud));
        }
    }
}
