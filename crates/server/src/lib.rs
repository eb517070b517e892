//! Everything a process does before, around and after the calls it serves.
//!
//! [`main`] runs a [`Service`]: it reads the configuration ([`config`]), starts telling ([`telemetry`]), binds
//! ([`Server`]), and ends within a bound ([`Shutdown`]). Around every call stand the layers of `stack`, which verify the caller
//! ([`identity`]) and enforce the rule that the contract declares for the method. Calls to other services go through [`peer`].
//!
//! It deliberately knows no resource of the domain: which tenant's data a caller may touch, each service decides.

mod answer;
mod cloud_service;
mod command;
pub mod config;
pub mod consistency;
pub mod deadline;
pub mod failure;
pub mod identity;
mod listener;
pub mod outbox;
pub mod peer;
mod process;
mod serving;
mod stack;
pub mod telemetry;
mod workload;

pub use answer::{Answer, Answers};
pub use cloud_service::{CloudAnswers, cloud_policy, markets};
pub use command::{EXIT_USAGE, Service, main};
pub use identity::{Caller, Issuer, caller};
pub use peer::Peer;
pub use process::{Process, Running, Shutdown, StartError};
pub use serving::{Bound, Server, Services, install_crypto};
