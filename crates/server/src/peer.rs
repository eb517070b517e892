//! Calls to other services: over mTLS, within the time left, with the trace and, where wanted, the caller's token.
//!
//! A call that never reached the other side, or that it could not take, is made again a bounded number of times, but only if making
//! it twice does no harm: methods that read, and changes that carry a `request_id` ([`Calls::repeatable`]).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::rule::MethodRule;
use bytes::Bytes;
use cloud::CloudId;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};
use tonic::body::Body;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};
use tower::Service;

use crate::config::Tls;
use crate::identity::Caller;
use crate::process::StartError;
use crate::{deadline, failure, serving, telemetry};

mod unsent;

pub use unsent::send;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a call may take that is part of no other: what a service takes at most.
const CALL_MAX: Duration = Duration::from_secs(15);
/// How long a connection may be silent before the other side is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long it has to answer that.
const KEEPALIVE_MAX: Duration = Duration::from_secs(5);
/// How often a call is made again at most.
const RETRIES_MAX: u32 = 2;
/// The longest pause before the first of them; it doubles.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Where another service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// Its URI: `https://relationship:8443`. Required.
    pub uri: String,
    /// The name its certificate must hold. The host of the URI by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Another service of the same cloud. Connections are made when needed, and again when lost. Clones share them.
#[derive(Clone, Debug)]
pub struct Peer {
    channel: Channel,
    of: Arc<Of>,
}

#[derive(Debug)]
struct Of {
    cloud: CloudId,
    /// What refusals call it: `the relationship service`.
    title: String,
}

impl Peer {
    /// The service of this name at this place. Nothing is connected before the first call.
    ///
    /// # Errors
    /// When the place is no URI, or the files of `tls` cannot be used.
    pub fn connect(service: &str, settings: &PeerSettings, tls: &Tls, cloud: &CloudId) -> Result<Peer, StartError> {
        serving::install_crypto();
        if !settings.uri.starts_with("https://") {
            return Err(not_a_place(&settings.uri));
        }
        let mut client =
            ClientTlsConfig::new().identity(serving::identity(tls)?).ca_certificate(serving::authority(tls)?);
        if let Some(name) = &settings.server_name {
            client = client.domain_name(name);
        }
        let endpoint = Endpoint::from_shared(settings.uri.clone())
            .map_err(|_| not_a_place(&settings.uri))?
            .tls_config(client)
            .map_err(|error| serving::unusable(tls, &error))?
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_MAX)
            // Else the other side would take a pause between calls for silence, and end the connection under a call just made.
            .keep_alive_while_idle(true);
        let of = Of { cloud: cloud.clone(), title: format!("the {service} service") };
        Ok(Peer { channel: endpoint.connect_lazy(), of: Arc::new(of) })
    }

    /// Calls in the name of this service alone: what a generated client is made from.
    #[must_use]
    pub fn calls(&self) -> Calls {
        Calls { channel: self.channel.clone(), of: Arc::clone(&self.of), authorization: None, repeatable: false }
    }

    /// Calls that also show the token of the caller on whose behalf they are made.
    #[must_use]
    pub fn calls_for(&self, caller: &Caller) -> Calls {
        // A token that was verified holds nothing that a header cannot.
        let mut value = HeaderValue::try_from(format!("Bearer {}", caller.token)).ok();
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        Calls { authorization: value, ..self.calls() }
    }
}

fn not_a_place(uri: &str) -> StartError {
    StartError::new(format!("{uri:?} is no place of a service; expected a URI such as https://relationship:8443"))
}

/// The transport of a generated client: `DirectoryServiceClient::new(peer.calls())`.
#[derive(Clone, Debug)]
pub struct Calls {
    channel: Channel,
    of: Arc<Of>,
    authorization: Option<HeaderValue>,
    repeatable: bool,
}

impl Calls {
    /// Says that making a call twice does no harm, since each request carries a `request_id` or can be taken twice by its nature.
    /// Methods that read need no such word.
    #[must_use]
    pub fn repeatable(self) -> Calls {
        Calls { repeatable: true, ..self }
    }

    /// How often a call of this method may be made again.
    fn retries(&self, path: &str) -> u32 {
        match MethodRule::find(path) {
            Some(rule) if !rule.streams && (self.repeatable || !rule.changes) => RETRIES_MAX,
            Some(_) | None => 0,
        }
    }

    async fn make(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let retries = self.retries(request.uri().path());
        let (mut head, body) = request.into_parts();
        telemetry::inject(&mut head.headers);
        if let Some(authorization) = &self.authorization {
            head.headers.insert(AUTHORIZATION, authorization.clone());
        }
        let streams = MethodRule::find(head.uri.path()).is_some_and(|rule| rule.streams);
        if streams && deadline::left().is_none() {
            return self.once(Request::from_parts(head, body)).await;
        }
        let asked = deadline::parse(&head.headers).unwrap_or(CALL_MAX);
        let left = asked.min(deadline::left().unwrap_or(CALL_MAX));
        let end = tokio::time::Instant::now() + left;
        let work = async {
            if retries == 0 {
                head.headers.insert(deadline::HEADER, deadline::header(left));
                return self.once(Request::from_parts(head, body)).await;
            }
            let message = body.collect().await?.to_bytes();
            self.repeated(&head, message, retries, end).await
        };
        let cloud = self.of.cloud.as_str();
        let made = tokio::time::timeout_at(end, work).await;
        let late = || Err(failure::deadline_exceeded().status(cloud));
        match made {
            // The connection watches the time too, and can be first to notice.
            Ok(Err(_)) if tokio::time::Instant::now() >= end => late(),
            Ok(made) => made,
            Err(_) => late(),
        }
    }

    async fn repeated(
        &self,
        head: &http::request::Parts,
        message: Bytes,
        retries: u32,
        end: tokio::time::Instant,
    ) -> Result<Response<Body>, Status> {
        let mut made = 0;
        loop {
            let mut request = Request::from_parts(head.clone(), Body::new(Full::new(message.clone())));
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            request.headers_mut().insert(deadline::HEADER, deadline::header(left));
            let answer = self.once(request).await;
            if made == retries || !is_unavailable(&answer) {
                return answer;
            }
            tokio::time::sleep(pause(made)).await;
            made += 1;
        }
    }

    async fn once(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let answer = unsent::send(self.channel.clone(), request).await;
        answer.map_err(|error| failure::unavailable(self.of.cloud.as_str(), &self.of.title, &error))
    }
}

/// True when the other side could not be reached, or answered nothing but that it is not available.
fn is_unavailable(answer: &Result<Response<Body>, Status>) -> bool {
    match answer {
        Ok(answer) => {
            let status = Status::from_header_map(answer.headers());
            status.is_some_and(|status| status.code() == Code::Unavailable)
        }
        Err(status) => status.code() == Code::Unavailable,
    }
}

/// A pause of random length, so that callers that failed together do not come back together.
fn pause(made: u32) -> Duration {
    // Hash keys are random, and that is all that is asked of this number.
    let random = RandomState::new().build_hasher().finish();
    let most = RETRY_PAUSE * 2_u32.pow(made);
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random % micros.max(1))
}

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Waiting for the connection is part of the call's time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().make(request))
    }
}
