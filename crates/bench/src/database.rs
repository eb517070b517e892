//! The PostgreSQL that everything runs on, with full durability, and its own programs to seed, ask and drive it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use testkit::postgres::{Durability, Server, programs};

const SIZES: &str = include_str!("../sql/sizes.sql");
const LOG_ON: &str = include_str!("../sql/log_on.sql");
const LOG_OFF: &str = include_str!("../sql/log_off.sql");
const MARK: &str = include_str!("../sql/mark.sql");
/// How often the server is asked whether it logs statements already.
const MARKS_MAX: u32 = 100;

/// A server with the databases of all services.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Server,
}

/// How fast pgbench ran a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driven {
    /// Transactions in a second.
    pub(crate) rate: f64,
    /// The mean time of one, in milliseconds.
    pub(crate) mean_ms: f64,
}

/// What a table takes.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    /// Its name.
    pub(crate) table: String,
    /// Bytes of its rows, of what was stored beside them and of its indexes.
    pub(crate) bytes: f64,
}

impl Postgres {
    /// Starts a server that loses nothing that was committed.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or none with pgbench.
    pub(crate) fn start() -> Result<Postgres> {
        let programs = programs()?;
        if !programs.join("pgbench").is_file() {
            bail!("{} has no pgbench: install the whole of PostgreSQL", programs.display());
        }
        Ok(Postgres { server: Server::start(&programs, Durability::Full)? })
    }

    /// Makes an empty database, and returns its address.
    ///
    /// # Errors
    /// When the server makes none.
    pub(crate) fn create(&self, name: &str) -> Result<String> {
        run(self.server.program("createdb").arg(name), "")?;
        let url = self.server.url();
        let (server, options) = url.split_once("/postgres?").context("an address ends with its database")?;
        Ok(format!("{server}/{name}?{options}"))
    }

    /// Copies what a database holds into another; of one table where it is named.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(crate) fn copy(&self, from: &str, table: Option<&str>, to: &str) -> Result<()> {
        let mut dump = self.server.program("pg_dump");
        dump.arg("--no-owner").args(table.map(|table| format!("--table={table}"))).arg(from);
        let dumped = run(&mut dump, "")?;
        self.ask(to, &dumped, &[]).map(drop)
    }

    /// Runs statements, in which `:name` stands for a variable, and returns what they answer: rows of fields with `|` between.
    ///
    /// # Errors
    /// When one fails.
    pub(crate) fn ask(&self, database: &str, statements: &str, variables: &[(&str, u64)]) -> Result<String> {
        let mut psql = self.server.program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]);
        for (name, value) in variables {
            psql.args(["-v", &format!("{name}={value}")]);
        }
        run(&mut psql, statements)
    }

    /// Lets so many clients, each with a connection of its own, run a script again and again for this long, at least a second.
    ///
    /// # Errors
    /// When a statement fails.
    pub(crate) fn drive(&self, script: &Script, clients: usize, window: Duration) -> Result<Driven> {
        let file = self.server.folder().join("script.sql");
        fs::write(&file, &script.text).context("the server's folder takes no file")?;
        let mut pgbench = self.server.program("pgbench");
        pgbench.args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", &clients.min(2).to_string()]);
        pgbench.args(["-T", &window.as_secs().max(1).to_string()]).arg("-f").arg(&file);
        for (name, value) in &script.variables {
            pgbench.args(["-D", &format!("{name}={value}")]);
        }
        let told = run(pgbench.args(["-D", &format!("clients={clients}")]).arg(script.database), "")?;
        let number = |begin: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(begin));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        };
        let driven = Driven {
            rate: number("tps = ").with_context(|| format!("pgbench tells no rate: {told}"))?,
            mean_ms: number("latency average = ").with_context(|| format!("pgbench tells no latency: {told}"))?,
        };
        Ok(driven)
    }

    /// What each table of a database takes.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(crate) fn sizes(&self, database: &str) -> Result<Vec<Size>> {
        let told = self.ask(database, SIZES, &[])?;
        let row = |line: &str| {
            let (table, bytes) = line.split_once('|').with_context(|| format!("{line} is no size"))?;
            Ok(Size { table: table.to_owned(), bytes: bytes.parse()? })
        };
        told.lines().map(row).collect()
    }

    /// The version of the server.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) fn version(&self) -> Result<String> {
        Ok(self.ask("postgres", "SHOW server_version", &[])?.trim().to_owned())
    }

    /// Begins to log every statement; returns how long the log is.
    ///
    /// # Errors
    /// When the server does not begin.
    pub(crate) fn log_statements(&self) -> Result<usize> {
        self.ask("postgres", LOG_ON, &[])?;
        for _ in 0..MARKS_MAX {
            let length = self.log()?.len();
            self.ask("postgres", MARK, &[])?;
            if self.log()?.len() > length {
                return Ok(self.log()?.len());
            }
        }
        bail!("the server does not log its statements")
    }

    /// What the server has logged since it was this long; no statement is logged any more.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn logged(&self, since: usize) -> Result<String> {
        let log = self.log()?;
        self.ask("postgres", LOG_OFF, &[])?;
        Ok(String::from_utf8_lossy(&log[since..]).into_owned())
    }

    fn log(&self) -> Result<Vec<u8>> {
        fs::read(self.server.folder().join("log")).context("the log of PostgreSQL cannot be read")
    }
}

/// What pgbench runs. Each client counts its rounds in `:i`, from the value it is given.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The database it runs in.
    pub(crate) database: &'static str,
    /// One statement or command per line.
    pub(crate) text: String,
    /// Variables and their values; `:clients` is given besides.
    pub(crate) variables: Vec<(&'static str, u64)>,
}

/// Runs a program on this input and returns what it printed.
fn run(command: &mut Command, input: &str) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("{name} cannot be started"))?;
    let mut stdin = child.stdin.take().context("it is piped")?;
    let input = input.to_owned();
    // On a thread of its own, so that neither side waits for the other to read.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().with_context(|| format!("{name} cannot be waited for"))?;
    // A program that ends before it has read everything says why below.
    let _ = writer.join();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let _ = write!(complaint, "{}", String::from_utf8_lossy(&output.stdout));
    bail!("{name} failed: {}", complaint.trim_end())
}
