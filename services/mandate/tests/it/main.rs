//! The binary as people run it: a process of its own, on ports the system chose, in a folder of its own.

mod commands;
mod refusals;
mod system;
mod tour;
