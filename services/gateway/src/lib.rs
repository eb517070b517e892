//! Picks the cloud, checks the credential, forwards the call unread.
//!
//! Calls of every cloud arrive at one address. [`clouds`] finds out which cloud a call is for and verifies the credential with
//! that cloud's keys, [`routes`] says which service answers, and the call goes there whole. A link, `GET /i/{token}`, becomes a
//! redirect to the portal of its cloud. What differs by cloud is `CloudService`'s to tell, and answered here.
//!
//! The gateway holds no data, decodes no message of the domain, merges no answers and repeats no call. It knows no internal
//! service: a stranger cannot tell one from nothing.

pub mod clouds;
pub mod config;
pub mod routes;

mod cloud_service;
mod forward;
mod link;
mod listener;
mod reflection;
mod start;
mod switchboard;
mod tls;
mod upstream;

pub use config::Config;
pub use start::{Gateway, start, start_on};
