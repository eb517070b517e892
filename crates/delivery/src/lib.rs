//! Takes the events of a service's outbox to the notification service, and lets operators look after those that wait.
//!
//! Every service that has an outbox has these two by naming them: [`Delivery`] for its relay, [`operate`] for its command `outbox`.

mod operate;

use api::ErrorReason;
use api::notification::ingest_service_client::IngestServiceClient;
use api::notification::{EventEnvelope, IngestEventsRequest};
use outbox::Record;
use prost::Message as _;
use server::{Peer, telemetry};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Instrument as _;

pub use operate::operate;

/// The notification service, as the place where the events of a service go. It knows repeats by their ids.
#[derive(Clone, Debug)]
pub struct Delivery {
    notification: Peer,
}

/// Why events were not delivered.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// The outbox holds something that is no event.
    #[error("an event in the outbox cannot be read")]
    Unreadable(#[from] prost::DecodeError),
    /// The notification service did not take them: the code, and what it said.
    #[error("the notification service did not take events: {:?}: {}", .0.code(), .0.message())]
    NotTaken(Status),
}

impl Delivery {
    /// To this notification service.
    #[must_use]
    pub fn to(notification: Peer) -> Delivery {
        Delivery { notification }
    }
}

impl outbox::Delivery for Delivery {
    type Error = Undelivered;

    /// Delivers encoded [`EventEnvelope`]s, each as a part of the trace of the call that caused it.
    async fn deliver(&self, records: Vec<Record>) -> Result<(), Undelivered> {
        let envelopes: Result<Vec<EventEnvelope>, _> =
            records.iter().map(|record| EventEnvelope::decode(record.payload.as_slice())).collect();
        for together in envelopes?.chunk_by(|one, next| one.traceparent == next.traceparent) {
            let span = tracing::info_span!("deliver_events", count = together.len());
            telemetry::with_remote_parent(&span, &together[0].traceparent);
            let request = IngestEventsRequest { envelopes: together.to_vec() };
            let mut client = IngestServiceClient::new(self.notification.calls().repeatable());
            client.ingest_events(request).instrument(span).await.map_err(Undelivered::NotTaken)?;
        }
        Ok(())
    }

    fn is_refusal(error: &Undelivered) -> bool {
        match error {
            Undelivered::Unreadable(_) => true,
            Undelivered::NotTaken(status) => is_for_good(status),
        }
    }
}

/// True when the same events would be refused again, however often they are sent.
fn is_for_good(status: &Status) -> bool {
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::DataLoss => true,
        // Whoever has no room now may have it later, but what is too large stays so.
        Code::ResourceExhausted => {
            let info = status.get_details_error_info();
            info.is_some_and(|info| info.reason == ErrorReason::MessageTooLarge.wire())
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Aborted
        | Code::Internal
        // It speaks of who was asked, and not of the events: something else answers at that address, for now.
        | Code::Unimplemented
        | Code::Unavailable
        | Code::Unauthenticated => false,
    }
}

/// What kind of event it is, such as `relationship.established`, if it can be read.
fn kind(payload: &[u8]) -> Option<String> {
    let event = EventEnvelope::decode(payload).ok()?.event?;
    (!event.r#type.is_empty()).then_some(event.r#type)
}

#[cfg(test)]
mod tests {
    use api::notification::Event;
    use api::status::Refusal;
    use outbox::Delivery as _;

    use super::*;

    #[test]
    fn what_is_malformed_is_refused_for_good_and_what_may_pass_is_not() {
        let refused = |code| Delivery::is_refusal(&Undelivered::NotTaken(Status::new(code, "")));
        let for_good = [Code::InvalidArgument, Code::FailedPrecondition, Code::OutOfRange, Code::DataLoss];
        for number in 0..=16 {
            let code = Code::from_i32(number);
            assert_eq!(refused(code), for_good.contains(&code), "{code:?}");
        }
        let unreadable = EventEnvelope::decode([0xff_u8].as_slice()).unwrap_err();
        assert!(Delivery::is_refusal(&Undelivered::Unreadable(unreadable)));
    }

    #[test]
    fn an_event_that_is_too_large_is_refused_for_good_and_one_that_comes_too_early_is_not() {
        let status = |reason| Refusal::new(reason, "AIP-194", "", "too much").status("public");
        assert!(is_for_good(&status(ErrorReason::MessageTooLarge)));
        assert!(!is_for_good(&status(ErrorReason::Overloaded)));
    }

    #[test]
    fn the_kind_of_an_event_is_known_when_it_can_be_read() {
        let event = Event { r#type: "link.created".to_owned(), ..Event::default() };
        let envelope = EventEnvelope { event: Some(event), ..EventEnvelope::default() };
        assert_eq!(kind(&envelope.encode_to_vec()).as_deref(), Some("link.created"));
        assert_eq!(kind(&EventEnvelope::default().encode_to_vec()), None);
        assert_eq!(kind(&[0xff]), None);
    }
}
