//! The texts in every language, embedded and checked once.
//!
//! A catalog that loads is complete: every language has the same paragraphs in the same order, filled from the same facts, and
//! in every variant the fixed part names the partner, the portal, the services asked for and the link. What the sentences
//! say is for their readers to judge.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::FREE_PARAGRAPHS;
use super::problem::{LoadError, Problem};
use super::template::{Slot, Template};

/// Every language we have, the model for the others first.
const SOURCES: [(&str, &str); 6] = [
    ("en", include_str!("../../../texts/en.toml")),
    ("de", include_str!("../../../texts/de.toml")),
    ("fr", include_str!("../../../texts/fr.toml")),
    ("it", include_str!("../../../texts/it.toml")),
    ("ja", include_str!("../../../texts/ja.toml")),
    ("zh-Hans", include_str!("../../../texts/zh-Hans.toml")),
];

/// The longest language tag that is looked at.
const TAG_BYTES_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    subject: String,
    list: ListFile,
    paragraphs: Vec<ParagraphFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    separator: String,
    last: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParagraphFile {
    id: String,
    text: String,
    when: When,
    #[serde(default)]
    needs: Needs,
}

/// For which requests a paragraph stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Always,
    Delegation,
    NoDelegation,
}

/// Without what a paragraph is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Needs {
    #[default]
    Nothing,
    Agreement,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Paragraph {
    id: String,
    when: When,
    needs: Needs,
    template: Template,
}

/// The text in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale {
    tag: String,
    subject: Template,
    separator: String,
    last: String,
    paragraphs: Vec<Paragraph>,
}

/// The text in every language.
#[derive(Debug, Clone)]
pub struct Catalog {
    locales: Vec<Locale>,
}

impl Catalog {
    /// Parses and checks the embedded texts.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn load() -> Result<Self, LoadError> {
        Self::parse(&SOURCES)
    }

    /// Parses texts, each a language tag and the content of a file; the first is the model for the others.
    pub(super) fn parse(sources: &[(&str, &str)]) -> Result<Self, LoadError> {
        let mut locales: Vec<Locale> = Vec::with_capacity(sources.len());
        for (tag, source) in sources {
            let locale = Locale::parse(tag, source)
                .and_then(|locale| match locales.first() {
                    Some(model) => locale.like(model),
                    None => Ok(locale),
                })
                .map_err(|problem| LoadError { locale: (*tag).to_owned(), problem })?;
            locales.push(locale);
        }
        Ok(Self { locales })
    }

    /// Every language.
    pub fn locales(&self) -> impl Iterator<Item = &Locale> {
        self.locales.iter()
    }

    /// The text for a BCP 47 tag, falling back from the specific to the general (RFC 4647, 3.4): `it-CH` gets `it`.
    ///
    /// Chinese falls back to simplified characters, but never for a reader of traditional ones.
    #[must_use]
    pub fn find(&self, requested: &str) -> Option<&Locale> {
        let subtags: Vec<&str> = requested.split('-').collect();
        let is_subtag = |s: &&str| (1..=8).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphanumeric());
        if requested.len() > TAG_BYTES_MAX || !subtags.iter().all(is_subtag) {
            return None;
        }
        // What follows a single letter is an extension and says nothing about the language.
        let end = subtags.iter().position(|subtag| subtag.len() == 1).unwrap_or(subtags.len());
        let subtags = &subtags[..end];
        let is_chinese = subtags.first().is_some_and(|language| language.eq_ignore_ascii_case("zh"));
        if is_chinese {
            return self.by_tag(if is_simplified(subtags) {
                "zh-Hans"
            } else {
                return None;
            });
        }
        (1..=subtags.len()).rev().find_map(|length| self.by_tag(&subtags[..length].join("-")))
    }

    fn by_tag(&self, tag: &str) -> Option<&Locale> {
        self.locales.iter().find(|locale| locale.tag.eq_ignore_ascii_case(tag))
    }
}

/// Whether a Chinese tag is read in simplified characters: the script decides, else the region.
fn is_simplified(subtags: &[&str]) -> bool {
    let names =
        |names: &[&str]| subtags.iter().any(|subtag| names.iter().any(|name| subtag.eq_ignore_ascii_case(name)));
    names(&["Hans"]) || !names(&["Hant", "TW", "HK", "MO"])
}

impl Locale {
    /// The language, as a BCP 47 tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) const fn subject(&self) -> &Template {
        &self.subject
    }

    /// The paragraphs of one variant, in order.
    pub(super) fn paragraphs(&self, has_delegation: bool, has_agreement: bool) -> impl Iterator<Item = &Template> {
        let stands = move |paragraph: &&Paragraph| {
            let when = match paragraph.when {
                When::Always => true,
                When::Delegation => has_delegation,
                When::NoDelegation => !has_delegation,
            };
            when && match paragraph.needs {
                Needs::Nothing => true,
                Needs::Agreement => has_agreement,
            }
        };
        self.paragraphs.iter().filter(stands).map(|paragraph| &paragraph.template)
    }

    /// The titles as a list in a sentence: `A, B and C`.
    pub(super) fn join(&self, titles: &[String]) -> String {
        match titles {
            [] => String::new(),
            [only] => only.clone(),
            [init @ .., last] => format!("{}{}{last}", init.join(&self.separator), self.last),
        }
    }

    fn parse(tag: &str, source: &str) -> Result<Self, Problem> {
        let file: File = toml::from_str(source).map_err(|error| Problem::Malformed(error.to_string()))?;
        let subject = template("subject", &file.subject)?;
        demand("subject", &subject.slots(), &[Slot::Partner], &[])?;
        let mut paragraphs = Vec::with_capacity(file.paragraphs.len());
        for (index, paragraph) in file.paragraphs.into_iter().enumerate() {
            paragraphs.push(Paragraph::parse(paragraph, index < FREE_PARAGRAPHS)?);
        }
        let ListFile { separator, last } = file.list;
        let locale = Self { tag: tag.to_owned(), subject, separator, last, paragraphs };
        locale.check_variants()?;
        Ok(locale)
    }

    /// The fixed part of every variant tells everything a customer consents to; the first two paragraphs may be deleted.
    fn check_variants(&self) -> Result<(), Problem> {
        for (variant, has_delegation) in [("the text with delegation", true), ("the text without delegation", false)] {
            let templates: Vec<&Template> = self.paragraphs(has_delegation, true).collect();
            let fixed = templates.iter().skip(FREE_PARAGRAPHS);
            let told: BTreeSet<Slot> = fixed.flat_map(|template| template.slots()).collect();
            let always = [Slot::Partner, Slot::Portal, Slot::Agreement, Slot::Link];
            let services = has_delegation.then_some(Slot::Services);
            for slot in always.into_iter().chain(services) {
                if !told.contains(&slot) {
                    return Err(missing(variant, slot));
                }
            }
            if templates.iter().filter(|template| template.is_link()).count() > 1 {
                return Err(misplaced(variant, Slot::Link));
            }
        }
        Ok(())
    }

    fn like(self, model: &Self) -> Result<Self, Problem> {
        let shape = |locale: &Self| locale.paragraphs.iter().map(Paragraph::shape).collect();
        let (own, expected): (Vec<String>, Vec<String>) = (shape(&self), shape(model));
        if own == expected {
            return Ok(self);
        }
        Err(Problem::UnlikeModel { model: model.tag.clone(), expected: expected.join("; ") })
    }
}

impl Paragraph {
    fn parse(file: ParagraphFile, is_opening: bool) -> Result<Self, Problem> {
        let ParagraphFile { id, text, when, needs } = file;
        if text.is_empty() || text != text.trim() || text.contains('\n') {
            return Err(Problem::NotOneParagraph(id));
        }
        if is_opening && (when != When::Always || needs != Needs::Nothing) {
            return Err(Problem::OpeningNotAlways(id));
        }
        let template = template(&id, &text)?;
        let mut allowed = vec![Slot::Partner];
        if !is_opening {
            allowed.push(Slot::Portal);
        }
        // Facts that can be absent stand only where they are not.
        if when == When::Delegation {
            allowed.push(Slot::Services);
        }
        if template.is_link() && !is_opening && when == When::Always && needs == Needs::Nothing {
            allowed.push(Slot::Link);
        }
        let needed: &[Slot] = match needs {
            Needs::Nothing => &[],
            Needs::Agreement => &[Slot::Agreement],
        };
        demand(&id, &template.slots(), needed, &allowed)?;
        Ok(Self { id, when, needs, template })
    }

    fn shape(&self) -> String {
        let slots: Vec<&str> = self.template.slots().into_iter().map(Slot::name).collect();
        format!("{} {:?} {:?} {{{}}}", self.id, self.when, self.needs, slots.join(", "))
    }
}

fn template(place: &str, text: &str) -> Result<Template, Problem> {
    Template::parse(text).map_err(|found| Problem::UnknownPlaceholder { place: place.to_owned(), found })
}

/// That all of `needed` are there, and nothing but those and the `allowed`.
fn demand(place: &str, slots: &BTreeSet<Slot>, needed: &[Slot], allowed: &[Slot]) -> Result<(), Problem> {
    if let Some(slot) = needed.iter().find(|slot| !slots.contains(slot)) {
        return Err(missing(place, *slot));
    }
    match slots.iter().find(|slot| !needed.contains(slot) && !allowed.contains(slot)) {
        Some(slot) => Err(misplaced(place, *slot)),
        None => Ok(()),
    }
}

fn missing(place: &str, slot: Slot) -> Problem {
    Problem::MissingPlaceholder { place: place.to_owned(), placeholder: slot.name() }
}

fn misplaced(place: &str, slot: Slot) -> Problem {
    Problem::MisplacedPlaceholder { place: place.to_owned(), placeholder: slot.name() }
}
