//! Every SQL statement of this service, one text for both engines, by noun.
//!
//! Reading a row that this service cannot have written is [`store::Failure::Inconsistent`], never a panic.

pub mod link;

use store::Schema;

/// The migrations of this service.
#[must_use]
pub fn schema() -> Schema {
    Schema { postgres: sqlx::migrate!("migrations/postgres"), sqlite: sqlx::migrate!("migrations/sqlite") }
}
