//! What can be wrong with a text file. Displayed, it tells the author of the file what to change.

use thiserror::Error;

/// A text file that cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the invitation text in {locale} cannot be used: {problem}")]
pub struct LoadError {
    /// The language of the file.
    pub locale: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a text file.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// Not TOML, or not of the shape asked for.
    #[error("{0}")]
    Malformed(String),
    /// Braces that hold no name we fill in, or are not closed.
    #[error("{place} holds an unknown placeholder: {found}")]
    UnknownPlaceholder {
        /// `subject`, or the id of the paragraph.
        place: String,
        /// What was found.
        found: String,
    },
    /// A placeholder where its value may be absent or is not wanted.
    #[error("{place} may not hold {{{placeholder}}}")]
    MisplacedPlaceholder {
        /// `subject`, or the id of the paragraph.
        place: String,
        /// Its name.
        placeholder: &'static str,
    },
    /// A text without something it must tell.
    #[error("{place} must hold {{{placeholder}}}")]
    MissingPlaceholder {
        /// `subject`, the id of the paragraph, or the variant whose fixed part lacks it.
        place: String,
        /// Its name.
        placeholder: &'static str,
    },
    /// A paragraph that is not one: empty, with an empty line in it, or with white space at an end of it.
    #[error("{0} must be one paragraph, without white space at its ends")]
    NotOneParagraph(String),
    /// One of the first two paragraphs is left out in some texts, so that they would not be the first two.
    #[error("{0} is one of the first two paragraphs and must stand in every text")]
    OpeningNotAlways(String),
    /// Not the paragraphs of the first language.
    #[error("the paragraphs must be those of {model}: {expected}")]
    UnlikeModel {
        /// The first language.
        model: String,
        /// Its paragraphs, in order, with their conditions and placeholders.
        expected: String,
    },
}
