//! Accepts connections and serves each within its limits: HTTP/2 with or without TLS, and HTTP/1.1, on one port.
//!
//! Every connection ends: by age, when idle, or at shutdown, each time asking the caller first and leaving running calls
//! their time. tonic's own server is not used: it reads `grpc-timeout` itself, and would answer before the gateway could say
//! which cloud was late.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use server::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use server::config::Limits;

/// How long a caller has to finish its TLS handshake, and its headers where HTTP/1 has it send them slowly.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether anybody is there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long it has to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// hyper makes no smaller buffer for the headers of HTTP/1.
const HTTP1_BUFFER_MIN: usize = 8192;
/// How long to wait after the system could not accept, as when it has no more file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that is bound and not yet served.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Listener {
    /// Binds `address`; port 0 takes any that is free.
    pub(crate) async fn bind(address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Listener> {
        Listener::new(TcpListener::bind(address).await?, tls)
    }

    /// Takes what is bound already.
    pub(crate) fn new(tcp: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Listener> {
        let address = tcp.local_addr()?;
        Ok(Listener { tcp, address, tls })
    }

    /// Where it is bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown begins, then returns; the connections, each a task of its own, drain.
    pub(crate) async fn serve<S>(self, service: S, limits: Limits, shutdown: Shutdown)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let room = Arc::new(Semaphore::new(usize::try_from(limits.connections_max).expect("32 bits fit")));
        let limits = Arc::new(limits);
        let acceptor = self.tls.map(TlsAcceptor::from);
        loop {
            let stream = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(error = %error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let Ok(permit) = room.clone().try_acquire_owned() else {
                tracing::warn!("a connection was closed: there are as many as the gateway takes");
                continue;
            };
            let (service, limits, acceptor, stop) =
                (service.clone(), limits.clone(), acceptor.clone(), shutdown.clone());
            // Small frames must not wait for each other; an error here is that of a connection already gone.
            let _ = stream.set_nodelay(true);
            shutdown.spawn("connection", async move {
                greet(stream, acceptor, service, &limits, stop).await;
                drop(permit);
            });
        }
    }
}

async fn greet<S>(stream: TcpStream, acceptor: Option<TlsAcceptor>, service: S, limits: &Limits, stop: Shutdown)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Some(acceptor) = acceptor else {
        return converse(stream, service, limits, stop).await;
    };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, service, limits, stop).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Serves one connection to its end.
async fn converse<I, S>(stream: I, service: S, limits: &Limits, stop: Shutdown)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let busy = Arc::new(Busy::default());
    let counted = Counted { inner: service, busy: busy.clone() };
    let service = TowerToHyperService::new(counted.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let builder = protocol(limits);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let grace = tokio::select! {
        ended = &mut connection => return note(ended),
        () = tokio::time::sleep(limits.connection_age_max_seconds.0) => limits.connection_age_grace_seconds,
        () = busy.idle(limits.connection_idle_max_seconds.0) => limits.connection_age_grace_seconds,
        () = stop.begun() => limits.drain_max_seconds,
    };
    connection.as_mut().graceful_shutdown();
    match tokio::time::timeout(grace.0, connection).await {
        Ok(ended) => note(ended),
        Err(_) => tracing::debug!("a connection was cut: its calls did not end in time"),
    }
}

fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let header_bytes_max = usize::try_from(limits.headers_max_bytes).expect("32 bits fit");
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .max_buf_size(header_bytes_max.max(HTTP1_BUFFER_MIN));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_header_list_size(limits.headers_max_bytes)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}

fn note(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended badly");
    }
}

/// Counts the calls of a connection.
#[derive(Debug, Default)]
struct Busy {
    begun: AtomicU64,
    running: AtomicU64,
}

/// One running call.
struct Running(Arc<Busy>);

impl Busy {
    fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// Returns when no call has run for `period`, and at the latest one period later.
    async fn idle(&self, period: Duration) {
        let mut begun_before = None;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            let quiet = self.running.load(Ordering::Relaxed) == 0;
            if quiet && begun_before == Some(begun) {
                return;
            }
            begun_before = quiet.then_some(begun);
            tokio::time::sleep(period).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Marks a connection busy from the arrival of a call to the end of its answer.
#[derive(Clone, Debug)]
struct Counted<S> {
    inner: S,
    busy: Arc<Busy>,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let running = self.busy.begin();
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(answer.await?.map(|inner| Body::new(Watched { inner, _running: running }))) })
    }
}

struct Watched {
    inner: Body,
    _running: Running,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Busy;

    const PERIOD: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_when_no_call_ran_for_the_whole_period() {
        let busy = Arc::new(Busy::default());
        let mut idle = std::pin::pin!(busy.idle(PERIOD));
        let running = busy.begin();
        assert!(tokio::time::timeout(PERIOD * 10, &mut idle).await.is_err(), "a call is running");
        drop(running);
        for _ in 0..4 {
            assert!(tokio::time::timeout(PERIOD * 3 / 4, &mut idle).await.is_err(), "calls come often");
            drop(busy.begin());
        }
        assert!(tokio::time::timeout(PERIOD * 2, &mut idle).await.is_ok());
    }
}
