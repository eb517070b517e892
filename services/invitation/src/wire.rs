//! Wire ⇄ domain, both ways, by noun. What comes in is parsed into types that cannot be wrong.

pub mod acceptance;
pub mod event;
pub mod link;
pub mod text;

use api::page::{self, Page};
use aws_lc_rs::digest;
use clock::{Time, Uuid};
use cloud::TenantId;
use prost::Message;
use prost_types::Timestamp;

use crate::error::Error;

/// The longest reason that a caller can give, in characters.
pub const REASON_CHARACTERS_MAX: usize = 256;

/// `partners/{partner}`.
pub fn partner(field: &str, name: &str) -> Result<TenantId, Error> {
    let id = api::name::ids(name, ["partners"]).and_then(|[id]| TenantId::parse(id).ok());
    id.ok_or_else(|| Error::invalid(field, "give partners/{partner}"))
}

/// `customers/{customer}`.
pub fn customer(field: &str, name: &str) -> Result<TenantId, Error> {
    let id = api::name::ids(name, ["customers"]).and_then(|[id]| TenantId::parse(id).ok());
    id.ok_or_else(|| Error::invalid(field, "give customers/{customer}"))
}

/// A request id, when one is given.
pub fn request_id(text: &str) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    Uuid::try_parse(text).map(Some).map_err(|_| Error::invalid("request_id", "give a UUID, or leave it out"))
}

/// Why somebody does something, in its words.
pub fn reason(text: &str) -> Result<&str, Error> {
    if text.chars().count() > REASON_CHARACTERS_MAX || text.chars().any(char::is_control) {
        let problem = format!("use at most {REASON_CHARACTERS_MAX} characters, no control characters");
        return Err(Error::invalid("reason", problem));
    }
    Ok(text)
}

/// A page of a list.
pub fn page(scope: String, size: i32, token: &str) -> Result<Page, Error> {
    Page::parse(scope, size, token).map_err(|invalid| match invalid {
        page::Invalid::Size => Error::invalid("page_size", "must not be negative"),
        page::Invalid::Token => {
            Error::invalid("page_token", "use the next_page_token of a list with the same parameters")
        }
    })
}

/// Refuses a change of something that is no longer as the caller read it (AIP-154).
pub fn check_etag(name: &str, given: &str, version: i64) -> Result<(), Error> {
    if given.is_empty() || given == etag(version) {
        return Ok(());
    }
    Err(Error::EtagMismatch(name.to_owned()))
}

/// The etag of a version.
#[must_use]
pub fn etag(version: i64) -> String {
    format!("v{version}")
}

/// A moment on the wire.
#[must_use]
pub fn timestamp(time: Time) -> Timestamp {
    let nanos = i32::try_from(time.micros().rem_euclid(1_000_000) * 1000).expect("less than a second");
    Timestamp { seconds: time.seconds(), nanos }
}

/// The digest by which a repeated request is recognized.
pub fn digest(request: &impl Message) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &request.encode_to_vec());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}
