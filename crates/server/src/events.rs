//! Carrying events from the outbox of a service to the notification service.

use api::notification::ingest_service_client::IngestServiceClient;
use api::notification::{EventEnvelope, IngestEventsRequest};
use prost::Message as _;
use tonic::Status;
use tracing::Instrument as _;

use crate::{Peer, telemetry};

/// Why events were not delivered.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// The outbox holds something that is no event.
    #[error("an event in the outbox cannot be read")]
    Unreadable(#[from] prost::DecodeError),
    /// The notification service did not take them.
    #[error("the notification service did not take events")]
    Refused(#[from] Status),
}

/// Delivers encoded [`EventEnvelope`]s in this order, each as a part of the trace of the call that caused it.
///
/// # Errors
/// [`Undelivered`]; some may have been delivered then. The receiver recognizes repeats by their id.
pub async fn deliver(notification: &Peer, payloads: impl Iterator<Item = &[u8]>) -> Result<(), Undelivered> {
    let envelopes: Result<Vec<EventEnvelope>, _> = payloads.map(EventEnvelope::decode).collect();
    for together in envelopes?.chunk_by(|one, next| one.traceparent == next.traceparent) {
        let span = tracing::info_span!("deliver_events", count = together.len());
        telemetry::with_remote_parent(&span, &together[0].traceparent);
        let request = IngestEventsRequest { envelopes: together.to_vec() };
        let mut client = IngestServiceClient::new(notification.calls().repeatable());
        client.ingest_events(request).instrument(span).await?;
    }
    Ok(())
}
