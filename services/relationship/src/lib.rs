//! Relationships between partners and customers, the delegations and agreements that stand on them, and the answer to the
//! question asked on every later call: may this partner do this for this customer?
//!
//! Two axes that never mix (I3, I4): a *relationship* is commercial, begins with an acceptance and ends by termination alone; a
//! *delegation* gives admin privileges for one service, stands on a relationship, and can end while the relationship stays.
//! What partners may do is decided in [`domain::access`] by both, the *agreement*, and the facts of *subscriptions*.
//!
//! Nothing here asks another service before it decides: all facts are in one database, and one transaction writes a change with
//! its events.

pub mod config;
pub mod domain;
mod due;
pub mod error;
mod rpc;
mod start;
pub mod store;
pub mod wire;

pub use config::Config;
pub use start::Relationship;
