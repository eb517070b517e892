//! The system as it runs in production: every process alone, from its own program and configuration file, on PostgreSQL, with
//! certificates of an authority and tokens of a provider that are none of its own.

mod collector;
mod dump;
mod feeds;
mod fleet;
mod isolation;
mod lifecycle;
mod load;
mod restore;
pub(crate) mod site;
mod trace;
mod upgrade;
