//! A small model of one service of one customer, where it has one holder: pure, and told by events alone.

use std::collections::{BTreeMap, BTreeSet};

use api::notification::Event;
use api::notification::resource_snapshot::Resource;

/// The token of a link, and when it was asked for and got.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) token: String,
    pub(crate) began: usize,
    pub(crate) ended: usize,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Accept { place: usize, partner: String, grant: Grant, replace: Vec<String> },
    Remove { name: String },
    Reassign { name: String, to: String },
    Rotate { partner: usize },
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Accepted { delegation: String, replaced: Vec<String> },
    Removed,
    Reassigned { delegation: String },
    Rotated { partner: usize, token: String },
}

/// Why nothing came of it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) may_retry: bool,
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) began: usize,
    pub(crate) ended: usize,
    pub(crate) operation: Operation,
    pub(crate) outcome: Result<Outcome, Refusal>,
}

/// What one call changed, as its events tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Change {
    established: Option<String>,
    removed: Option<String>,
    reassigned: Option<String>,
    /// Name and partner.
    granted: Option<(String, String)>,
}

/// How things stand between two changes.
#[derive(Clone, Debug, Default)]
struct State {
    /// Name and partner.
    holder: Option<(String, String)>,
    partners: BTreeSet<String>,
    ended: BTreeMap<String, &'static str>,
}

/// What no serial order explains: of the history itself, of the answers, and of how things stand at the end (the names of the
/// active delegations, and the partners).
pub(crate) fn unexplained(
    events: &[Event],
    calls: &[Call],
    (holders, partners): (Vec<String>, BTreeSet<String>),
) -> Vec<String> {
    let mut problems = Vec::new();
    let changes = changes(events);
    let states = states(&changes, &mut problems);
    let order = Order { calls, changes, states };
    for index in 1..order.states.len() {
        let makers = order.makers(index).count();
        if makers == 0 || (makers > 1 && order.changes[index - 1].granted.is_none()) {
            problems.push(format!("{makers} answers tell of change {index}: {:?}", order.changes[index - 1]));
        }
    }
    for call in calls {
        if !order.explains(call) {
            problems.push(format!("in {:?} nothing explains {call:?}", order.window(call)));
        }
    }
    let last = order.states.last().expect("there is the beginning");
    let held: Vec<String> = last.holder.iter().map(|(name, _)| name.clone()).collect();
    if (&held, &last.partners) != (&holders, &partners) {
        problems.push(format!("the history ends in {last:?}, and there are {holders:?} of {partners:?}"));
    }
    problems
}

/// The events, call by call: every change ends with a grant or a removal.
fn changes(events: &[Event]) -> Vec<Change> {
    let (mut changes, mut change) = (Vec::new(), Change::default());
    for event in events {
        let after = event.after.as_ref().and_then(|after| after.resource.as_ref());
        match (event.r#type.as_str(), after) {
            ("relationship.established", Some(Resource::Relationship(found))) => {
                change.established = Some(found.partner.clone());
            }
            ("delegation.reassigned", _) => change.reassigned = Some(event.resource.clone()),
            ("delegation.granted", Some(Resource::Delegation(granted))) => {
                change.granted = Some((granted.name.clone(), granted.partner.clone()));
                changes.push(std::mem::take(&mut change));
            }
            ("delegation.removedByCustomer", _) => {
                change.removed = Some(event.resource.clone());
                changes.push(std::mem::take(&mut change));
            }
            _ => panic!("nobody asked for {event:?}"),
        }
    }
    assert_eq!(change, Change::default(), "the history ends in the middle of a change");
    changes
}

/// How things stand before the first change and after each.
fn states(changes: &[Change], problems: &mut Vec<String>) -> Vec<State> {
    let mut states = vec![State::default()];
    for (index, change) in changes.iter().enumerate() {
        let mut state = states[index].clone();
        let ends = change.removed.as_ref().or(change.reassigned.as_ref());
        let holds = state.holder.take().map(|(name, _)| name);
        if holds.as_ref() != ends {
            problems.push(format!("change {} meets {holds:?}: {change:?}", index + 1));
        }
        state.ended.extend(change.removed.iter().map(|name| (name.clone(), "REMOVED_BY_CUSTOMER")));
        state.ended.extend(change.reassigned.iter().map(|name| (name.clone(), "REASSIGNED")));
        if let Some(partner) = &change.established
            && !state.partners.insert(partner.clone())
        {
            problems.push(format!("change {} establishes twice: {change:?}", index + 1));
        }
        if let Some((_, partner)) = &change.granted
            && !state.partners.contains(partner)
        {
            problems.push(format!("change {} grants to a stranger: {change:?}", index + 1));
        }
        state.holder.clone_from(&change.granted);
        states.push(state);
    }
    states
}

struct Order<'a> {
    calls: &'a [Call],
    changes: Vec<Change>,
    states: Vec<State>,
}

impl Order<'_> {
    /// The calls whose answers tell of the change that led to this state.
    fn makers(&self, index: usize) -> impl Iterator<Item = &Call> {
        let change = &self.changes[index - 1];
        let granted = change.granted.as_ref().map(|(name, _)| name);
        self.calls.iter().filter(move |call| match (&call.operation, &call.outcome) {
            (Operation::Remove { name }, Ok(Outcome::Removed)) => change.removed.as_ref() == Some(name),
            (Operation::Reassign { name, .. }, Ok(Outcome::Reassigned { delegation })) => {
                change.established.is_none() && change.reassigned.as_ref() == Some(name) && granted == Some(delegation)
            }
            (Operation::Accept { .. }, Ok(Outcome::Accepted { delegation, replaced })) => {
                granted == Some(delegation) && change.reassigned.iter().eq(replaced)
            }
            (_, _) => false,
        })
    }

    /// The states that the call can have met or left: not before a change that was answered when it began, and not after one
    /// that nobody had asked for when it ended.
    fn window(&self, call: &Call) -> (usize, usize) {
        let (mut first, mut last) = (0, self.changes.len());
        for index in 1..=self.changes.len() {
            if self.makers(index).any(|maker| maker.ended < call.began) {
                first = index;
            }
            if last >= index && self.makers(index).all(|maker| maker.began > call.ended) {
                last = index - 1;
            }
        }
        (first, last)
    }

    fn explains(&self, call: &Call) -> bool {
        let (first, last) = self.window(call);
        let states = self.states.get(first..=last).unwrap_or_default();
        // The changes that it can have made.
        let makes = |index: &usize| self.makers(*index).any(|maker| maker.began == call.began);
        let made = || (first + 1..=last).any(|index| makes(&index));
        let holds = |state: &State, name: &str| state.holder.as_ref().is_some_and(|(holder, _)| holder == name);
        match &call.outcome {
            Ok(Outcome::Accepted { delegation, replaced }) => {
                let found = replaced.is_empty() && states.iter().any(|state| holds(state, delegation));
                self.is_live(call) && (found || made())
            }
            Ok(Outcome::Removed | Outcome::Reassigned { .. }) => made(),
            Ok(Outcome::Rotated { .. }) => true,
            Err(refusal) if refusal.reason == "LINK_DISABLED" => self.is_replaced(call),
            Err(refusal) => refusal.may_retry || states.iter().any(|state| state.refuses(&call.operation, refusal)),
        }
    }

    /// The rotations of a link, but for the one that this token came of.
    fn rotations<'c>(&'c self, place: usize, grant: &'c Grant) -> impl Iterator<Item = &'c Call> {
        self.calls.iter().filter(move |call| {
            call.outcome.as_ref().is_ok_and(|outcome| outcome.rotates(place) && !outcome.gives(&grant.token))
        })
    }

    /// Whether the link can have been live: nobody was told of another one between the token and the call.
    fn is_live(&self, call: &Call) -> bool {
        let Operation::Accept { place, grant, .. } = &call.operation else { return false };
        !self.rotations(*place, grant).any(|other| grant.ended < other.began && other.ended < call.began)
    }

    /// Whether the link can have been replaced: somebody asked for another one before the call ended.
    fn is_replaced(&self, call: &Call) -> bool {
        let Operation::Accept { place, grant, .. } = &call.operation else { return false };
        self.rotations(*place, grant).any(|other| grant.began < other.ended && other.began < call.ended)
    }
}

impl Outcome {
    fn rotates(&self, place: usize) -> bool {
        matches!(self, Outcome::Rotated { partner, .. } if *partner == place)
    }

    fn gives(&self, known: &str) -> bool {
        matches!(self, Outcome::Rotated { token, .. } if token == known)
    }
}

impl State {
    /// Whether this is how things stand when the operation is refused so.
    fn refuses(&self, operation: &Operation, refusal: &Refusal) -> bool {
        let told = |key: &str| refusal.metadata.get(key).map(String::as_str);
        let holder = self.holder.as_ref().map(|(name, partner)| (name.as_str(), partner.as_str()));
        match (refusal.reason.as_str(), operation) {
            ("DELEGATION_NOT_ACTIVE", Operation::Remove { name } | Operation::Reassign { name, .. }) => {
                self.ended.get(name).copied() == told("state")
            }
            ("RELATIONSHIP_REQUIRED", Operation::Reassign { to, .. }) => !self.partners.contains(to),
            ("SERVICE_ALREADY_DELEGATED", Operation::Reassign { to, .. }) => {
                holder.is_some_and(|(name, partner)| told("holder") == Some(name) && partner == to)
            }
            ("SERVICE_ALREADY_DELEGATED", Operation::Accept { partner: asking, replace, .. }) => {
                holder.is_some_and(|(name, partner)| {
                    told("holder") == Some(name) && partner != asking && !replace.iter().any(|ended| ended == name)
                })
            }
            ("REPLACEMENT_INVALID", Operation::Accept { partner: asking, replace, .. }) => {
                replace.iter().any(|ended| holder.is_none_or(|(name, partner)| name != ended || partner == asking))
            }
            (_, _) => false,
        }
    }
}

#[test]
fn what_no_order_explains_is_found() {
    let removal = |began, ended| Call {
        began,
        ended,
        operation: Operation::Remove { name: "d".to_owned() },
        outcome: Ok(Outcome::Removed),
    };
    let refused = |began, ended| Call {
        outcome: Err(Refusal {
            reason: "DELEGATION_NOT_ACTIVE".to_owned(),
            metadata: BTreeMap::from([("state".to_owned(), "REMOVED_BY_CUSTOMER".to_owned())]),
            may_retry: false,
        }),
        ..removal(began, ended)
    };
    let grant = Grant { token: String::new(), began: 0, ended: 0 };
    let accepted = Call {
        began: 1,
        ended: 2,
        operation: Operation::Accept { place: 0, partner: "p".to_owned(), grant, replace: Vec::new() },
        outcome: Ok(Outcome::Accepted { delegation: "d".to_owned(), replaced: Vec::new() }),
    };
    let granted = Change {
        established: Some("p".to_owned()),
        granted: Some(("d".to_owned(), "p".to_owned())),
        ..Change::default()
    };
    let removed = Change { removed: Some("d".to_owned()), ..Change::default() };
    let explained = |calls: &[Call], call: usize| {
        let mut problems = Vec::new();
        let changes = vec![granted.clone(), removed.clone()];
        let states = states(&changes, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        Order { calls, changes, states }.explains(&calls[call])
    };
    assert!(explained(&[accepted.clone(), removal(3, 6), refused(4, 5)], 2), "both at once, in either order");
    assert!(explained(&[accepted.clone(), removal(3, 4), refused(5, 6)], 2), "one after the other");
    assert!(!explained(&[accepted.clone(), removal(5, 6), refused(3, 4)], 2), "refused for what was still to come");
    assert!(!explained(&[accepted, removal(3, 4), removal(5, 6), refused(1, 2)], 3), "before there was anything");
    let mut problems = Vec::new();
    states(&[granted.clone(), granted], &mut problems);
    assert_eq!(problems.len(), 2, "a second holder, and a second relationship: {problems:?}");
}
