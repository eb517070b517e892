//! The files of this checkout, and how a broken rule is told: one sentence with file and line for each place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder that holds everything.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("this package lies in the checkout")
}

/// The text of a file, by its path below the root.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in a folder below the root, in order.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").file_name().into_string().expect("names are UTF-8"))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// Every file below these folders whose name ends so, by its path below the root, in order.
pub(crate) fn files(folders: &[&str], ending: &str) -> Vec<String> {
    let root = root();
    let mut found = BTreeSet::new();
    for folder in folders {
        gather(&root, &root.join(folder), ending, &mut found);
    }
    found.into_iter().collect()
}

fn gather(root: &Path, folder: &Path, ending: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            gather(root, &path, ending, found);
        } else if path.is_file() && name.ends_with(ending) {
            let below = path.strip_prefix(root).expect("it was found below the root");
            found.insert(below.to_str().expect("names are UTF-8").to_owned());
        }
    }
}

/// The line, from 1, of the first line of a text that holds these words; 1 when none does.
pub(crate) fn line_of(text: &str, words: &str) -> usize {
    text.lines().position(|line| line.contains(words)).map_or(1, |index| index + 1)
}

/// The clouds: one folder each.
pub(crate) fn clouds() -> Vec<String> {
    let folder = root().join("deploy/clouds");
    names("deploy/clouds").into_iter().filter(|name| folder.join(name).is_dir()).collect()
}

/// The places that break a rule.
#[derive(Default)]
pub(crate) struct Broken(Vec<String>);

impl Broken {
    /// Adds a place, with a sentence that says what to do there.
    pub(crate) fn at(&mut self, path: &str, line: usize, sentence: impl AsRef<str>) {
        let told = format!("{path}:{line}: {}", sentence.as_ref());
        if !self.0.contains(&told) {
            self.0.push(told);
        }
    }

    /// Fails when there is any.
    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "\n\n{}\n", self.0.join("\n"));
    }
}
