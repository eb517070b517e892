//! A call that met the end of its connection before a byte of it was sent is made on the next one.
//!
//! Servers ask their clients to leave from time to time, and a busy client always has calls waiting at that moment. Such a call
//! has reached nobody, so making it again is safe whatever it does; its body was not touched, so it need not be kept either.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

/// How often a call may meet the end of a connection before that is its answer.
const ENDS_MAX: u32 = 3;

/// Makes a call, unary or streaming, unread.
///
/// # Errors
/// When there is no connection, or it broke while the call was on it.
pub async fn send(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, tonic::transport::Error> {
    let (head, body) = request.into_parts();
    let lent = Lent(Arc::new(Mutex::new(Inner { body, touched: false })));
    let mut ends = 0;
    loop {
        let request = Request::from_parts(head.clone(), Body::new(lent.clone()));
        match channel.ready().await?.call(request).await {
            Err(error) if ends < ENDS_MAX && was_never_sent(&error) && !lent.lock().touched => {
                ends += 1;
            }
            answer => return answer,
        }
    }
}

/// True when the connection ended while the call waited to be put on it.
fn was_never_sent(error: &tonic::transport::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A body that comes back when nobody has read from it.
#[derive(Clone)]
struct Lent(Arc<Mutex<Inner>>);

struct Inner {
    body: Body,
    touched: bool,
}

impl Lent {
    /// A body that panicked while it was read is not read again: the call it was of has ended with it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut inner = self.lock();
        inner.touched = true;
        Pin::new(&mut inner.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}
