//! An identity provider: discovery, one key, and the tokens signed with it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The second at which every test begins.
pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) struct Provider {
    pub(crate) uri: String,
    key: EncodingKey,
}

impl Provider {
    pub(crate) async fn start() -> Provider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref());
        let point = pair.unwrap().public_key().as_ref().to_vec();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..]),
        );
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig", "x": x, "y": y});
        let keys = json!({ "keys": [jwk] });
        let discovery = json!({"issuer": uri, "jwks_uri": format!("{uri}/jwks")});
        let routes = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move { Json(discovery) }),
            )
            .route("/jwks", get(move || async move { Json(keys) }));
        spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Provider {
            uri,
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
        }
    }

    /// A token for a partner's agent that is good for an hour.
    pub(crate) fn token(&self) -> String {
        self.token_with(json!({}))
    }

    /// The same with other claims.
    pub(crate) fn token_with(&self, claims: Value) -> String {
        let mut all = json!({
            "iss": self.uri, "aud": "mandate", "sub": "agent", "tid": "contoso", "kind": "partner", "roles": ["admin_agent"],
            "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
        });
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("k1".to_owned());
        jsonwebtoken::encode(&header, &all, &self.key).unwrap()
    }
}

/// Runs what stands outside of the system under test.
#[expect(
    clippy::disallowed_methods,
    reason = "the outside world drains with nobody"
)]
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}
