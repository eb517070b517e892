//! Runs rounds of faults, and says what broke. `cargo xtask chaos` builds everything and calls it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer command talks on the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chaos::cluster::{Cluster, Engine, Shape, unlike};
use chaos::round::{self, Report, Settings};
use clap::Parser;

/// More broken promises than these are left to the history.
const SHOWN_MAX: usize = 20;

/// Every so many rounds one is on SQLite files, whose disk fills up.
const ON_FILES: u64 = 5;

/// Breaks a whole system while many use it, and tells whether it kept its promises.
#[derive(Debug, Parser)]
struct Arguments {
    /// Makes the plan of operations and faults; one is chosen when none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many rounds.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Goes on for so long in place of a number of rounds.
    #[arg(long, conflicts_with = "rounds")]
    minutes: Option<u64>,
    /// The first round, to replay one alone.
    #[arg(long, default_value_t = 1)]
    first_round: u64,
    /// Clients in each of two clouds.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Operations of each client in a round, at least: it goes on until each kind of fault has happened.
    #[arg(long, default_value_t = 40)]
    operations: u64,
    /// Nothing fails.
    #[arg(long)]
    calm: bool,
    /// Where the logs go.
    #[arg(long, default_value = "target/chaos")]
    logs: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(chosen);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chaos: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&arguments, seed)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A seed that nobody has chosen.
fn chosen() -> u64 {
    let id = clock::Clock::system().id();
    id.as_u64_pair().1 % 1_000_000_000
}

/// True when every promise was kept.
async fn run(arguments: &Arguments, seed: u64) -> Result<bool> {
    println!("seed {seed}; the plan of operations and faults is replayed by it, the timing of processes is not");
    let logs = round::logs(&arguments.logs, seed)?;
    let shape =
        Shape { policies: unlike()?.to_vec(), replicas: 2, gateways: 2, engine: Engine::Postgres, logs: logs.clone() };
    let cluster = Arc::new(Cluster::start(&shape).await.context("the system does not start")?);
    let policies = shape.policies[..1].to_vec();
    let on_files = Shape { policies, replicas: 1, gateways: 1, engine: Engine::Sqlite, logs: logs.clone() };
    let settings =
        Settings { seed, clients: arguments.clients, operations: arguments.operations, faults: !arguments.calm, logs };
    let end = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let mut number = arguments.first_round;
    loop {
        let is_over = match end {
            Some(end) => Instant::now() >= end,
            None => number >= arguments.first_round + arguments.rounds,
        };
        if is_over {
            println!("every promise was kept");
            return Ok(true);
        }
        let replay = replay(arguments, seed, number);
        let report = if number.is_multiple_of(ON_FILES) {
            let cluster = Cluster::start(&on_files).await.context("the system does not start on files")?;
            round::run(&Arc::new(cluster), &settings, number).await
        } else {
            round::run(&cluster, &settings, number).await
        };
        let logs = settings.logs.display();
        let place = || format!("round {number} of seed {seed}; its logs are in {logs}; replay its plan by `{replay}`");
        let report = report.with_context(place)?;
        tell(&report);
        if !report.violations.is_empty() {
            println!(
                "round {number} of seed {seed} broke {} promises; its history is {}",
                report.violations.len(),
                report.log.display()
            );
            println!("replay its plan by `{replay}`");
            return Ok(false);
        }
        number += 1;
    }
}

fn replay(arguments: &Arguments, seed: u64, round: u64) -> String {
    let Arguments { clients, operations, calm, .. } = arguments;
    let calm = if *calm { " --calm" } else { "" };
    format!(
        "cargo xtask chaos --seed {seed} --first-round {round} --rounds 1 --clients {clients} --operations {operations}{calm}"
    )
}

fn tell(report: &Report) {
    let faults: Vec<String> = report.faults.iter().map(|(kind, count)| format!("{kind} {count}×")).collect();
    println!(
        "round {}: {} calls, {} changes acknowledged, {} refused, {} sent again; {}; quiet after {:.1} s; {:.1} s",
        report.number,
        report.calls,
        report.acknowledged,
        report.refused,
        report.repeated,
        if faults.is_empty() { "no faults".to_owned() } else { faults.join(", ") },
        report.quiet.as_secs_f64(),
        report.took.as_secs_f64(),
    );
    for violation in report.violations.iter().take(SHOWN_MAX) {
        println!("  BROKEN: {violation}");
    }
}
