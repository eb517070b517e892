//! How much is measured.

use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it is called in the results.
    pub name: &'static str,
    /// How often each window is repeated; what is told is the median.
    pub rounds: usize,
    /// How long calls are counted at a time.
    pub window: Duration,
    /// How many customers accept at a time.
    pub accepting: &'static [usize],
    /// How many checks are in flight at a time.
    pub checking: &'static [usize],
    /// How many relationships there are, when growth is measured; the first also for everything else.
    pub relationships: &'static [u64],
}

impl Plan {
    /// What the figures of the document are taken with: about 25 minutes.
    pub const FULL: Plan = Plan {
        name: "full",
        rounds: 5,
        window: Duration::from_secs(3),
        accepting: &[1, 8, 32],
        checking: &[1, 16, 64],
        relationships: &[10_000, 100_000, 1_000_000],
    };

    /// A first look: a few minutes.
    pub const QUICK: Plan = Plan {
        name: "quick",
        rounds: 3,
        window: Duration::from_secs(2),
        accepting: &[1, 8, 32],
        checking: &[1, 16, 64],
        relationships: &[10_000, 100_000],
    };

    /// Whether everything can still be measured. The figures mean nothing.
    pub const SMOKE: Plan = Plan {
        name: "smoke",
        rounds: 1,
        window: Duration::from_millis(200),
        accepting: &[2],
        checking: &[2],
        relationships: &[20, 50],
    };
}
