//! Names for methods and codes, as the semantic conventions of OpenTelemetry spell them.
//!
//! There are as many names as the contract has methods, and a few more: whatever path a caller makes up shares one of them.

use api::rule::MethodRule;
use http::{HeaderMap, Request, StatusCode, header};
use tonic::Code;

/// A call of a method that nobody declared.
const OTHER: &str = "_OTHER";

/// Whatever is no gRPC: a browser that follows a link. Its path may be a secret.
const PLAIN: &str = "http";

/// What is called so often, and by machines, that it is neither traced nor logged at `info`.
const PROBES: [&str; 5] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// What a call is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// The full name: `mandate.relationship.v1.AccessService/CheckAccess`.
    pub(super) name: &'static str,
    /// False for a request that is not gRPC.
    pub(super) grpc: bool,
    /// True for health and reflection.
    pub(super) probe: bool,
}

impl Method {
    /// The name of the method that a request calls.
    pub(super) fn of<B>(request: &Request<B>) -> Method {
        if !is_grpc(request.headers()) {
            return Method { name: PLAIN, grpc: false, probe: false };
        }
        let path = request.uri().path();
        if let Some(rule) = MethodRule::find(path) {
            return Method { name: rule.path.trim_start_matches('/'), grpc: true, probe: false };
        }
        match PROBES.iter().find(|probe| **probe == path) {
            Some(probe) => Method { name: probe.trim_start_matches('/'), grpc: true, probe: true },
            None => Method { name: OTHER, grpc: true, probe: false },
        }
    }

    /// The verb alone: `CheckAccess`.
    pub(super) fn verb(self) -> &'static str {
        self.name.rsplit('/').next().unwrap_or(self.name)
    }
}

/// True when the content is gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE);
    content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc"))
}

/// The code that headers or trailers carry.
pub(super) fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

/// The code that says what a plain HTTP answer says.
pub(super) fn code_of_plain(status: StatusCode) -> Code {
    match status.as_u16() {
        0..=399 => Code::Ok,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        400..=499 => Code::InvalidArgument,
        502 | 503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        500.. => Code::Internal,
    }
}

/// The code's name in the contract of gRPC: `PERMISSION_DENIED`.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whose fault a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody's, or the caller's: the server did what it should.
    Theirs,
    /// The server's, for reasons that pass: too busy, too slow, something it needs is away.
    Passing,
    /// The server's.
    Ours,
}

impl Fault {
    /// Whose fault a code is.
    pub(super) fn of(code: Code) -> Fault {
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => Fault::Ours,
            Code::Unavailable | Code::DeadlineExceeded => Fault::Passing,
            Code::Ok
            | Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => Fault::Theirs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(path: &str, content: &'static str) -> Method {
        let request = Request::builder().uri(path).header(header::CONTENT_TYPE, content);
        Method::of(&request.body(()).unwrap())
    }

    #[test]
    fn only_declared_methods_have_names_of_their_own() {
        let check = called("/mandate.relationship.v1.AccessService/CheckAccess", "application/grpc");
        assert_eq!(check.name, "mandate.relationship.v1.AccessService/CheckAccess");
        assert_eq!((check.verb(), check.grpc, check.probe), ("CheckAccess", true, false));
        assert!(called("/grpc.health.v1.Health/Check", "application/grpc+proto").probe);
        assert_eq!(called("/made.up.Service/Method", "application/grpc").name, "_OTHER");
    }

    #[test]
    fn the_path_of_a_link_is_nobodys_name() {
        assert_eq!(called("/i/secret", "text/html").name, "http");
        assert_eq!(called("/i/secret", "application/grpc").name, "_OTHER");
    }

    #[test]
    fn plain_answers_have_the_code_that_says_the_same() {
        assert_eq!(code_of_plain(StatusCode::SEE_OTHER), Code::Ok);
        assert_eq!(code_of_plain(StatusCode::NOT_FOUND), Code::NotFound);
        assert_eq!(code_of_plain(StatusCode::METHOD_NOT_ALLOWED), Code::InvalidArgument);
        assert_eq!(code_of_plain(StatusCode::INTERNAL_SERVER_ERROR), Code::Internal);
    }
}
