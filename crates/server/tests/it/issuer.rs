//! An identity provider as the outside world has them: discovery, published keys, signed tokens, and bad days.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::system::NOW;

/// The claims of a token.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) Value);

impl Token {
    pub(crate) fn new(issuer: &str, kind: &str, roles: &[&str]) -> Token {
        Token(json!({
            "iss": issuer, "aud": "mandate", "sub": "ann", "tid": "contoso", "kind": kind, "roles": roles,
            "exp": NOW + 3600, "nbf": NOW,
        }))
    }

    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Token {
        self.0[claim] = value.into();
        self
    }

    pub(crate) fn without(mut self, claim: &str) -> Token {
        self.0.as_object_mut().unwrap().remove(claim);
        self
    }
}

/// A key of the issuer.
pub(crate) struct SigningKey {
    pub(crate) id: String,
    algorithm: Algorithm,
    key: EncodingKey,
    published: Value,
}

impl SigningKey {
    pub(crate) fn new(id: &str) -> SigningKey {
        let pair = KeyPair::generate().unwrap();
        // An uncompressed point: a byte of form, then both coordinates.
        let (x, y) = pair.public_key_raw()[1..].split_at(32);
        let published = json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) });
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        SigningKey::of(id, Algorithm::ES256, key, published)
    }

    pub(crate) fn ed25519(id: &str) -> SigningKey {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let published = json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key_raw()) });
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        SigningKey::of(id, Algorithm::EdDSA, key, published)
    }

    pub(crate) fn rsa(id: &str) -> SigningKey {
        let size = rcgen::RsaKeySize::_2048;
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
        let published = Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap();
        SigningKey::of(id, Algorithm::RS256, key, serde_json::to_value(published).unwrap())
    }

    fn of(id: &str, algorithm: Algorithm, key: EncodingKey, mut published: Value) -> SigningKey {
        published["kid"] = id.into();
        published["use"] = "sig".into();
        SigningKey { id: id.to_owned(), algorithm, key, published }
    }

    pub(crate) fn sign(&self, token: &Token) -> String {
        self.sign_as(token, self.algorithm)
    }

    pub(crate) fn sign_as(&self, token: &Token, algorithm: Algorithm) -> String {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, &token.0, &self.key).unwrap()
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer that listens.
pub(crate) struct FakeIssuer {
    pub(crate) uri: String,
    pub(crate) key: SigningKey,
    state: Arc<Published>,
}

#[derive(Default)]
struct Published {
    uri: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    fetches: AtomicUsize,
    down: AtomicBool,
}

impl FakeIssuer {
    pub(crate) async fn start() -> FakeIssuer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let key = SigningKey::new("first");
        let state = Arc::new(Published::default());
        *state.uri.lock().unwrap() = uri.clone();
        *state.keys.lock().unwrap() = vec![key.published.clone()];
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&state));
        #[expect(clippy::disallowed_methods, reason = "the outside world is no task of ours")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        FakeIssuer { uri, key, state }
    }

    pub(crate) fn sign(&self, token: &Token) -> String {
        self.key.sign(token)
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        *self.state.keys.lock().unwrap() = keys.iter().map(|key| key.published.clone()).collect();
    }

    /// Says of itself that it is another.
    pub(crate) fn claim_to_be(&self, uri: &str) {
        uri.clone_into(&mut self.state.uri.lock().unwrap());
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }
}

async fn discovery(State(state): State<Arc<Published>>) -> Result<Json<Value>, StatusCode> {
    if state.down.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let uri = state.uri.lock().unwrap().clone();
    Ok(Json(json!({ "issuer": uri, "jwks_uri": format!("{uri}/keys") })))
}

async fn keys(State(state): State<Arc<Published>>) -> Json<Value> {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let keys = state.keys.lock().unwrap().clone();
    Json(json!({ "keys": keys }))
}
