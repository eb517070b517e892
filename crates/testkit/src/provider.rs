//! An OpenID provider outside of the system under test: discovery, one key, and the tokens signed with it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The second at which tests begin that hold the clock: tokens are good from then on, for an hour.
pub const NOW_SECONDS: i64 = 1_700_000_000;

/// A running provider. It ends with the test.
#[derive(Debug)]
pub struct Provider {
    uri: String,
    key: EncodingKey,
}

/// Who a token speaks for.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `partner`, `customer`, `operator` or `workload`.
    pub kind: &'a str,
    /// The tenant.
    pub tenant: &'a str,
    /// The person or workload.
    pub subject: &'a str,
    /// Its roles.
    pub roles: &'a [&'a str],
}

impl Provider {
    /// Starts a provider on a port of the system's choice.
    ///
    /// # Panics
    /// When the machine has no port or no randomness left.
    pub async fn start() -> Provider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let uri = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("randomness");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).expect("just made");
        // An uncompressed point: a byte that says so, then both coordinates.
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig", "x": x, "y": y});
        let keys = json!({ "keys": [jwk] });
        let discovery = json!({"issuer": uri, "jwks_uri": format!("{uri}/jwks")});
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { Json(discovery) }))
            .route("/jwks", get(move || async move { Json(keys) }));
        crate::outside(async move {
            axum::serve(listener, routes).await.expect("loopback serves until the test ends");
        });
        Provider { uri, key: EncodingKey::from_ec_der(pkcs8.as_ref()) }
    }

    /// The issuer of its tokens.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// A token for an hour.
    #[must_use]
    pub fn token(&self, identity: Identity<'_>) -> String {
        self.token_with(identity, json!({}))
    }

    /// A token with other claims beside or in place of the usual.
    ///
    /// # Panics
    /// When `claims` is not a JSON object.
    #[must_use]
    pub fn token_with(&self, identity: Identity<'_>, claims: Value) -> String {
        let mut all = json!({
            "iss": self.uri, "aud": "mandate", "sub": identity.subject, "tid": identity.tenant, "kind": identity.kind,
            "roles": identity.roles, "iat": NOW_SECONDS, "nbf": NOW_SECONDS, "exp": NOW_SECONDS + 3600,
        });
        for (name, value) in claims.as_object().expect("claims are an object") {
            all[name] = value.clone();
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("k1".to_owned());
        jsonwebtoken::encode(&header, &all, &self.key).expect("the key is one for signing")
    }
}
