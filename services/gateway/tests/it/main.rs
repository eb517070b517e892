//! The gateway on a real port, with issuers that publish real keys and with upstreams behind real channels.
//!
//! The upstreams answer whatever a test asks them to: what a service says is not the gateway's business, that it arrives is.

#![expect(clippy::unwrap_used, reason = "allowed in tests, and these helpers are part of them")]

mod aged;
mod call;
mod credentials;
mod forward;
mod link;
mod listener;
mod routes;
mod upstream;
mod world;
