//! Who calls: access tokens of the cloud's own issuer, verified, and the caller that they speak for.
//!
//! Keys come from the issuer's discovery document, lazily, and are fetched again when a token names one that is not known.
//! Verified tokens are remembered by digest, bounded in memory, and never past their end.

use std::sync::Arc;
use std::time::Duration;

use api::ErrorReason;
use api::status::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, Time};
use cloud::{CloudId, IdentityRule};
use serde_json::{Map, Value};
use tonic::{Request, Status};

mod caller;
mod claims;
mod keys;

pub use caller::Caller;
use claims::Verified;
use keys::Keys;

/// Bytes of a token at most.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// Verified tokens remembered take this much memory at most: a hundred thousand of ordinary size.
const CACHE_MAX_BYTES: u64 = 100 * 1024 * 1024;
/// What a remembered token takes beside its own bytes, roughly.
const CACHE_ENTRY_BYTES: usize = 256;
/// How long a token that nobody uses is remembered.
const CACHE_IDLE: Duration = Duration::from_secs(15 * 60);

/// The issuer whose tokens one cloud accepts.
#[derive(Debug)]
pub struct Issuer {
    cloud: CloudId,
    uri: String,
    rule: IdentityRule,
    clock: Clock,
    keys: Keys,
    verified: moka::sync::Cache<[u8; 32], Arc<Verified>>,
}

impl Issuer {
    /// The issuer at this URI. Nothing is fetched before the first token.
    #[must_use]
    pub fn new(cloud: CloudId, uri: &str, rule: IdentityRule, clock: Clock) -> Issuer {
        let weight = |_: &[u8; 32], verified: &Arc<Verified>| {
            let bytes = verified.caller.token.len() + CACHE_ENTRY_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let verified =
            moka::sync::Cache::builder().max_capacity(CACHE_MAX_BYTES).weigher(weight).time_to_idle(CACHE_IDLE).build();
        Issuer { cloud, uri: uri.to_owned(), rule, clock, keys: Keys::new(uri), verified }
    }

    /// The URI of the issuer.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The cloud whose issuer it is.
    #[must_use]
    pub fn cloud(&self) -> &CloudId {
        &self.cloud
    }

    /// The caller that this token speaks for: what follows `Bearer ` in the `authorization` header.
    ///
    /// # Errors
    /// TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_OF_ANOTHER_CLOUD; DEPENDENCY_UNAVAILABLE while the issuer gives no keys.
    pub async fn verify(&self, bearer: &str) -> Result<Arc<Caller>, Refusal> {
        if bearer.len() > TOKEN_MAX_BYTES {
            return Err(invalid(&format!("is longer than {TOKEN_MAX_BYTES} bytes")));
        }
        match self.remembered(bearer) {
            Some(caller) => Ok(caller),
            None => self.verify_anew(bearer).await,
        }
    }

    /// The caller of a token that was verified before and has not ended since.
    pub(crate) fn remembered(&self, bearer: &str) -> Option<Arc<Caller>> {
        let digest = digest(bearer);
        let verified = self.verified.get(&digest)?;
        if self.clock.now() < verified.expire_time {
            return Some(Arc::clone(&verified.caller));
        }
        self.verified.invalidate(&digest);
        None
    }

    async fn verify_anew(&self, bearer: &str) -> Result<Arc<Caller>, Refusal> {
        let header = jsonwebtoken::decode_header(bearer).map_err(|_| invalid("is no JWT"))?;
        let claimed = claimed_issuer(bearer).ok_or_else(|| invalid("names no issuer"))?;
        if claimed != self.uri {
            return Err(self.of_another_cloud(&claimed));
        }
        let key = self.keys.find(header.kid.as_deref()).await?;
        let claims = key
            .open(bearer, header.alg)
            .ok_or_else(|| invalid("is not signed by the issuer of this cloud, with ES256, RS256 or EdDSA"))?;
        let verified = claims::read(&claims, &self.rule, bearer)?;
        self.check_time(&verified)?;
        let verified = Arc::new(verified);
        self.verified.insert(digest(bearer), Arc::clone(&verified));
        Ok(Arc::clone(&verified.caller))
    }

    fn check_time(&self, verified: &Verified) -> Result<(), Refusal> {
        let now = self.clock.now();
        let expired = |message: &str| Refusal::new(ErrorReason::TokenExpired, "AIP-211", "", message);
        if now >= verified.expire_time.plus(LEEWAY) {
            return Err(expired("the token has expired; get a new one from the issuer"));
        }
        let begins = verified.begin_time.unwrap_or(Time::from_micros(i64::MIN));
        if now.plus(LEEWAY) < begins {
            return Err(expired("the token is not valid yet; check the clock of its issuer"));
        }
        Ok(())
    }

    /// N69: clouds are isolated from each other, their tokens too.
    fn of_another_cloud(&self, issuer: &str) -> Refusal {
        let message =
            format!("the token is of another issuer; cloud {} accepts those of {} alone", self.cloud, self.uri);
        let issuer: String = issuer.chars().take(256).collect();
        Refusal::new(ErrorReason::TokenOfAnotherCloud, "N69", "", message).with("issuer", issuer)
    }
}

/// The issuer that a token claims to be of, unverified: good for finding whom to ask, never for believing.
#[must_use]
pub fn claimed_issuer(bearer: &str) -> Option<String> {
    if bearer.len() > TOKEN_MAX_BYTES {
        return None;
    }
    let payload = bearer.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// The token that the headers of a call carry.
///
/// # Errors
/// TOKEN_REQUIRED when there is none; TOKEN_INVALID for another scheme, or when there are several.
pub fn bearer(headers: &http::HeaderMap) -> Result<&str, Refusal> {
    let mut credentials = headers.get_all(http::header::AUTHORIZATION).iter();
    let Some(credential) = credentials.next() else {
        let message = "the call needs a token; send the header `authorization: Bearer <token>`";
        return Err(Refusal::new(ErrorReason::TokenRequired, "AIP-211", "", message));
    };
    if credentials.next().is_some() {
        return Err(invalid("is one of several in the call"));
    }
    let parts = credential.to_str().ok().and_then(|text| text.split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(invalid("does not follow `Bearer ` in the header `authorization`")),
    }
}

/// The caller of a call to a method that needs one.
///
/// # Errors
/// INTERNAL when no layer has verified a caller: the method is anonymous, or the handler was mounted without the layers.
pub fn caller<T>(request: &Request<T>) -> Result<Arc<Caller>, Status> {
    request.extensions().get::<Arc<Caller>>().cloned().ok_or_else(|| {
        tracing::error!("a handler asked for the caller of a call that has none");
        crate::failure::internal_refusal().status("")
    })
}

fn invalid(problem: &str) -> Refusal {
    let message = format!("the token {problem}; get a new one from the issuer");
    Refusal::new(ErrorReason::TokenInvalid, "AIP-211", "", message)
}

fn digest(bearer: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bearer.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claimed_issuer_is_read_without_belief() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"iss":"https://issuer"}"#);
        assert_eq!(claimed_issuer(&format!("x.{payload}.y")), Some("https://issuer".to_owned()));
        for token in ["", "..", "a.b.c", "no token", &format!("x.{}.y", URL_SAFE_NO_PAD.encode("{}"))] {
            assert_eq!(claimed_issuer(token), None, "{token}");
        }
    }

    #[test]
    fn the_bearer_token_is_taken_from_one_header() {
        let headers = |values: &[&'static str]| {
            let values =
                values.iter().map(|value| (http::header::AUTHORIZATION, http::HeaderValue::from_static(value)));
            let mut headers = http::HeaderMap::new();
            for (name, value) in values {
                headers.append(name, value);
            }
            headers
        };
        let reason =
            |values: &[&'static str]| bearer(&headers(values)).map(str::to_owned).map_err(|refusal| refusal.reason());
        assert_eq!(reason(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(reason(&["bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(reason(&[]), Err(ErrorReason::TokenRequired));
        assert_eq!(reason(&["Basic abc"]), Err(ErrorReason::TokenInvalid));
        assert_eq!(reason(&["Bearer"]), Err(ErrorReason::TokenInvalid));
        assert_eq!(reason(&["Bearer a", "Bearer b"]), Err(ErrorReason::TokenInvalid));
    }
}
