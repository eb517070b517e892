//! The command line of every service: serve, migrate, print the configuration, look after the outbox.
//!
//! What is wrong with the start is said in one sentence, before a port is bound, with the exit code of usage errors.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clock::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Settings};
use crate::outbox::{self, Report, Task};
use crate::process::{Running, Shutdown, StartError};
use crate::{serving, telemetry};

/// The exit code for whatever the person who starts the process can mend: usage, configuration, a taken port.
pub const EXIT_USAGE: u8 = 64;

/// How long tasks have to end after the server has: they were told at the same time.
const TASKS_DRAIN: Duration = Duration::from_secs(5);

/// What `main` of a service runs.
pub trait Service {
    /// The name of the service, such as `relationship`.
    const NAME: &'static str;

    /// How it is configured.
    type Config: Settings;

    /// Starts the service; returns once it answers calls.
    fn start(
        config: Self::Config,
        clock: Clock,
        shutdown: Shutdown,
    ) -> impl Future<Output = Result<Running, StartError>> + Send;

    /// Brings the service's database to the schema that it was built for.
    fn migrate(config: Self::Config) -> impl Future<Output = Result<(), StartError>> + Send;

    /// Does what an operator asks of the service's outbox. A service that has none says so.
    fn outbox(config: Self::Config, task: Task) -> impl Future<Output = Result<Report, StartError>> + Send {
        let _not_needed = (config, task);
        async { Err(StartError::new(format!("the {} service has no outbox", Self::NAME))) }
    }
}

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers calls until told to end by SIGINT or SIGTERM.
    Serve(Files),
    /// Brings the database to the schema that this build needs.
    Migrate(Files),
    /// Prints the configuration that the files and the environment give.
    PrintConfig(Files),
    /// Shows and mends the outbox, of a service that has one.
    #[command(subcommand)]
    Outbox(outbox::Command),
}

#[derive(Args)]
pub(crate) struct Files {
    /// A configuration file; later ones win over earlier ones, variables `MANDATE__SECTION__KEY` over all.
    #[arg(long = "config", value_name = "FILE", required = true, num_args = 1..)]
    config: Vec<PathBuf>,
}

/// Runs the service as its command line says.
pub fn main<S: Service>() -> ExitCode {
    let matches = <Line as clap::CommandFactory>::command().name(S::NAME).try_get_matches();
    let line = matches.and_then(|matches| <Line as clap::FromArgMatches>::from_arg_matches(&matches));
    let command = match line {
        Ok(line) => line.command,
        Err(error) => {
            // Help goes to standard output and is no error.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let done = match command {
        Command::Serve(files) => with_runtime::<S, _>(&files, serve::<S>),
        Command::Migrate(files) => {
            with_runtime::<S, _>(&files, async |config| S::migrate(config).await.map(|()| ExitCode::SUCCESS))
        }
        Command::PrintConfig(files) => print_config::<S>(&files),
        Command::Outbox(command) => {
            let (task, files, output) = command.into_task();
            with_runtime::<S, _>(&files, async |config| {
                let report = S::outbox(config, task).await?;
                print(&report.show(output));
                Ok(ExitCode::SUCCESS)
            })
        }
    };
    done.unwrap_or_else(|error| {
        complain(S::NAME, &error);
        ExitCode::from(EXIT_USAGE)
    })
}

#[expect(clippy::print_stderr, reason = "whoever starts the process reads this, log or no log")]
fn complain(name: &str, error: &StartError) {
    eprintln!("{name}: {error}");
}

fn print_config<S: Service>(files: &Files) -> Result<ExitCode, StartError> {
    let config: S::Config = config::load(&files.config)?;
    let text = toml::to_string_pretty(&config)
        .map_err(|error| StartError::new(format!("the configuration cannot be printed: {error}")))?;
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) {
    // Whoever closes the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Reads the configuration and runs work with telemetry around it.
fn with_runtime<S: Service, W>(files: &Files, work: W) -> Result<ExitCode, StartError>
where
    W: AsyncFnOnce(S::Config) -> Result<ExitCode, StartError>,
{
    let config: S::Config = config::load(&files.config)?;
    serving::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::new(format!("the system gives no threads: {error}")))?;
    let done = runtime.block_on(async {
        let guard = telemetry::init(config.telemetry(), S::NAME, config.cloud())
            .map_err(|error| StartError::new(error.to_string()))?;
        let done = work(config).await;
        guard.shutdown().await;
        done
    });
    // Connections that were cut off have nothing left to say.
    runtime.shutdown_background();
    done
}

async fn serve<S: Service>(config: S::Config) -> Result<ExitCode, StartError> {
    let drain = config.drain() + TASKS_DRAIN;
    let shutdown = Shutdown::new();
    watch_signals(&shutdown)?;
    let clock = config.fault_injection().clock()?;
    config.fault_injection().arm()?;
    if let Err(error) = S::start(config, clock, shutdown.clone()).await {
        shutdown.begin();
        shutdown.drained(TASKS_DRAIN).await;
        return Err(error);
    }
    shutdown.begun().await;
    tracing::info!(service = S::NAME, "ending");
    if !shutdown.drained(drain).await {
        tracing::warn!(service = S::NAME, "tasks did not end within {drain:?} and are abandoned");
    }
    Ok(if shutdown.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Ends the process on SIGINT, as of Ctrl-C, and SIGTERM, as of Kubernetes. From the start on: a start can take long.
fn watch_signals(shutdown: &Shutdown) -> Result<(), StartError> {
    let unwatched = |error| StartError::new(format!("the system gives no signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unwatched)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unwatched)?;
    let told = shutdown.clone();
    shutdown.spawn("signals", async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = told.begun() => {}
        }
        told.begin();
    });
    Ok(())
}
