//! What the business decides: pure functions from what is and what is asked to what shall be, or to every reason why not.
//!
//! No async, no SQL, no wire types; time and ids come in as arguments.

pub mod acceptance;
pub mod access;
pub mod agreement;
pub mod delegation;
pub mod directory;
pub mod relationship;
pub mod subscription;
pub mod termination;

#[cfg(test)]
mod world;
