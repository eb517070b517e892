//! Every change of the contract: repeated, raced, cut off and interleaved, on the wire.
//!
//! [`table`] lists them, and a test fails for one that it does not hold. The proofs run over the list, so a new change is proved
//! by being entered. Each works in a [`world`] of its own, on a [`stage`]: real processes on PostgreSQL, two of every service, or
//! the embedded system on SQLite.

mod etags;
mod message;
mod races;
mod repeats;
mod requests;
mod serial;
pub(crate) mod stage;
mod table;
mod world;
