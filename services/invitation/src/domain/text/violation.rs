//! What can be wrong with an edit or an edited text. Displayed, a violation is a sentence that says what to do about it.

use thiserror::Error;

use super::{EDIT_CHARACTERS_MAX, EditRule, TEXT_BYTES_MAX};

/// One thing wrong with an edit or a text. Paragraphs count from 1, characters from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Violation {
    /// The link is nowhere in the text.
    #[error("put the invitation link back, exactly as issued, best on a line of its own")]
    LinkMissing,
    /// An invitation link stands in the text that is not the one issued.
    #[error(
        "replace the invitation link at character {position} by the one issued, with no other characters joined to it"
    )]
    LinkChanged {
        /// Where the changed link starts in the text.
        position: usize,
    },
    /// A part that stays as issued was changed, deleted, or has other text beside it.
    #[error(
        "put paragraph {paragraph} back as issued, in its place: only the paragraphs marked editable may be changed"
    )]
    FixedTextChanged {
        /// The paragraph of the unedited text.
        paragraph: usize,
        /// The first difference in the text; for an edit, where the paragraph starts in the unedited text.
        position: usize,
    },
    /// An edit names a paragraph the text does not have.
    #[error("edit a paragraph that exists: the text has no paragraph {paragraph}")]
    ParagraphNotFound {
        /// What the edit names.
        paragraph: usize,
    },
    /// An edit names a paragraph that an earlier edit names.
    #[error("send one edit for paragraph {paragraph}, not several")]
    ParagraphRepeated {
        /// What the edits name.
        paragraph: usize,
    },
    /// An edited paragraph is too long.
    #[error(
        "shorten paragraph {paragraph} to at most {max} characters: it has {length}",
        max = EDIT_CHARACTERS_MAX
    )]
    ParagraphTooLong {
        /// What the edit names.
        paragraph: usize,
        /// Its length in characters.
        length: usize,
    },
    /// An edited paragraph holds a control character other than a line break or a tab.
    #[error("remove the control character at character {position} of paragraph {paragraph}")]
    ControlCharacter {
        /// What the edit names.
        paragraph: usize,
        /// Where it stands in the edit's text.
        position: usize,
    },
    /// The whole text is too long to be looked at.
    #[error(
        "shorten the text to at most {max} bytes: it has {length_bytes}",
        max = TEXT_BYTES_MAX
    )]
    TextTooLong {
        /// Its length in bytes.
        length_bytes: usize,
    },
}

impl Violation {
    /// The violation as a word for programs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::LinkMissing => "LINK_MISSING",
            Self::LinkChanged { .. } => "LINK_CHANGED",
            Self::FixedTextChanged { .. } => "FIXED_TEXT_CHANGED",
            Self::ParagraphNotFound { .. } => "PARAGRAPH_NOT_FOUND",
            Self::ParagraphRepeated { .. } => "PARAGRAPH_REPEATED",
            Self::ParagraphTooLong { .. } => "PARAGRAPH_TOO_LONG",
            Self::ControlCharacter { .. } => "CONTROL_CHARACTER",
            Self::TextTooLong { .. } => "TEXT_TOO_LONG",
        }
    }

    /// Where it starts, in characters from 0: in the text with its line endings and trailing white space normalized, or
    /// for a control character in the text of the edit.
    #[must_use]
    pub const fn position(&self) -> Option<usize> {
        match self {
            Self::LinkChanged { position }
            | Self::FixedTextChanged { position, .. }
            | Self::ControlCharacter { position, .. } => Some(*position),
            Self::LinkMissing
            | Self::ParagraphNotFound { .. }
            | Self::ParagraphRepeated { .. }
            | Self::ParagraphTooLong { .. }
            | Self::TextTooLong { .. } => None,
        }
    }

    /// The paragraph of the unedited text it concerns, from 1.
    #[must_use]
    pub const fn paragraph(&self) -> Option<usize> {
        match self {
            Self::FixedTextChanged { paragraph, .. }
            | Self::ParagraphNotFound { paragraph }
            | Self::ParagraphRepeated { paragraph }
            | Self::ParagraphTooLong { paragraph, .. }
            | Self::ControlCharacter { paragraph, .. } => Some(*paragraph),
            Self::LinkMissing | Self::LinkChanged { .. } | Self::TextTooLong { .. } => None,
        }
    }

    /// The number of the rule it breaks; none for an edit or text that is malformed under every rule.
    #[must_use]
    pub const fn rule(&self, rule: EditRule) -> Option<&'static str> {
        match (self, rule) {
            (Self::LinkMissing | Self::LinkChanged { .. } | Self::FixedTextChanged { .. }, EditRule::KeepLink) => {
                Some("R40")
            }
            (Self::LinkMissing | Self::LinkChanged { .. }, EditRule::FirstTwoParagraphs) => Some("R15"),
            (Self::FixedTextChanged { .. }, EditRule::FirstTwoParagraphs) => Some("R14"),
            (
                Self::ParagraphNotFound { .. }
                | Self::ParagraphRepeated { .. }
                | Self::ParagraphTooLong { .. }
                | Self::ControlCharacter { .. }
                | Self::TextTooLong { .. },
                EditRule::KeepLink | EditRule::FirstTwoParagraphs,
            ) => None,
        }
    }
}
