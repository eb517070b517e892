//! Runs one SQL statement on PostgreSQL or SQLite, in named transactions that retry.
//!
//! Each statement is one `const` text for both engines, sent with [`on!`]. Where the engines truly differ, two constants stand
//! side by side and the reason with them. There is no ORM, no query builder and no SQL made at run time.

mod copy;
mod failure;
mod measure;
mod migrate;
mod pool;
mod reads;
mod settings;
mod transaction;

pub use copy::{Held, copy};
pub use failure::{Failure, HasFailure};
pub use migrate::Schema;
pub use pool::Pool;
pub use reads::{Freshness, NoPosition, Position, Reads, position};
pub use settings::{Settings, Unusable};
pub use transaction::{Tx, Work, hold, read, transaction};

/// Evaluates an expression on whichever engine a [`Pool`] or [`Tx`] is of. The expression is written once and type-checked for
/// each.
#[macro_export]
macro_rules! on {
    ($either:expr, $one:ident => $body:expr) => {
        match $either {
            $crate::Tx::Postgres($one) => $body,
            $crate::Tx::Sqlite($one) => $body,
        }
    };
}
