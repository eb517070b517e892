//! The two bodies of a forwarded call: what the caller sends, counted, and what the service answers, watched.
//!
//! Both pass frame by frame; nothing is gathered, decoded or altered. The caller's pace is the service's pace.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use server::failure::chain;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use crate::upstream::Place;

/// What the caller sends, and at most so much of it.
#[derive(Debug)]
pub(super) struct Sent {
    inner: Body,
    left: Option<usize>,
    overflow: Overflow,
}

/// Tells, once the call has failed, that it failed because the caller sent too much.
#[derive(Clone, Debug, Default)]
pub(super) struct Overflow(Arc<AtomicBool>);

impl Overflow {
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Sent {
    /// `bytes_max` bytes of this body; all of it when `None`.
    pub(super) fn new(inner: Body, bytes_max: Option<usize>, overflow: Overflow) -> Sent {
        Sent { inner, left: bytes_max, overflow }
    }
}

/// Ends the call towards the service when the caller sends too much or its body breaks off.
#[derive(Debug)]
pub(super) enum SendFailure {
    TooLarge,
    Caller(Status),
}

impl fmt::Display for SendFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendFailure::TooLarge => formatter.write_str("the message is too large"),
            SendFailure::Caller(status) => write!(formatter, "the caller's body broke off: {}", status.message()),
        }
    }
}

impl std::error::Error for SendFailure {}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = SendFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendFailure>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(SendFailure::Caller)?;
        if let (Some(left), Some(data)) = (self.left, frame.data_ref()) {
            let Some(left) = left.checked_sub(data.len()) else {
                self.overflow.0.store(true, Ordering::Release);
                return Poll::Ready(Some(Err(SendFailure::TooLarge)));
            };
            self.left = Some(left);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What the service answers. Should it break off or take too long, the call ends with a status and not in silence.
pub(super) struct Answer {
    inner: Body,
    limit: Option<Pin<Box<Sleep>>>,
    ending: Box<dyn Fn(Ending) -> Status + Send>,
    place: Option<Place>,
}

/// How an answer can end other than by its service's own word.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// The time is up.
    Late,
    /// The connection to the service was lost, or the service reset the call.
    Lost(String),
}

impl Answer {
    /// The answer `inner`, until `limit`; `ending` gives the status of another end. The place is free when the answer is
    /// through, or nobody waits for it any more.
    pub(super) fn new(
        inner: Body,
        limit: Option<Pin<Box<Sleep>>>,
        place: Place,
        ending: impl Fn(Ending) -> Status + Send + 'static,
    ) -> Answer {
        Answer { inner, limit, ending: Box::new(ending), place: Some(place) }
    }

    fn end(&mut self, ending: Ending) -> Frame<Bytes> {
        self.place = None;
        self.inner = Body::empty();
        let status = (self.ending)(ending);
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.clear();
        }
        Frame::trailers(trailers)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.place.is_none() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if frame.is_trailers() {
                    self.place = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(status))) => Poll::Ready(Some(Ok(self.end(Ending::Lost(chain(&status)))))),
            Poll::Ready(None) => {
                self.place = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let late = self.limit.as_mut().is_some_and(|limit| limit.as_mut().poll(cx).is_ready());
                if late { Poll::Ready(Some(Ok(self.end(Ending::Late)))) } else { Poll::Pending }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.place.is_none() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
