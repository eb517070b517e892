//! What a process tells about itself: one trace, one log line and one measurement for each call it serves.
//!
//! [`init`] runs once per process, [`CallLayer`] stands around every call, and [`inject`], [`traceparent`] and
//! [`with_remote_parent`] carry a trace over what no call spans. Without an OTLP endpoint nothing of OpenTelemetry is installed:
//! a caller's W3C context still travels on, and every call still has a trace id to find it by in the log.
//! Nothing here records headers, messages or paths, so no token, link or personal data can leave that way.

mod call;
mod export;
mod method;
mod text;
mod trace;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

pub use call::{CallBody, CallLayer, CallService};
use export::Export;
pub use trace::{inject, record_cloud, trace_id, traceparent, with_remote_parent};

/// How long [`Guard::shutdown`] waits for the collector.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The `telemetry` section of every configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where traces, metrics and logs go over OTLP with gRPC: `http://collector:4317`. Nothing is exported without it.
    pub otlp_endpoint: Option<String>,
    /// The shape of the log. Text goes to standard error, JSON to standard output. Default: `auto`.
    pub log_format: LogFormat,
    /// What is logged, in the syntax of `tracing`'s filters: `info,store=debug`. Default: `info`.
    pub log_filter: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { otlp_endpoint: None, log_format: LogFormat::Auto, log_filter: "info".to_owned() }
    }
}

/// The shape of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// JSON when standard output is no terminal, else text.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter has a part that cannot be read.
    #[error("telemetry.log_filter {filter:?} is no filter; write for example \"info,store=debug\"")]
    Filter {
        /// The filter as configured.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The collector's address is not one.
    #[error("telemetry.otlp_endpoint {endpoint:?} is no address like http://collector:4317")]
    Endpoint {
        /// The address as configured.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Exporting needs the runtime that it was asked to start outside of.
    #[error("telemetry that is exported starts inside the async runtime")]
    NoRuntime,
    /// Only one log per process.
    #[error("telemetry has started already")]
    Started(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Keeps telemetry running. Hand it to [`Guard::shutdown`] when the last call was answered.
#[derive(Debug)]
#[must_use = "dropped, it stops exporting"]
pub struct Guard {
    export: Option<Export>,
}

/// Starts the log of this process and, with an endpoint, the export. Call it inside the runtime and before any
/// [`CallLayer::new`]. `cloud` is empty for a process that serves several.
///
/// # Errors
/// [`Error`] when a setting cannot be used, or when telemetry has started already.
pub fn init(settings: &Settings, service: &str, cloud: &str) -> Result<Guard, Error> {
    let mut layers = vec![log(settings)?];
    let export = match &settings.otlp_endpoint {
        Some(endpoint) => Some(Export::start(endpoint, service, cloud)?),
        None => None,
    };
    if let Some(export) = &export {
        layers.push(export.spans());
        layers.push(export.logs(filter(settings, QUIET, "")?));
    }
    // Not `try_init`, which would also take in what is logged through the crate `log`: whoever asks there whether a line is wanted,
    // as sqlx does for each statement, leaves the layers' filters behind as that line's, and they swallow the next span.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layers))?;
    if let Some(export) = &export {
        export.measure();
    }
    Ok(Guard { export })
}

impl Guard {
    /// Sends what is still waiting to the collector, within five seconds.
    pub async fn shutdown(self) {
        let Some(export) = self.export else { return };
        if tokio::time::timeout(FLUSH_MAX, export.stop()).await.is_err() {
            tracing::warn!("the collector did not take the last telemetry within {FLUSH_MAX:?}");
        }
    }
}

/// A layer that can stand or not, as settings say.
type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Exporting must not report on itself, or each export would cause the next.
const QUIET: &str = "opentelemetry=off,tonic=off,h2=off,hyper=off,hyper_util=off,tower=off";

fn log(settings: &Settings) -> Result<Boxed, Error> {
    let filter = filter(settings, "", "opentelemetry=warn")?;
    let json = match settings.log_format {
        LogFormat::Auto => !io::stdout().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let layer = tracing_subscriber::fmt::layer();
    if json {
        let layer = layer.json().flatten_event(true).with_current_span(false);
        return Ok(layer.with_filter(filter).boxed());
    }
    let layer = layer.fmt_fields(text::Brief).with_writer(io::stderr);
    let layer = layer.with_target(false).with_ansi(io::stderr().is_terminal());
    Ok(layer.with_filter(filter).boxed())
}

/// The configured filter, between directives that yield to it and directives that it yields to.
fn filter(settings: &Settings, last: &str, first: &str) -> Result<EnvFilter, Error> {
    let failed = |source| Error::Filter { filter: settings.log_filter.clone(), source };
    EnvFilter::builder().parse(format!("{first},{},{last}", settings.log_filter)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let settings = Settings { log_filter: "info,store=loud".to_owned(), ..Settings::default() };
        let error = filter(&settings, "", "").expect_err("there is no such level");
        assert!(error.to_string().contains("info,store=loud"), "{error}");
    }

    #[test]
    fn settings_refuse_what_they_do_not_know() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, Settings::default());
        let settings: Settings = serde_json::from_str(r#"{"log_format":"json"}"#).unwrap();
        assert_eq!(settings.log_format, LogFormat::Json);
        serde_json::from_str::<Settings>(r#"{"otlp":"http://collector:4317"}"#).unwrap_err();
    }

    #[test]
    fn a_collector_that_is_no_address_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let error = Export::start("not an address", "it", "public").expect_err("it has spaces");
        assert!(error.to_string().contains("\"not an address\""), "{error}");
    }
}
