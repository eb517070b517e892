//! A call that the other side never took up, because the connection came to its end, is made on the next one.
//!
//! Servers ask their clients to leave from time to time, and a busy client always has calls on their way at that moment. What
//! had not left here has reached nobody, and what the server says it will not answer (RFC 9113, 6.8) it has not looked at: making
//! such a call again is safe whatever it does. For that, the beginning of its body is remembered until the answer begins; a call
//! that has sent more than [`KEPT_MAX_BYTES`] by then is not made again.

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

/// How much of a body is remembered: as large as most messages ever are.
const KEPT_MAX_BYTES: usize = 64 * 1024;

/// Makes a call, unary or streaming, unread.
///
/// # Errors
/// When there is no connection, or it broke while the call was on it.
pub async fn send(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, tonic::transport::Error> {
    let (head, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(Shared { body, kept: Some(Vec::new()), reader: 0 }));
    let mut ends = 0;
    loop {
        let request = Request::from_parts(head.clone(), Body::new(Lent::new(&shared)));
        match channel.ready().await?.call(request).await {
            Err(error) if ends < ENDS_MAX && was_not_taken_up(&error) && lock(&shared).kept.is_some() => {
                ends += 1;
            }
            answer => {
                lock(&shared).kept = None;
                return answer;
            }
        }
    }
}

/// True when the connection ended while the call waited to be put on it, or the server asked its client to leave and will not
/// look at the call: only such calls end with that error, those it still answers go on.
fn was_not_taken_up(error: &tonic::transport::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let waited = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        if waited || error.downcast_ref::<h2::Error>().is_some_and(was_asked_to_leave) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn was_asked_to_leave(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

/// A body that can be read from its beginning again, as long as what was read of it is kept.
struct Lent {
    shared: Arc<Mutex<Shared>>,
    reader: u32,
    /// How many of the kept pieces this reader has had.
    had: usize,
}

struct Shared {
    body: Body,
    /// What was read of it. `None` when it was too much, or no longer needed.
    kept: Option<Vec<Bytes>>,
    /// The reader that the rest is for; those before it are of connections that have ended.
    reader: u32,
}

impl Shared {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        let bytes: usize = kept.iter().map(Bytes::len).sum();
        match frame.data_ref() {
            Some(data) if bytes + data.len() <= KEPT_MAX_BYTES => kept.push(data.clone()),
            Some(_) | None => self.kept = None,
        }
    }
}

/// A body that panicked while it was read is not read again: the call it was of has ended with it.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lent {
    fn new(shared: &Arc<Mutex<Shared>>) -> Lent {
        let mut inner = lock(shared);
        inner.reader += 1;
        Lent { shared: Arc::clone(shared), reader: inner.reader, had: 0 }
    }

    /// What this reader is still to have of what was read before.
    fn left<'a>(&self, inner: &'a Shared) -> &'a [Bytes] {
        inner.kept.as_deref().and_then(|kept| kept.get(self.had..)).unwrap_or_default()
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let shared = Arc::clone(&self.shared);
        let mut inner = lock(&shared);
        if inner.reader != self.reader {
            return Poll::Ready(None);
        }
        if let Some(piece) = self.left(&inner).first().cloned() {
            self.had += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let frame = std::task::ready!(Pin::new(&mut inner.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                inner.keep(frame);
                self.had += 1;
            }
            Some(Err(_)) => inner.kept = None,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let inner = lock(&self.shared);
        self.left(&inner).is_empty() && inner.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = lock(&self.shared);
        let left: usize = self.left(&inner).iter().map(Bytes::len).sum();
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        let rest = inner.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(left));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn shared(pieces: Vec<Bytes>) -> Arc<Mutex<Shared>> {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(piece)));
        let body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
        Arc::new(Mutex::new(Shared { body, kept: Some(Vec::new()), reader: 0 }))
    }

    async fn piece(reader: &mut Lent) -> Option<Bytes> {
        reader.frame().await.map(|frame| frame.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn a_second_reader_begins_at_the_beginning_and_ends_the_first() {
        let shared = shared(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")]);
        let mut first = Lent::new(&shared);
        assert_eq!(piece(&mut first).await.as_deref(), Some(b"ab".as_slice()));
        let second = Lent::new(&shared);
        assert_eq!(second.size_hint().lower(), 2);
        assert_eq!(piece(&mut first).await, None, "what it would take, the second would lack");
        assert_eq!(second.collect().await.unwrap().to_bytes(), "abc");
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let large = Bytes::from(vec![0; KEPT_MAX_BYTES]);
        let shared = shared(vec![large.clone(), Bytes::from_static(b"c")]);
        let mut reader = Lent::new(&shared);
        assert_eq!(piece(&mut reader).await, Some(large));
        assert!(lock(&shared).kept.is_some());
        assert_eq!(piece(&mut reader).await.as_deref(), Some(b"c".as_slice()));
        assert!(lock(&shared).kept.is_none(), "so the call is not made again");
        assert_eq!(piece(&mut reader).await, None);
    }
}
