//! The statements there are: each `const NAME: &str` that holds one, in the rooms where statements stand.

use crate::checkout::Broken;
use crate::source::Source;

/// How a text begins that has a plan.
const PLANNED: &[&str] = &["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];

/// One of the two engines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Postgres,
    Sqlite,
}

/// A statement.
pub(super) struct Statement {
    path: String,
    name: String,
    /// The package it stands in.
    pub(super) package: String,
    pub(super) text: String,
}

impl Statement {
    /// Every statement of the services, of `crates/outbox` and of `crates/store`. Fails on one whose text cannot be read.
    pub(super) fn all() -> Vec<Statement> {
        let mut broken = Broken::default();
        let mut all = Vec::new();
        for source in Source::all() {
            let Some(package) = package_of(&source) else { continue };
            let texts = source.texts.iter().filter(|text| !text.in_tests);
            for text in texts.filter(|text| PLANNED.iter().any(|begin| text.text.trim_start().starts_with(begin))) {
                match name_of(&source, text.line) {
                    Some(name) if !text.text.contains('\\') => all.push(Statement {
                        path: source.path.clone(),
                        name: name.to_owned(),
                        package: package.to_owned(),
                        text: text.text.clone(),
                    }),
                    Some(_) | None => {
                        let sentence = "write `const NAME: &str =` and one text without escapes: its plan is tested";
                        broken.at(&source.path, text.line, sentence);
                    }
                }
            }
        }
        broken.none();
        all
    }

    /// File and name.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.path, self.name)
    }

    /// False when its name says that it is for the other engine.
    pub(super) fn runs_on(&self, engine: Engine) -> bool {
        let other = match engine {
            Engine::Postgres => "_SQLITE",
            Engine::Sqlite => "_POSTGRES",
        };
        !self.name.ends_with(other)
    }

    /// How many parameters it has.
    pub(super) fn parameter_count(&self) -> usize {
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
        self.text.split('$').skip(1).filter_map(|rest| digits(rest).parse().ok()).max().unwrap_or_default()
    }

    /// The table that a name in it stands for: itself, or the one it is an alias of.
    pub(super) fn table<'a>(&'a self, name: &'a str) -> &'a str {
        let words: Vec<&str> = self.text.split([' ', '\n', '(', ')', ',']).filter(|word| !word.is_empty()).collect();
        let is_named = |words: &&[&str]| matches!(words[0], "FROM" | "JOIN" | "UPDATE" | "INTO");
        let alias = words.windows(3).filter(is_named).find(|words| words[2] == name);
        alias.map_or(name, |words| words[1])
    }
}

/// The package of this file, if statements may stand in it.
fn package_of(source: &Source) -> Option<&str> {
    let serves_stores = ["crates/outbox/src/", "crates/store/src/"].iter().any(|it| source.path.starts_with(it));
    let in_a_store_room = source.service().is_some() && source.module().first() == Some(&"store");
    source.path.split('/').nth(1).filter(|_| serves_stores || in_a_store_room)
}

/// The name of the constant whose text begins in this line: on the same line, or at the end of the one before.
fn name_of(source: &Source, line: usize) -> Option<&str> {
    let code = |number: usize| source.lines.get(number.checked_sub(1)?).map(|line| line.code.trim());
    let beside = code(line).filter(|code| code.contains("const "));
    let declared = beside.or_else(|| code(line - 1).filter(|code| code.ends_with('=')))?;
    let (name, kind) = declared.split_once("const ")?.1.split_once(": ")?;
    kind.starts_with("&str =").then_some(name)
}

#[test]
fn statements_are_found_with_their_names() {
    let text = "const A: &str = \"SELECT 1 FROM t\";\npub const B: &str =\n    \"SELECT $2, $10\n     FROM u x\";\nfn f() { g(\"SELECT 1\") }";
    let source = Source::read("services/x/src/store/link.rs", text);
    let names: Vec<Option<&str>> = source.texts.iter().map(|text| name_of(&source, text.line)).collect();
    assert_eq!(names, [Some("A"), Some("B"), None]);
    let statement = Statement {
        path: source.path.clone(),
        name: "B_SQLITE".to_owned(),
        package: "x".to_owned(),
        text: source.texts[1].text.clone(),
    };
    assert_eq!(statement.parameter_count(), 10);
    assert_eq!((statement.table("x"), statement.table("u")), ("u", "u"));
    assert!(statement.runs_on(Engine::Sqlite) && !statement.runs_on(Engine::Postgres));
}
