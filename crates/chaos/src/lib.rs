//! Breaks a whole system while many use it, and tells whether it kept its promises.
//!
//! Real processes on real databases, a line between every two of them that can fail, clients that repeat every request until they
//! know its outcome. After each round everything is mended, and what was acknowledged is compared with state and history. A seed
//! makes the same plan again: who asks for what, and what fails when. The timing of processes is not replayed.

pub mod check;
pub mod client;
pub mod cluster;
pub mod fault;
pub mod history;
pub mod kind;
pub mod operation;
pub mod random;
pub mod round;
pub mod slot;
pub mod subject;
