//! Taking events in.

use api::notification::{EventEnvelope, IngestEventsRequest, IngestEventsResponse};
use failpoint::Point;
use server::telemetry;
use tracing::Span;

use super::Calls;
use crate::error::Error;
use crate::store::event::Keep;
use crate::wire;

/// Keeps events and wakes whoever watches their feeds.
pub(super) async fn ingest_events(calls: &Calls, request: IngestEventsRequest) -> Result<IngestEventsResponse, Error> {
    let arrivals = wire::ingest::arrivals(&request.envelopes, calls.process.cloud.as_str())?;
    let spans: Vec<Span> = request.envelopes.iter().filter_map(span).collect();
    failpoint::reach(Point::IngestBegun);
    let keep = Keep { arrivals: &arrivals, now: calls.process.clock.now() };
    let outcome = store::transaction(&calls.pool, &keep).await?;
    failpoint::reach(Point::IngestCommitted);
    drop(spans);
    for (feed, last) in &outcome.advanced {
        calls.positions.advance(feed, *last);
    }
    let ingested_count = i32::try_from(outcome.new_count).expect("a call brings 500 events at most");
    Ok(IngestEventsResponse { ingested_count })
}

/// The event's own part of the work, in the trace of the call that caused it, unless the call at hand is of that trace anyway.
fn span(envelope: &EventEnvelope) -> Option<Span> {
    let at_hand = telemetry::trace_id();
    if envelope.traceparent.is_empty() || envelope.traceparent.split('-').any(|part| part == at_hand) {
        return None;
    }
    let span = tracing::info_span!("ingest_event", otel.kind = "consumer", event.id = envelope.event_id);
    telemetry::with_remote_parent(&span, &envelope.traceparent);
    Some(span)
}
