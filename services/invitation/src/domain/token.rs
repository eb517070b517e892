//! The token at the end of a link: `<cloud>.<base64url>`. Whoever holds the keys reads it without asking anybody.
//!
//! It holds the version of its own form, the partner, the slug of the options, the generation, the id of the key, and an
//! HMAC-SHA-256 over all of that and the cloud (R15, R16). It has no place for a customer (R17), and nothing in it comes from
//! a call, so it is the same for every call (R18). There is one way to write a token: everything else is refused.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::{CloudId, TenantId};

use super::key::{KeyId, Keys};
use super::link::{Link, Options, State};

/// Tokens are shorter than this, whatever is asked for; the gateway looks at no longer ones.
pub const TOKEN_BYTES_MAX: usize = 512;

/// What stands in front of the token in a URI.
const PATH: &str = "/i/";

/// The version of the form.
const VERSION: u8 = 1;

/// The length of an HMAC-SHA-256.
const MAC_BYTES: usize = 32;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who asks.
    pub partner: TenantId,
    /// What is asked for.
    pub options: Options,
    /// Which URI of the link this is.
    pub generation: u32,
    /// The key it is signed with.
    pub key_id: KeyId,
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Altered, or never issued here.
    Tampered,
    /// It says that it is of this other cloud, whose keys we do not have.
    OtherCloud(CloudId),
}

impl Token {
    /// What the token of a link says.
    #[must_use]
    pub fn of(link: &Link) -> Token {
        Token {
            partner: link.partner.clone(),
            options: link.options.clone(),
            generation: link.generation,
            key_id: link.key_id.clone(),
        }
    }

    /// Whether customers can accept through it: the link, as it is now, has been neither rotated nor disabled since (R15). A
    /// link that is not known any more leads nowhere.
    #[must_use]
    pub fn is_live(&self, link: Option<&Link>) -> bool {
        link.is_some_and(|link| *self == Token::of(link) && link.state == State::Active)
    }

    /// The token as text. `None` when its key has been withdrawn.
    #[must_use]
    pub fn sign(&self, cloud: &CloudId, keys: &Keys) -> Option<String> {
        let key = keys.find(&self.key_id)?;
        let mut payload = self.unsigned();
        let mac = mac_of(key, cloud, &payload);
        payload.extend_from_slice(mac.as_ref());
        Some(format!("{cloud}.{}", URL_SAFE_NO_PAD.encode(payload)))
    }

    /// Reads a token, or a whole link that ends in one.
    ///
    /// # Errors
    /// [`Refused`] unless the token is exactly as this cloud issued it.
    pub fn verify(text: &str, cloud: &CloudId, keys: &Keys) -> Result<Token, Refused> {
        let text = text.rfind(PATH).map_or(text, |at| &text[at + PATH.len()..]);
        if text.len() >= TOKEN_BYTES_MAX {
            return Err(Refused::Tampered);
        }
        let (prefix, payload) = text.split_once('.').ok_or(Refused::Tampered)?;
        let prefix = CloudId::parse(prefix).map_err(|_| Refused::Tampered)?;
        // Decoded before the clouds are compared, so that only what looks like a token is of another cloud.
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused::Tampered)?;
        let token = payload.split_last_chunk::<MAC_BYTES>().ok_or(Refused::Tampered)?;
        let (unsigned, mac) = token;
        if prefix != *cloud {
            return Err(Refused::OtherCloud(prefix));
        }
        let token = Token::read(unsigned).ok_or(Refused::Tampered)?;
        let key = keys.find(&token.key_id).ok_or(Refused::Tampered)?;
        // Constant time, so that nobody finds a signature byte by byte.
        hmac::verify(key, &signed(cloud, unsigned), mac).map_err(|_| Refused::Tampered)?;
        Ok(token)
    }

    fn unsigned(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put(&mut bytes, self.partner.as_str());
        put(&mut bytes, &self.options.slug());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        put(&mut bytes, self.key_id.as_str());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Token> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (partner, rest) = take(rest)?;
        let (slug, rest) = take(rest)?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (key_id, rest) = take(rest)?;
        if !rest.is_empty() {
            return None;
        }
        Some(Token {
            partner: TenantId::parse(partner).ok()?,
            options: Options::parse(slug).ok()?,
            generation: u32::from_be_bytes(*generation),
            key_id: KeyId::parse(key_id)?,
        })
    }
}

fn put(bytes: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("ids and slugs are shorter than 256 bytes");
    bytes.push(length);
    bytes.extend_from_slice(text.as_bytes());
}

fn take(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

fn mac_of(key: &hmac::Key, cloud: &CloudId, unsigned: &[u8]) -> hmac::Tag {
    hmac::sign(key, &signed(cloud, unsigned))
}

/// What the signature covers. A cloud id holds no dot, so no two pairs give the same bytes.
fn signed(cloud: &CloudId, unsigned: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{cloud}.").into_bytes();
    bytes.extend_from_slice(unsigned);
    bytes
}

/// The URI of a token: what the partner sends.
#[must_use]
pub fn uri(public_uri: &str, token: &str) -> String {
    format!("{public_uri}{PATH}{token}")
}

#[cfg(test)]
mod tests;
