//! Rust sources, read just well enough to check where something is named: what is code, what is text or comment, what is only
//! there for tests, and which paths are used.
//!
//! It deliberately does not parse: it knows strings, comments, attributes and braces, and nothing of types.

use std::collections::BTreeSet;

use crate::checkout;

/// A file.
pub(crate) struct Source {
    /// Below the root of the checkout.
    pub(crate) path: String,
    /// Its code by line, with texts emptied and comments gone.
    pub(crate) lines: Vec<Line>,
    /// Its string literals.
    pub(crate) texts: Vec<Literal>,
    /// Its comments.
    pub(crate) comments: Vec<Literal>,
}

/// A line of code.
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    /// Without texts and comments.
    pub(crate) code: String,
    /// True when it is only there for tests.
    pub(crate) in_tests: bool,
}

/// A string literal or a comment.
pub(crate) struct Literal {
    /// The line it begins in, from 1.
    pub(crate) line: usize,
    /// What stands in it.
    pub(crate) text: String,
    /// True when it is only there for tests.
    pub(crate) in_tests: bool,
}

/// A path as the code names it.
pub(crate) struct Named {
    /// The line, from 1.
    pub(crate) line: usize,
    /// Such as `crate`, `domain`, `link`.
    pub(crate) segments: Vec<String>,
}

impl Source {
    /// Every Rust file of our packages.
    pub(crate) fn all() -> Vec<Source> {
        let mut all: Vec<Source> = checkout::files(&["crates", "services"], ".rs")
            .iter()
            .map(|path| Source::read(path, &checkout::text(path)))
            .collect();
        let only_tests: BTreeSet<String> = all.iter().flat_map(Source::test_modules).collect();
        for source in &mut all {
            let module = source.path.trim_end_matches(".rs");
            let below = |test: &String| module == test || module.starts_with(&format!("{test}/"));
            if source.path.contains("/tests/") || only_tests.iter().any(below) {
                source.is_only_for_tests();
            }
        }
        all
    }

    /// Reads the text of one file.
    pub(crate) fn read(path: &str, text: &str) -> Source {
        let Parts { code, texts, comments } = Parts::of(text);
        let in_tests = lines_for_tests(&code);
        let line = |(index, code): (usize, &str)| Line {
            number: index + 1,
            code: code.to_owned(),
            in_tests: in_tests.contains(&(index + 1)),
        };
        let literal = |(line, text)| Literal { line, text, in_tests: in_tests.contains(&line) };
        Source {
            path: path.to_owned(),
            lines: code.split('\n').enumerate().map(line).collect(),
            texts: texts.into_iter().map(literal).collect(),
            comments: comments.into_iter().map(literal).collect(),
        }
    }

    fn is_only_for_tests(&mut self) {
        self.lines.iter_mut().for_each(|line| line.in_tests = true);
        self.texts.iter_mut().chain(&mut self.comments).for_each(|literal| literal.in_tests = true);
    }

    /// The files, without `.rs`, that this one declares as modules for tests only.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "lib" | "main")) => folder,
            _ => stem,
        };
        let tests = self.lines.iter().filter(|line| line.in_tests);
        let declared = tests.filter_map(|line| line.code.trim().strip_suffix(';')?.rsplit_once("mod "));
        declared.map(|(_, name)| format!("{folder}/{name}")).collect()
    }

    /// The lines that are not for tests.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.in_tests)
    }

    /// How many lines the file has without its tests, comments and empty lines counted.
    pub(crate) fn length(&self) -> usize {
        self.served().count()
    }

    /// The modules from the package's root to this file: `domain`, `text`, `check`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inside = self.path.split_once("/src/").map_or("", |(_, inside)| inside);
        let modules = inside.trim_end_matches(".rs").split('/');
        modules.filter(|name| !matches!(*name, "lib" | "main" | "")).collect()
    }

    /// The service the file belongs to, if it is one of a service.
    pub(crate) fn service(&self) -> Option<&str> {
        let (service, _) = self.path.strip_prefix("services/")?.split_once("/src/")?;
        Some(service)
    }

    /// Every path that the code names outside its tests.
    pub(crate) fn paths(&self) -> Vec<Named> {
        let tokens = self.tokens();
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            if tokens[at].1 == "use" {
                at = use_tree(&tokens, at + 1, &[], &mut paths);
            } else if is_word(&tokens[at].1) && tokens.get(at + 1).is_some_and(|next| next.1 == "::") {
                let mut segments = vec![tokens[at].1.clone()];
                let line = tokens[at].0;
                while tokens.get(at + 1).is_some_and(|next| next.1 == "::")
                    && tokens.get(at + 2).is_some_and(|next| is_word(&next.1))
                {
                    at += 2;
                    segments.push(tokens[at].1.clone());
                }
                paths.push(Named { line, segments });
                at += 1;
            } else {
                at += 1;
            }
        }
        paths
    }

    /// Words, `::`, and single other characters, each with its line.
    fn tokens(&self) -> Vec<(usize, String)> {
        let mut tokens = Vec::new();
        for line in self.served() {
            let mut rest = line.code.as_str();
            while let Some(first) = rest.chars().next() {
                let length = if rest.starts_with("::") {
                    2
                } else if first.is_alphanumeric() || first == '_' {
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
                } else {
                    first.len_utf8()
                };
                if !first.is_whitespace() {
                    tokens.push((line.number, rest[..length].to_owned()));
                }
                rest = &rest[length..];
            }
        }
        tokens
    }
}

/// The module at the package's root, or the other package, that a path leads to. `None`: neither, such as `Self`.
pub(crate) fn leads_to<'a>(source: &Source, path: &'a Named, packages: &BTreeSet<String>) -> Option<Target<'a>> {
    let segments = &path.segments;
    let inside = |mut base: Vec<&'a str>, rest: &'a [String]| {
        base.extend(rest.iter().map(String::as_str));
        base.first().map(|room| Target::Room((*room).to_owned(), base.get(1).copied().unwrap_or_default()))
    };
    let here = source.module();
    match segments[0].as_str() {
        "crate" => inside(Vec::new(), &segments[1..]),
        "self" | "super" => {
            let ups = segments.iter().filter(|segment| *segment == "super").count();
            let steps = segments.iter().take_while(|segment| matches!(segment.as_str(), "self" | "super")).count();
            match here[..here.len().saturating_sub(ups)].first() {
                Some(room) => Some(Target::Room((*room).to_owned(), "")),
                None => inside(Vec::new(), &segments[steps..]),
            }
        }
        package if packages.contains(package) => Some(Target::Package(package)),
        _ => None,
    }
}

/// Where a path leads.
pub(crate) enum Target<'a> {
    /// To a module at the root of the same package, and what it names there.
    Room(String, &'a str),
    /// To another package.
    Package(&'a str),
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads one tree of a `use` from this token on; answers the token after it.
fn use_tree(tokens: &[(usize, String)], mut at: usize, before: &[String], paths: &mut Vec<Named>) -> usize {
    let mut segments = before.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.0);
    while let Some((_, token)) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.1 != "}") {
                    at = use_tree(tokens, at, &segments, paths);
                    if tokens.get(at).is_some_and(|token| token.1 == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            word if is_word(word) || word == "*" => {
                segments.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    if segments.len() > before.len() {
        paths.push(Named { line, segments });
    }
    // A tree ends before `,`, `}` or `;`. Anything else is passed over, so that reading goes on.
    if tokens.get(at).is_some_and(|token| matches!(token.1.as_str(), "," | "}" | ";")) { at } else { at + 1 }
}

/// The lines of what stands under `#[cfg(test)]`.
fn lines_for_tests(code: &str) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let mut depth = 0_usize;
        let mut end = code.len();
        for (index, character) in code[start..].char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(character, '}' | ';') {
                end = start + index + 1;
                break;
            }
        }
        let line = |at: usize| code[..at].matches('\n').count() + 1;
        lines.extend(line(start)..=line(end));
        from = end;
    }
    lines
}

/// What a text of Rust falls into.
#[derive(Default)]
struct Parts {
    /// The code, with as many lines as the text.
    code: String,
    texts: Vec<(usize, String)>,
    comments: Vec<(usize, String)>,
}

impl Parts {
    fn of(text: &str) -> Parts {
        let mut parts = Parts::default();
        let mut rest = text;
        let mut line = 1;
        while let Some(first) = rest.chars().next() {
            let before_is_word = parts.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let length = if rest.starts_with("//") {
                let length = rest.find('\n').unwrap_or(rest.len());
                parts.comments.push((line, rest[..length].to_owned()));
                length
            } else if rest.starts_with("/*") {
                let length = rest.find("*/").map_or(rest.len(), |end| end + 2);
                parts.comments.push((line, rest[..length].to_owned()));
                length
            } else if let Some((opening, body, length)) = literal(rest, before_is_word) {
                parts.texts.push((line, rest[opening..opening + body].to_owned()));
                parts.code.push_str("\"\"");
                length
            } else if first == '\'' {
                let length = character(rest);
                parts.code.push(if length == 1 { '\'' } else { ' ' });
                length
            } else {
                parts.code.push(first);
                line += usize::from(first == '\n');
                rest = &rest[first.len_utf8()..];
                continue;
            };
            let inside = rest[..length].matches('\n').count();
            parts.code.push_str(&"\n".repeat(inside));
            line += inside;
            rest = &rest[length..];
        }
        parts
    }
}

/// A string literal at the beginning of this text: where its body begins, how long it is, and how long the literal.
fn literal(rest: &str, after_a_word: bool) -> Option<(usize, usize, usize)> {
    let prefix = if after_a_word { 0 } else { rest.find(|c| !matches!(c, 'b' | 'r' | 'c')).filter(|end| *end <= 2)? };
    let hashes = rest[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    let opening = prefix + hashes + 1;
    if !rest[prefix + hashes..].starts_with('"') || (hashes > 0 && !rest[..prefix].contains('r')) {
        return None;
    }
    if rest[..prefix].contains('r') {
        let closing = format!("\"{}", "#".repeat(hashes));
        let body = rest[opening..].find(&closing)?;
        return Some((opening, body, opening + body + closing.len()));
    }
    let mut escaped = false;
    for (index, character) in rest[opening..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((opening, index, opening + index + 1)),
            _ => {}
        }
    }
    None
}

/// The length of the character literal at the beginning of this text; 1 for the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            let body = rest.get(3..).and_then(|tail| tail.find('\''));
            body.map_or(1, |body| 3 + body + 1)
        }
        Some(_) => match characters.next() {
            Some((index, '\'')) => index + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[test]
fn code_texts_comments_and_tests_are_told_apart() {
    let text = "//! doc SELECT\nfn a<'x>() { let b = \"china \\\" {\"; let c = '\"'; let d = '\\''; } // TODO\n\
                let e = r#\"raw \" text\"#;\n#[cfg(test)]\nmod tests {\n    fn f() { \"}\"; }\n}\nfn g() {}";
    let source = Source::read("services/x/src/domain/link.rs", text);
    let texts: Vec<(usize, &str, bool)> =
        source.texts.iter().map(|text| (text.line, text.text.as_str(), text.in_tests)).collect();
    assert_eq!(texts, [(2, "china \\\" {", false), (3, "raw \" text", false), (6, "}", true)]);
    let comments: Vec<usize> = source.comments.iter().map(|comment| comment.line).collect();
    assert_eq!(comments, [1, 2]);
    let in_tests: Vec<usize> = source.lines.iter().filter(|line| line.in_tests).map(|line| line.number).collect();
    assert_eq!(in_tests, [4, 5, 6, 7]);
    assert_eq!(source.module(), ["domain", "link"]);
}

#[test]
fn paths_are_found_in_uses_of_any_shape_and_in_expressions() {
    let text = "use crate::{store::link, wire};\nuse super::super::rpc::f;\nuse api::page as p;\nfn f() { tonic::Status::new(g::<u8>()) }";
    let source = Source::read("services/x/src/domain/link.rs", text);
    let packages: BTreeSet<String> = ["api", "tonic"].map(str::to_owned).into();
    let found: Vec<String> = source
        .paths()
        .iter()
        .filter_map(|path| match leads_to(&source, path, &packages)? {
            Target::Room(room, what) => Some(format!("{}: room {room} {what}", path.line)),
            Target::Package(package) => Some(format!("{}: package {package}", path.line)),
        })
        .collect();
    assert_eq!(found, ["1: room store link", "1: room wire ", "2: room rpc f", "3: package api", "4: package tonic"]);
}
