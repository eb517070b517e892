//! No request larger than its method takes, counted as it comes in and refused before it is held in memory.
//!
//! The whole request is bounded, so a method to which a client streams for ever would need a bound per message; the contract has
//! none.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use api::ErrorReason;
use api::status::Refusal;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::CHECK_ACCESS;
use crate::config::Limits;

/// What gRPC puts before a message: one byte of flags, four of length.
const PREFIX_BYTES: u64 = 5;

#[derive(Clone, Debug)]
pub(super) struct SizeLayer {
    message_max: u64,
    check_access_max: u64,
    cloud: Arc<str>,
}

impl SizeLayer {
    pub(super) fn new(limits: &Limits, cloud: &Arc<str>) -> SizeLayer {
        SizeLayer {
            message_max: limits.message_max_bytes.into(),
            check_access_max: limits.check_access_max_bytes.into(),
            cloud: Arc::clone(cloud),
        }
    }
}

impl<S> Layer<S> for SizeLayer {
    type Service = Measuring<S>;

    fn layer(&self, inner: S) -> Measuring<S> {
        Measuring { inner, of: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Measuring<S> {
    inner: S,
    of: SizeLayer,
}

impl<S> Service<http::Request<Body>> for Measuring<S>
where
    S: Service<http::Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let check = request.uri().path() == CHECK_ACCESS;
        let most = if check { self.of.check_access_max } else { self.of.message_max };
        let cloud = Arc::clone(&self.of.cloud);
        self.inner.call(request.map(|inner| Body::new(Measured { inner, left: most + PREFIX_BYTES, most, cloud })))
    }
}

/// A body that ends in a refusal when it grows too large.
struct Measured {
    inner: Body,
    left: u64,
    most: u64,
    cloud: Arc<str>,
}

impl http_body::Body for Measured {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
        let bytes = u64::try_from(bytes.unwrap_or_default()).unwrap_or(u64::MAX);
        match this.left.checked_sub(bytes) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Some(Err(too_large(this.most).status(&this.cloud)))),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn too_large(most: u64) -> Refusal {
    let message = format!("the message is larger than the {most} bytes that the method takes; send less at a time");
    Refusal::new(ErrorReason::MessageTooLarge, "AIP-193", "", message)
}
