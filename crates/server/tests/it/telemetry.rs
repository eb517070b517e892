//! What a collector gets: one trace over process borders, a measurement and a log line per call, and no secrets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use server::telemetry::{self, CallLayer, LogFormat, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tower::{Layer as _, ServiceExt as _, service_fn};

const CHECK: &str = "/mandate.relationship.v1.AccessService/CheckAccess";
const ACCEPT: &str = "/mandate.invitation.v1.InvitationService/AcceptInvitation";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One test, since a process has one log.
#[tokio::test]
async fn a_collector_gets_one_trace_and_each_call_measured_and_logged() {
    let mut tasks = JoinSet::new();
    let collector = Collector::default();
    let address = collector.serve(&mut tasks).await;
    let settings = Settings {
        otlp_endpoint: Some(format!("http://{address}")),
        log_format: LogFormat::Json,
        ..Settings::default()
    };
    let guard = telemetry::init(&settings, "it", "").expect("the first start");
    telemetry::init(&settings, "it", "").expect_err("there is one log per process");

    let seen = check_access_stores_a_trace_that_a_delivery_continues().await;
    calls_end_in_every_way().await;
    tonic_serves_through_the_layer(&mut tasks).await;
    guard.shutdown().await;

    let spans = collector.spans();
    one_trace_holds_the_call_and_the_delivery(&spans, &seen);
    each_end_is_measured(&collector.points());
    each_line_names_its_trace(&collector.logs());
    let everything = format!("{:?}", collector.received.lock().expect("nobody panicked"));
    assert!(!everything.contains("s3cr3t"), "a token, link or header was exported");
    assert!(everything.contains("service.namespace"), "the resource says who we are");
}

/// What a handler saw of its own trace.
#[derive(Clone, Debug, Default)]
struct Seen {
    trace_id: String,
    stored: String,
    outgoing: HeaderMap,
}

async fn check_access_stores_a_trace_that_a_delivery_continues() -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let keep = Arc::clone(&seen);
    let handler = service_fn(move |_request: Request<()>| {
        let keep = Arc::clone(&keep);
        async move {
            let mut outgoing = HeaderMap::new();
            telemetry::inject(&mut outgoing);
            let (trace_id, stored) = (telemetry::trace_id(), telemetry::traceparent());
            tracing::info!("decided");
            *keep.lock().expect("nobody panicked") = Seen { trace_id, stored, outgoing };
            Ok::<_, Infallible>(answer(Code::Ok))
        }
    });
    let service = CallLayer::new("relationship", "china").layer(handler);
    finish(service.oneshot(request(CHECK, Some(CALLER))).await).await;

    let seen = seen.lock().expect("nobody panicked").clone();
    let delivery = tracing::info_span!("deliver", otel.kind = "producer");
    telemetry::with_remote_parent(&delivery, &seen.stored);
    delivery.in_scope(|| assert_eq!(telemetry::trace_id(), TRACE));
    seen
}

/// Each way a call can end, at a gateway that learns the cloud from the call.
async fn calls_end_in_every_way() {
    let layer = CallLayer::new("gateway", "");
    let handler = |response: fn() -> Response<Answer>| {
        service_fn(move |_request: Request<()>| async move {
            telemetry::record_cloud(&Arc::from("germany"));
            telemetry::record_cloud(&Arc::from("too late"));
            Ok::<_, Infallible>(response())
        })
    };
    let refusing = layer.layer(handler(|| Status::permission_denied("no").into_http()));
    finish(refusing.oneshot(request(ACCEPT, None)).await).await;
    let failing = layer.layer(handler(|| answer(Code::Internal)));
    finish(failing.oneshot(request(ACCEPT, None)).await).await;
    let unknown = layer.layer(handler(|| Status::unimplemented("no").into_http()));
    finish(unknown.oneshot(request("/made.up/s3cr3t", None)).await).await;
    let abandoned = layer.layer(handler(|| answer(Code::Ok)));
    drop(abandoned.oneshot(request(ACCEPT, None)).await);
    let link = layer.layer(handler(|| Response::new(Answer::default())));
    let mut browser = request("/i/s3cr3t", None);
    browser.headers_mut().clear();
    finish(link.oneshot(browser).await).await;
}

async fn tonic_serves_through_the_layer(tasks: &mut JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(CallLayer::new("probed", "public")).add_service(health);
    let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
    tasks.spawn(async { serving.await.expect("it serves") });
    let channel = Channel::from_shared(format!("http://{address}")).expect("an address");
    let channel = channel.connect().await.expect("it listens");
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    client.check(request).await.expect("it is healthy");
}

fn one_trace_holds_the_call_and_the_delivery(spans: &[Span], seen: &Seen) {
    // Other tests of this process may be calling too.
    let ours = spans.iter().filter(|span| hex(&span.trace_id) == TRACE);
    let named = |name: &str| ours.clone().find(|span| span.name == name).expect("its span");
    let call = named(CHECK.trim_start_matches('/'));
    assert_eq!(hex(&call.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(call.kind(), SpanKind::Server);
    assert_eq!(text(&call.attributes, "rpc.system.name"), "grpc");
    assert_eq!(text(&call.attributes, "rpc.method"), CHECK.trim_start_matches('/'));
    assert_eq!(text(&call.attributes, "rpc.response.status_code"), "OK");
    assert_eq!(text(&call.attributes, "service"), "relationship");
    assert_eq!(text(&call.attributes, "cloud"), "china");

    let place = format!("00-{TRACE}-{}-01", hex(&call.span_id));
    assert_eq!((seen.trace_id.as_str(), &seen.stored), (TRACE, &place));
    assert_eq!(seen.outgoing["traceparent"], place.as_str());

    assert_eq!(named("deliver").parent_span_id, call.span_id);

    let failed = spans.iter().find(|span| text(&span.attributes, "error.type") == "INTERNAL");
    let status = failed.and_then(|span| span.status.as_ref()).expect("the failure's status");
    assert_eq!(status.code, 2, "a failure of ours is an error");
    assert!(spans.iter().all(|span| !span.name.contains("Health")), "probes are not traced");
}

fn each_end_is_measured(points: &[HistogramDataPoint]) {
    let counted = |service: &str, cloud: &str, method: &str, code: &str| {
        let of_call = |point: &&HistogramDataPoint| {
            let label = |key| text(&point.attributes, key);
            label("rpc.method") == method.trim_start_matches('/')
                && label("rpc.response.status_code") == code
                && (label("service"), label("cloud")) == (service.to_owned(), cloud.to_owned())
        };
        points.iter().find(of_call).map_or(0, |point| point.count)
    };
    assert_eq!(counted("relationship", "china", CHECK, "OK"), 1);
    assert_eq!(counted("gateway", "germany", ACCEPT, "PERMISSION_DENIED"), 1);
    assert_eq!(counted("gateway", "germany", ACCEPT, "INTERNAL"), 1);
    assert_eq!(counted("gateway", "germany", ACCEPT, "CANCELLED"), 1);
    assert_eq!(counted("gateway", "germany", "_OTHER", "UNIMPLEMENTED"), 1);
    assert_eq!(counted("gateway", "germany", "http", "OK"), 1);
    assert_eq!(counted("probed", "public", "grpc.health.v1.Health/Check", "OK"), 1);
}

fn each_line_names_its_trace(logs: &[LogRecord]) {
    let lines = |message: &'static str| logs.iter().filter(move |line| string(line.body.as_ref()) == message);
    for message in ["decided", "CheckAccess answered OK"] {
        assert!(lines(message).any(|line| hex(&line.trace_id) == TRACE), "{message}");
    }
    let failure = lines("AcceptInvitation answered INTERNAL").next().expect("it was logged");
    assert_eq!(failure.severity_text, "ERROR");
    let refusal = lines("AcceptInvitation answered PERMISSION_DENIED").next();
    let refusal = refusal.expect("it was logged");
    assert_eq!(refusal.severity_text, "INFO");
    assert_eq!(text(&refusal.attributes, "code"), "PERMISSION_DENIED");
    assert_eq!(text(&refusal.attributes, "method"), ACCEPT.trim_start_matches('/'));
    assert!(refusal.attributes.iter().any(|field| field.key == "duration_ms"));
    assert_eq!(lines("Check answered OK").count(), 0, "probes are not logged at info");
}

type Answer = UnsyncBoxBody<Bytes, Status>;

/// An answer that carries its code where gRPC puts it: behind the messages.
fn answer(code: Code) -> Response<Answer> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code as i32));
    let message = http_body::Frame::data(Bytes::from_static(b"a message"));
    let frames = [Ok(message), Ok(http_body::Frame::trailers(trailers))];
    let body = StreamBody::new(tokio_stream::iter(frames));
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(UnsyncBoxBody::new(body)).expect("valid headers")
}

fn request(path: &str, traceparent: Option<&str>) -> Request<()> {
    let mut request = Request::builder().uri(path).header("content-type", "application/grpc");
    request = request.header("authorization", "Bearer s3cr3t");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    request.body(()).expect("a valid request")
}

/// Reads an answer to its end, as a client does.
async fn finish<B>(answer: Result<Response<B>, Infallible>)
where
    B: http_body::Body<Error = Status>,
{
    let Ok(answer) = answer;
    answer.into_body().collect().await.expect("the whole answer");
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    string(found.and_then(|attribute| attribute.value.as_ref()))
}

fn string(value: Option<&opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => other.map(|value| format!("{value:?}")).unwrap_or_default(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A collector of the outside world: keeps whatever it gets.
#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
}

impl Collector {
    async fn serve(&self, tasks: &mut JoinSet<()>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .add_service(LogsServiceServer::new(self.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        tasks.spawn(async { serving.await.expect("it serves") });
        address
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().expect("nobody panicked");
        let resources = received.spans.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn logs(&self) -> Vec<LogRecord> {
        let received = self.received.lock().expect("nobody panicked");
        let resources = received.logs.iter().flat_map(|request| &request.resource_logs);
        let scopes = resources.flat_map(|resource| &resource.scope_logs);
        scopes.flat_map(|scope| scope.log_records.clone()).collect()
    }

    fn points(&self) -> Vec<HistogramDataPoint> {
        let received = self.received.lock().expect("nobody panicked");
        let resources = received.metrics.iter().flat_map(|request| &request.resource_metrics);
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &scope.metrics);
        let durations = metrics.filter(|metric| metric.name == "rpc.server.call.duration");
        let points = durations.filter_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => Some(histogram.data_points.clone()),
            _ => None,
        });
        points.flatten().collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().expect("nobody panicked").spans.push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        self.received.lock().expect("nobody panicked").metrics.push(request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        self.received.lock().expect("nobody panicked").logs.push(request.into_inner());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}
