//! Results: every window as a line of JSON, so that runs can be compared, and medians as tables for people.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What one window showed.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// Calls answered in a second.
    pub(crate) rate: f64,
    /// The latency that half of the calls did not exceed, in milliseconds; of pgbench, the mean.
    pub(crate) p50_ms: f64,
    /// The latency that 99 of 100 calls did not exceed, in milliseconds; pgbench does not tell.
    pub(crate) p99_ms: f64,
    /// Processor time for each call by program, in microseconds.
    pub(crate) cpu_us: BTreeMap<&'static str, f64>,
    /// How long work went on behind the last answer, in seconds.
    pub(crate) settle_s: f64,
}

/// What all rounds showed of one case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    /// Adds a round.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The median of this number over all rounds; 0 when there was none.
    #[must_use]
    pub(crate) fn median(&self, number: impl Fn(&Sample) -> f64) -> f64 {
        let mut numbers: Vec<f64> = self.0.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        match numbers.as_slice() {
            [] => 0.0,
            all if all.len() % 2 == 1 => all[middle],
            all => f64::midpoint(all[middle - 1], all[middle]),
        }
    }

    /// The median rate.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        self.median(|sample| sample.rate)
    }

    /// The median of what a program used for each call.
    #[must_use]
    pub(crate) fn cpu_us(&self, program: &str) -> f64 {
        self.median(|sample| sample.cpu_us.get(program).copied().unwrap_or_default())
    }
}

/// Where results go.
#[derive(Debug)]
pub struct Report {
    lines: File,
    file: PathBuf,
    text: String,
}

impl Report {
    /// A report whose lines are written to this new file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(file: &Path) -> Result<Report> {
        let folder = file.parent().context("a file lies in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let lines = File::create(file).with_context(|| format!("{} cannot be made", file.display()))?;
        Ok(Report { lines, file: file.to_owned(), text: String::new() })
    }

    /// Where the lines are.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When the file takes no more.
    pub(crate) fn line(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.lines, "{line}").with_context(|| format!("{} takes no more", self.file.display()))
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Adds a table: its title, its columns, its rows.
    pub(crate) fn table(&mut self, title: &str, columns: &[&str], rows: &[Vec<String>]) {
        self.say(&format!("### {title}"));
        let mut text = format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
        for row in rows {
            text += &format!("| {} |\n", row.join(" | "));
        }
        text.push('\n');
        self.text.push_str(&text);
    }

    /// Everything for people, as Markdown.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A number as people read it: three digits that matter, or all before the point.
#[must_use]
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => spaced(&format!("{value:.0}")),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A count as people read it: `12 345`.
#[must_use]
pub(crate) fn grouped(count: u64) -> String {
    spaced(&count.to_string())
}

fn spaced(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// How many times the one is the other; a dash when the other is nothing.
#[must_use]
pub(crate) fn times(one: f64, other: f64) -> String {
    if other == 0.0 { "–".to_owned() } else { format!("{:.2}", one / other) }
}

#[cfg(test)]
mod tests {
    use super::{Sample, Samples, number, times};

    #[test]
    fn medians_are_those_of_all_rounds() {
        let mut samples = Samples::default();
        for rate in [3.0, 1.0, 8.0, 2.0] {
            samples.push(Sample { rate, ..Sample::default() });
        }
        assert_eq!(samples.rate(), 2.5);
        samples.push(Sample { rate: 9.0, ..Sample::default() });
        assert_eq!(samples.rate(), 3.0);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [1_234_567.8, 999.4, 12.34, 0.567, 0.0].map(number);
        assert_eq!(shown, ["1 234 568", "999", "12.3", "0.57", "0.00"]);
        assert_eq!((times(1.0, 4.0).as_str(), times(1.0, 0.0).as_str()), ("0.25", "–"));
    }
}
