//! The invitation service over real TLS, a real issuer and a real database. What needs the other services to answer is tested
//! where all of them run.

#![expect(clippy::unwrap_used, reason = "allowed in tests, and these helpers are part of them")]

mod acceptance;
mod call;
mod link;
mod start;
mod store;
mod text;
mod world;
