//! The layer around every call: its span, its log line, its measurement.
//!
//! A call ends when its answer ends, not when it begins: gRPC puts the code behind the messages, and a stream may run for hours.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, global};
use tonic::Code;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::method::{self, Fault, Method};
use super::trace::{self, CURRENT, Current};

/// Bounds of the durations in seconds: those of the conventions, and finer ones, since a check takes less than a millisecond.
const BOUNDS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Gives every call a span, a log line and a measurement. It stands outside of everything, so that refusals count too.
#[derive(Clone, Debug)]
pub struct CallLayer {
    server: Arc<Server>,
}

/// Who answers the calls.
#[derive(Debug)]
struct Server {
    service: Arc<str>,
    cloud: Arc<str>,
    duration: Histogram<f64>,
}

impl CallLayer {
    /// The layer of one server. `cloud` is empty when the server answers for several; then [`super::record_cloud`] says which.
    #[must_use]
    pub fn new(service: &str, cloud: &str) -> CallLayer {
        let duration = global::meter("mandate")
            .f64_histogram("rpc.server.call.duration")
            .with_description("How long calls took, from their first byte to the end of the answer.")
            .with_unit("s")
            .with_boundaries(BOUNDS.to_vec())
            .build();
        let server = Server { service: service.into(), cloud: cloud.into(), duration };
        CallLayer { server: Arc::new(server) }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, server: Arc::clone(&self.server) }
    }
}

/// A service inside a [`CallLayer`].
#[derive(Clone, Debug)]
pub struct CallService<S> {
    inner: S,
    server: Arc<Server>,
}

impl<S, B, R> Service<Request<B>> for CallService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Body,
{
    type Response = Response<CallBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = Call::begin(&self.server, &request);
        let current = Arc::clone(&call.current);
        let enter = || CURRENT.sync_scope(Arc::clone(&current), || self.inner.call(request));
        let answer = current.span.in_scope(enter).instrument(current.span.clone());
        let answer = CURRENT.scope(current, answer);
        Box::pin(async move {
            match answer.await {
                Ok(answer) => Ok(call.answered(answer)),
                Err(error) => {
                    call.end(Code::Unknown);
                    Err(error)
                }
            }
        })
    }
}

/// A call from its request to the end of its answer.
#[derive(Debug)]
struct Call {
    server: Arc<Server>,
    method: Method,
    started: Instant,
    current: Arc<Current>,
    ended: bool,
}

impl Call {
    fn begin<B>(server: &Arc<Server>, request: &Request<B>) -> Call {
        let method = Method::of(request);
        let span = span(server, method);
        let caller = trace::extract(request.headers());
        if let Some(caller) = &caller {
            trace::continue_from(&span, caller.clone());
        }
        span.set_attribute("rpc.system.name", if method.grpc { "grpc" } else { "http" });
        let place = trace::start(&span, method.name).unwrap_or_else(|| trace::place_without_span(caller));
        span.record("trace_id", field::display(place.trace_id()));
        let cloud = OnceLock::new();
        if !server.cloud.is_empty() {
            let _empty_before = cloud.set(Arc::clone(&server.cloud));
            span.record("cloud", &*server.cloud);
        }
        Call {
            server: Arc::clone(server),
            method,
            started: Instant::now(),
            current: Arc::new(Current { span, place, cloud }),
            ended: false,
        }
    }

    /// Watches the answer to its end, which may be here already.
    fn answered<R: Body>(mut self, answer: Response<R>) -> Response<CallBody<R>> {
        let (parts, inner) = answer.into_parts();
        let told = method::code(&parts.headers);
        let plain = || (!method::is_grpc(&parts.headers)).then(|| method::code_of_plain(parts.status));
        let code = told.or_else(plain);
        if told.is_some() || inner.is_end_stream() {
            self.end(code.unwrap_or(Code::Unknown));
        }
        Response::from_parts(parts, CallBody { inner, code, call: self })
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let taken = self.started.elapsed();
        let fault = Fault::of(code);
        self.measure(taken.as_secs_f64(), code, fault);
        let span = &self.current.span;
        span.set_attribute("rpc.response.status_code", method::name(code));
        if fault != Fault::Theirs {
            span.set_attribute("error.type", method::name(code));
            span.set_status(Status::error(""));
        }
        let duration_ms = taken.as_micros() as f64 / 1000.0;
        span.in_scope(|| self.log(duration_ms, method::name(code), fault));
    }

    fn measure(&self, seconds: f64, code: Code, fault: Fault) {
        let cloud = self.current.cloud.get().unwrap_or(&self.server.cloud);
        let labels = [
            KeyValue::new("rpc.system.name", if self.method.grpc { "grpc" } else { "http" }),
            KeyValue::new("rpc.method", self.method.name),
            KeyValue::new("rpc.response.status_code", method::name(code)),
            KeyValue::new("service", Arc::clone(&self.server.service)),
            KeyValue::new("cloud", Arc::clone(cloud)),
            KeyValue::new("error.type", method::name(code)),
        ];
        let failed = if fault == Fault::Theirs { labels.len() - 1 } else { labels.len() };
        self.server.duration.record(seconds, &labels[..failed]);
    }

    /// The one line per call.
    #[expect(clippy::cognitive_complexity, reason = "one plain match; the rest is what the log macros expand to")]
    fn log(&self, duration_ms: f64, code: &str, fault: Fault) {
        let (method, verb) = (self.method.name, self.method.verb());
        // Elsewhere the span says it.
        let disabled = self.current.span.is_disabled();
        let trace_id = disabled.then(|| field::display(self.current.place.trace_id()));
        match fault {
            Fault::Ours => {
                tracing::error!(method, code, duration_ms, trace_id, "{verb} answered {code}");
            }
            Fault::Passing => {
                tracing::warn!(method, code, duration_ms, trace_id, "{verb} answered {code}");
            }
            Fault::Theirs if self.method.probe => {
                tracing::debug!(method, code, duration_ms, trace_id, "{verb} answered {code}");
            }
            Fault::Theirs => {
                tracing::info!(method, code, duration_ms, trace_id, "{verb} answered {code}");
            }
        }
    }
}

impl Drop for Call {
    /// Nobody waited for the end of the answer.
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The span of a call. Probes have none: there are too many of them, and nobody follows one. Its level is the highest so that
/// a log of errors alone still says which call each belongs to.
fn span(server: &Server, method: Method) -> Span {
    if method.probe {
        return Span::none();
    }
    tracing::error_span!(
        "call",
        otel.kind = "server",
        rpc.method = method.name,
        service = &*server.service,
        cloud = field::Empty,
        trace_id = field::Empty,
    )
}

/// The body of an answer, watched to its end.
#[derive(Debug)]
pub struct CallBody<R> {
    inner: R,
    /// What the head said already.
    code: Option<Code>,
    call: Call,
}

impl<R: Body + Unpin> Body for CallBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = &mut *self;
        let current = Arc::clone(&this.call.current);
        let inner = Pin::new(&mut this.inner);
        let poll = || CURRENT.sync_scope(Arc::clone(&current), || inner.poll_frame(context));
        let frame = ready!(current.span.in_scope(poll));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(method::code) {
                    this.call.end(code);
                } else if this.inner.is_end_stream() {
                    this.call.end(this.code.unwrap_or(Code::Unknown));
                }
            }
            Some(Err(_)) => this.call.end(Code::Unknown),
            None => this.call.end(this.code.unwrap_or(Code::Unknown)),
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
