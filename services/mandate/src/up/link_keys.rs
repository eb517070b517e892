//! The key that signs a cloud's invitation links, made once and kept, because links must stay the same.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::Failure;
use crate::private_file;

const FILE: &str = "link-keys.toml";
const KEY_BYTES: usize = 32;

/// Makes sure that `<folder>/link-keys.toml` is there, and says where it is.
///
/// # Errors
/// When it cannot be written.
pub(super) fn keep(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(FILE);
    let unusable = |error: private_file::Error| Failure::usage(error.to_string());
    if private_file::read(&path).map_err(unusable)?.is_some() {
        return Ok(path);
    }
    let mut key = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| Failure::Other("the system gives no random numbers".to_owned()))?;
    let key = STANDARD.encode(key);
    let text = format!(
        "# Signs this cloud's invitation links. Without it, all links sent so far are refused.\n\
         current = \"first\"\n\n[keys]\nfirst = \"{key}\"\n"
    );
    private_file::write(&path, &text).map_err(unusable)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use invitation::domain::key::Keys;

    use super::keep;

    #[test]
    fn the_key_is_made_once_and_is_one_that_the_service_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = keep(folder.path()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(Keys::parse(&text).is_ok());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        keep(folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
