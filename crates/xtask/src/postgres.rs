//! A PostgreSQL server for one run of the tests: random port, data in a temporary folder, nothing left behind.
//!
//! It never runs as root, listens on loopback alone, and gives up durability for speed.

mod account;
pub(crate) mod binaries;
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
use binaries::Binaries;
use guardian::Guardian;

use crate::process::{output, succeed};

const SUPERUSER: &str = "mandate";
const CONNECTIONS_MAX: &str = "max_connections=200";
/// Another process may take the free port between our finding it and the server's binding it.
const START_ATTEMPTS_MAX: u32 = 5;
const START_TIME_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running server, stopped and removed when it is dropped, and also when this process dies.
pub(crate) struct Server {
    url: String,
    process: Child,
    guardian: Guardian,
}

impl Server {
    /// Makes a database cluster and starts a server on it.
    pub(crate) fn start() -> Result<Self> {
        // In this order: installing them may bring the account `postgres` along.
        let mut binaries = binaries::find()?;
        let account = account::unprivileged()?;
        let folder = temporary_folder(account)?;
        let mut guardian = Guardian::start(&folder, account)?;
        if let Some(account) = account.filter(|_| binaries.in_checkout) {
            binaries = copy(&binaries, &folder, account)?;
        }
        make_cluster(&binaries, &folder, account)?;
        for _ in 0..START_ATTEMPTS_MAX {
            let port = free_port()?;
            let mut process = spawn(&binaries, &folder, account, port)?;
            guardian.watch(process.id())?;
            if is_ready(&mut process, &folder)? {
                let url = format!("postgres://{SUPERUSER}@127.0.0.1:{port}/postgres?sslmode=disable");
                return Ok(Self { url, process, guardian });
            }
            guardian.forget()?;
        }
        bail!("PostgreSQL does not start; its log says:\n{}", log(&folder));
    }

    /// The address of the maintenance database, for a superuser without a password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.guardian.dismiss();
        self.process.wait().ok();
        self.guardian.wait();
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

/// Puts the binaries where an account can run them that may not look into the checkout.
fn copy(binaries: &Binaries, folder: &Path, account: Account) -> Result<Binaries> {
    let Account { uid, gid } = account;
    let installation = binaries.folder.parent().context("the binaries of PostgreSQL have no home")?;
    let copy = folder.join("installation");
    succeed(Command::new("cp").arg("-R").arg(installation).arg(&copy))?;
    succeed(Command::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(&copy))?;
    Ok(Binaries { folder: copy.join("bin"), in_checkout: false })
}

fn make_cluster(binaries: &Binaries, folder: &Path, account: Option<Account>) -> Result<()> {
    // A linguistic order by default: a column that must sort by bytes and forgets to say so is found
    // by its test. A server built without ICU has only the order of bytes to offer.
    let linguistic = ["--locale-provider=icu", "--icu-locale=en-US"];
    if output(initdb(binaries, folder, account).args(linguistic)).is_ok() {
        return Ok(());
    }
    output(&mut initdb(binaries, folder, account)).context("no database cluster can be made")?;
    println!("this PostgreSQL has no ICU: text sorts by bytes unless a column says otherwise");
    Ok(())
}

fn initdb(binaries: &Binaries, folder: &Path, account: Option<Account>) -> Command {
    let mut initdb = program(binaries, "initdb", account);
    initdb.arg("--pgdata").arg(data(folder)).args(["--username", SUPERUSER, "--auth=trust"]);
    initdb.args(["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
    initdb
}

fn spawn(binaries: &Binaries, folder: &Path, account: Option<Account>, port: u16) -> Result<Child> {
    let log = File::create(log_file(folder)).context("the log of PostgreSQL cannot be created")?;
    let mut postgres = program(binaries, "postgres", account);
    postgres.arg("-D").arg(data(folder)).arg("-p").arg(port.to_string());
    // No socket file: its path may be longer than the kernel takes.
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", CONNECTIONS_MAX] {
        postgres.args(["-c", setting]);
    }
    // What a crash would lose is thrown away anyhow.
    for setting in ["fsync=off", "full_page_writes=off"] {
        postgres.args(["-c", setting]);
    }
    postgres.stdout(Stdio::null()).stderr(log);
    // Out of the terminal's group, so that Ctrl-C leaves stopping it to the guardian.
    postgres.process_group(0);
    postgres.spawn().context("PostgreSQL cannot be started")
}

/// A program of PostgreSQL, away from our folder, our environment and root's rights.
fn program(binaries: &Binaries, name: &str, account: Option<Account>) -> Command {
    let mut command = Command::new(binaries.folder.join(name));
    command.current_dir("/").stdin(Stdio::null()).env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    account::apply(account, &mut command);
    command
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
