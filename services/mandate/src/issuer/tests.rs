//! Serves real issuers on loopback and verifies their tokens as a service does: by discovery.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const CLOUDS: [&str; 2] = ["public", "china"];
const NOW: u64 = 1_800_000_000;

/// Issuers that answer until they are stopped.
struct Running {
    issuers: Issuers,
    base: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Error>>,
}

impl Running {
    async fn start(data_dir: &TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuers = Issuers::open(data_dir.path(), &CLOUDS, address).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        #[expect(clippy::disallowed_methods, reason = "the test awaits it in `stop`")]
        let served = tokio::spawn(issuers.clone().serve(listener, || NOW, shutdown));
        Self { issuers, base: format!("http://{address}"), stop, served }
    }

    async fn stop(self) {
        self.stop.send(()).expect("it is still served");
        self.served.await.unwrap().unwrap();
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = reqwest::get(format!("{}{path}", self.base)).await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn post(&self, cloud: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let request = reqwest::Client::new().post(format!("{}/{cloud}/token", self.base));
        let answer = request.form(form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// The keys of a cloud, found as a stranger finds them.
    async fn discover(&self, cloud: &str) -> JwkSet {
        let (_, configuration) = self.get(&format!("/{cloud}/.well-known/openid-configuration")).await;
        assert_eq!(configuration["issuer"], format!("{}/{cloud}", self.base));
        let uri = configuration["jwks_uri"].as_str().unwrap();
        reqwest::get(uri).await.unwrap().json().await.unwrap()
    }
}

/// The claims, when the token is by a key of the set, for the audience, by the issuer.
fn verify(token: &str, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let id = header.kid.as_deref().ok_or("no kid")?;
    let key = keys.find(id).ok_or("no such key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    // The tests stand in a moment of their own; `exp` is compared with what was asked for.
    validation.validate_exp = false;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let token = jsonwebtoken::decode::<Value>(token, &key, &validation);
    token.map(|token| token.claims).map_err(|error| error.to_string())
}

fn identity() -> Identity {
    Identity {
        subject: "anna".to_owned(),
        tenant: "contoso".to_owned(),
        kind: Kind::Customer,
        roles: vec!["global_admin".to_owned(), "reader".to_owned()],
    }
}

const FORM: [(&str, &str); 5] = [
    ("grant_type", "client_credentials"),
    ("sub", "anna"),
    ("tid", "contoso"),
    ("kind", "customer"),
    ("roles", "global_admin reader"),
];

/// The good form with one parameter given another value, or left out.
fn form(name: &'static str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    let mut form = Vec::from(FORM);
    form.retain(|(kept, _)| *kept != name);
    form.extend(value.map(|value| (name, value)));
    form
}

#[tokio::test]
async fn a_token_verifies_by_discovery_and_says_what_was_asked_for() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let (status, answer) = running.post("public", &FORM).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let token = answer["access_token"].as_str().unwrap();

    let keys = running.discover("public").await;
    let issuer = running.issuers.uri("public");
    let mut claims = verify(token, &keys, &issuer, "mandate").unwrap();
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 22, "16 random bytes in base64url");
    assert_eq!(
        claims,
        json!({
            "iss": issuer, "aud": "mandate", "sub": "anna", "tid": "contoso", "kind": "customer",
            "roles": ["global_admin", "reader"], "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
        })
    );
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::ES256, Some("at+jwt")));
    running.stop().await;
}

#[tokio::test]
async fn a_token_of_another_audience_or_cloud_is_refused() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let (_, answer) = running.post("public", &form("aud", Some("billing"))).await;
    let token = answer["access_token"].as_str().unwrap();
    let (ours, theirs) = (running.discover("public").await, running.discover("china").await);
    let issuer = running.issuers.uri("public");
    assert!(verify(token, &ours, &issuer, "billing").is_ok());
    assert_eq!(verify(token, &ours, &issuer, "mandate"), Err("InvalidAudience".to_owned()));
    let elsewhere = running.issuers.uri("china");
    assert_eq!(verify(token, &ours, &elsewhere, "billing"), Err("InvalidIssuer".to_owned()));
    assert_eq!(verify(token, &theirs, &issuer, "billing"), Err("no such key".to_owned()));
    running.stop().await;
}

#[tokio::test]
async fn keys_and_tokens_survive_a_restart() {
    let data_dir = tempfile::tempdir().unwrap();
    let first = Running::start(&data_dir).await;
    let issuer = first.issuers.uri("china");
    let token = first.issuers.mint("china", &identity(), NOW, DEFAULT_LIFETIME).unwrap();
    let before = first.discover("china").await;
    first.stop().await;

    let second = Running::start(&data_dir).await;
    let after = second.discover("china").await;
    assert_eq!(after, before);
    assert!(verify(&token, &after, &issuer, "mandate").is_ok());
    second.stop().await;
}

#[tokio::test]
async fn only_the_public_half_of_a_key_is_served() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let (_, keys) = running.get("/public/jwks").await;
    let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("one key: {keys}") };
    let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    running.stop().await;
}

#[test]
fn the_key_id_is_the_thumbprint_of_rfc_7638() {
    let data_dir = tempfile::tempdir().unwrap();
    let key = Key::open(data_dir.path()).unwrap();
    let key = serde_json::to_value(&key.public().keys[0]).unwrap();
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key["x"], key["y"]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let expected = URL_SAFE_NO_PAD.encode(digest);
    assert_eq!(key["kid"], expected);
}

#[tokio::test]
async fn a_bad_request_gets_the_error_of_oauth_and_no_token() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let cases = [
        (form("grant_type", None), "invalid_request", "grant_type is missing"),
        (form("grant_type", Some("password")), "unsupported_grant_type", "client_credentials"),
        (form("sub", None), "invalid_request", "sub is missing"),
        (form("sub", Some(" ")), "invalid_request", "sub is missing"),
        (form("sub", Some("a\nb")), "invalid_request", "sub must be"),
        (form("tid", None), "invalid_request", "tid is missing"),
        (form("kind", None), "invalid_request", "kind is missing"),
        (form("kind", Some("admin")), "invalid_request", "partner, customer, operator, workload"),
        (form("expires_in", Some("0")), "invalid_request", "from 1 to 86400"),
        (form("expires_in", Some("86401")), "invalid_request", "from 1 to 86400"),
        (form("expires_in", Some("-1")), "invalid_request", "from 1 to 86400"),
        (form("aud", Some("")), "invalid_request", "aud is missing"),
        ([("sub", "eve")].into_iter().chain(FORM).collect(), "invalid_request", "duplicate"),
    ];
    for (form, code, part) in cases {
        let (status, answer) = running.post("public", &form).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!(code)), "{form:?}");
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.contains(part), "{description}");
        assert_eq!(answer.get("access_token"), None);
    }
    running.stop().await;
}

#[tokio::test]
async fn the_shortest_and_the_longest_life_are_granted() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    for seconds in ["1", "86400"] {
        let (status, _) = running.post("public", &form("expires_in", Some(seconds))).await;
        assert_eq!(status, StatusCode::OK);
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_too_large_not_read() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    for path in ["/", "/mars/jwks", "/mars/.well-known/openid-configuration", "/public/keys"] {
        assert_eq!(running.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(running.post("mars", &FORM).await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.get("/public/token").await.0, StatusCode::METHOD_NOT_ALLOWED);
    let large = "x".repeat(16 * 1024);
    let (status, answer) = running.post("public", &[("sub", &large)]).await;
    assert_eq!((status, &answer["error"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("invalid_request")));
    let request = reqwest::Client::new().post(format!("{}/public/token", running.base));
    let answer = request.json(&json!({ "sub": "anna" })).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    running.stop().await;
}

#[tokio::test]
async fn a_host_name_that_a_page_of_the_web_points_at_us_is_refused() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let expected = [
        ("evil.example", StatusCode::FORBIDDEN),
        ("localhost.evil.example:80", StatusCode::FORBIDDEN),
        ("127.0.0.1.evil.example", StatusCode::FORBIDDEN),
        ("192.0.2.1", StatusCode::FORBIDDEN),
        ("localhost", StatusCode::OK),
        ("LOCALHOST:7071", StatusCode::OK),
        ("127.0.0.1:7071", StatusCode::OK),
        ("[::1]:7071", StatusCode::OK),
    ];
    for (host, status) in expected {
        let request = reqwest::Client::new().post(format!("{}/public/token", running.base));
        let answer = request.header("host", host).form(&FORM).send().await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
    running.stop().await;
}

/// A caller that sends this much of a request and then nothing.
async fn dribble(running: &Running, start: &str) -> TcpStream {
    let address = running.base.strip_prefix("http://").unwrap();
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(start.as_bytes()).await.unwrap();
    caller
}

// The held clock moves on by itself once everybody waits, so these take no time.
#[tokio::test(start_paused = true)]
async fn a_caller_that_dribbles_its_form_is_cut_off() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let start = "POST /public/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\
        content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\ngrant";
    let mut caller = dribble(&running, start).await;
    let mut answer = String::new();
    caller.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_never_ends_its_request_does_not_hold_up_the_stop() {
    let data_dir = tempfile::tempdir().unwrap();
    let running = Running::start(&data_dir).await;
    let complete = "GET /public/jwks HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut caller = dribble(&running, &format!("{complete}GET /public/jwks HT")).await;
    // The first answer shows that the connection is taken and its second request begun.
    assert_eq!(caller.read_u8().await.unwrap(), b'H');
    running.stop().await;
    drop(caller);
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused_before_a_key_is_made() {
    let data_dir = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let opened = Issuers::open(data_dir.path(), &CLOUDS, address.parse().unwrap());
        assert!(matches!(opened, Err(Error::NotLoopback { .. })), "{address}");
    }
    assert_eq!(fs::read_dir(data_dir.path()).unwrap().count(), 0);

    // A listener that does not keep what `open` was promised.
    let address = "127.0.0.1:1".parse().unwrap();
    let issuers = Issuers::open(data_dir.path(), &CLOUDS, address).unwrap();
    let open = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let served = issuers.clone().serve(open, || NOW, async {}).await;
    assert!(matches!(served, Err(Error::NotLoopback { .. })));
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = issuers.serve(other, || NOW, async {}).await;
    assert!(matches!(served, Err(Error::OtherAddress { .. })));
}

fn open(data_dir: &TempDir) -> Result<Issuers, Error> {
    Issuers::open(data_dir.path(), &CLOUDS, "127.0.0.1:7071".parse().unwrap())
}

#[test]
fn each_cloud_has_a_key_of_its_own_that_only_the_owner_can_read() {
    let data_dir = tempfile::tempdir().unwrap();
    open(&data_dir).unwrap();
    let files = CLOUDS.map(|cloud| data_dir.path().join(cloud).join("issuer.pem"));
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = fs::metadata(file.parent().unwrap()).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
        assert!(fs::read_to_string(file).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    }
    assert_ne!(fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
}

#[test]
fn a_broken_key_file_is_named_with_what_to_do_and_left_alone() {
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    for content in ["", "not a key", other.serialize_pem().as_str()] {
        let data_dir = tempfile::tempdir().unwrap();
        open(&data_dir).unwrap();
        let path = data_dir.path().join("china/issuer.pem");
        fs::write(&path, content).unwrap();
        let sentence = open(&data_dir).err().expect("the key is broken").to_string();
        assert!(sentence.contains(path.to_str().unwrap()), "{sentence}");
        assert!(sentence.contains("put the right file back"), "{sentence}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_cloud_that_could_leave_the_folder_is_refused() {
    let data_dir = tempfile::tempdir().unwrap();
    for name in ["", "..", "a/b", "A", "a b"] {
        let address = "127.0.0.1:7071".parse().unwrap();
        let opened = Issuers::open(data_dir.path(), &["public", name], address);
        assert!(matches!(opened, Err(Error::CloudName { .. })), "{name:?}");
    }
    assert_eq!(fs::read_dir(data_dir.path()).unwrap().count(), 0);
}

#[test]
fn a_token_for_no_cloud_or_for_too_long_is_not_minted() {
    let data_dir = tempfile::tempdir().unwrap();
    let issuers = open(&data_dir).unwrap();
    let unknown = issuers.mint("mars", &identity(), NOW, DEFAULT_LIFETIME);
    assert_eq!(unknown.unwrap_err().to_string(), "there is no cloud \"mars\"; there are: china, public");
    for seconds in [0, 86_401] {
        let refused = issuers.mint("public", &identity(), NOW, Duration::from_secs(seconds));
        assert!(matches!(refused, Err(Error::Lifetime { .. })));
    }
}
