//! What surrounds the calls of a process, tried from outside.

// The attribute tells clippy that helpers are test code too.
mod access;
mod bounds;
#[cfg(test)]
mod command;
#[cfg(test)]
mod configuration;
mod identity;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod system;
mod telemetry;
