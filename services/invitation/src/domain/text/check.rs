//! Tells whether a text, as the partner means to send it, still satisfies the rule of the cloud (R14, R15, R40).
//!
//! Line endings and trailing white space do not count, because mail programs change them; every other character does.

use super::fixed;
use super::uri;
use super::{Draft, EditRule, Violation};

/// The longest a text may be, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Everything wrong with `text` when sent in place of `draft`; nothing when it may be sent.
///
/// The rule decides what of the draft stays, so a draft rendered for one cloud can be asked about under another's rule.
#[must_use]
pub fn check(text: &str, draft: &Draft, rule: EditRule) -> Vec<Violation> {
    if text.len() > TEXT_BYTES_MAX {
        return vec![Violation::TextTooLong { length_bytes: text.len() }];
    }
    let text = normalize(text);
    let mut violations = check_link(&text, draft.link());
    match rule {
        EditRule::KeepLink => {}
        EditRule::FirstTwoParagraphs => {
            let link_is_wrong = !violations.is_empty();
            violations.extend(fixed::check(&text, &draft.fixed_parts(), link_is_wrong));
        }
    }
    violations
}

/// `text` with `\n` for every line ending, and without white space at the end of a line or of the text.
pub(super) fn normalize(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

/// The character that the byte at `offset` belongs to, from 0.
pub(super) fn character_at(text: &str, offset: usize) -> usize {
    text[..offset].chars().count()
}

// R15, R40: the link is there, and nothing that looks like it is not.
fn check_link(text: &str, link: &str) -> Vec<Violation> {
    let links = uri::find(text, link);
    if !links.issued && links.changed.is_empty() {
        return vec![Violation::LinkMissing];
    }
    let changed = links.changed.into_iter();
    changed.map(|start| Violation::LinkChanged { position: character_at(text, start) }).collect()
}
