//! What becomes of one request: a link's redirect, an answer of the gateway's own, or a call carried to its cloud.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::ErrorReason;
use api::status::Refusal;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use server::config::Limits;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

use crate::clouds::{Clouds, host};
use crate::forward::{Target, forward};
use crate::link;
use crate::routes::{Destination, Route};

/// The gateway as a service of HTTP requests. It always answers.
#[derive(Clone, Debug)]
pub(crate) struct Switchboard(Arc<Parties>);

#[derive(Debug)]
struct Parties {
    clouds: Arc<Clouds>,
    limits: Limits,
    own: Routes,
}

/// The services beside the contract that the gateway answers itself.
const OWN: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

impl Switchboard {
    /// A switchboard of these clouds; `own` answers health, reflection and `CloudService`.
    pub(crate) fn new(clouds: Arc<Clouds>, limits: Limits, own: Routes) -> Switchboard {
        Switchboard(Arc::new(Parties { clouds, limits, own }))
    }
}

impl Service<Request<Body>> for Switchboard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let parties = self.0.clone();
        Box::pin(async move { Ok(caught(parties.answer(request)).await) })
    }
}

impl Parties {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(token) = path.strip_prefix(link::PREFIX) {
            let token = token.to_owned();
            let (head, _) = request.into_parts();
            return link::answer(&self.clouds, &head.method, host(&head), &token);
        }
        if let Some(refusal) = not_grpc(&request) {
            return refusal;
        }
        if OWN.iter().any(|service| path.starts_with(service)) {
            return self.own(request).await;
        }
        let Some(route) = Route::find(path) else {
            return refuse(unknown(), "");
        };
        if route.destination == Destination::Here {
            return self.own(request).await;
        }
        self.carry(route, request).await
    }

    async fn own(&self, request: Request<Body>) -> Response<Body> {
        match self.own.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn carry(&self, route: Route, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let cloud = match self.clouds.choose(&head) {
            Ok(cloud) => cloud,
            Err(refusal) => return refuse(refusal, ""),
        };
        server::telemetry::record_cloud(&cloud.label);
        let carried = async {
            if route.needs_credential() {
                cloud.verify(&head).await?;
            }
            let upstream = cloud.upstreams.get(&route.destination).ok_or_else(unknown)?;
            let target = Target { cloud: &cloud.id, upstream, route };
            forward(target, &self.limits, Request::from_parts(head, body)).await
        };
        carried.await.unwrap_or_else(|refusal| refuse(refusal, cloud.id.as_str()))
    }
}

fn unknown() -> Refusal {
    // The path is the caller's text, and told to nobody but it: not repeated, so that every unknown method looks the same.
    Refusal::new(
        ErrorReason::MethodUnknown,
        "AIP-193",
        "",
        "there is no such method here; reflection lists those there are",
    )
}

fn refuse(refusal: Refusal, cloud: &str) -> Response<Body> {
    refusal.status(cloud).into_http()
}

/// The plain answer to a request that is no gRPC call.
fn not_grpc(request: &Request<Body>) -> Option<Response<Body>> {
    let (status, text) = if !is_grpc(request.headers()) {
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "This address speaks gRPC, and answers GET /i/{token}.\n")
    } else if request.version() != Version::HTTP_2 {
        (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2.\n")
    } else if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, "gRPC needs POST.\n")
    } else {
        return None;
    };
    let mut response = Response::new(Body::new(http_body_util::Full::new(bytes::Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Some(response)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let rest = media.and_then(|media| media.strip_prefix("application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// The answer, or INTERNAL when it could not be given because of a defect.
async fn caught(answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    let mut answer = std::pin::pin!(answer);
    std::future::poll_fn(move |cx| match std::panic::catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(internal(panic.as_ref())),
    })
    .await
}

fn internal(panic: &(dyn Any + Send)) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of another type"), "a call met a defect");
    let trace_id = server::telemetry::trace_id();
    refuse(Refusal::new(ErrorReason::Internal, "AIP-193", "", "internal error").with("trace_id", trace_id), "")
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::CONTENT_TYPE;

    use super::is_grpc;

    #[test]
    fn grpc_is_told_from_everything_else_by_its_media_type() {
        let is_grpc = |media: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, media.parse().expect("a header value"));
            is_grpc(&headers)
        };
        assert!(is_grpc("application/grpc"));
        assert!(is_grpc("application/grpc+proto"));
        assert!(is_grpc("application/grpc;charset=utf-8"));
        assert!(!is_grpc("application/grpc-web"));
        assert!(!is_grpc("application/json"));
        assert!(!super::is_grpc(&HeaderMap::new()));
    }
}
