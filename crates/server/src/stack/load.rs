//! No more calls at a time than the process can hold; the others are told at once when to come back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::ErrorReason;
use api::status::Refusal;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use super::Answer;
use crate::failure;

#[derive(Clone, Debug)]
pub(super) struct LoadLayer {
    room: Arc<Semaphore>,
    cloud: Arc<str>,
}

impl LoadLayer {
    /// Calls of all connections share the room.
    pub(super) fn new(calls_max: u32, cloud: &Arc<str>) -> LoadLayer {
        let room = usize::try_from(calls_max).expect("32 bits fit");
        LoadLayer { room: Arc::new(Semaphore::new(room)), cloud: Arc::clone(cloud) }
    }
}

impl<S> Layer<S> for LoadLayer {
    type Service = Shedding<S>;

    fn layer(&self, inner: S) -> Shedding<S> {
        Shedding { inner, of: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Shedding<S> {
    inner: S,
    of: LoadLayer,
}

impl<S, B> Service<http::Request<B>> for Shedding<S>
where
    S: Service<http::Request<B>, Response = Answer>,
{
    type Response = Answer;
    type Error = S::Error;
    type Future = SheddingFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // A process that is busy is not ill: probes pass, or the others would have to carry its load too.
        if super::is_probe(request.uri().path()) {
            return SheddingFuture::Call { inner: self.inner.call(request), _permit: None };
        }
        match Arc::clone(&self.of.room).try_acquire_owned() {
            Ok(permit) => SheddingFuture::Call { inner: self.inner.call(request), _permit: Some(permit) },
            Err(_) => {
                let status = overloaded().status(&self.of.cloud);
                SheddingFuture::Refused { answer: Some(status.into_http()) }
            }
        }
    }
}

fn overloaded() -> Refusal {
    let message = "the process has all the work it can hold; come back later";
    Refusal::new(ErrorReason::Overloaded, "AIP-194", "", message).retry_after(failure::RETRY_AFTER)
}

pin_project! {
    #[project = Project]
    pub(super) enum SheddingFuture<F> {
        Call { #[pin] inner: F, _permit: Option<OwnedSemaphorePermit> },
        Refused { answer: Option<Answer> },
    }
}

impl<F, E> Future for SheddingFuture<F>
where
    F: Future<Output = Result<Answer, E>>,
{
    type Output = Result<Answer, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Project::Call { inner, .. } => inner.poll(context),
            Project::Refused { answer } => {
                Poll::Ready(Ok(answer.take().expect("a future is not polled after it was ready")))
            }
        }
    }
}
