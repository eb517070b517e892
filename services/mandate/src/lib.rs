//! One binary for people: it runs the gateway and all clouds on one machine, and does the everyday tasks against any gateway.
//!
//! It decides nothing. What it starts are the services as they run in production, with certificates of an authority made on the
//! spot and identities from an issuer that asks nobody who they are; its clients know the contract only.

pub mod authority;
pub mod issuer;
pub mod private_file;

mod backup;
mod cli;
mod client;
mod contract;
mod demo;
mod failure;
mod panel;
mod screen;
mod seed;
mod token;
mod tour;
mod up;

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> std::process::ExitCode {
    cli::main()
}
