//! Traces, metrics and logs over OTLP, when a collector is configured.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::{EnvFilter, Layer as _};

use super::{Boxed, Error};

/// How long one export may take. Less than a shutdown waits, so that a hung collector costs one export and not the rest.
const EXPORT_MAX: Duration = Duration::from_secs(3);

/// The three streams to one collector.
#[derive(Debug)]
pub(super) struct Export {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

impl Export {
    /// Connects when there is something to send; a collector that is away delays nothing.
    pub(super) fn start(endpoint: &str, service: &str, cloud: &str) -> Result<Export, Error> {
        // The connection lives on the runtime; without one, making it would panic.
        tokio::runtime::Handle::try_current().map_err(|_outside| Error::NoRuntime)?;
        let failed = |source| Error::Endpoint { endpoint: endpoint.to_owned(), source };
        Export::build(endpoint, &resource(service, cloud)).map_err(failed)
    }

    fn build(endpoint: &str, resource: &Resource) -> Result<Export, ExporterBuildError> {
        let spans = SpanExporter::builder().with_tonic();
        let spans = spans.with_endpoint(endpoint).with_timeout(EXPORT_MAX).build()?;
        let metrics = MetricExporter::builder().with_tonic();
        let metrics = metrics.with_endpoint(endpoint).with_timeout(EXPORT_MAX).build()?;
        let logs = LogExporter::builder().with_tonic();
        let logs = logs.with_endpoint(endpoint).with_timeout(EXPORT_MAX).build()?;
        let spans = SdkTracerProvider::builder().with_batch_exporter(spans);
        let metrics = SdkMeterProvider::builder().with_periodic_exporter(metrics);
        let logs = SdkLoggerProvider::builder().with_batch_exporter(logs);
        Ok(Export {
            spans: spans.with_resource(resource.clone()).build(),
            metrics: metrics.with_resource(resource.clone()).build(),
            logs: logs.with_resource(resource.clone()).build(),
        })
    }

    /// Exports spans: what anyone finds worth knowing, and every transaction of the store.
    pub(super) fn spans(&self) -> Boxed {
        let filter = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("store", LevelFilter::DEBUG)
            .and(filter_fn(|metadata| metadata.is_span()));
        tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer("mandate"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter)
            .boxed()
    }

    /// Exports log lines, each with the trace it was written in.
    pub(super) fn logs(&self, filter: EnvFilter) -> Boxed {
        OpenTelemetryTracingBridge::new(&self.logs).with_filter(filter).boxed()
    }

    /// Exports what any meter of this process measures from now on.
    pub(super) fn measure(&self) {
        global::set_meter_provider(self.metrics.clone());
    }

    /// Sends what is waiting. Each stream has a thread of its own: one that hangs does not take the time of the others, and
    /// the runtime stays free to carry them.
    pub(super) async fn stop(self) {
        let Export { spans, metrics, logs } = self;
        let spans = tokio::task::spawn_blocking(move || spans.shutdown());
        let metrics = tokio::task::spawn_blocking(move || metrics.shutdown());
        let logs = tokio::task::spawn_blocking(move || logs.shutdown());
        for stream in [spans, metrics, logs] {
            // What was not sent is in the log already, and nobody is left to try again.
            let _sent_or_told = stream.await;
        }
    }
}

fn resource(service: &str, cloud: &str) -> Resource {
    let builder = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.namespace", "mandate"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if cloud.is_empty() {
        return builder.build();
    }
    builder.with_attribute(KeyValue::new("cloud", cloud.to_owned())).build()
}
