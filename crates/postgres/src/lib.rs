//! PostgreSQL servers for tests and measurements: random port, data in a temporary folder, nothing left behind.
//!
//! They never run as root and listen on loopback alone. They can be crashed, started again and followed by a standby. Nothing
//! is installed here: `cargo xtask` finds the programs of PostgreSQL or installs them, and names their folder in the variable
//! [`PROGRAMS_VARIABLE`].

mod account;
mod command;
mod guardian;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use account::Account;
use guardian::Guardian;

use crate::command::output;

/// Names the folder with `initdb`, `postgres` and the other programs.
pub const PROGRAMS_VARIABLE: &str = "MANDATE_POSTGRES_PROGRAMS";

const SUPERUSER: &str = "mandate";
const CONNECTIONS_MAX: &str = "max_connections=200";
/// Another process may take the free port between our finding it and the server's binding it.
const START_ATTEMPTS_MAX: u32 = 5;
const START_TIME_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What a server gives up for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: what is committed survives a crash of the machine, as in production.
    Full,
    /// What is committed survives a crash of the server, not of the machine.
    None,
}

/// A running server, stopped and removed when it is dropped, and also when this process dies.
#[derive(Debug)]
pub struct Server {
    place: Place,
    port: u16,
    process: Child,
    guardian: Guardian,
}

/// The folder of PostgreSQL's programs, as `cargo xtask` named it.
///
/// # Errors
/// When it did not.
pub fn programs() -> Result<PathBuf> {
    let folder = std::env::var_os(PROGRAMS_VARIABLE).map(PathBuf::from);
    folder.with_context(|| {
        format!("{PROGRAMS_VARIABLE} is not set: run this by `cargo xtask`, which finds PostgreSQL or installs it")
    })
}

impl Server {
    /// Makes a database cluster with the programs in this folder, and starts a server on it.
    ///
    /// # Errors
    /// When PostgreSQL does not start; with its log.
    pub fn start(programs: &Path, durability: Durability) -> Result<Server> {
        let (place, guardian) = Place::take(programs, durability)?;
        make_cluster(&place)?;
        place.launch(guardian)
    }

    /// Starts a server that follows this one and answers whatever only reads.
    ///
    /// # Errors
    /// When the copy cannot be made or does not start; with its log.
    pub fn standby(&self) -> Result<Server> {
        let (place, guardian) = Place::take(&self.place.programs, self.place.durability)?;
        let mut copy = place.program("pg_basebackup");
        copy.arg("--pgdata").arg(data(&place.folder)).args(["--write-recovery-conf", "--checkpoint=fast"]);
        copy.args(["--host=127.0.0.1", "--username", SUPERUSER, "--port", &self.port.to_string()]);
        output(&mut copy).context("the server cannot be copied")?;
        place.launch(guardian)
    }

    /// The address of the maintenance database, for a superuser without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// A program of PostgreSQL, such as `pg_dump`, ready to be given its arguments. It finds this server by the environment.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.place.program(name);
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string()).env("PGUSER", SUPERUSER);
        command
    }

    /// A folder that goes away with the server, into which [`Server::program`] may write.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// Ends the server as a crash does: connections break, nothing is flushed. It stays down until [`Server::start_again`].
    ///
    /// # Errors
    /// When the server cannot be told.
    pub fn crash(&mut self) -> Result<()> {
        self.end("QUIT")
    }

    /// Ends the server as an administrator does who waits for nobody: what runs is rolled back. It stays down until
    /// [`Server::start_again`].
    ///
    /// # Errors
    /// When the server cannot be told.
    pub fn stop(&mut self) -> Result<()> {
        self.end("INT")
    }

    /// Starts the server again after its end, on the same port, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come back; with its log.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = self.place.spawn(self.port)?;
        self.guardian.watch(self.process.id())?;
        if is_ready(&mut self.process, &self.place.folder)? {
            return Ok(());
        }
        bail!("PostgreSQL does not start again; its log says:\n{}", log(&self.place.folder));
    }

    fn end(&mut self, signal: &str) -> Result<()> {
        output(Command::new("kill").args(["-s", signal, &self.process.id().to_string()]))?;
        self.process.wait().context("PostgreSQL cannot be waited for")?;
        self.guardian.forget()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.guardian.dismiss();
        self.process.wait().ok();
        self.guardian.wait();
    }
}

/// Where a server lives, and as whom.
#[derive(Debug)]
struct Place {
    programs: PathBuf,
    account: Option<Account>,
    durability: Durability,
    folder: PathBuf,
}

impl Place {
    /// A new folder, and the guardian that removes it.
    fn take(programs: &Path, durability: Durability) -> Result<(Place, Guardian)> {
        let account = account::unprivileged()?;
        let folder = temporary_folder(account)?;
        let guardian = Guardian::start(&folder, account)?;
        let programs = match account {
            Some(account) if !is_open_to_all(programs) => copy(programs, &folder, account)?,
            Some(_) | None => programs.to_owned(),
        };
        Ok((Place { programs, account, durability, folder }, guardian))
    }

    fn launch(self, mut guardian: Guardian) -> Result<Server> {
        for _ in 0..START_ATTEMPTS_MAX {
            let port = free_port()?;
            let mut process = self.spawn(port)?;
            guardian.watch(process.id())?;
            if is_ready(&mut process, &self.folder)? {
                return Ok(Server { place: self, port, process, guardian });
            }
            guardian.forget()?;
        }
        bail!("PostgreSQL does not start; its log says:\n{}", log(&self.folder));
    }

    fn spawn(&self, port: u16) -> Result<Child> {
        let log = File::options().create(true).append(true).open(log_file(&self.folder));
        let log = log.context("the log of PostgreSQL cannot be written")?;
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(data(&self.folder)).arg("-p").arg(port.to_string());
        // No socket file: its path may be longer than the kernel takes.
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", CONNECTIONS_MAX] {
            postgres.args(["-c", setting]);
        }
        if self.durability == Durability::None {
            // What a crash of the machine would lose is thrown away anyhow.
            for setting in ["fsync=off", "full_page_writes=off"] {
                postgres.args(["-c", setting]);
            }
        }
        postgres.stdout(Stdio::null()).stderr(log);
        // Out of the terminal's group, so that Ctrl-C leaves stopping it to the guardian.
        postgres.process_group(0);
        postgres.spawn().context("PostgreSQL cannot be started")
    }

    /// A program of PostgreSQL, away from our folder, our environment and root's rights.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir("/").stdin(Stdio::null()).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        account::apply(self.account, &mut command);
        command
    }
}

/// A folder that the server's account owns and can reach.
fn temporary_folder(account: Option<Account>) -> Result<PathBuf> {
    let candidates = [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    let parent = candidates.iter().find(|path| account.is_none() || is_open_to_all(path));
    let parent = parent.context("no temporary folder can be reached without being root")?;
    // The number of a process comes back, and its folder may have survived a crash of the machine.
    for attempt in 0..1000 {
        let folder = parent.join(format!("mandate-postgres-{}-{attempt}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                if let Some(Account { uid, gid }) = account {
                    chown(&folder, Some(uid), Some(gid))
                        .with_context(|| format!("{} cannot be given away", folder.display()))?;
                }
                return Ok(folder);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("no folder can be made in {}", parent.display()));
            }
        }
    }
    bail!("{} is full of folders of earlier runs", parent.display());
}

/// Whether every account may pass through a folder and all above it.
fn is_open_to_all(path: &Path) -> bool {
    path.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}

/// Puts the programs where an account can run them that may not look into their folder.
fn copy(programs: &Path, folder: &Path, account: Account) -> Result<PathBuf> {
    let Account { uid, gid } = account;
    let installation = programs.parent().context("the programs of PostgreSQL have no home")?;
    let copy = folder.join("installation");
    output(Command::new("cp").arg("-R").arg(installation).arg(&copy))?;
    output(Command::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(&copy))?;
    Ok(copy.join("bin"))
}

fn make_cluster(place: &Place) -> Result<()> {
    // A linguistic order by default: a column that must sort by bytes and forgets to say so is found
    // by its test. A server built without ICU has only the order of bytes to offer.
    let linguistic = ["--locale-provider=icu", "--icu-locale=en-US"];
    if output(initdb(place).args(linguistic)).is_ok() {
        return Ok(());
    }
    output(&mut initdb(place)).context("no database cluster can be made")?;
    Ok(())
}

fn initdb(place: &Place) -> Command {
    let mut initdb = place.program("initdb");
    initdb.arg("--pgdata").arg(data(&place.folder)).args(["--username", SUPERUSER, "--auth=trust"]);
    initdb.args(["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
    initdb
}

/// Waits until the server answers; false when it ended instead.
fn is_ready(process: &mut Child, folder: &Path) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < START_TIME_MAX {
        if process.try_wait().context("PostgreSQL cannot be watched")?.is_some() {
            return Ok(false);
        }
        // The server notes its state on the eighth line of this file, as `pg_ctl` knows.
        let notes = fs::read_to_string(data(folder).join("postmaster.pid")).unwrap_or_default();
        if notes.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
            return Ok(true);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    bail!("PostgreSQL is not ready after {START_TIME_MAX:?}; its log says:\n{}", log(folder));
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr().context("no free port")?.port())
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn log(folder: &Path) -> String {
    fs::read_to_string(log_file(folder)).unwrap_or_else(|error| format!("({error})"))
}
