//! The issuers over HTTP: discovery, public keys and the token endpoint.
//!
//! It answers errors in the form of OAuth 2.0 (RFC 6749, section 5.2), whatever went wrong.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, PRAGMA};
use axum::http::{StatusCode, uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{DEFAULT_AUDIENCE, DEFAULT_LIFETIME, Error, Identity, Issuers, Kind, LIFETIME_MAX, LIFETIME_MIN};

const BODY_BYTES_MAX: usize = 16 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const CLAIM_CHARACTERS_MAX: usize = 255;
const ROLES_MAX: usize = 64;

type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

#[derive(Clone)]
struct Desk {
    issuers: Issuers,
    now: Now,
}

pub(super) async fn serve<S>(issuers: Issuers, listener: TcpListener, now: Now, shutdown: S) -> io::Result<()>
where
    S: Future<Output = ()> + Send + 'static,
{
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, routes(Desk { issuers, now })).with_graceful_shutdown(async {
        shutdown.await;
        // Nobody listens any more only when the server is already gone.
        let _gone = stopping.send(());
    });
    let bound = async {
        // An error means that the server ended first; then this branch must not win the race.
        match stopped.await {
            Ok(()) => tokio::time::sleep(DRAIN_TIMEOUT).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = bound => Ok(()),
    }
}

fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/{cloud}/.well-known/openid-configuration", get(configuration))
        .route("/{cloud}/jwks", get(keys))
        .route("/{cloud}/token", post(token))
        .fallback(|| async { not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Refusal::invalid("this method is not for this path").at(StatusCode::METHOD_NOT_ALLOWED)
        })
        .with_state(desk)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        // Outside the body, so that a caller who dribbles one is cut off too.
        .layer(middleware::from_fn(in_time))
        // Outermost: a tricked browser learns nothing, not even which clouds there are.
        .layer(middleware::from_fn(addressed_to_loopback))
}

async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        Refusal::invalid("the request took too long to arrive").at(StatusCode::REQUEST_TIMEOUT).into_response()
    })
}

/// A page of the web can point its own host name at 127.0.0.1 and then read what we answer; its
/// requests still carry that host name.
async fn addressed_to_loopback(request: Request, next: Next) -> Response {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let named = request.uri().authority().map(uri::Authority::as_str).or(header);
    if named.is_some_and(is_loopback) {
        return next.run(request).await;
    }
    Refusal::invalid("call the development issuer as localhost or 127.0.0.1").at(StatusCode::FORBIDDEN).into_response()
}

fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<uri::Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

async fn configuration(State(desk): State<Desk>, Path(cloud): Path<String>) -> Answer {
    desk.issuers.key(&cloud)?;
    let issuer = desk.issuers.uri(&cloud);
    Ok(Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "token_endpoint": format!("{issuer}/token"),
        "response_types_supported": ["token"],
        "grant_types_supported": ["client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "claims_supported": [
            "iss", "aud", "sub", "tid", "kind", "roles", "iat", "nbf", "exp", "jti",
        ],
    })))
}

async fn keys(State(desk): State<Desk>, Path(cloud): Path<String>) -> Result<Response, Refusal> {
    Ok(Json(desk.issuers.key(&cloud)?.public()).into_response())
}

/// The form of a token request. Parameters nobody knows are ignored, as RFC 6749 asks.
#[derive(Deserialize)]
struct Wanted {
    grant_type: Option<String>,
    sub: Option<String>,
    tid: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    roles: String,
    expires_in: Option<String>,
    aud: Option<String>,
}

async fn token(
    State(desk): State<Desk>,
    Path(cloud): Path<String>,
    form: Result<Form<Wanted>, FormRejection>,
) -> Result<Response, Refusal> {
    desk.issuers.key(&cloud)?;
    let Form(wanted) = form.map_err(|rejection| {
        Refusal::invalid(rejection.body_text()).at(match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        })
    })?;
    match wanted.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::unsupported_grant()),
        None => {
            return Err(Refusal::invalid("grant_type is missing: use client_credentials"));
        }
    }
    let identity = identity(&wanted)?;
    let lifetime = lifetime(wanted.expires_in.as_deref())?;
    let audience = match wanted.aud {
        Some(audience) => claim("aud", Some(audience))?,
        None => DEFAULT_AUDIENCE.to_owned(),
    };
    let token = desk.issuers.sign(&cloud, &identity, &audience, ((desk.now)(), lifetime))?;
    let answer = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
    });
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(answer)).into_response())
}

fn identity(wanted: &Wanted) -> Result<Identity, Refusal> {
    let kind = claim("kind", wanted.kind.clone())?;
    let Some(kind) = Kind::parse(&kind) else {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        return Err(Refusal::invalid(format!("kind {kind:?} is none of {known}")));
    };
    let mut roles = Vec::new();
    for role in wanted.roles.split_whitespace() {
        roles.push(claim("roles", Some(role.to_owned()))?);
    }
    if roles.len() > ROLES_MAX {
        return Err(Refusal::invalid(format!("roles holds more than {ROLES_MAX} names")));
    }
    Ok(Identity { subject: claim("sub", wanted.sub.clone())?, tenant: claim("tid", wanted.tid.clone())?, kind, roles })
}

fn claim(parameter: &str, value: Option<String>) -> Result<String, Refusal> {
    let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
        return Err(Refusal::invalid(format!("{parameter} is missing")));
    };
    if value.chars().count() > CLAIM_CHARACTERS_MAX || value.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!(
            "{parameter} must be at most {CLAIM_CHARACTERS_MAX} characters without control characters"
        )));
    }
    Ok(value)
}

fn lifetime(expires_in: Option<&str>) -> Result<Duration, Refusal> {
    let Some(text) = expires_in else {
        return Ok(DEFAULT_LIFETIME);
    };
    let lifetime = text.parse().map(Duration::from_secs).ok();
    lifetime.filter(|found| (LIFETIME_MIN..=LIFETIME_MAX).contains(found)).ok_or_else(|| {
        let (least, most) = (LIFETIME_MIN.as_secs(), LIFETIME_MAX.as_secs());
        Refusal::invalid(format!("expires_in must be a whole number from {least} to {most}"))
    })
}

type Answer = Result<Json<Value>, Refusal>;

/// An error as RFC 6749 wants it.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    description: String,
}

impl Refusal {
    fn invalid(description: impl Into<String>) -> Self {
        let description = description.into();
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_request", description }
    }

    fn unsupported_grant() -> Self {
        let code = "unsupported_grant_type";
        Self { code, ..Self::invalid("grant_type must be client_credentials") }
    }

    fn at(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

fn not_found(description: impl Into<String>) -> Refusal {
    Refusal::invalid(description).at(StatusCode::NOT_FOUND)
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownCloud { .. } => not_found(error.to_string()),
            Error::Lifetime { .. } => Self::invalid(error.to_string()),
            Error::NotLoopback { .. }
            | Error::OtherAddress { .. }
            | Error::CloudName { .. }
            | Error::File(_)
            | Error::BrokenKey { .. }
            | Error::Randomness
            | Error::Sign(_)
            | Error::Listen(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no token was made");
                Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    code: "server_error",
                    description: "no token could be made; the log says why".to_owned(),
                }
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.description });
        (self.status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
