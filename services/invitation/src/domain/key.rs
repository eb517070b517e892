//! The keys that sign links: several at a time, so that a new one can come without ending what an old one signed.
//!
//! They are never shown: what holds one redacts its `Debug`.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The shortest key: as long as the digest of HMAC-SHA-256.
const KEY_BYTES_MIN: usize = 32;
/// The longest key: more than a block of SHA-256 would be hashed down again.
const KEY_BYTES_MAX: usize = 64;
/// The longest id of a key.
pub(super) const ID_BYTES_MAX: usize = 32;

/// The id of a key: `[A-Za-z0-9_-]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// Takes a text of the right form.
    #[must_use]
    pub fn parse(text: &str) -> Option<KeyId> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let holds = (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(inside);
        holds.then(|| KeyId(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keys of one cloud, with the one that signs new links.
#[derive(Clone)]
pub struct Keys {
    keys: BTreeMap<KeyId, hmac::Key>,
    current: KeyId,
}

/// Why keys cannot be used. Never holds a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not TOML of the shape `current = "<id>"` and `[keys]` with an id and a key a line.
    #[error("expected `current = \"<id>\"` and a table [keys] of `<id> = \"<base64>\"`")]
    Malformed,
    /// An id not of the form.
    #[error("keys.{0}: expected an id of 1 to 32 letters, digits, hyphens and underscores")]
    Id(String),
    /// Not base64, or of a length that is not taken.
    #[error("keys.{0}: expected 32 to 64 bytes in base64, as `openssl rand -base64 32` prints them")]
    Key(String),
    /// The current key is not among the keys.
    #[error("current: there is no key {0:?} in [keys]")]
    CurrentMissing(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    current: String,
    keys: BTreeMap<String, String>,
}

impl Keys {
    /// Reads the text of a key file: TOML with `current = "<id>"` and a table `[keys]` of ids and keys in base64.
    ///
    /// # Errors
    /// [`KeyError`] for the first thing that cannot be used.
    pub fn parse(text: &str) -> Result<Keys, KeyError> {
        // The parser's own error would repeat the line, and with it a key.
        let file: File = toml::from_str(text).map_err(|_| KeyError::Malformed)?;
        let mut keys = BTreeMap::new();
        for (id, secret) in file.keys {
            let Some(parsed) = KeyId::parse(&id) else {
                return Err(KeyError::Id(id.chars().take(ID_BYTES_MAX).collect()));
            };
            let secret = STANDARD.decode(&secret).unwrap_or_default();
            if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&secret.len()) {
                return Err(KeyError::Key(id));
            }
            keys.insert(parsed, hmac::Key::new(hmac::HMAC_SHA256, &secret));
        }
        match KeyId::parse(&file.current) {
            Some(current) if keys.contains_key(&current) => Ok(Keys { keys, current }),
            Some(_) | None => Err(KeyError::CurrentMissing(file.current)),
        }
    }

    /// The id of the key that signs new links.
    #[must_use]
    pub fn current(&self) -> &KeyId {
        &self.current
    }

    /// True when there is a key with this id.
    #[must_use]
    pub fn holds(&self, id: &KeyId) -> bool {
        self.keys.contains_key(id)
    }

    pub(super) fn find(&self, id: &KeyId) -> Option<&hmac::Key> {
        self.keys.get(id)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, KeyId, Keys};

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn a_file_with_a_current_key_is_taken() {
        let keys = Keys::parse(&format!("current = \"b\"\n[keys]\na = \"{A}\"\nb = \"{A}\"\n")).unwrap();
        assert_eq!(keys.current().as_str(), "b");
        assert!(keys.holds(&KeyId::parse("a").unwrap()));
        assert!(!keys.holds(&KeyId::parse("c").unwrap()));
    }

    #[test]
    fn unusable_files_are_refused_by_key_and_never_repeat_a_secret() {
        let secret = "c2VjcmV0"; // six bytes
        let cases = [
            (format!("current = \"a\"\n[keys]\na = \"{secret}\""), KeyError::Key("a".to_owned())),
            (format!("current = \"a\"\n[keys]\na = \"{secret}!\""), KeyError::Key("a".to_owned())),
            (format!("current = \"b\"\n[keys]\na = \"{A}\""), KeyError::CurrentMissing("b".to_owned())),
            (format!("current = \"\"\n[keys]\na = \"{A}\""), KeyError::CurrentMissing(String::new())),
            (format!("current = \"a\"\n[keys]\n\"a.b\" = \"{A}\""), KeyError::Id("a.b".to_owned())),
            (format!("[keys]\na = \"{secret}\""), KeyError::Malformed),
            (format!("current = \"a\"\nother = 1\n[keys]\na = \"{secret}\""), KeyError::Malformed),
            (secret.to_owned(), KeyError::Malformed),
        ];
        for (text, expected) in cases {
            let error = Keys::parse(&text).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = Keys::parse(&format!("current = \"a\"\n[keys]\na = \"{A}\"")).unwrap();
        assert_eq!(format!("{keys:?}"), "Keys { current: KeyId(\"a\"), .. }");
    }
}
