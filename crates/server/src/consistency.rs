//! Consistency tokens: what a change returns, and what a read that must see it takes.
//!
//! A token names the cloud, the service and the position of its database's log at which the change can be seen. What a position
//! means the service's database knows; here it is text without dots.

use api::relationship::Consistency;
use api::relationship::consistency::Requirement;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Response;
use tonic::metadata::MetadataValue;

use crate::Process;

/// The response metadata that carries the token.
pub const METADATA: &str = "mandate-consistency-token";

/// Puts the token of a change on its response.
pub fn attach<T>(response: &mut Response<T>, process: &Process, position: &str) {
    let token = URL_SAFE_NO_PAD.encode(format!("{}.{}.{position}", process.cloud, process.name));
    let token = MetadataValue::try_from(token).expect("base64 is ASCII");
    response.metadata_mut().insert(METADATA, token);
}

/// What a read must see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    /// Every change acknowledged before.
    Latest,
    /// Every change up to this position.
    Position(String),
    /// Nothing in particular; so also when the caller does not say.
    Nothing,
}

/// What a read must see.
///
/// # Errors
/// What is wrong with the token: it is malformed, or of another cloud or service.
pub fn required(consistency: Option<&Consistency>, process: &Process) -> Result<Required, String> {
    match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
        Some(Requirement::FullyConsistent(())) => Ok(Required::Latest),
        Some(Requirement::AtLeastAsFresh(token)) => position(token, process).map(Required::Position),
        Some(Requirement::MinimizeLatency(())) | None => Ok(Required::Nothing),
    }
}

fn position(token: &str, process: &Process) -> Result<String, String> {
    let malformed = || format!("use a {METADATA} of this service");
    let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed())?;
    let token = String::from_utf8(token).map_err(|_| malformed())?;
    let mut parts = token.split('.');
    let (Some(cloud), Some(service), Some(position), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    if cloud != process.cloud.as_str() || service != process.name {
        return Err(format!("the token is of {service} in {cloud}; use one of {} in {}", process.name, process.cloud));
    }
    Ok(position.to_owned())
}
