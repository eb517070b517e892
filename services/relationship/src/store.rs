//! Every SQL statement of this service, one text for both engines, by noun.
//!
//! Reading a row that this service cannot have written is [`store::Failure::Inconsistent`], never a panic.

pub mod agreement;
pub mod delegation;
pub mod directory;
pub mod relationship;
pub mod subscription;

use cloud::{CountryCode, ServiceId, TenantId};
use store::{Failure, Schema};

/// The migrations of this service.
#[must_use]
pub fn schema() -> Schema {
    Schema { postgres: sqlx::migrate!("migrations/postgres"), sqlite: sqlx::migrate!("migrations/sqlite") }
}

fn tenant(table: &'static str, text: &str) -> Result<TenantId, Failure> {
    TenantId::parse(text).map_err(|error| Failure::inconsistent(table, error.to_string()))
}

fn optional_tenant(table: &'static str, text: Option<&str>) -> Result<Option<TenantId>, Failure> {
    text.map(|text| tenant(table, text)).transpose()
}

fn service(table: &'static str, text: &str) -> Result<ServiceId, Failure> {
    ServiceId::parse(text).map_err(|error| Failure::inconsistent(table, error.to_string()))
}

fn country(table: &'static str, text: &str) -> Result<CountryCode, Failure> {
    CountryCode::parse(text).map_err(|error| Failure::inconsistent(table, error.to_string()))
}

/// The value of which this is the text.
fn value<T: Copy>(
    table: &'static str,
    all: &[T],
    text_of: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, Failure> {
    let found = all.iter().copied().find(|value| text_of(*value) == text);
    found.ok_or_else(|| Failure::inconsistent(table, format!("{text:?} is not a known value")))
}
