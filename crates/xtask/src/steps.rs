//! A list of checks that all run, so that one round shows every failure, each with its time.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// What ran so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    time: Duration,
    passed: bool,
}

impl Steps {
    /// Runs one check. A failure is printed and remembered, and does not stop what comes after.
    pub(crate) fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        eprintln!("\n── {name}");
        let start = Instant::now();
        let result = step();
        self.done.push(Step { name, time: start.elapsed(), passed: result.is_ok() });
        // Without the backtrace that `anyhow` adds to its debug form: these are sentences for people.
        result.inspect_err(|error| eprintln!("{name}: {error:#}")).ok()
    }

    /// Prints one line per check, with its time and outcome, and names those that failed; success if there are none.
    pub(crate) fn finish(&self) -> ExitCode {
        println!();
        for step in &self.done {
            let outcome = if step.passed { "ok" } else { "FAILED" };
            println!("{:>7.1} s  {:<15} {outcome}", step.time.as_secs_f64(), step.name);
        }
        let failed: Vec<&str> = self.done.iter().filter(|step| !step.passed).map(|step| step.name).collect();
        if failed.is_empty() {
            return ExitCode::SUCCESS;
        }
        eprintln!("\nfailed: {}", failed.join(", "));
        ExitCode::FAILURE
    }
}
