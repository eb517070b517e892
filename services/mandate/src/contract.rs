//! Calls methods of the contract by name, with JSON in and JSON out, as a client does that learned it by reflection.
//!
//! The mapping is the one that protobuf defines for JSON, so what people read here is what `grpcurl` shows. Nothing in it
//! knows a message of the domain: a method that is added to `proto/` can be called at once.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use api::raw::Raw;
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
const CONSISTENCY_TOKEN: &str = "mandate-consistency-token";

/// A gateway, or any other process that serves methods of the contract without TLS.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    uri: Arc<str>,
    channel: Channel,
    pool: DescriptorPool,
}

impl Gateway {
    /// The gateway at `http://host:port`. Nothing is connected before the first call.
    ///
    /// # Errors
    /// When this is no such URI.
    pub(crate) fn at(uri: &str) -> Result<Gateway, Failure> {
        let uri = uri.trim_end_matches('/');
        let unusable =
            || Failure::usage(format!("--gateway: {uri:?} is no address; expected one such as http://127.0.0.1:7070"));
        let parsed = http::Uri::from_str(uri).map_err(|_| unusable())?;
        if parsed.scheme_str() != Some("http") || parsed.authority().is_none() {
            return Err(unusable());
        }
        let endpoint = Endpoint::from_shared(uri.to_owned()).map_err(|_| unusable())?;
        let pool =
            DescriptorPool::decode(api::FILE_DESCRIPTOR_SET).expect("the build made this descriptor set from proto/");
        Ok(Gateway { uri: uri.into(), channel: endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy(), pool })
    }

    /// Its address.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Calls without a credential and without naming a cloud.
    pub(crate) fn anonymous(&self) -> Session {
        Session { gateway: self.clone(), cloud: None, token: None }
    }

    /// Calls to this cloud, with this token when there is one.
    pub(crate) fn session(&self, cloud: &str, token: Option<&str>) -> Session {
        Session { gateway: self.clone(), cloud: Some(cloud.to_owned()), token: token.map(str::to_owned) }
    }

    /// The method called `Service/Method`; the service may be named with its package or without.
    fn method(&self, name: &str) -> Option<MethodDescriptor> {
        let (service, method) = name.split_once('/')?;
        let mut services = self.pool.services();
        let service = services.find(|found| found.name() == service || found.full_name() == service)?;
        service.methods().find(|found| found.name() == method)
    }
}

/// Calls by one caller to one cloud.
#[derive(Clone)]
pub(crate) struct Session {
    gateway: Gateway,
    cloud: Option<String>,
    token: Option<String>,
}

/// What a call was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The message, with all its fields.
    pub(crate) message: Value,
    /// The token that makes later reads see this call's change.
    pub(crate) consistency_token: Option<String>,
}

impl Session {
    /// The same caller, toward another cloud.
    pub(crate) fn toward(mut self, cloud: &str) -> Session {
        self.cloud = Some(cloud.to_owned());
        self
    }

    /// Calls a unary method.
    ///
    /// # Errors
    /// [`Failure::Refused`] with what the other side said; [`Failure::Usage`] when the request does not fit the method.
    pub(crate) async fn call(&self, method: &str, request: &Value) -> Result<Answer, Failure> {
        let (method, request) = self.prepare(method, request)?;
        let mut request = request;
        request.set_timeout(CALL_TIMEOUT);
        let mut client = tonic::client::Grpc::new(self.gateway.channel.clone());
        client.ready().await.map_err(|_| Failure::unreachable(self.gateway.uri()))?;
        let response = client.unary(request, path(&method), Raw).await.map_err(|status| self.refused(status))?;
        let token = response.metadata().get(CONSISTENCY_TOKEN);
        let consistency_token = token.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { message: json(method.output(), response.into_inner())?, consistency_token })
    }

    /// Calls a method that answers with a stream.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub(crate) async fn stream(&self, method: &str, request: &Value) -> Result<Answers, Failure> {
        let (method, request) = self.prepare(method, request)?;
        let mut client = tonic::client::Grpc::new(self.gateway.channel.clone());
        client.ready().await.map_err(|_| Failure::unreachable(self.gateway.uri()))?;
        let response =
            client.server_streaming(request, path(&method), Raw).await.map_err(|status| self.refused(status))?;
        Ok(Answers { session: self.clone(), message: method.output(), stream: response.into_inner() })
    }

    fn prepare(&self, name: &str, request: &Value) -> Result<(MethodDescriptor, Request<Bytes>), Failure> {
        let method =
            self.gateway.method(name).ok_or_else(|| Failure::usage(format!("the contract has no method {name}")))?;
        let message = DynamicMessage::deserialize(method.input(), request)
            .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        let mut request = Request::new(Bytes::from(message.encode_to_vec()));
        let metadata = request.metadata_mut();
        if let Some(cloud) = &self.cloud {
            metadata.insert("x-mandate-cloud", ascii("--cloud", cloud)?);
        }
        if let Some(token) = &self.token {
            metadata.insert("authorization", ascii("the token", &format!("Bearer {token}"))?);
        }
        Ok((method, request))
    }

    /// A status without details that comes from our own side of the wire means that nobody was reached.
    fn refused(&self, status: Status) -> Failure {
        if status.code() == tonic::Code::Unavailable && status.details().is_empty() {
            return Failure::unreachable(self.gateway.uri());
        }
        Failure::Refused(Box::new(status))
    }
}

/// The answers of a stream, as they come.
pub(crate) struct Answers {
    session: Session,
    message: MessageDescriptor,
    stream: Streaming<Bytes>,
}

impl Answers {
    /// The next answer; `None` when the other side has ended the stream.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        let next = self.stream.message().await;
        match next.map_err(|status| self.session.refused(status))? {
            Some(bytes) => json(self.message.clone(), bytes).map(Some),
            None => Ok(None),
        }
    }
}

fn ascii(what: &str, value: &str) -> Result<MetadataValue<Ascii>, Failure> {
    MetadataValue::try_from(value)
        .map_err(|_| Failure::usage(format!("{what} holds characters that no header can carry")))
}

fn path(method: &MethodDescriptor) -> http::uri::PathAndQuery {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    http::uri::PathAndQuery::try_from(path).expect("names of protobuf are fit for a path")
}

fn json(message: MessageDescriptor, bytes: Bytes) -> Result<Value, Failure> {
    let unreadable = |error: &dyn std::error::Error| Failure::Other(format!("the answer cannot be read: {error}"));
    let message = DynamicMessage::decode(message, bytes).map_err(|error| unreadable(&error))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| unreadable(&error))
}

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a JSON pointer; empty when there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// The value without what says nothing: empty texts and lists, absent messages, zero numbers, unspecified enums. A `false`
/// stays, because it is an answer.
pub(crate) fn brief(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(key, value)| (key.clone(), brief(value)));
            Value::Object(kept.filter(|(_, value)| !says_nothing(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(brief).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty() || text == "0" || text.ends_with("_UNSPECIFIED"),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Gateway, brief};

    #[tokio::test]
    async fn methods_are_found_with_their_package_or_without() {
        let gateway = Gateway::at("http://127.0.0.1:1").unwrap();
        let method = gateway.method("CloudService/ListClouds").unwrap();
        assert_eq!(super::path(&method), "/mandate.cloud.v1.CloudService/ListClouds");
        assert!(gateway.method("mandate.cloud.v1.CloudService/ListClouds").is_some());
        assert!(gateway.method("CloudService/ListNothing").is_none());
        assert!(gateway.method("CloudService").is_none());
    }

    #[tokio::test]
    async fn only_a_plain_address_is_a_gateway() {
        for uri in ["", "127.0.0.1:7070", "https://a", "http://", "nonsense"] {
            assert!(Gateway::at(uri).is_err(), "{uri}");
        }
    }

    #[tokio::test]
    async fn a_request_that_does_not_fit_its_method_is_refused_before_it_is_sent() {
        let session = Gateway::at("http://127.0.0.1:1").unwrap().anonymous();
        let refused = session.call("CloudService/GetCloudPolicy", &json!({"nam": "x"})).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains("nam"), "{sentence}");
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_what_to_do() {
        let session = Gateway::at("http://127.0.0.1:1").unwrap().anonymous();
        let refused = session.call("CloudService/ListClouds", &json!({})).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains("mandate up"), "{sentence}");
    }

    #[test]
    fn a_brief_value_keeps_answers_and_drops_what_says_nothing() {
        let full = json!({
            "allowed": false, "grant": "", "rule": "R6", "page": "0", "size": 0, "none": null,
            "list": [], "kind": "KIND_UNSPECIFIED", "inner": {"a": "", "b": 1},
        });
        let expected = json!({"allowed": false, "rule": "R6", "inner": {"b": 1}});
        assert_eq!(brief(&full), expected);
    }
}
