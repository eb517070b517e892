//! Wire ⇄ domain, both ways, by noun. What comes in is parsed into types that cannot be wrong; what every field of a kind has in
//! common stands in [`api::field`].

pub mod acceptance;
pub mod access;
pub mod agreement;
pub mod delegation;
pub mod directory;
pub mod relationship;
pub mod subscription;

use api::field::{self, Invalid};
use clock::Time;
use cloud::{CountryCode, ServiceId, TenantId};
use prost_types::Timestamp;

/// `partners/{partner}`.
pub fn partner(field: &str, name: &str) -> Result<TenantId, Invalid> {
    field::named(field, name, ("partners", "partners/{partner}"), TenantId::parse)
}

/// `customers/{customer}`.
pub fn customer(field: &str, name: &str) -> Result<TenantId, Invalid> {
    field::named(field, name, ("customers", "customers/{customer}"), TenantId::parse)
}

/// A tenant id of a new resource.
pub fn tenant_id(field: &str, id: &str) -> Result<TenantId, Invalid> {
    TenantId::parse(id)
        .map_err(|_| Invalid::new(field, "use 1 to 63 lower-case letters, digits and hyphens, not a hyphen first"))
}

/// A country code.
pub fn country(field: &str, code: &str) -> Result<CountryCode, Invalid> {
    CountryCode::parse(code).map_err(|_| Invalid::new(field, "give an ISO 3166-1 alpha-2 code, such as IT"))
}

/// The id of a service.
pub fn service(field: &str, id: &str) -> Result<ServiceId, Invalid> {
    ServiceId::parse(id).map_err(|_| Invalid::new(field, "give the id of a service, such as azure-ad"))
}

/// A moment on the wire.
#[must_use]
pub fn timestamp(time: Time) -> Timestamp {
    field::timestamp(time.micros())
}
