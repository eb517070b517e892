//! Invitation links and their texts; resolving and accepting them.
//!
//! A partner has one *link* for each set of *options*. Its URI ends in a signed *token*, the same for every customer and every
//! call (R16-R18); a *text* carries it. The customer resolves the token, and accepts.
//!
//! What holds always: no customer is part of a link, a token or a row here; a URI stays byte-identical until its link is
//! rotated; resolving and accepting write nothing here, and nobody but the relationship service decides about them; no event
//! holds a live link.

pub mod config;
pub mod domain;
pub mod error;
mod rpc;
mod start;
pub mod store;
pub mod wire;

pub use config::Config;
pub use start::Invitation;
