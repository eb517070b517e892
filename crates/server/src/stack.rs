//! The layers around every call, in the one order that they have in every service.
//!
//! What stands here knows paths, headers and certificates, never a message.

use std::sync::Arc;

use tonic::body::Body;
use tonic::service::Routes;
use tower::{BoxError, Service, ServiceBuilder};

use crate::config::Limits;
use crate::process::Process;
use crate::telemetry::CallLayer;

mod access;
mod load;
mod panic;
mod size;
mod time;

pub(crate) use access::{AccessLayer, method_elsewhere};

/// The answer of any layer but the outermost.
type Answer = http::Response<Body>;

/// The check of access, which decides how a call is bounded.
const CHECK_ACCESS: &str = "/mandate.relationship.v1.AccessService/CheckAccess";

/// Puts the layers around the services of a process.
pub(crate) fn around(
    routes: Routes,
    process: &Process,
    limits: &Limits,
    access: AccessLayer,
) -> impl Service<
    http::Request<Body>,
    Response = http::Response<impl http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ 'static {
    let cloud: Arc<str> = process.cloud.as_str().into();
    ServiceBuilder::new()
        // Trace, measurements and the log line, outside of everything: refusals by any layer below are counted, and a caller's
        // trace shows them.
        .layer(CallLayer::new(process.name, process.cloud.as_str()))
        // A panic becomes an answer inside of that, so that it is counted and the trace id it names is the call's; outside of
        // the rest, so that none of it can take the connection down.
        .layer(panic::PanicLayer::new(&cloud))
        // Load is shed before a call has cost anything: a refusal must stay cheaper than the work it spares.
        .layer(load::LoadLayer::new(limits.calls_max, &cloud))
        // Bytes are counted as they come in. No layer below reads any, so it could stand lower, but a bound on what comes
        // in belongs before whatever might one day read it.
        .layer(size::SizeLayer::new(limits, &cloud))
        // The clock runs while the caller is identified: fetching an issuer's keys is part of the call's time.
        .layer(time::TimeLayer::new(limits, &cloud))
        // Who calls, and whether the contract lets them. Innermost: nothing but the handlers may run behind it, and no handler
        // without it.
        .layer(access)
        .service(routes)
}

/// True for the calls by which others find out whether, and how, the process can be called.
fn is_probe(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/") || path.starts_with("/grpc.reflection.v1.ServerReflection/")
}
