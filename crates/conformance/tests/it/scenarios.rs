//! The whole system as its users meet it: every call goes to the gateway, by a client that knows the contract and nothing else.
//!
//! Each test starts a system of its own (`mandate up`, ports and folder of its own) with the demonstration in it, and gets its
//! tokens from the development issuers, as people do. How the parts do what they do is for the tests of the parts.

mod caller;
pub(crate) mod cloud;
mod conditions;
mod fields;
pub(crate) mod history;
mod holders;
mod identity;
mod journeys;
mod links;
mod pasted;
pub(crate) mod raw;
mod readme;
mod reasons;
mod reflection;
mod refusal;
mod restart;
pub(crate) mod system;
mod termination;
mod texts;

pub(crate) use caller::{Caller, request_id};
pub(crate) use refusal::refused;
