//! Where in a policy file a key stands, so that an error can name key and line as the operator sees them.
//!
//! It reads the shape in which such files are written (headings in brackets, one key a line) and serves error messages
//! only: a file laid out otherwise is loaded all the same, its errors just point less precisely.

use crate::LoadError;

struct Place {
    start: usize,
    line: usize,
    path: String,
    heading: bool,
}

/// Turns the parser's error into ours.
pub(super) fn locate(text: &str, origin: &str, error: &toml::de::Error) -> LoadError {
    let places = read(text);
    let span = error.span().unwrap_or_default();
    let message = error.message();
    let at = |place: &&Place| place.start <= span.start;
    let place = if span.end == 0 { None } else { places.iter().rev().find(at) };
    let path = place.map(|place| place.path.as_str()).unwrap_or_default();
    let line = text.get(..span.start).map(|before| before.matches('\n').count() + 1);

    if let Some(key) = quoted(message, "missing field `") {
        // The span is that of the table: its heading, or its own key where it is written in braces.
        let problem = "is missing; expected it, as every key must be stated";
        return LoadError::invalid(origin, line, &joined(path, key), problem);
    }
    if let Some(key) = quoted(message, "unknown field `") {
        let table = if place.is_some_and(|place| place.heading) {
            // An unknown table: the heading itself holds the key.
            path.strip_suffix(key).map_or(path, |table| table.trim_end_matches('.'))
        } else {
            path.rsplit_once('.').map_or("", |(table, _)| table)
        };
        let problem = message.replacen(&format!("field `{key}`"), "key", 1);
        return LoadError::invalid(origin, line, &joined(table, key), problem);
    }
    LoadError::invalid(origin, line, path, message)
}

/// The line on which a key, or the table it would stand in, is written.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let places = read(text);
    let exact = places.iter().find(|place| place.path == path);
    let table = || places.iter().rev().find(|place| path.starts_with(&format!("{}.", place.path)));
    exact.or_else(table).map(|place| place.line)
}

fn quoted<'a>(message: &'a str, opening: &str) -> Option<&'a str> {
    message.strip_prefix(opening)?.split('`').next()
}

fn joined(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// Every heading and key of the text, in order.
fn read(text: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut table = String::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        let found = if let Some(name) = content.strip_prefix("[[") {
            let name = name.split(']').next().unwrap_or_default().trim();
            let before = format!("{name}[");
            let earlier = |place: &&Place| place.heading && place.path.starts_with(&before);
            table = format!("{before}{}]", places.iter().filter(earlier).count());
            Some((table.clone(), true))
        } else if let Some(name) = content.strip_prefix('[') {
            name.split(']').next().unwrap_or_default().trim().clone_into(&mut table);
            Some((table.clone(), true))
        } else {
            key_of(content).map(|key| (joined(&table, key), false))
        };
        if let Some((path, heading)) = found {
            places.push(Place { start: start + indent, line: index + 1, path, heading });
        }
        start += line.len();
    }
    places
}

/// The key of a line `key = value`, without its quotes.
fn key_of(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix('"') {
        let (key, rest) = rest.split_once('"')?;
        return rest.trim_start().starts_with('=').then_some(key);
    }
    let key = line.split_once('=')?.0.trim_end();
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!key.is_empty() && key.chars().all(bare)).then_some(key)
}
