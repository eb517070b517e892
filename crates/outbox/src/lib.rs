//! Events written with the change that caused them and delivered at least once.
//!
//! Every mutation of the contract is a [`Change`]: it runs in one transaction that also keeps its answer under the caller's
//! request id and its events in the outbox. [`Outbox::relay`] delivers them: in the order of each key, one relay at a time. What the
//! receiver refuses for good is parked and holds back later events of its key and of no other; what was delivered is kept for seven
//! days, so that a receiver restored from a backup can be given it again. [`inspect`] is what operators see and do of it.
//!
//! A service's database brings five tables for it: `requests`, `change_order`, `outbox`, `outbox_parked` and `outbox_delivered`; and
//! `timers`, where changes ask for something to be done at a time ([`Scope::at`]).

mod change;
pub mod inspect;
mod purge;
mod queue;
mod relay;
mod timer;
mod turns;
mod watch;

pub use change::{Change, Done, Outbox, Request, Reused, Scope};
pub use relay::{Delivery, Record};
pub use timer::{Due, Timer};
