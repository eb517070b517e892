//! The relationship service on the wire, over mTLS, on both engines.

mod access;
mod database;
mod delegation;
mod directory;
mod establishment;
mod event;
mod outbox;
mod relationship;
mod termination;
mod world;
