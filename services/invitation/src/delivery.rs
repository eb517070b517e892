//! Carries events from the outbox to the notification service, which knows repeats by their id.

use outbox::Record;
use server::Peer;
use server::events::{self, Undelivered};

/// The notification service, as the place where the events of this service go.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) notification: Peer,
}

impl outbox::Delivery for Delivery {
    type Error = Undelivered;

    async fn deliver(&self, records: Vec<Record>) -> Result<(), Undelivered> {
        events::deliver(&self.notification, records.iter().map(|record| record.payload.as_slice())).await
    }
}
