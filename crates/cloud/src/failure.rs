//! Why a file of a cloud was refused: which file, which key of it, and what was expected there.

use std::io;

/// A policy or market file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{file}: cannot be read ({source}); expected a readable policy file")]
    Unreadable {
        /// The path as it was given.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file could be read but not used.
    #[error("{file}{}: {key}: {problem}", line.map(|n| format!(":{n}")).unwrap_or_default())]
    Invalid {
        /// Where the text came from.
        file: String,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// The key at fault with the tables it stands in, such as `delegation.optional`.
        key: String,
        /// What is wrong there, and what was expected.
        problem: String,
    },
}

impl LoadError {
    pub(crate) fn invalid(file: &str, line: Option<usize>, key: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { file: file.to_owned(), line, key: key.to_owned(), problem: problem.into() }
    }

    /// The file as it was named to us.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Unreadable { file, .. } | Self::Invalid { file, .. } => file,
        }
    }

    /// The key at fault; empty when it is the file as a whole.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Unreadable { .. } => "",
            Self::Invalid { key, .. } => key,
        }
    }

    /// The line of the file, counted from 1, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Invalid { line, .. } => *line,
        }
    }
}
