//! What operators can ask of the outbox of a service on its command line, and how the answer is shown.
//!
//! This is the words alone: the service does it, since only it has a database.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use clock::{Time, Uuid};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::command::Files;

/// What is asked of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Count what waits, is parked and is kept.
    Status,
    /// List the parked events.
    Parked,
    /// Let one parked event be tried again.
    Redrive(Uuid),
    /// Let all parked events be tried again.
    RedriveAll,
    /// Let events be delivered again that were delivered since then.
    Redeliver {
        /// The first moment, by the clock of the database.
        since: Time,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// One thing by its properties.
    One(Vec<(&'static str, Value)>),
    /// Several things by columns.
    Many {
        /// The names of the columns.
        columns: &'static [&'static str],
        /// One value for each column.
        rows: Vec<Vec<Value>>,
        /// What people are told when there is no row.
        none: &'static str,
    },
}

/// The subcommands of `outbox`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Counts events that wait, are parked, and are kept after delivery.
    Status(Common),
    /// Lists the events that the receiver refused for good, and why.
    Parked(Common),
    /// Lets parked events be tried again; later ones of the same key follow in their order.
    Redrive(Redrive),
    /// Lets events be delivered again that were delivered since a moment, at most seven days ago: for a receiver that was restored
    /// from a backup. Run it while the receiver is stopped, so that newer events cannot overtake them.
    Redeliver(Redeliver),
}

#[derive(Args)]
pub(crate) struct Common {
    #[command(flatten)]
    files: Files,
    /// How the answer is shown.
    #[arg(long, default_value = "table")]
    output: Output,
}

#[derive(Args)]
pub(crate) struct Redrive {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The id of one event, as `outbox parked` lists it.
    #[arg(long)]
    id: Option<Uuid>,
    /// All events that are parked now.
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub(crate) struct Redeliver {
    #[command(flatten)]
    common: Common,
    /// Since when, such as 2026-01-31T08:00:00Z; rather before the moment of the backup than after it.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Time,
}

/// How the answer is shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Command {
    /// What is asked, with which configuration, and how the answer is to be shown.
    pub(crate) fn into_task(self) -> (Task, Files, Output) {
        let (task, common) = match self {
            Command::Status(common) => (Task::Status, common),
            Command::Parked(common) => (Task::Parked, common),
            Command::Redrive(Redrive { common, which }) => (which.id.map_or(Task::RedriveAll, Task::Redrive), common),
            Command::Redeliver(Redeliver { common, since }) => (Task::Redeliver { since }, common),
        };
        (task, common.files, common.output)
    }
}

/// A moment in UTC as RFC 3339 writes it, to the microsecond.
#[must_use]
pub fn moment(time: Time) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.micros()) * 1000).ok();
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    // A time of no year that has four digits.
    text.unwrap_or_else(|| format!("{} microseconds after 1970", time.micros()))
}

fn parse_moment(text: &str) -> Result<Time, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339);
    let moment = moment.map_err(|_| "expected a moment such as 2026-01-31T08:00:00Z".to_owned())?;
    Ok(Time::from_micros((moment.unix_timestamp_nanos() / 1000) as i64))
}

impl Report {
    /// The text to print, with a line feed at its end.
    pub(crate) fn show(&self, output: Output) -> String {
        match output {
            Output::Json => format!("{:#}\n", self.json()),
            Output::Table => self.table(),
        }
    }

    fn json(&self) -> Value {
        let object = |pairs: &mut dyn Iterator<Item = (&str, &Value)>| {
            Value::Object(pairs.map(|(name, value)| (name.to_owned(), value.clone())).collect::<Map<_, _>>())
        };
        match self {
            Report::One(properties) => object(&mut properties.iter().map(|(name, value)| (*name, value))),
            Report::Many { columns, rows, .. } => {
                let rows = rows.iter().map(|row| object(&mut columns.iter().copied().zip(row)));
                Value::Array(rows.collect())
            }
        }
    }

    fn table(&self) -> String {
        match self {
            Report::One(properties) => {
                aligned(properties.iter().map(|(name, value)| vec![name.replace('_', " "), cell(value)]).collect())
            }
            Report::Many { rows, none, .. } if rows.is_empty() => format!("{none}\n"),
            Report::Many { columns, rows, .. } => {
                let heading = columns.iter().map(|name| name.to_uppercase()).collect();
                let rows = rows.iter().map(|row| row.iter().map(cell).collect());
                aligned(std::iter::once(heading).chain(rows).collect())
            }
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace('\n', " "),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Rows with columns as wide as their widest cell.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_written_as_they_are_read() {
        let text = "2026-01-31T08:00:00.000001Z";
        assert_eq!(moment(parse_moment(text).unwrap()), text);
        assert_eq!(parse_moment("2026-01-31T09:00:00+01:00"), parse_moment("2026-01-31T08:00:00Z"));
        assert!(parse_moment("yesterday").unwrap_err().starts_with("expected a moment such as 2026"));
    }

    #[test]
    fn people_get_columns_and_programs_get_json() {
        let rows = vec![vec![json!("x"), json!(null)], vec![json!("longer"), json!(7)]];
        let many = Report::Many { columns: &["id", "tries"], rows, none: "none" };
        assert_eq!(many.show(Output::Table), "ID      TRIES\nx       -\nlonger  7\n");
        assert_eq!(many.json(), json!([{"id": "x", "tries": null}, {"id": "longer", "tries": 7}]));
        let one = Report::One(vec![("delivered_kept", json!(3)), ("parked", json!(0))]);
        assert_eq!(one.show(Output::Table), "delivered kept  3\nparked          0\n");
        assert_eq!(one.json(), json!({"delivered_kept": 3, "parked": 0}));
        let empty = Report::Many { columns: &["id"], rows: Vec::new(), none: "no event is parked" };
        assert_eq!(empty.show(Output::Table), "no event is parked\n");
        assert_eq!(empty.json(), json!([]));
    }
}
