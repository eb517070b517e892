//! Carrying events from the outbox to the notification service.

use api::notification::ingest_service_client::IngestServiceClient;
use api::notification::{EventEnvelope, IngestEventsRequest};
use outbox::Record;
use prost::Message as _;
use server::{Peer, telemetry};
use tonic::Status;
use tracing::Instrument as _;

/// The notification service as the place where events go.
pub(crate) struct ToNotification(pub(crate) Peer);

impl outbox::Delivery for ToNotification {
    type Error = Status;

    async fn deliver(&self, records: Vec<Record>) -> Result<(), Status> {
        let envelopes: Result<Vec<EventEnvelope>, _> =
            records.iter().map(|record| EventEnvelope::decode(record.payload.as_slice())).collect();
        let envelopes = envelopes.map_err(|error| Status::data_loss(error.to_string()))?;
        // The events of one call go together, as a part of its trace.
        for together in envelopes.chunk_by(|one, next| one.traceparent == next.traceparent) {
            let span = tracing::info_span!("deliver_events", count = together.len());
            telemetry::with_remote_parent(&span, &together[0].traceparent);
            let request = IngestEventsRequest { envelopes: together.to_vec() };
            // Events are recognized by their id, so sending some twice does no harm.
            let mut client = IngestServiceClient::new(self.0.calls().repeatable());
            client.ingest_events(request).instrument(span).await?;
        }
        Ok(())
    }
}
