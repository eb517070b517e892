//! The harness at work: a short run, and a process killed at every named point, each seen from outside.

mod points;
mod short;
