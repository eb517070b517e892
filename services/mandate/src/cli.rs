//! The command line: what can be asked for, and the exit code of each end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;
use crate::screen::Output;
use crate::{backup, client, tour, up};

/// Mandate on one machine: start it, see it at work, and do the everyday tasks.
#[derive(Debug, Parser)]
#[command(name = "mandate", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway and all four clouds in this process, on files in a folder.
    Up(Up),
    /// Copy the folder of a system into a new one to start from, while the system runs.
    Backup(Backup),
    /// Play the main job in every cloud against a running system, and say what each step was answered.
    Tour(Tour),
    /// Print a token from the development issuer of a cloud.
    Token(Token),
    #[command(flatten)]
    Client(client::Command),
}

/// How to start.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The folder that keeps everything.
    #[arg(long, default_value = ".mandate", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The port of the gateway; 0 lets the system choose.
    #[arg(long, default_value_t = 7070)]
    pub(crate) port: u16,
    /// The port of the development issuers; the one after the gateway's when left out.
    #[arg(long)]
    pub(crate) issuer_port: Option<u16>,
    /// The folder with `<cloud>/policy.toml` or `<cloud>/policy/policy.toml` for each cloud, in place of the built-in
    /// policies.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy_dir: Option<PathBuf>,
    /// A file with the number of seconds that this system's clock is ahead of the machine's, negative for behind; read whenever
    /// the time is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) clock_file: Option<PathBuf>,
    /// What to log to standard error, such as `info` or `relationship=debug`.
    #[arg(long, default_value = LOG, value_name = "FILTER")]
    pub(crate) log: String,
    /// Where to send traces, metrics and logs by OTLP over gRPC, such as http://127.0.0.1:4317.
    #[arg(long, value_name = "URI")]
    pub(crate) otlp_endpoint: Option<String>,
}

impl Up {
    /// Where the gateway listens. Nobody else's machine gets in: the issuers give anyone any identity.
    pub(crate) fn gateway_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where the issuers listen.
    pub(crate) fn issuer_address(&self) -> SocketAddr {
        let after = match self.port {
            0 => 0,
            port => port.checked_add(1).unwrap_or_default(),
        };
        SocketAddr::from(([127, 0, 0, 1], self.issuer_port.unwrap_or(after)))
    }
}

/// What to copy, and where.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The folder that keeps everything.
    #[arg(long, default_value = ".mandate", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// The folder to make.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
}

/// What to play.
#[derive(Debug, Args)]
pub(crate) struct Tour {
    /// The gateway.
    #[arg(long, default_value = GATEWAY, value_name = "URI")]
    pub(crate) gateway: String,
    /// One cloud only.
    #[arg(long)]
    pub(crate) cloud: Option<String>,
}

/// What token to print.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The gateway, which knows the issuers.
    #[arg(long, default_value = GATEWAY, value_name = "URI")]
    pub(crate) gateway: String,
    /// The cloud the token is for.
    #[arg(long, default_value = "public")]
    pub(crate) cloud: String,
    /// A person of the demonstration, such as ada or gwen.
    #[arg(long = "as", value_name = "NAME", conflicts_with_all = ["sub", "tid", "kind", "roles"])]
    pub(crate) name: Option<String>,
    /// The user: claim `sub`.
    #[arg(long, required_unless_present = "name")]
    pub(crate) sub: Option<String>,
    /// The tenant: claim `tid`.
    #[arg(long, required_unless_present = "name")]
    pub(crate) tid: Option<String>,
    /// partner, customer, operator or workload.
    #[arg(long, required_unless_present = "name")]
    pub(crate) kind: Option<String>,
    /// The roles, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// How many seconds the token is good for.
    #[arg(long, default_value_t = 3600)]
    pub(crate) lifetime: u64,
}

/// Whom to call, as whom, and how to show the answer.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The gateway.
    #[arg(long, default_value = GATEWAY, value_name = "URI")]
    pub(crate) gateway: String,
    /// The cloud.
    #[arg(long, default_value = "public")]
    pub(crate) cloud: String,
    /// Call as a person of the demonstration, such as ada or gwen.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "token_file")]
    pub(crate) name: Option<String>,
    /// Call with the token in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How to show the answer.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

/// Warnings. But the panel says that this is a development start: thirteen processes need not say it, too.
const LOG: &str = "warn,server::serving=error,gateway::start=error";

/// Where `mandate up` puts the gateway.
const GATEWAY: &str = "http://127.0.0.1:7070";

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _shown = error.print();
            return match error.use_stderr() {
                true => ExitCode::from(server::EXIT_USAGE),
                false => ExitCode::SUCCESS,
            };
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            failure.exit(server::EXIT_USAGE)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    server::install_crypto();
    match command {
        Command::Up(options) => up::run(&options),
        Command::Backup(options) => block_on(backup::run(&options)),
        Command::Tour(options) => block_on(tour::run(&options)),
        Command::Token(options) => block_on(client::token(&options)),
        Command::Client(command) => block_on(client::run(command)),
    }
}

/// A client waits for one thing at a time, so one thread is enough.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("the system gives no runtime: {error}")))?;
    runtime.block_on(command)
}

#[expect(clippy::print_stderr, reason = "the one place that tells people what went wrong")]
fn complain(failure: &Failure) {
    let sentence = failure.to_string();
    if !sentence.is_empty() {
        eprintln!("mandate: {sentence}");
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_issuers_are_next_to_the_gateway() {
        let address = |arguments: &[&str]| {
            let cli = Cli::try_parse_from(["mandate", "up"].iter().chain(arguments)).unwrap();
            match cli.command {
                Command::Up(up) => up.issuer_address().port(),
                Command::Backup(_) | Command::Tour(_) | Command::Token(_) | Command::Client(_) => unreachable!(),
            }
        };
        assert_eq!(address(&[]), 7071);
        assert_eq!(address(&["--port", "8000"]), 8001);
        assert_eq!(address(&["--port", "0"]), 0);
        assert_eq!(address(&["--port", "65535"]), 0);
        assert_eq!(address(&["--port", "8000", "--issuer-port", "9"]), 9);
    }

    #[test]
    fn a_token_is_of_a_person_or_of_claims() {
        let parse = |arguments: &[&str]| Cli::try_parse_from(["mandate", "token"].iter().chain(arguments)).is_ok();
        assert!(parse(&["--as", "ada"]));
        assert!(parse(&["--sub", "s", "--tid", "t", "--kind", "partner", "--roles", "a,b"]));
        assert!(!parse(&["--as", "ada", "--sub", "s"]));
        assert!(!parse(&["--sub", "s"]));
    }
}
