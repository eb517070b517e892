//! Wire ⇄ domain, both ways, by noun. What comes in is parsed into types that cannot be wrong.

pub mod event;
pub mod feed;
pub mod ingest;
