//! The policies of the clouds to start: those built in, or those of a folder.
//!
//! A cloud is its policy: a fifth folder is a fifth cloud.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cloud::Policy;

use crate::failure::Failure;

const BUILT_IN: [(&str, &str); 4] = [
    ("china", include_str!("../../../../deploy/clouds/china/policy/policy.toml")),
    ("germany", include_str!("../../../../deploy/clouds/germany/policy/policy.toml")),
    ("public", include_str!("../../../../deploy/clouds/public/policy/policy.toml")),
    ("usgov", include_str!("../../../../deploy/clouds/usgov/policy/policy.toml")),
];

/// A cloud to start.
#[derive(Clone, Debug)]
pub(super) struct CloudPolicy {
    /// Its id.
    pub(super) id: String,
    /// Its title.
    pub(super) title: String,
    /// The text of its policy file.
    pub(super) text: String,
}

/// The policies that this program was built with.
///
/// # Errors
/// Never, as a test makes sure.
pub(super) fn built_in() -> Result<Vec<CloudPolicy>, Failure> {
    let parsed =
        BUILT_IN.iter().map(|(cloud, text)| parse((*text).to_owned(), &format!("the built-in policy of {cloud}")));
    parsed.collect()
}

/// The policies in `<folder>/<cloud>/policy.toml`, or `<folder>/<cloud>/policy/policy.toml` as the deployment has them.
///
/// # Errors
/// When there is none, one is broken, or two are of one cloud.
pub(super) fn read(folder: &Path) -> Result<Vec<CloudPolicy>, Failure> {
    let mut policies = Vec::new();
    let mut ids = BTreeSet::new();
    for path in files(folder)? {
        let text = fs::read_to_string(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let policy = parse(text, &path.display().to_string())?;
        if !ids.insert(policy.id.clone()) {
            return Err(Failure::usage(format!(
                "{}: cloud: {:?} has a policy already; expected one file for each cloud",
                path.display(),
                policy.id
            )));
        }
        policies.push(policy);
    }
    if policies.is_empty() {
        return Err(Failure::usage(format!(
            "--policy-dir {}: holds no policy; expected files such as public/policy.toml",
            folder.display()
        )));
    }
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(policies)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::usage(format!("--policy-dir {}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let cloud = entry.map_err(unreadable)?.path();
        let candidates = [cloud.join("policy.toml"), cloud.join("policy/policy.toml")];
        found.extend(candidates.into_iter().find(|file| file.is_file()));
    }
    found.sort();
    Ok(found)
}

fn parse(text: String, origin: &str) -> Result<CloudPolicy, Failure> {
    let policy = Policy::parse(&text, origin).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(CloudPolicy { id: policy.cloud.as_str().to_owned(), title: policy.title.clone(), text })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{BUILT_IN, built_in, read};

    #[test]
    fn the_built_in_policies_are_sound_and_ordered() {
        let ids: Vec<String> = built_in().unwrap().into_iter().map(|policy| policy.id).collect();
        assert_eq!(ids, ["china", "germany", "public", "usgov"]);
    }

    #[test]
    fn a_folder_can_bring_other_clouds() {
        let folder = tempfile::tempdir().unwrap();
        let moon = BUILT_IN[2].1.replace("cloud = \"public\"", "cloud = \"moon\"");
        fs::create_dir_all(folder.path().join("moon/policy")).unwrap();
        fs::write(folder.path().join("moon/policy/policy.toml"), &moon).unwrap();
        assert_eq!(read(folder.path()).unwrap()[0].id, "moon");

        fs::create_dir(folder.path().join("same")).unwrap();
        fs::write(folder.path().join("same/policy.toml"), &moon).unwrap();
        let twice = read(folder.path()).unwrap_err().to_string();
        assert!(twice.contains("\"moon\" has a policy already"), "{twice}");
    }

    #[test]
    fn what_is_no_policy_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("holds no policy"));
        fs::create_dir(folder.path().join("public")).unwrap();
        fs::write(folder.path().join("public/policy.toml"), "cloud = 1").unwrap();
        let broken = read(folder.path()).unwrap_err().to_string();
        assert!(broken.contains("public/policy.toml"), "{broken}");
        assert!(read(&folder.path().join("absent")).is_err());
    }
}
