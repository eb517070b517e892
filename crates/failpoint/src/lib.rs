//! Points in the code at which a process in development can be told to die, so that tests cut it off between any two steps.
//!
//! A process dies here as it does by `kill -9`: nothing is flushed, closed or told. Unless a configuration arms a point, which
//! production refuses, passing one costs a single load.

use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a process can be told to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A change's transaction is open, nothing is written.
    ChangeBegun,
    /// The request id is claimed, the change not yet made.
    ChangeClaimed,
    /// A state is written with its event; the second pass of a change stands between its first and second state.
    ChangeEmitted,
    /// The answer is kept under the request id, nothing is committed.
    ChangeKept,
    /// The change is committed, nobody knows.
    ChangeCommitted,
    /// Events were read from the outbox, none is delivered.
    RelayRead,
    /// Events are delivered, the outbox does not know.
    RelayDelivered,
    /// Events are delivered and the outbox knows.
    RelayMarked,
    /// A link is verified, the relationship service not yet asked.
    LinkVerified,
    /// The relationship service has answered, the caller has not heard.
    LinkEstablished,
    /// Events have arrived, none is written.
    IngestBegun,
    /// Events are written, nothing is committed.
    IngestWritten,
    /// Events are committed, the relay does not know.
    IngestCommitted,
}

impl Point {
    /// All points.
    pub const ALL: [Point; 13] = [
        Point::ChangeBegun,
        Point::ChangeClaimed,
        Point::ChangeEmitted,
        Point::ChangeKept,
        Point::ChangeCommitted,
        Point::RelayRead,
        Point::RelayDelivered,
        Point::RelayMarked,
        Point::LinkVerified,
        Point::LinkEstablished,
        Point::IngestBegun,
        Point::IngestWritten,
        Point::IngestCommitted,
    ];

    /// Its name in configurations: `change.committed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Point::ChangeBegun => "change.begun",
            Point::ChangeClaimed => "change.claimed",
            Point::ChangeEmitted => "change.emitted",
            Point::ChangeKept => "change.kept",
            Point::ChangeCommitted => "change.committed",
            Point::RelayRead => "relay.read",
            Point::RelayDelivered => "relay.delivered",
            Point::RelayMarked => "relay.marked",
            Point::LinkVerified => "link.verified",
            Point::LinkEstablished => "link.established",
            Point::IngestBegun => "ingest.begun",
            Point::IngestWritten => "ingest.written",
            Point::IngestCommitted => "ingest.committed",
        }
    }
}

/// When to die: at which pass of which point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where.
    pub point: Point,
    /// At which pass, counted from 1.
    pub pass: u64,
}

/// A text that is no [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no point; expected one of {} with the number of the pass, as in `change.committed:1`", Point::ALL.map(Point::name).join(", "))]
pub struct NoPlan {
    text: String,
}

impl FromStr for Plan {
    type Err = NoPlan;

    fn from_str(text: &str) -> Result<Plan, NoPlan> {
        let parse = || {
            let (name, pass) = text.split_once(':')?;
            let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
            let pass = pass.parse().ok().filter(|pass| *pass > 0)?;
            Some(Plan { point, pass })
        };
        parse().ok_or_else(|| NoPlan { text: text.to_owned() })
    }
}

struct Armed {
    plan: Plan,
    passed: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Tells this process to die. The first plan stands.
pub fn arm(plan: Plan) {
    let _first_stands = ARMED.set(Armed { plan, passed: AtomicU64::new(0) });
}

/// Passes a point, or dies at it.
pub fn reach(point: Point) {
    if let Some(armed) = ARMED.get()
        && armed.plan.point == point
        && armed.passed.fetch_add(1, Ordering::SeqCst) + 1 == armed.plan.pass
    {
        // Takes effect before it returns; were it refused, the process must not go on all the same.
        let _dead = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, Point, reach};

    #[test]
    fn every_point_is_named_in_plans_by_its_own_name() {
        for point in Point::ALL {
            let text = format!("{}:3", point.name());
            assert_eq!(text.parse(), Ok(Plan { point, pass: 3 }));
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_with_the_points_there_are() {
        for text in ["", "change.committed", "change.committed:0", "change.committed:x", "nowhere:1"] {
            let refused = text.parse::<Plan>().unwrap_err().to_string();
            assert!(refused.contains("change.begun, ") && refused.contains("ingest.committed"), "{refused}");
        }
    }

    #[test]
    fn points_that_nobody_armed_are_passed() {
        Point::ALL.into_iter().for_each(reach);
    }
}
