//! The notification service, tried from its pure parts to the whole behind real TLS.

#![expect(clippy::unwrap_used, reason = "allowed in tests, and these helpers are part of them")]

mod feed;
mod ingest;
mod kept;
mod relay;
mod rpc_event;
mod rpc_ingest;
mod rpc_watch;
mod start;
mod store;
mod world;
