//! Which trace the work at hand belongs to, and how it goes on in another process.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

tokio::task_local! {
    /// The call that this task answers.
    pub(super) static CURRENT: Arc<Current>;
}

/// What is known of the call being answered.
#[derive(Debug)]
pub(super) struct Current {
    /// Its span. Disabled for probes, and when the filters ask for less.
    pub(super) span: Span,
    /// Where it stands in its trace.
    pub(super) place: SpanContext,
    /// The cloud it is for; not set while a process that serves several has not decided.
    pub(super) cloud: OnceLock<Arc<str>>,
}

/// Writes the W3C headers of the work at hand, so that who gets them continues the trace.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(place) = place() {
        let context = Context::new().with_remote_span_context(place);
        TraceContextPropagator::new().inject_context(&context, &mut Outgoing(headers));
    }
}

/// The `traceparent` of the work at hand, to be stored with what it causes. Empty when nobody would look at the trace.
#[must_use]
pub fn traceparent() -> String {
    let place = active();
    if !place.is_sampled() {
        return String::new();
    }
    format!("00-{}-{}-01", place.trace_id(), place.span_id())
}

/// The id of the trace that the work at hand belongs to, as the log has it. Empty outside of any call.
#[must_use]
pub fn trace_id() -> String {
    place().map(|place| place.trace_id().to_string()).unwrap_or_default()
}

/// Lets a span, not yet entered, continue the trace of a stored [`traceparent`]. One that is empty or unreadable changes nothing.
pub fn with_remote_parent(span: &Span, traceparent: &str) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(traceparent) {
        headers.insert("traceparent", value);
    }
    if let Some(parent) = extract(&headers) {
        continue_from(span, parent);
    }
}

/// Says which cloud the call at hand is for, in a process that serves several. Only names of configured clouds: they become
/// labels of measurements.
pub fn record_cloud(cloud: &Arc<str>) {
    let _outside_of_any_call = CURRENT.try_with(|current| {
        if current.cloud.set(Arc::clone(cloud)).is_ok() {
            current.span.record("cloud", &**cloud);
        }
    });
}

/// The caller's place in its trace, if the request names one.
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    if !headers.contains_key("traceparent") {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers));
    let place = context.span().span_context().clone();
    place.is_valid().then_some(place)
}

/// Puts a span, not yet started, under its parent in another process.
pub(super) fn continue_from(span: &Span, parent: SpanContext) {
    // Fails only for spans that nobody exports.
    let _disabled = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// The place of a call whose span nobody exports: the caller's, handed on untouched, else one made up. That one counts as sampled,
/// so that a process behind this one which does export records the call.
pub(super) fn place_without_span(caller: Option<SpanContext>) -> SpanContext {
    caller.unwrap_or_else(|| {
        let ids = RandomIdGenerator::default();
        let (trace, span) = (ids.new_trace_id(), ids.new_span_id());
        SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
    })
}

/// The place of a span that is exported. Starts it, under a name that its log lines need not carry.
pub(super) fn start(span: &Span, name: &'static str) -> Option<SpanContext> {
    let context = span.context();
    let place = context.span().span_context().clone();
    context.span().update_name(name);
    place.is_valid().then_some(place)
}

/// The innermost span that is exported, else the call.
fn place() -> Option<SpanContext> {
    let active = active();
    if active.is_valid() {
        return Some(active);
    }
    CURRENT.try_with(|current| current.place.clone()).ok()
}

fn active() -> SpanContext {
    Context::map_current(|context| context.span().span_context().clone())
}

/// Headers as the propagator reads them.
struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Headers as the propagator writes them.
struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` says nothing.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use http::{Request, Response};
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::telemetry::CallLayer;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// What a handler behind the layer sees of its trace, while nothing is exported.
    async fn seen(request: Request<()>) -> (String, HeaderMap, String) {
        let handler = service_fn(|_request: Request<()>| {
            let mut headers = HeaderMap::new();
            inject(&mut headers);
            let seen = (trace_id(), headers, traceparent());
            let mut response = Response::new(String::new());
            response.extensions_mut().insert(seen);
            ready(Ok::<_, Infallible>(response))
        });
        let mut response = CallLayer::new("it", "public").layer(handler).oneshot(request).await.unwrap();
        response.extensions_mut().remove().unwrap()
    }

    #[tokio::test]
    async fn a_callers_context_travels_on_untouched_when_nothing_is_exported() {
        let request = Request::builder().header("traceparent", CALLER).header("tracestate", "a=b");
        let (id, headers, stored) = seen(request.body(()).unwrap()).await;
        assert_eq!(id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            (&headers["traceparent"], &headers["tracestate"]),
            (&CALLER.parse().unwrap(), &"a=b".parse().unwrap())
        );
        assert_eq!(stored, "");
    }

    #[tokio::test]
    async fn a_call_without_context_has_a_trace_id_that_its_peers_share() {
        let (id, headers, _) = seen(Request::new(())).await;
        assert_eq!(id.len(), 32);
        assert!(headers["traceparent"].to_str().unwrap().contains(&id));
        assert_ne!(seen(Request::new(())).await.0, id);
    }

    #[tokio::test]
    async fn a_context_that_cannot_be_read_is_as_good_as_none() {
        let request = Request::builder().header("traceparent", "00-ff").body(()).unwrap();
        assert_eq!(seen(request).await.0.len(), 32);
    }

    #[test]
    fn outside_of_any_call_there_is_no_trace() {
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty() && trace_id().is_empty() && traceparent().is_empty());
        with_remote_parent(&Span::none(), CALLER);
        with_remote_parent(&Span::none(), "\n");
    }
}
