//! What a start needs of the machine: the folder, alone; the ports, free; the policies, sound.
//!
//! Looked at in an order that leaves nothing behind when it fails: what is only read comes first.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clock::Clock;

use super::policies::{self, CloudPolicy};
use crate::cli;
use crate::failure::Failure;
use crate::private_file;

/// Tells the folder of a system from others, and is locked while the system runs.
pub(crate) const LOCK_FILE: &str = "lock";
const OWNER_ONLY: u32 = 0o600;

/// What a start has taken of the machine. Given back when dropped.
pub(super) struct Ground {
    /// The folder that keeps everything.
    pub(super) data_dir: PathBuf,
    /// The clouds with their policies, ordered by id.
    pub(super) policies: Vec<CloudPolicy>,
    /// What time it is.
    pub(super) clock: Clock,
    /// Where the gateway will answer.
    pub(super) gateway: TcpListener,
    /// Where the issuers will answer.
    pub(super) issuers: TcpListener,
    _lock: File,
}

impl Ground {
    /// Takes it, or says what stands in the way.
    ///
    /// # Errors
    /// [`Failure::Usage`] with one sentence.
    pub(super) fn take(options: &cli::Up) -> Result<Ground, Failure> {
        let policies = match &options.policy_dir {
            Some(folder) => policies::read(folder)?,
            None => policies::built_in()?,
        };
        let clock = match &options.clock_file {
            Some(file) => Clock::file(file).map_err(|error| Failure::usage(format!("--clock-file: {error}")))?,
            None => Clock::system(),
        };
        let data_dir = std::path::absolute(&options.data_dir)
            .map_err(|error| Failure::usage(format!("--data-dir {}: {error}", options.data_dir.display())))?;
        expect_ours(&data_dir)?;
        private_file::folder(&data_dir).map_err(|error| Failure::usage(error.to_string()))?;
        let lock = lock(&data_dir)?;
        let gateway = bind("--port", options.gateway_address())?;
        let issuers = bind("--issuer-port", options.issuer_address())?;
        Ok(Ground { data_dir, policies, clock, gateway, issuers, _lock: lock })
    }

    /// Where the gateway answers.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(super) fn gateway_address(&self) -> Result<SocketAddr, Failure> {
        address(&self.gateway)
    }

    /// Where the issuers answer.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(super) fn issuer_address(&self) -> Result<SocketAddr, Failure> {
        address(&self.issuers)
    }
}

/// Nobody else may look into the folder from now on: so it must be empty, or ours, and not somebody's home.
fn expect_ours(data_dir: &Path) -> Result<(), Failure> {
    // A folder that is not there yet, or cannot be read, is for the attempt to make it.
    let is_foreign = std::fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_some())
        && !data_dir.join(LOCK_FILE).exists();
    if !is_foreign {
        return Ok(());
    }
    let data_dir = data_dir.display();
    Err(Failure::usage(format!(
        "{data_dir} holds other things than the data of Mandate: choose another folder with --data-dir"
    )))
}

/// Makes sure that no other start uses the folder. The system takes the lock away with the process, however that ends.
fn lock(data_dir: &Path) -> Result<File, Failure> {
    let path = data_dir.join(LOCK_FILE);
    let refused = |error: io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(OWNER_ONLY).open(&path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::usage(format!(
            "another `mandate up` runs on {}: stop it, or choose another folder with --data-dir",
            data_dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}

fn bind(option: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let why = if error.kind() == ErrorKind::AddrInUse {
            "is taken: stop what uses it".to_owned()
        } else {
            format!("cannot be used ({error})")
        };
        let port = address.port();
        Failure::usage(format!("port {port} {why}, or choose another with {option}"))
    })
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    let address = listener.local_addr();
    address.map_err(|error| Failure::Other(format!("the system tells no address: {error}")))
}
