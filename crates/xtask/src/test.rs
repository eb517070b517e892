//! Runs the tests against a PostgreSQL of their own, and counts them.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use postgres::{Durability, Server};

use crate::process::{cargo, on_path};
use crate::steps::Steps;
use crate::tools;

/// Names the PostgreSQL server for tests; `testkit` reads it.
pub(crate) const SERVER_VARIABLE: &str = "MANDATE_TEST_POSTGRES";

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
}

/// Runs the tests; no counts means that they did not come to their end.
pub(crate) fn run(steps: &mut Steps, arguments: &[&str]) -> Option<Counts> {
    let mut path = None;
    if run_other_programs(arguments) {
        // Without them the tests that run them fail; the others have their say all the same.
        steps.run("test: buf", || tools::buf().map(drop));
        path = steps.run("test: kubectl", tools::path_with_kubectl);
    }
    let (url, server) = match std::env::var_os(SERVER_VARIABLE) {
        Some(url) => (url.to_string_lossy().into_owned(), None),
        None => {
            let server = steps.run("postgres", server)?;
            (server.url(), Some(server))
        }
    };
    let mut counts = None;
    steps.run("test", || run_against(&url, path.as_deref(), arguments, &mut counts));
    drop(server);
    counts
}

/// A server for tests, which need no durability.
pub(crate) fn server() -> Result<Server> {
    Server::start(&tools::postgres::find()?, Durability::None)
}

/// As a line of its own.
impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Whether these arguments select tests that run buf or kubectl; those are all in one package.
fn run_other_programs(arguments: &[&str]) -> bool {
    arguments.is_empty() || arguments.iter().any(|word| *word == "--workspace" || word.contains("conformance"))
}

fn run_against(url: &str, path: Option<&OsStr>, arguments: &[&str], counts: &mut Option<Counts>) -> Result<()> {
    let scope = if arguments.is_empty() { &["--workspace"] } else { arguments };
    let mut runner = cargo();
    runner.env(SERVER_VARIABLE, url);
    // For the tests that crash a server, and so bring their own.
    runner.env(postgres::PROGRAMS_VARIABLE, tools::postgres::find()?);
    runner.envs(path.map(|path| ("PATH", path)));
    let (status, counted) = if on_path("cargo-nextest").is_some() {
        runner.args(["nextest", "run", "--no-fail-fast"]).args(scope);
        watch_nextest(&mut runner)?
    } else {
        println!("cargo-nextest is not on the PATH: cargo runs the tests itself");
        runner.args(["test", "--no-fail-fast"]).args(scope);
        watch_cargo_test(&mut runner)?
    };
    // A build that fails and a test process that dies without a summary are no "0 failed".
    if !status.success() && counted.failed == 0 {
        bail!("the tests did not come to their end: {status}");
    }
    *counts = Some(counted);
    if counted.failed > 0 {
        bail!("{} of {} tests failed", counted.failed, counted.failed + counted.passed);
    }
    if counted.passed == 0 {
        bail!("there was no test to run");
    }
    Ok(())
}

type Watched = (std::process::ExitStatus, Counts);

/// nextest reports on its error stream and closes with one summary.
fn watch_nextest(runner: &mut Command) -> Result<Watched> {
    if std::io::stderr().is_terminal() {
        runner.args(["--color", "always"]);
    }
    let mut child = runner.stderr(Stdio::piped()).spawn().context("nextest cannot be started")?;
    let stream = child.stderr.take().context("nextest has no error stream")?;
    let counts = echo(stream, std::io::stderr(), nextest_summary)?;
    Ok((child.wait().context("nextest cannot be waited for")?, counts))
}

/// cargo's own runner closes every test binary with a line on its output.
fn watch_cargo_test(runner: &mut Command) -> Result<Watched> {
    let mut child = runner.stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let stream = child.stdout.take().context("cargo has no output")?;
    let counts = echo(stream, std::io::stdout(), cargo_test_result)?;
    Ok((child.wait().context("cargo cannot be waited for")?, counts))
}

/// Passes every line on as it comes, and adds up what the lines count.
fn echo(from: impl Read, mut to: impl Write, parse: fn(&str) -> Option<Counts>) -> Result<Counts> {
    let mut total = Counts::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).context("the runner's output cannot be read")? > 0 {
        to.write_all(&line).context("the runner's output cannot be passed on")?;
        if let Some(counts) = parse(&without_colors(&String::from_utf8_lossy(&line))) {
            total.passed += counts.passed;
            total.failed += counts.failed;
        }
        line.clear();
    }
    Ok(total)
}

/// `Summary [ 0.1s] 5 tests run: 2 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 3 skipped`
fn nextest_summary(line: &str) -> Option<Counts> {
    let (_, outcomes) = line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?;
    let outcomes: String =
        outcomes.split('(').map(|part| part.split_once(')').map_or(part, |(_, after)| after)).collect();
    let mut counts = Counts::default();
    for outcome in outcomes.split(',') {
        let (number, word) = outcome.trim().split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word.trim() {
            "passed" => counts.passed += number,
            "skipped" => {}
            // Failed, timed out, failed to start: every other end of a test is a failure.
            _ => counts.failed += number,
        }
    }
    Some(counts)
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn cargo_test_result(line: &str) -> Option<Counts> {
    let (_, outcomes) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        let outcome = outcomes.split("; ").find_map(|outcome| outcome.strip_suffix(word));
        outcome.and_then(|number| number.trim().parse().ok())
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")? })
}

/// The text without the sequences that color it on a terminal.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, after)| after));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Counts, cargo_test_result, echo, nextest_summary, without_colors};

    #[test]
    fn a_nextest_summary_is_counted() {
        let line = "     Summary [   0.005s] 3 tests run: 3 passed, 0 skipped\n";
        assert_eq!(nextest_summary(line), Some(Counts { passed: 3, failed: 0 }));
    }

    #[test]
    fn every_bad_end_of_a_test_is_a_failure() {
        let line = "Summary [1s] 9/12 tests run: 4 passed (1 slow, 2 leaky), 2 failed, \
                    2 timed out, 1 exec failed, 7 skipped";
        assert_eq!(nextest_summary(line), Some(Counts { passed: 4, failed: 5 }));
    }

    #[test]
    fn other_lines_of_nextest_are_not_counted() {
        assert_eq!(nextest_summary("        PASS [   0.005s] store::it keeps"), None);
        assert_eq!(nextest_summary("    Starting 3 tests across 2 binaries"), None);
    }

    #[test]
    fn colors_do_not_hide_the_summary() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m1\u{1b}[0m test run: \
                    \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 \u{1b}[33;1mskipped\u{1b}[0m";
        assert_eq!(nextest_summary(&without_colors(line)), Some(Counts { passed: 1, failed: 0 }));
    }

    #[test]
    fn the_results_of_all_test_binaries_are_added_up() {
        let output = b"running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n\
            no newline at the end";
        let mut seen = Vec::new();
        let counts = echo(output.as_slice(), &mut seen, cargo_test_result).unwrap();
        assert_eq!(counts, Counts { passed: 4, failed: 2 });
        assert_eq!(seen, output);
    }
}
