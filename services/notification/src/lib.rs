//! Keeps what happened for those it concerns, and tells them as it happens.
//!
//! Two nouns: an *event*, and the *feed* of a partner or customer, in which an event that concerns both stands twice. Events
//! come from the outboxes of other services, any number of times, and are kept once. In a feed they have sequences from 1 without
//! gaps, in the order in which they arrived, and that never changes.
//!
//! It deliberately neither makes events nor judges what they say, and it never deletes one.

pub mod config;
pub mod domain;
pub mod error;
mod rpc;
mod start;
pub mod store;
pub mod wire;

pub use config::Config;
pub use start::Notification;
