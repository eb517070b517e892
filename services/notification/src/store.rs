//! Every SQL statement of this service, one text for both engines, by noun.

pub mod event;
pub mod feed;

use store::Schema;

/// The migrations of this service.
#[must_use]
pub fn schema() -> Schema {
    Schema { postgres: sqlx::migrate!("migrations/postgres"), sqlite: sqlx::migrate!("migrations/sqlite") }
}
