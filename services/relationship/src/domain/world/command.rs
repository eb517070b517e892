//! What can be done in a world, and what can become of it.

use std::collections::BTreeSet;

use cloud::{ServiceId, TenantId};

use crate::domain::acceptance::{Obstacle, Plan};
use crate::domain::delegation::{CannotReassign, NotActive};
use crate::domain::relationship::Type;
use crate::domain::termination::{CannotCancel, CannotRequest, Side};

/// What somebody does.
#[derive(Clone, Debug)]
pub(in crate::domain) enum Command {
    /// A customer accepts.
    Accept(Accept),
    /// A customer takes back one of all the delegations there ever were.
    Remove { pick: usize },
    /// A customer hands one of all the delegations there ever were over.
    Reassign { pick: usize, to: TenantId },
    /// The cloud feeds facts of a subscription.
    WriteSubscription {
        customer: TenantId,
        id: &'static str,
        service: ServiceId,
        original_reseller: Option<TenantId>,
        provisioned_by: Option<TenantId>,
        suspended: bool,
    },
    /// Either side ends one of all the relationships there ever were, now or in so many days.
    Terminate { pick: usize, side: Side, days: Option<u32> },
    /// Either side takes back a notice.
    Cancel { pick: usize, side: Side },
    /// So many days go by, and what is due then happens.
    Wait { days: u32 },
}

/// An acceptance.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Accept {
    pub(in crate::domain) partner: TenantId,
    pub(in crate::domain) customer: TenantId,
    pub(in crate::domain) kind: Type,
    pub(in crate::domain) services: BTreeSet<ServiceId>,
    pub(in crate::domain) link_active: bool,
    pub(in crate::domain) consent: Offer,
    pub(in crate::domain) replace: Replace,
    pub(in crate::domain) role: &'static str,
}

/// What consent comes with an acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Offer {
    Nothing,
    InForce,
    OldVersion,
    InFuture,
}

/// What an acceptance gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Replace {
    Nothing,
    /// All that others hold on the services asked for.
    Holders,
    /// One of all the delegations there ever were.
    Picked(usize),
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Outcome {
    Accepted(Box<Plan>),
    Done,
    Refused(Refusal),
}

/// Why nothing became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Refusal {
    /// The layer around every call asks for the permission (R44).
    Role,
    Obstacles(Vec<Obstacle>),
    NotActive(NotActive),
    CannotReassign(CannotReassign),
    CannotRequest(CannotRequest),
    CannotCancel(CannotCancel),
    /// There is nothing to do it to.
    Nowhere,
}
