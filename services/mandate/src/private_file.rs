//! Keeps secrets in files that nobody but their owner can read, and never leaves one half written.
//!
//! It does not know what is in them, and it never replaces a file that it could not read.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const NAME_LENGTH_MAX: usize = 63;

/// A file or folder the disk did not give us.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {action} {path}: {failure}; let the user who runs this own it and its folder, or choose another data directory",
    path = .path.display()
)]
pub struct Error {
    /// What was tried: a verb.
    action: &'static str,
    /// The file or folder it was tried on.
    path: PathBuf,
    /// Said in the sentence, and so not once more as its source.
    failure: io::Error,
}

impl Error {
    fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |failure| Self { action, path: path.to_owned(), failure }
    }

    /// The file or folder that was asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a name can stand for a folder below the data directory and for a label of a host name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Makes sure that a folder is there and that only its owner can look into it.
///
/// # Errors
///
/// When it cannot be made, or belongs to somebody else.
pub fn folder(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path).map_err(Error::on("create", path))?;
    let found = fs::metadata(path).map_err(Error::on("look at", path))?;
    if found.permissions().mode() & 0o777 == FOLDER_MODE {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)).map_err(Error::on("protect", path))
}

/// Reads a file; `None` when there is none yet.
///
/// # Errors
///
/// When it is there and cannot be read as text.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(absent) if absent.kind() == ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(Error::on("read", path)(failure)),
    }
}

/// Writes a file as a whole: a reader, or a start after a crash, sees the old text or the new one.
///
/// # Errors
///
/// When the disk refuses; the old file is then untouched.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let draft = path.with_extension("new");
    let written = write_draft(&draft, text).and_then(|()| fs::rename(&draft, path));
    written.and_then(|()| sync_folder(path)).map_err(Error::on("write", path))
}

/// Removes a file; one that is not there is as good as removed.
///
/// # Errors
///
/// When it is there and stays.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(absent) if absent.kind() == ErrorKind::NotFound => Ok(()),
        Err(failure) => Err(Error::on("remove", path)(failure)),
    }
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    // A draft that a crash left behind may have any mode: only a file made here has ours.
    match fs::remove_file(draft) {
        Err(failure) if failure.kind() != ErrorKind::NotFound => return Err(failure),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests;
