//! A sentence with places for names. Everything wrong with one is found when it is parsed, so filling cannot fail; what is
//! filled in is never parsed again, so a name with braces stays a name.

use std::collections::BTreeSet;

/// What can be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Partner,
    Services,
    Portal,
    Agreement,
    Link,
}

impl Slot {
    const ALL: [Self; 5] = [Self::Partner, Self::Services, Self::Portal, Self::Agreement, Self::Link];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Services => "services",
            Self::Portal => "portal",
            Self::Agreement => "agreement",
            Self::Link => "link",
        }
    }
}

/// What is filled in.
pub(super) struct Values {
    pub(super) partner: String,
    pub(super) services: String,
    pub(super) portal: String,
    pub(super) agreement: String,
    pub(super) link: String,
}

impl Values {
    fn of(&self, slot: Slot) -> &str {
        match slot {
            Slot::Partner => &self.partner,
            Slot::Services => &self.services,
            Slot::Portal => &self.portal,
            Slot::Agreement => &self.agreement,
            Slot::Link => &self.link,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(Slot),
}

/// A parsed sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Parses `text`, or returns what stands in the braces that cannot be understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(open);
            let inner = braced.strip_prefix('{').ok_or_else(|| "}".to_owned())?;
            let (name, after) = inner.split_once('}').ok_or_else(|| braced.to_owned())?;
            let slot = Slot::ALL.into_iter().find(|slot| slot.name() == name);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Slot(slot.ok_or_else(|| format!("{{{name}}}"))?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    pub(super) fn fill(&self, values: &Values) -> String {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Slot(slot) => values.of(*slot),
        });
        texts.collect()
    }

    /// Whether it is the link and nothing else.
    pub(super) fn is_link(&self) -> bool {
        self.0 == [Piece::Slot(Slot::Link)]
    }

    pub(super) fn slots(&self) -> BTreeSet<Slot> {
        let slots = self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Slot(slot) => Some(*slot),
        });
        slots.collect()
    }
}
