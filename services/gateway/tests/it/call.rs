//! A client that sends bytes and keeps all it gets back.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Service as _, ServiceExt as _};

pub(crate) const RESOLVE: &str = "/mandate.invitation.v1.InvitationService/ResolveInvitation";
pub(crate) const CHECK: &str = "/mandate.relationship.v1.AccessService/CheckAccess";
pub(crate) const WATCH: &str = "/mandate.notification.v1.EventService/WatchEvents";

/// A call under way.
pub(crate) struct Call {
    path: String,
    headers: HeaderMap,
    body: Body,
}

/// All that came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// What a refusal says.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) retry: bool,
}

impl Call {
    /// A call of this method, with one small message.
    pub(crate) fn new(path: &str) -> Call {
        let message = Full::new(Bytes::from_static(&[0, 0, 0, 0, 3, 1, 2, 3]));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        Call { path: path.to_owned(), headers, body: Body::new(message) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Call {
        let name = HeaderName::from_static(name);
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn token(self, token: &str) -> Call {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body<B>(mut self, body: B) -> Call
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.body = Body::new(body);
        self
    }

    /// Sends it and gives the head of the answer with the body still to come.
    pub(crate) async fn begin(self, channel: &mut Channel) -> http::Response<Body> {
        let mut request = Request::post(self.path).body(self.body).unwrap();
        *request.headers_mut() = self.headers;
        let ready = channel.ready().await.unwrap();
        ready.call(request).await.unwrap()
    }

    /// Sends it and waits for the whole answer.
    pub(crate) async fn send(self, channel: &mut Channel) -> Answer {
        let (head, body) = self.begin(channel).await.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Answer { http: head.status, headers: head.headers, data: collected.to_bytes().to_vec(), trailers }
    }

    /// Sends it, and expects to be refused.
    pub(crate) async fn refused(self, channel: &mut Channel) -> Refused {
        let answer = self.send(channel).await;
        answer.refused()
    }
}

impl Answer {
    /// What was read frame by frame, and ended so.
    pub(crate) fn of_trailers(trailers: HeaderMap) -> Answer {
        Answer { http: StatusCode::OK, headers: HeaderMap::new(), data: Vec::new(), trailers }
    }

    pub(crate) fn status(&self) -> Status {
        let trailers = Status::from_header_map(&self.trailers);
        let status = trailers.or_else(|| Status::from_header_map(&self.headers));
        status.unwrap_or_else(|| panic!("no status in {self:?}"))
    }

    pub(crate) fn refused(&self) -> Refused {
        let status = self.status();
        let info = status.get_details_error_info();
        let info = info.unwrap_or_else(|| panic!("no details in {status:?}"));
        assert_eq!(info.domain, "mandate");
        Refused {
            code: status.code(),
            reason: info.reason,
            metadata: info.metadata,
            retry: status.get_details_retry_info().is_some(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Refused {
    /// Compares all at once: code, reason, metadata beside `resource`, and whether a retry can help.
    pub(crate) fn expect(&self, code: Code, reason: &str, metadata: &[(&str, &str)], retry: bool) {
        let mut seen = self.metadata.clone();
        seen.remove("resource").expect("every refusal has it");
        let expected: HashMap<String, String> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!((self.code, self.reason.as_str(), &seen, self.retry), (code, reason, &expected, retry), "{self:?}");
    }
}

/// A connection to the gateway that calls it by this host name.
pub(crate) fn connect(address: SocketAddr, host: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.origin(format!("http://{host}").parse().unwrap()).connect_lazy()
}
