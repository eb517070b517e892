//! Starts databases and services, and breaks the wires between them on purpose.
//!
//! For tests only: nothing that ships depends on it.

pub mod database;

pub use database::Database;
