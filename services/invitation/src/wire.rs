//! Wire ⇄ domain, both ways, by noun. What comes in is parsed into types that cannot be wrong; what every field of a kind has in
//! common stands in [`api::field`].

pub mod acceptance;
pub mod link;
pub mod text;

use api::field::{self, Invalid};
use clock::Time;
use cloud::TenantId;
use prost_types::Timestamp;

/// `partners/{partner}`.
pub fn partner(field: &str, name: &str) -> Result<TenantId, Invalid> {
    field::named(field, name, ("partners", "partners/{partner}"), TenantId::parse)
}

/// `customers/{customer}`.
pub fn customer(field: &str, name: &str) -> Result<TenantId, Invalid> {
    field::named(field, name, ("customers", "customers/{customer}"), TenantId::parse)
}

/// A moment on the wire.
#[must_use]
pub fn timestamp(time: Time) -> Timestamp {
    field::timestamp(time.micros())
}
