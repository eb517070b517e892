//! The connections of a server, none of them for ever: each ends when it is silent too long, too old, or the server must go.
//!
//! How many are held at a time is bounded: beyond that, clients wait in the system's queue.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, PollSemaphore, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpIncoming};

use crate::config::Limits;
use crate::workload::Workload;

/// How long to wait when the system can give no further connection, for want of file descriptors for example.
const PAUSE: Duration = Duration::from_millis(100);
/// How soon a peer that has vanished is noticed.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Accepts connections, as many as there is room for.
pub(crate) struct Incoming {
    inner: TcpIncoming,
    room: PollSemaphore,
    permit: Option<OwnedSemaphorePermit>,
    pause: Option<Pin<Box<Sleep>>>,
    cut: CancellationToken,
    age_max: Duration,
    idle_max: Duration,
}

impl Incoming {
    /// Connections of this listener. All still open end at once when `cut` is cancelled.
    pub(crate) fn new(inner: TcpIncoming, limits: &Limits, cut: CancellationToken) -> Incoming {
        let room = usize::try_from(limits.connections_max).expect("32 bits fit");
        let (age, grace) = (limits.connection_age_max_seconds, limits.connection_age_grace_seconds);
        Incoming {
            inner: inner.with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE)),
            room: PollSemaphore::new(Arc::new(Semaphore::new(room))),
            permit: None,
            pause: None,
            cut,
            age_max: age.0 + grace.0,
            idle_max: limits.connection_idle_max_seconds.0,
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Wire>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(context));
                this.pause = None;
            }
            if this.permit.is_none() {
                this.permit = ready!(this.room.poll_acquire(context));
            }
            match ready!(Pin::new(&mut this.inner).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Ok(stream)) => {
                    let permit = this.permit.take();
                    let wire = Wire::new(stream, this, permit);
                    return Poll::Ready(Some(Ok(wire)));
                }
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    this.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

/// A connection that does not last for ever.
pub(crate) struct Wire {
    stream: TcpStream,
    workload: WireInfo,
    moved: Instant,
    oldest: Instant,
    idle_max: Duration,
    timer: Pin<Box<Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// What is known of a connection, kept with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireInfo {
    workload: Arc<OnceLock<Option<Workload>>>,
}

impl WireInfo {
    /// The service at the other end, found once per connection.
    pub(crate) fn workload(&self, find: impl FnOnce() -> Option<Workload>) -> Option<&Workload> {
        self.workload.get_or_init(find).as_ref()
    }
}

impl Wire {
    fn new(stream: TcpStream, of: &Incoming, permit: Option<OwnedSemaphorePermit>) -> Wire {
        let now = Instant::now();
        let oldest = now + of.age_max;
        Wire {
            stream,
            workload: WireInfo::default(),
            moved: now,
            oldest,
            idle_max: of.idle_max,
            timer: Box::pin(sleep_until(oldest.min(now + of.idle_max))),
            cut: Box::pin(of.cut.clone().cancelled_owned()),
            _permit: permit,
        }
    }

    /// Ready when the connection must end. Asked only when there is nothing to read, so it costs a busy connection nothing.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<&'static str> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready("the server has ended");
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            if now >= self.oldest {
                return Poll::Ready("the connection is too old");
            }
            let silent_until = self.moved + self.idle_max;
            if now >= silent_until {
                return Poll::Ready("the connection was silent too long");
            }
            self.timer.as_mut().reset(silent_until.min(self.oldest));
        }
    }
}

impl Connected for Wire {
    type ConnectInfo = WireInfo;

    fn connect_info(&self) -> WireInfo {
        self.workload.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.moved = Instant::now();
            return Poll::Ready(read);
        }
        let why = ready!(this.poll_end(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.moved = Instant::now();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts));
        self.moved = Instant::now();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
