//! A handler that panics answers INTERNAL; the process goes on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Answer;
use crate::failure;

#[derive(Clone, Debug)]
pub(super) struct PanicLayer {
    cloud: Arc<str>,
}

impl PanicLayer {
    pub(super) fn new(cloud: &Arc<str>) -> PanicLayer {
        PanicLayer { cloud: Arc::clone(cloud) }
    }
}

impl<S> Layer<S> for PanicLayer {
    type Service = Catching<S>;

    fn layer(&self, inner: S) -> Catching<S> {
        Catching { inner, cloud: Arc::clone(&self.cloud) }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Catching<S> {
    inner: S,
    cloud: Arc<str>,
}

impl<S, R> Service<R> for Catching<S>
where
    S: Service<R, Response = Answer>,
{
    type Response = Answer;
    type Error = S::Error;
    type Future = CatchingFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        CatchingFuture { inner: self.inner.call(request), cloud: Arc::clone(&self.cloud) }
    }
}

pin_project! {
    pub(super) struct CatchingFuture<F> {
        #[pin]
        inner: F,
        cloud: Arc<str>,
    }
}

impl<F, E> Future for CatchingFuture<F>
where
    F: Future<Output = Result<Answer, E>>,
{
    type Output = Result<Answer, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        // A future that panicked is never polled again, so nobody sees what it left half done but its own drop.
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll,
            Err(panic) => {
                tracing::error!(panic = message(&*panic), "a call panicked");
                let status = failure::internal_refusal().status(this.cloud);
                Poll::Ready(Ok(status.into_http()))
            }
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
