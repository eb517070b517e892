//! Events to keep, and what a feed must look like afterwards.

use clock::{Time, Uuid};
use cloud::TenantId;
use notification::domain::event::{Arrival, EventType, Kept};
use notification::domain::feed::{Feed, Feeds};

pub(crate) fn partner(id: &str) -> Feed {
    Feed::Partner(TenantId::parse(id).unwrap())
}

pub(crate) fn customer(id: &str) -> Feed {
    Feed::Customer(TenantId::parse(id).unwrap())
}

/// The event with this number, which is its id and all that is told of it.
pub(crate) fn arrival(number: u128, event_type: &str, feeds: &[Feed]) -> Arrival {
    Arrival {
        id: Uuid::from_u128(number),
        feeds: Feeds::of(feeds.to_vec()).unwrap(),
        event_type: EventType::parse(event_type).unwrap(),
        event_time: Time::from_micros(1_800_000_000_000_000),
        payload: number.to_be_bytes().to_vec(),
    }
}

pub(crate) fn numbers(kept: &[Kept]) -> Vec<u128> {
    kept.iter().map(|kept| kept.id.as_u128()).collect()
}

pub(crate) fn sequences(kept: &[Kept]) -> Vec<i64> {
    kept.iter().map(|kept| kept.sequence).collect()
}
