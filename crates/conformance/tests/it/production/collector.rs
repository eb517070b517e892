//! An OpenTelemetry collector of the outside world: keeps whatever it gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

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
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A running collector. Clones share what it got.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
}

impl Collector {
    /// Starts it; it ends with the test.
    pub(crate) async fn start() -> (Collector, SocketAddr) {
        let collector = Collector::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        testkit::outside(async { serving.await.expect("loopback serves until the test ends") });
        (collector, address)
    }

    /// Every span, with the service that made it.
    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        let received = self.received.lock().expect("nobody panicked");
        let mut spans = Vec::new();
        for resource in received.spans.iter().flat_map(|request| &request.resource_spans) {
            let service = resource.resource.as_ref().map(|of| text(&of.attributes, "service.name")).unwrap_or_default();
            let scopes = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.extend(scopes.map(|span| (service.clone(), span.clone())));
        }
        spans
    }

    /// Every measurement of calls.
    pub(crate) fn calls(&self) -> Vec<HistogramDataPoint> {
        let received = self.received.lock().expect("nobody panicked");
        let resources = received.metrics.iter().flat_map(|request| &request.resource_metrics);
        let metrics = resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
        let durations = metrics.filter(|metric| metric.name == "rpc.server.call.duration");
        let points = durations.filter_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => Some(histogram.data_points.clone()),
            Some(Data::Gauge(_) | Data::Sum(_) | Data::ExponentialHistogram(_) | Data::Summary(_)) | None => None,
        });
        points.flatten().collect()
    }

    /// All it got, to look for what must not be there.
    pub(crate) fn everything(&self) -> String {
        format!("{:?}", self.received.lock().expect("nobody panicked"))
    }
}

/// The text of an attribute; empty when there is none.
pub(crate) fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => other.map(|value| format!("{value:?}")).unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().expect("nobody panicked").spans.push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.received.lock().expect("nobody panicked").metrics.push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.received.lock().expect("nobody panicked").logs.push(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
