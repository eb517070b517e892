//! Where this checkout is, and the one folder in it that tools may write to.

use std::path::{Path, PathBuf};

/// The folder of the workspace manifest.
///
/// Cargo names the manifest's folder when it runs us; the folder we were compiled in is asked second,
/// because a target folder may have moved with its checkout.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.ancestors().nth(2).map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Everything the developer commands fetch or build.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}
