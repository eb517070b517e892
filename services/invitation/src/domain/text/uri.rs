//! Finds invitation links in a text, and tells the one that was issued from any other.
//!
//! What an invitation link is follows from the one issued: everything that starts with the same characters up to and
//! including `/i/`. That base is looked for in any letter case, because browsers do not care; the link is compared exactly.

use super::VIOLATIONS_MAX;

/// Where a link ends in front of its token.
const TOKEN_PATH: &str = "/i/";

/// The invitation links of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// Whether the link issued stands there, whole and by itself.
    pub(super) issued: bool,
    /// Where, in bytes, anything else starts like it.
    pub(super) changed: Vec<usize>,
}

/// Finds the links in `text` that share the base of `link`.
pub(super) fn find(text: &str, link: &str) -> Links {
    let base = base_of(link).as_bytes();
    let mut links = Links::default();
    let mut from = 0;
    while let Some(offset) = position_of(base, &text.as_bytes()[from..]) {
        let start = from + offset;
        from = start + base.len();
        if is_whole(text, start, link) {
            links.issued = true;
            continue;
        }
        links.changed.push(start);
        if links.changed.len() == VIOLATIONS_MAX {
            break;
        }
    }
    links
}

fn base_of(link: &str) -> &str {
    let end = link.rfind(TOKEN_PATH).map_or(link.len(), |at| at + TOKEN_PATH.len());
    &link[..end]
}

fn position_of(base: &[u8], bytes: &[u8]) -> Option<usize> {
    if base.is_empty() {
        return None;
    }
    bytes.windows(base.len()).position(|window| window.eq_ignore_ascii_case(base))
}

fn is_whole(text: &str, start: usize, link: &str) -> bool {
    let Some(after) = text[start..].strip_prefix(link) else {
        return false;
    };
    starts_a_uri(&text[..start]) && ends_the_uri(after)
}

/// Whether a URI that follows `before` is one by itself, not the tail of another (`https://elsewhere/?to=https://…`).
fn starts_a_uri(before: &str) -> bool {
    let word = before.rsplit(is_delimiter).next().unwrap_or_default();
    // A letter of another script right in front is usual in Chinese and Japanese and cannot belong to a scheme.
    let joined = word.rsplit(|c: char| !c.is_ascii()).next().unwrap_or_default();
    let is_punctuation = |c: char| matches!(c, '(' | '[' | '{' | '\'' | '.' | ',' | ';' | ':' | '!' | '-');
    joined.chars().all(is_punctuation) && !word.contains("://")
}

/// Whether a URI in front of `after` ends there, but for the punctuation of a sentence.
fn ends_the_uri(after: &str) -> bool {
    let rest = after.split(is_delimiter).next().unwrap_or_default();
    let is_punctuation = |c: char| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '}' | '\'');
    rest.chars().all(is_punctuation)
}

/// Whether a character can stand in no URI, so that one ends in front of it.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '<' | '>' | '"' | '“' | '”' | '„' | '‘' | '’' | '«' | '»' | '‹' | '›' | '…' | '—' | '–')
        || matches!(c, '。' | '、' | '，' | '．' | '；' | '：' | '！' | '？' | '｡' | '､' | '・')
        || matches!(c, '「'..='』' | '（' | '）' | '【' | '】' | '《' | '》' | '〈' | '〉' | '〔' | '〕')
}
