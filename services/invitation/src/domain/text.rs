//! The text that carries an invitation link to a customer: rendered in the customer's language, edited by the partner, and
//! checked against the rule of the cloud before it is sent (R13-R15, R36-R40).
//!
//! A draft that is handed out passes its own check. Its fixed part says who asks, whether admin privileges are included
//! and for which services, who may accept and where, and that privileges can be taken back without ending the relationship.
//!
//! It sends nothing (R19) and knows no cloud: the edit rule, the titles and the link come in from outside.

mod catalog;
mod check;
mod fixed;
mod problem;
mod template;
mod uri;
mod violation;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::catalog::{Catalog, Locale};
pub use self::check::{TEXT_BYTES_MAX, check};
pub use self::problem::{LoadError, Problem};
pub use self::violation::Violation;

use self::check::normalize;
use self::template::Values;

/// The longest an edited paragraph may be, in characters.
pub const EDIT_CHARACTERS_MAX: usize = 4000;

/// How many paragraphs at the start of a text are the partner's where the rest is fixed (R14).
const FREE_PARAGRAPHS: usize = 2;

/// After how many violations the search for more ends.
const VIOLATIONS_MAX: usize = 100;

/// What an empty line between paragraphs looks like in plain text.
const PARAGRAPH_BREAK: &str = "\n\n";

/// RFC 6068 leaves only the unreserved characters bare.
const MAILTO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a cloud lets a partner edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditRule {
    /// Any text may be edited; the link must be there, unchanged (R40).
    KeepLink,
    /// Only the first two paragraphs may be edited or deleted (R14); all else, the link above all, stays (R15).
    FirstTwoParagraphs,
}

impl EditRule {
    /// The number of the rule.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::KeepLink => "R40",
            Self::FirstTwoParagraphs => "R14",
        }
    }

    /// The rule as a sentence for the partner.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::KeepLink => "any text may be edited; the link must be included, exactly as issued",
            Self::FirstTwoParagraphs => {
                "the first two paragraphs may be edited or deleted; all other text and the link stay exactly as issued"
            }
        }
    }
}

/// What a text tells of one invitation link.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The partner's display name.
    pub partner: &'a str,
    /// Titles of the services for which admin privileges are asked; none when the request is without privileges (R37).
    pub services: &'a [String],
    /// Title of the agreement the customer must have accepted, where the cloud requires one (R43).
    pub agreement: Option<&'a str>,
    /// Title of the portal in which the request is accepted (R49-R52).
    pub portal: &'a str,
    /// The invitation link.
    pub link: &'a str,
}

/// A partner's change to one paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The paragraph's place in the unedited text, from 1.
    pub paragraph: usize,
    /// Its new text; empty deletes the paragraph.
    pub text: String,
}

/// Whether a part may be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May be edited or deleted.
    Editable,
    /// Stays as issued.
    Fixed,
    /// The link; stays as issued under every rule.
    Link,
}

/// One paragraph of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place in the unedited text, from 1. Deleting another paragraph does not move it.
    pub paragraph: usize,
    /// Its text, without line breaks at its ends.
    pub text: String,
    /// Whether it may be edited.
    pub kind: Kind,
}

/// An invitation text, ready to be sent by the partner. Exactly one of its parts is the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    subject: String,
    parts: Vec<Part>,
}

impl Draft {
    /// Renders the text in a language and applies the partner's edits.
    ///
    /// # Errors
    /// Every edit that cannot be applied; else everything the edited text would violate, with positions in its plain text.
    pub fn render(locale: &Locale, facts: &Facts<'_>, rule: EditRule, edits: &[Edit]) -> Result<Self, Vec<Violation>> {
        let issued = Self::issue(locale, facts, rule);
        let refused = issued.refusals(edits);
        if !refused.is_empty() {
            return Err(refused);
        }
        let draft = issued.edited(edits);
        // Also without edits: a partner's name could hold a link of its own.
        let violations = check(&draft.plain_text(), &issued, rule);
        if violations.is_empty() { Ok(draft) } else { Err(violations) }
    }

    /// The subject line.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The paragraphs, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The body for the clipboard: paragraphs with one empty line between them (R39).
    #[must_use]
    pub fn plain_text(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().map(|part| part.text.as_str()).collect();
        texts.join(PARAGRAPH_BREAK)
    }

    /// Subject and body for the mail program, as a `mailto:` URI without addressee (R39, RFC 6068).
    #[must_use]
    pub fn mailto(&self) -> String {
        let body = self.plain_text().replace('\n', "\r\n");
        let subject = utf8_percent_encode(&self.subject, MAILTO);
        format!("mailto:?subject={subject}&body={}", utf8_percent_encode(&body, MAILTO))
    }

    fn issue(locale: &Locale, facts: &Facts<'_>, rule: EditRule) -> Self {
        let services: Vec<String> = facts.services.iter().map(|title| one_line(title)).collect();
        let values = Values {
            partner: one_line(facts.partner),
            services: locale.join(&services),
            portal: one_line(facts.portal),
            agreement: facts.agreement.map(one_line).unwrap_or_default(),
            link: facts.link.to_owned(),
        };
        let texts = locale.paragraphs(!services.is_empty(), facts.agreement.is_some());
        let parts = texts.zip(1..).map(|(template, paragraph)| Part {
            paragraph,
            text: template.fill(&values),
            kind: kind_of(paragraph, template.is_link(), rule),
        });
        Self { subject: locale.subject().fill(&values), parts: parts.collect() }
    }

    fn refusals(&self, edits: &[Edit]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut seen = BTreeSet::new();
        for edit in edits {
            if violations.len() >= VIOLATIONS_MAX {
                break;
            }
            let paragraph = edit.paragraph;
            if !seen.insert(paragraph) {
                violations.push(Violation::ParagraphRepeated { paragraph });
                continue;
            }
            let Some(part) = self.parts.iter().find(|part| part.paragraph == paragraph) else {
                violations.push(Violation::ParagraphNotFound { paragraph });
                continue;
            };
            if part.kind != Kind::Editable {
                violations.push(Violation::FixedTextChanged { paragraph, position: self.start_of(part) });
            }
            violations.extend(refusal_of_text(edit));
        }
        violations
    }

    /// Where a part starts in the plain text, in characters from 0.
    fn start_of(&self, part: &Part) -> usize {
        let before = self.parts.iter().take_while(|other| other.paragraph != part.paragraph);
        before.map(|other| other.text.chars().count() + PARAGRAPH_BREAK.len()).sum()
    }

    fn edited(&self, edits: &[Edit]) -> Self {
        let mut draft = self.clone();
        for edit in edits {
            if let Some(part) = draft.parts.iter_mut().find(|part| part.paragraph == edit.paragraph) {
                part.text = normalize(&edit.text).trim_start_matches('\n').to_owned();
            }
        }
        draft.parts.retain(|part| !part.text.is_empty());
        draft
    }

    /// The link as issued.
    fn link(&self) -> &str {
        let link = self.parts.iter().find(|part| part.kind == Kind::Link);
        link.map_or("", |part| part.text.as_str())
    }

    /// The parts that stay as issued where only the first two paragraphs are the partner's.
    fn fixed_parts(&self) -> Vec<&Part> {
        let stays = |part: &&Part| part.paragraph > FREE_PARAGRAPHS || part.kind == Kind::Link;
        self.parts.iter().filter(stays).collect()
    }
}

fn kind_of(paragraph: usize, is_link: bool, rule: EditRule) -> Kind {
    if is_link {
        return Kind::Link;
    }
    match rule {
        EditRule::KeepLink => Kind::Editable,
        EditRule::FirstTwoParagraphs if paragraph <= FREE_PARAGRAPHS => Kind::Editable,
        EditRule::FirstTwoParagraphs => Kind::Fixed,
    }
}

fn refusal_of_text(edit: &Edit) -> Option<Violation> {
    let paragraph = edit.paragraph;
    // Forms submit CRLF: as in the check, line endings do not count.
    let text = edit.text.replace("\r\n", "\n").replace('\r', "\n");
    let length = text.chars().count();
    if length > EDIT_CHARACTERS_MAX {
        return Some(Violation::ParagraphTooLong { paragraph, length });
    }
    let is_refused = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let position = text.chars().position(is_refused)?;
    Some(Violation::ControlCharacter { paragraph, position })
}

/// A title on one line, so that no name can start a paragraph or a mail header of its own.
fn one_line(title: &str) -> String {
    let words: Vec<&str> =
        title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
