//! The keys of an issuer: fetched when first needed, again when a token names an unknown one, and at least hourly.
//!
//! One fetch at a time, with a pause between two; the last good set stays in use when the issuer does not answer.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use api::status::Refusal;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::invalid;
use crate::failure;

/// How long one fetch may take, both documents together.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// The pause between two fetches once keys are known.
const PAUSE: Duration = Duration::from_secs(10);
/// The pause between two fetches while none are.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);
/// After how long keys are fetched again though no token asks for it, so that a withdrawn key does not stay for ever.
const AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// Bytes of a document at most.
const DOCUMENT_MAX_BYTES: usize = 256 * 1024;
/// Keys taken at most.
const KEYS_MAX: usize = 64;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: String,
    known: RwLock<Option<Known>>,
    /// When the last fetch began. Held while one goes on.
    fetched: Mutex<Option<Instant>>,
    client: OnceCell<reqwest::Client>,
}

#[derive(Clone, Debug)]
struct Known {
    keys: Arc<Vec<Arc<Key>>>,
    since: Instant,
}

/// A key that signs tokens.
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer does not answer")]
    Http(#[from] reqwest::Error),
    #[error("the issuer does not answer within {FETCH_MAX:?}")]
    Slow,
    #[error("the issuer answers with more than {DOCUMENT_MAX_BYTES} bytes")]
    Long,
    #[error("the issuer answers with a document that cannot be read")]
    Document(#[from] serde_json::Error),
    #[error("the discovery document is of issuer {0:?}")]
    OtherIssuer(String),
    #[error("the discovery document sends us from https to {0:?}")]
    Insecure(String),
    #[error("the issuer publishes no key for ES256, RS256 or EdDSA")]
    NoKeys,
}

/// What we need of an OpenID provider's configuration.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Keys {
    pub(super) fn new(issuer: &str) -> Keys {
        Keys { issuer: issuer.to_owned(), known: RwLock::new(None), fetched: Mutex::new(None), client: OnceCell::new() }
    }

    /// The key with this id; without an id, the only key there is.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<Key>, Refusal> {
        self.refresh_aged().await;
        if let Some(key) = self.known().and_then(|known| known.key(id)) {
            return Ok(key);
        }
        let mut fetched = self.fetched.lock().await;
        // Another call may have fetched while this one waited its turn.
        if let Some(key) = self.known().and_then(|known| known.key(id)) {
            return Ok(key);
        }
        let pause = if self.known().is_some() { PAUSE } else { PAUSE_WITHOUT_KEYS };
        if fetched.is_some_and(|at| at.elapsed() < pause) {
            return Err(self.none());
        }
        *fetched = Some(Instant::now());
        self.fetch_and_keep().await;
        self.known().and_then(|known| known.key(id)).ok_or_else(|| self.none())
    }

    /// The refusal of a token whose key is not there.
    fn none(&self) -> Refusal {
        if self.known().is_some() {
            return invalid("is signed with a key that the issuer of this cloud does not publish");
        }
        failure::unavailable_refusal("the issuer of tokens", &FetchError::NoKeys)
    }

    /// Fetches again what is too old. One call does it; the others go on with what is known.
    async fn refresh_aged(&self) {
        let aged = |known: Known| known.since.elapsed() >= AGE_MAX;
        if !self.known().is_some_and(aged) {
            return;
        }
        let Ok(mut fetched) = self.fetched.try_lock() else {
            return;
        };
        if fetched.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *fetched = Some(Instant::now());
        self.fetch_and_keep().await;
    }

    async fn fetch_and_keep(&self) {
        let fetch = tokio::time::timeout(FETCH_MAX, self.fetch());
        match fetch.await.unwrap_or(Err(FetchError::Slow)) {
            Ok(keys) => {
                let known = Known { keys: Arc::new(keys), since: Instant::now() };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
            }
            Err(error) => {
                let (issuer, error) = (&self.issuer, failure::chain(&error));
                tracing::warn!(issuer, error, "the keys of the issuer could not be fetched");
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Arc<Key>>, FetchError> {
        let client = self.client.get_or_try_init(|| async { self.client() }).await?;
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let discovery: Discovery = serde_json::from_slice(&get(client, &place).await?)?;
        if discovery.issuer != self.issuer {
            return Err(FetchError::OtherIssuer(discovery.issuer));
        }
        if self.issuer.starts_with("https://") && !discovery.jwks_uri.starts_with("https://") {
            return Err(FetchError::Insecure(discovery.jwks_uri));
        }
        let set: JwkSet = serde_json::from_slice(&get(client, &discovery.jwks_uri).await?)?;
        let keys: Vec<Arc<Key>> = set.keys.iter().filter_map(Key::of).take(KEYS_MAX).map(Arc::new).collect();
        if keys.is_empty() {
            return Err(FetchError::NoKeys);
        }
        Ok(keys)
    }

    /// Made when first needed: reading the system's authorities takes longer than the rest of a start.
    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        crate::install_crypto();
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if self.issuer.starts_with("https://") {
            return builder.https_only(true).build();
        }
        // Development, on loopback: no proxy stands in between.
        builder.no_proxy().build()
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn get(client: &reqwest::Client, uri: &str) -> Result<Vec<u8>, FetchError> {
    let mut answer = client.get(uri).send().await?.error_for_status()?;
    let mut document = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if document.len() + chunk.len() > DOCUMENT_MAX_BYTES {
            return Err(FetchError::Long);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

impl Known {
    fn key(&self, id: Option<&str>) -> Option<Arc<Key>> {
        match (id, self.keys.as_slice()) {
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
        }
    }
}

impl Key {
    /// A published key, if it is for signing with one of the algorithms that we take.
    fn of(published: &Jwk) -> Option<Key> {
        let signs = match &published.common.public_key_use {
            Some(PublicKeyUse::Signature) | None => true,
            Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => false,
        };
        let (algorithm, named) = match &published.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            AlgorithmParameters::EllipticCurve(_)
            | AlgorithmParameters::OctetKeyPair(_)
            | AlgorithmParameters::OctetKey(_)
            | AlgorithmParameters::Other(_)
            | _ => return None,
        };
        if !signs || published.common.key_algorithm.is_some_and(|of| of != named) {
            return None;
        }
        let key = DecodingKey::from_jwk(published).ok()?;
        Some(Key { id: published.common.key_id.clone(), algorithm, key })
    }

    /// The claims of a token, when this key has signed it with its own algorithm. Times are for the caller to check.
    pub(super) fn open(&self, token: &str, algorithm: Algorithm) -> Option<Map<String, Value>> {
        if algorithm != self.algorithm {
            return None;
        }
        let mut signature_only = Validation::new(self.algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_nbf = false;
        signature_only.validate_aud = false;
        let opened = jsonwebtoken::decode::<Map<String, Value>>(token, &self.key, &signature_only);
        opened.ok().map(|token| token.claims)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
