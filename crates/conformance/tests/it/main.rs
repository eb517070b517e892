//! Tests of the whole: what we hold dear about the shape of this workspace, as sentences that fail.
//!
//! Each broken rule is told with file, line and what to do there. When a rule itself is wrong, change it here and say why in
//! the commit.

mod checkout;
mod clouds;
mod deploy;
mod layers;
mod migrations;
mod mutations;
mod places;
mod plans;
mod production;
mod protos;
mod rules;
mod scenarios;
mod source;
