//! Copies the folder of a system into another one from which a system can be started, while the first one runs.
//!
//! The copies of a cloud's databases fit together. The history is held while the others are copied, so it knows no change that
//! they lack, and what it does not know yet still waits in their outboxes. Calls go on meanwhile; what they changed reaches
//! the history afterwards. What is secret in the folder is secret in the copy, and as readable.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use server::StartError;

use crate::failure::Failure;
use crate::up::LOCK_FILE;
use crate::{cli, private_file, screen};

const OWNER_ONLY: u32 = 0o600;
/// The history, which is to be no newer than what it tells of.
const HISTORY: &str = "notification.db";
const DATABASE: &str = "db";
/// What SQLite keeps beside a database is in the copy of the database, and a draft is half of a file.
const PASSED_OVER: [&str; 3] = ["db-wal", "db-shm", "new"];

/// Makes the copy.
///
/// # Errors
/// [`Failure::Usage`] with one sentence when the folder is none of ours, or the target exists; a copy that was begun stays
/// where it is, and `mandate up` refuses it.
pub(crate) async fn run(options: &cli::Backup) -> Result<(), Failure> {
    let (from, to) = (&options.data_dir, &options.to);
    if !from.join(LOCK_FILE).is_file() {
        return Err(Failure::usage(format!("--data-dir {}: holds no data of Mandate", from.display())));
    }
    if to.exists() {
        let sentence = "exists, and a backup overwrites nothing: name a folder that does not";
        return Err(Failure::usage(format!("--to {}: {sentence}", to.display())));
    }
    let whole = |path: &Path| std::path::absolute(path).map_err(unusable(path));
    if whole(to)?.starts_with(whole(from)?) {
        return Err(Failure::usage(format!("--to {}: lies in what is to be copied", to.display())));
    }
    let copied = folder(from, to).await?;
    // Last, because without it the folder is refused: a copy that was cut off cannot be taken for a whole one.
    let lock = create(&to.join(LOCK_FILE))?;
    lock.sync_all().and_then(|()| File::open(to)?.sync_all()).map_err(unusable(to))?;
    screen::line(format_args!(
        "{copied} databases and what belongs to them are in {}; start from it with:",
        to.display()
    ))?;
    screen::line(format_args!("  mandate up --data-dir {}", to.display()))
}

/// Copies a folder and those in it; returns how many databases it found.
async fn folder(from: &Path, to: &Path) -> Result<usize, Failure> {
    private_file::folder(to).map_err(|error| Failure::usage(error.to_string()))?;
    let files = entries(from)?;
    let (databases, others): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|file| has(file, DATABASE));
    copy_databases(&databases, to).await?;
    let mut copied = databases.len();
    for from in others {
        let Some(name) = from.file_name() else {
            continue;
        };
        let to = to.join(name);
        if from.is_dir() {
            copied += Box::pin(folder(&from, &to)).await?;
        } else if name != LOCK_FILE && !PASSED_OVER.iter().any(|ending| has(&from, ending)) {
            copy(&from, &to)?;
        }
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(unusable(to))?;
    Ok(copied)
}

async fn copy_databases(databases: &[PathBuf], to: &Path) -> Result<(), Failure> {
    let failed = |file: &Path| {
        let file = file.display().to_string();
        move |error: store::Failure| {
            Failure::Other(format!("{file} cannot be copied: {}", StartError::database(&error)))
        }
    };
    let history = databases.iter().find(|file| file.file_name().is_some_and(|name| name == HISTORY));
    let held = match history {
        Some(file) => Some(store::Held::take(file).await.map_err(failed(file))?),
        None => None,
    };
    for file in databases {
        let Some(name) = file.file_name() else {
            continue;
        };
        let target = to.join(name);
        // Made here, since SQLite would let others read it.
        create(&target)?;
        store::copy(file, &target).await.map_err(failed(file))?;
    }
    match (held, history) {
        (Some(held), Some(file)) => held.release().await.map_err(failed(file)),
        (Some(_) | None, _) => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut source = File::open(from).map_err(unusable(from))?;
    let mut target = create(to)?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(unusable(to))
}

fn create(path: &Path) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path).map_err(unusable(path))
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unusable(folder))?;
    let mut paths: Vec<PathBuf> = listed.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

fn has(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|found| found == ending)
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::Other(format!("{}: {error}", path.display()))
}
