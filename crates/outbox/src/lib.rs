//! Events written with the change that caused them and delivered at least once.
//!
//! Every mutation of the contract is a [`Change`]: it runs in one transaction that also keeps its answer under the caller's
//! request id and its events in the outbox. A service's database brings three tables for it (`requests`, `change_order`,
//! `outbox`); each migration folder creates them in its first step.

mod change;
mod purge;
mod relay;
mod timer;

pub use change::{Change, Done, Outbox, Request, Reused, Scope};
pub use relay::{Delivery, Record};
pub use timer::{Due, Timer};
