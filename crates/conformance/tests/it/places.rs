//! Which line lives where: statements, codes, the names of clouds; and what no file may be called or hold.

use crate::checkout::{self, Broken};
use crate::source::Source;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &[
    "mod", "common", "core", "shared", "util", "utils", "helper", "helpers", "types", "misc", "prelude", "manager",
    "base",
];

/// A file is read from top to bottom in one sitting.
const LINES_MAX: usize = 400;

/// The entry of a service says what it runs and no more.
const LINES_OF_MAIN_MAX: usize = 10;

#[test]
fn statements_stand_only_where_the_store_is() {
    let mut broken = Broken::default();
    for source in Source::all() {
        let in_a_store_room = source.service().is_some() && source.module().first() == Some(&"store");
        // The last drives a server by its own programs, and looks for statements in its log.
        let serves_stores = ["crates/store/", "crates/outbox/", "crates/testkit/", "crates/bench/"];
        if in_a_store_room || serves_stores.iter().any(|folder| source.path.starts_with(folder)) {
            continue;
        }
        for text in source.texts.iter().filter(|text| !text.in_tests && is_statement(&text.text)) {
            let sentence = "this is SQL: move the statement to store/, and call it from here";
            broken.at(&source.path, text.line, sentence);
        }
    }
    broken.none();
}

fn is_statement(text: &str) -> bool {
    let text = text.trim_start();
    let updates = text.split_once("UPDATE ").and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some("SET");
    text.starts_with("SELECT ") || text.contains("INSERT INTO ") || text.contains("DELETE FROM ") || updates
}

#[test]
fn services_choose_codes_and_reasons_in_their_error_file() {
    let with_rooms: Vec<String> = checkout::names("services")
        .into_iter()
        .filter(|service| !matches!(service.as_str(), "gateway" | "mandate"))
        .collect();
    let mut broken = Broken::default();
    for source in Source::all() {
        let of_such = source.service().is_some_and(|service| with_rooms.iter().any(|name| name == service));
        // rpc.rs maps what every call can suffer, before and after the noun's own part.
        if !of_such || matches!(source.module().as_slice(), ["error", ..] | ["rpc"]) {
            continue;
        }
        for path in source.paths() {
            let named = |word: &str| path.segments.iter().any(|segment| segment == word);
            if named("ErrorReason") || (named("tonic") && named("Code")) {
                let sentence = "choose code and reason in error.rs: add a variant to Error and return that";
                broken.at(&source.path, path.line, sentence);
            }
        }
    }
    broken.none();
}

#[test]
fn no_code_names_a_cloud() {
    // The public cloud's name is an everyday word: it counts where it stands alone in a text.
    let mut words: Vec<String> = checkout::clouds().into_iter().filter(|cloud| cloud != "public").collect();
    words.push("21vianet".to_owned());
    let sentence = |word: &str| {
        format!(
            "no code names {word}: make what differs a field of cloud::Policy and set it in deploy/clouds/*/policy/policy.toml"
        )
    };
    let mut broken = Broken::default();
    for source in Source::all().iter().filter(|source| !source.path.starts_with("services/mandate/")) {
        let code = source.served().map(|line| (line.number, line.code.as_str()));
        let literals = source.texts.iter().chain(&source.comments).filter(|literal| !literal.in_tests);
        let literals: Vec<(usize, &str)> = literals.map(|literal| (literal.line, literal.text.as_str())).collect();
        for (line, text) in code.chain(literals.iter().copied()) {
            let text = text.to_lowercase();
            if let Some(word) = words.iter().find(|word| text.contains(word.as_str())) {
                broken.at(&source.path, line, sentence(word));
            } else if text == "public" {
                broken.at(&source.path, line, sentence("public"));
            }
        }
    }
    for path in checkout::files(&["proto", "services"], ".proto").iter().chain(&checkout::files(&["services"], ".sql"))
    {
        for (index, line) in checkout::text(path).lines().enumerate() {
            let line = line.to_lowercase();
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                broken.at(path, index + 1, sentence(word));
            }
        }
    }
    broken.none();
}

#[test]
fn the_map_shows_every_package_and_every_document() {
    let readme = checkout::text("README.md");
    let packages = ["crates", "services"].map(|folder| (folder, checkout::names(folder)));
    let packages = packages.iter().flat_map(|(folder, names)| names.iter().map(move |name| format!("{folder}/{name}")));
    let mut broken = Broken::default();
    for path in packages.chain(checkout::files(&["docs"], ".md")) {
        if !readme.contains(&format!("`{path}`")) {
            let line = checkout::line_of(&readme, "## The map");
            broken.at("README.md", line, format!("say in the map what is in {path}"));
        }
    }
    broken.none();
}

#[test]
fn names_say_what_is_inside() {
    let mut broken = Broken::default();
    for path in checkout::files(&["crates", "services"], ".rs") {
        for part in path.split('/') {
            let name = part.trim_end_matches(".rs");
            if EMPTY_NAMES.contains(&name) {
                let sentence = format!("{name} says nothing of what is inside: name it after the noun it holds");
                broken.at(&path, 1, sentence);
            }
        }
    }
    broken.none();
}

#[test]
fn every_file_says_first_what_it_promises_and_is_short_enough_to_read() {
    let mut broken = Broken::default();
    for source in Source::all() {
        if !checkout::text(&source.path).starts_with("//!") {
            broken.at(&source.path, 1, "open the file with `//!`: what it promises");
        }
        let length = source.length();
        if length > LINES_MAX {
            let sentence =
                format!("{length} lines without tests, and {LINES_MAX} is the limit: move a noun to its own file");
            broken.at(&source.path, LINES_MAX + 1, sentence);
        }
        let is_entry = source.path.starts_with("services/") && source.path.ends_with("/src/main.rs");
        if is_entry && length > LINES_OF_MAIN_MAX {
            let sentence = format!("main.rs has at most {LINES_OF_MAIN_MAX} lines: move the rest to the library");
            broken.at(&source.path, LINES_OF_MAIN_MAX + 1, sentence);
        }
    }
    broken.none();
}

#[test]
fn every_package_has_one_binary_of_tests_and_nothing_runs_from_its_documentation() {
    let mut broken = Broken::default();
    for folder in ["crates", "services"] {
        for package in checkout::names(folder) {
            let tests = format!("{folder}/{package}/tests");
            if checkout::root().join(&tests).is_dir() {
                for name in checkout::names(&tests).iter().filter(|name| name.ends_with(".rs")) {
                    let sentence = "a file here is a binary of its own: move it to tests/it and declare it in main.rs";
                    broken.at(&format!("{tests}/{name}"), 1, sentence);
                }
            }
            let manifest = format!("{folder}/{package}/Cargo.toml");
            let is_library = checkout::root().join(format!("{folder}/{package}/src/lib.rs")).exists();
            if is_library && !checkout::text(&manifest).contains("doctest = false") {
                broken.at(&manifest, 1, "add [lib] doctest = false: tests live in tests/it and beside the code");
            }
        }
    }
    broken.none();
}

#[test]
fn tests_are_neither_skipped_nor_do_they_sleep() {
    let mut broken = Broken::default();
    for source in Source::all() {
        for line in &source.lines {
            if line.code.contains("#[ignore") {
                broken.at(&source.path, line.number, "a test that is ignored tests nothing: mend it or remove it");
            }
            let sleeps = ["sleep(", "sleep_until("].iter().any(|call| calls(&line.code, call));
            if line.in_tests && sleeps {
                broken.at(&source.path, line.number, "a test does not sleep: wait for the condition it needs");
            }
        }
    }
    broken.none();
}

/// True when this function is called, and not one whose name merely ends like it.
fn calls(code: &str, call: &str) -> bool {
    code.match_indices(call).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn nothing_is_left_to_do_in_a_comment() {
    let marks = ["TODO", "FIXME", "XXX"];
    let sentence = "open an issue and remove the mark: nobody reads this one";
    let mut broken = Broken::default();
    for source in Source::all() {
        for comment in source.comments.iter().filter(|comment| marks.iter().any(|mark| comment.text.contains(mark))) {
            broken.at(&source.path, comment.line, sentence);
        }
    }
    let others = [".proto", ".sql", ".toml", ".yaml"].iter();
    for path in others.flat_map(|ending| checkout::files(&["proto", "crates", "services", "deploy"], ending)) {
        for (index, line) in checkout::text(&path).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                broken.at(&path, index + 1, sentence);
            }
        }
    }
    broken.none();
}
