//! What is shown to people on standard output: lines, tables and JSON.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde_json::Value;

use crate::failure::Failure;

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs: the answer as protobuf maps it to JSON.
    Json,
}

/// Shows a line.
///
/// # Errors
/// When nobody takes it.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Shows a value for programs.
///
/// # Errors
/// As [`line`].
pub(crate) fn json(value: &Value) -> Result<(), Failure> {
    line(format_args!("{value:#}"))
}

/// Shows rows under a heading, or a sentence when there are none.
///
/// # Errors
/// As [`line`].
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>], none: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return line(none);
    }
    let heading: Vec<String> = heading.iter().map(|title| title.to_uppercase()).collect();
    let widths: Vec<usize> = heading
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max();
            widest.unwrap_or_default().max(title.chars().count())
        })
        .collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut text = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        line(text.trim_end())?;
    }
    Ok(())
}

/// An enum value of the contract as people read it: `RELATIONSHIP_STATE_ACTIVE` of prefix `RELATIONSHIP_STATE_` is `active`.
pub(crate) fn word(value: &str, prefix: &str) -> String {
    value.strip_prefix(prefix).unwrap_or(value).to_lowercase().replace('_', " ")
}

/// A time to the second.
pub(crate) fn moment(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

/// The last id of a resource name.
pub(crate) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{id, moment, word};

    #[test]
    fn values_of_the_contract_become_readable() {
        assert_eq!(word("RELATIONSHIP_STATE_ACTIVE", "RELATIONSHIP_STATE_"), "active");
        assert_eq!(word("ACTION_MANAGE_USERS", "ACTION_"), "manage users");
        assert_eq!(moment("2026-01-02T03:04:05.678901Z"), "2026-01-02T03:04:05Z");
        assert_eq!(moment("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z");
        assert_eq!(id("partners/alpenglow-it"), "alpenglow-it");
        assert_eq!(id(""), "");
    }
}
