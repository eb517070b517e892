//! Starts what a test needs: databases, an identity provider and certificates around the system, and the programs of it.
//!
//! For tests only: nothing that ships depends on it. All of it is real; there are no mocks of our own services.

pub mod certificates;
pub mod database;
pub mod port;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod records;
pub mod site;

pub use database::Database;
pub use postgres;

/// Runs what stands outside of the system under test, and ends with the test.
#[expect(clippy::disallowed_methods, reason = "the outside world drains with nobody")]
pub fn outside(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}
