//! How relationships end (N40-N45): at once when nothing blocks it, or at the time of which one side gave notice.
//!
//! ACTIVE → TERMINATING by a notice, and back when the side that gave it takes it back; either → TERMINATED, which never changes
//! (I11) and closes every delegation with it (I1).

use std::time::Duration;

use clock::Time;
use cloud::{BlockingStatus, RuleNumber, TenantId, TerminationRule};

use super::delegation::{self, Delegation, End, Verb};
use super::relationship::{Relationship, State};
use super::subscription::{Status, Subscription};

#[cfg(test)]
mod tests;

/// Who ends what nobody is there to end: the time has come, or the last blocker is gone.
pub const SYSTEM: &str = "system";

/// One of the two that a relationship binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The partner.
    Partner,
    /// The customer.
    Customer,
}

impl Side {
    /// Both.
    pub const ALL: [Side; 2] = [Side::Partner, Side::Customer];

    /// Its name in the database.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Side::Partner => "PARTNER",
            Side::Customer => "CUSTOMER",
        }
    }
}

/// The end of a relationship, as it was requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Which side requested it, and can take it back.
    pub side: Side,
    /// Who: the name of the principal.
    pub by: String,
    /// Why, in its words. May be empty.
    pub reason: String,
    /// When it was requested.
    pub request_time: Time,
    /// When it takes effect, unless something blocks it then.
    pub effective_time: Time,
}

/// Something that keeps a relationship from ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The name of the subscription.
    pub subscription: String,
    /// The rule by which it blocks.
    pub rule: RuleNumber,
    /// True where suspending it is enough.
    pub may_be_suspended: bool,
}

/// What blocks the end of a relationship: the customer's subscriptions that its partner has a part in, in the statuses that the
/// policy says (N41, N44). Nothing blocks what has ended.
#[must_use]
pub fn blockers(relationship: &Relationship, subscriptions: &[Subscription], rule: &TerminationRule) -> Vec<Blocker> {
    if !relationship.state.is_in_force() {
        return Vec::new();
    }
    let own = subscriptions.iter().filter(|held| held.customer == relationship.customer);
    let tied = own.filter(|held| held.ties(&relationship.partner) && blocks(held.status, rule));
    let blocker = |held: &Subscription| Blocker {
        subscription: held.name(),
        rule: rule.blocking_rule.clone(),
        may_be_suspended: !rule.blocking_statuses.contains(&BlockingStatus::Suspended),
    };
    tied.map(blocker).collect()
}

fn blocks(status: Status, rule: &TerminationRule) -> bool {
    match status {
        Status::Active => rule.blocking_statuses.contains(&BlockingStatus::Active),
        Status::Suspended => rule.blocking_statuses.contains(&BlockingStatus::Suspended),
        Status::Cancelled => false,
    }
}

/// Who asks for the end of a relationship, why, and for when: now, unless a later time is given.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The side that asks.
    pub side: Side,
    /// Who asks.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When it shall end.
    pub effective_time: Option<Time>,
}

/// What a request meets: the relationship, the active delegations that stand on it, and what blocks it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The relationship.
    pub relationship: &'a Relationship,
    /// The active delegations that stand on it.
    pub active: &'a [Delegation],
    /// What blocks its end.
    pub blockers: &'a [Blocker],
}

/// What becomes of a relationship, and of the delegations that end with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The relationship.
    pub relationship: Relationship,
    /// The delegations that end, closed.
    pub closed: Vec<Delegation>,
}

/// A condition that a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The customer has to ask the partner, by this rule (N45).
    PartnerMustTerminate {
        /// The partner.
        partner: TenantId,
        /// The rule.
        rule: RuleNumber,
    },
    /// Something is still in force (N41).
    Blocked(Blocker),
}

/// Why the end of a relationship cannot be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotRequest {
    /// It has ended, or its end has been requested.
    NotActive(State),
    /// The notice is of fewer or more days than these.
    NoticeOutOfRange {
        /// At least.
        days_min: u16,
        /// At most.
        days_max: u16,
    },
    /// Conditions fail: all of them.
    Obstacles(Vec<Obstacle>),
}

/// Why a notice cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotCancel {
    /// Nobody gave notice, or the relationship has ended.
    NotTerminating(State),
    /// The other side gave it: this principal.
    OtherSide(String),
}

/// Ends a relationship at once, or notes when it will end.
///
/// # Errors
/// [`CannotRequest`], with every condition that fails.
pub fn request(
    standing: Standing<'_>,
    wish: &Wish<'_>,
    rule: &TerminationRule,
    now: Time,
) -> Result<Outcome, CannotRequest> {
    let relationship = standing.relationship;
    if relationship.state != State::Active {
        return Err(CannotRequest::NotActive(relationship.state));
    }
    let notice = wish.effective_time.filter(|effective| *effective > now);
    if notice.is_some_and(|effective| !is_in_range(now, effective, rule)) {
        let (days_min, days_max) = (rule.notice_days_min, rule.notice_days_max);
        return Err(CannotRequest::NoticeOutOfRange { days_min, days_max });
    }
    let obstacles = obstacles(standing, wish.side, notice.is_some(), rule);
    if !obstacles.is_empty() {
        return Err(CannotRequest::Obstacles(obstacles));
    }
    let termination = Termination {
        side: wish.side,
        by: wish.by.to_owned(),
        reason: wish.reason.to_owned(),
        request_time: now,
        effective_time: notice.unwrap_or(now),
    };
    let requested = Relationship { termination: Some(termination), ..relationship.clone() };
    if notice.is_none() {
        let standing = Standing { relationship: &requested, ..standing };
        return Ok(end(standing, wish.by, now));
    }
    let relationship = Relationship { state: State::Terminating, version: relationship.version + 1, ..requested };
    Ok(Outcome { relationship, closed: Vec::new() })
}

/// A day is 24 hours.
fn is_in_range(now: Time, effective: Time, rule: &TerminationRule) -> bool {
    let after = |days: u16| now.plus(Duration::from_hours(24) * u32::from(days));
    (after(rule.notice_days_min)..=after(rule.notice_days_max)).contains(&effective)
}

fn obstacles(standing: Standing<'_>, side: Side, is_notice: bool, rule: &TerminationRule) -> Vec<Obstacle> {
    let relationship = standing.relationship;
    let mut obstacles = Vec::new();
    let forbidden = rule.customer_rule.as_ref().filter(|_| side == Side::Customer && relationship.kind.transacts());
    if let Some(rule) = forbidden {
        let partner = relationship.partner.clone();
        obstacles.push(Obstacle::PartnerMustTerminate { partner, rule: rule.clone() });
    }
    // A notice leaves time for the rest.
    if !is_notice {
        obstacles.extend(standing.blockers.iter().cloned().map(Obstacle::Blocked));
    }
    obstacles
}

/// Takes a notice back.
///
/// # Errors
/// [`CannotCancel`] when there is none, or the other side gave it.
pub fn cancel(relationship: &Relationship, side: Side) -> Result<Relationship, CannotCancel> {
    let given = relationship.termination.as_ref().filter(|_| relationship.state == State::Terminating);
    let given = given.ok_or(CannotCancel::NotTerminating(relationship.state))?;
    if given.side != side {
        return Err(CannotCancel::OtherSide(given.by.clone()));
    }
    let version = relationship.version + 1;
    Ok(Relationship { state: State::Active, termination: None, version, ..relationship.clone() })
}

/// True when the time of a notice has come.
#[must_use]
pub fn is_due(relationship: &Relationship, now: Time) -> bool {
    let termination = relationship.termination.as_ref().filter(|_| relationship.state == State::Terminating);
    termination.is_some_and(|termination| termination.effective_time <= now)
}

/// Ends a relationship of which notice was given, when its time has come and nothing blocks it. `None` when it goes on.
#[must_use]
pub fn end_due(standing: Standing<'_>, now: Time) -> Option<Outcome> {
    let ends = is_due(standing.relationship, now) && standing.blockers.is_empty();
    ends.then(|| end(standing, SYSTEM, now))
}

fn end(standing: Standing<'_>, by: &str, now: Time) -> Outcome {
    let relationship = standing.relationship;
    let reason = relationship.termination.as_ref().map(|it| it.reason.clone()).unwrap_or_default();
    let on_it = |held: &&Delegation| held.relationship == relationship.id && held.state == delegation::State::Active;
    let close =
        |held: &Delegation| held.after(Verb::Close, End { time: now, by: by.to_owned(), reason: reason.clone() });
    let closed = standing.active.iter().filter(on_it).filter_map(|held| close(held).ok()).collect();
    let relationship = Relationship {
        state: State::Terminated,
        terminate_time: Some(now),
        version: relationship.version + 1,
        ..relationship.clone()
    };
    Outcome { relationship, closed }
}
