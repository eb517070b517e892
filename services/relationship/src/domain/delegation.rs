//! Delegated admin privileges, one per service. All ends are final: restoring means a new acceptance (R3, R4).

use clock::{Time, Uuid};
use cloud::{ServiceId, TenantId};

use super::relationship::{self, Relationship};

/// The life of a delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// In force.
    Active,
    /// Taken away by the customer (R27).
    RemovedByCustomer,
    /// Handed over to another partner by the customer (R46).
    Reassigned,
    /// Given up by the partner.
    Relinquished,
    /// Its time was over.
    Expired,
    /// Unused for too long.
    Lapsed,
    /// Ended with its relationship.
    Closed,
}

impl State {
    /// All states.
    pub const ALL: [State; 7] = [
        State::Active,
        State::RemovedByCustomer,
        State::Reassigned,
        State::Relinquished,
        State::Expired,
        State::Lapsed,
        State::Closed,
    ];

    /// Its name, in the contract and in the database.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            State::Active => "ACTIVE",
            State::RemovedByCustomer => "REMOVED_BY_CUSTOMER",
            State::Reassigned => "REASSIGNED",
            State::Relinquished => "RELINQUISHED",
            State::Expired => "EXPIRED",
            State::Lapsed => "LAPSED",
            State::Closed => "CLOSED",
        }
    }
}

/// What can be done to a delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The customer takes it away (R27).
    Remove,
    /// The customer hands it over (R46).
    Reassign,
    /// It ends with its relationship (N40, I1).
    Close,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 3] = [Verb::Remove, Verb::Reassign, Verb::Close];
}

/// The delegation has ended; nothing more can be done to it (I11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotActive(pub State);

impl State {
    /// The state after a verb.
    ///
    /// # Errors
    /// [`NotActive`] in every state but the active one (I11).
    pub fn after(self, verb: Verb) -> Result<State, NotActive> {
        match self {
            State::Active => match verb {
                Verb::Remove => Ok(State::RemovedByCustomer),
                Verb::Reassign => Ok(State::Reassigned),
                Verb::Close => Ok(State::Closed),
            },
            State::RemovedByCustomer
            | State::Reassigned
            | State::Relinquished
            | State::Expired
            | State::Lapsed
            | State::Closed => Err(NotActive(self)),
        }
    }
}

/// Admin privileges of a partner for one service of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Its id.
    pub id: Uuid,
    /// The relationship it stands on.
    pub relationship: Uuid,
    /// The customer.
    pub customer: TenantId,
    /// The partner that holds it.
    pub partner: TenantId,
    /// The service.
    pub service: ServiceId,
    /// True when no other transacting partner may hold the service beside it (R24).
    pub exclusive: bool,
    /// Where it stands.
    pub state: State,
    /// When it was granted.
    pub create_time: Time,
    /// How it ended. `None` while it is active.
    pub end: Option<End>,
    /// Grows by one with every change.
    pub version: i64,
}

/// Why a delegation cannot be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotReassign {
    /// It has ended.
    NotActive(NotActive),
    /// The other partner has no active relationship with the customer.
    NoRelationship,
    /// The other partner is suspended, or has not signed the contract of the cloud.
    ReceiverMayNotAct,
    /// The other partner holds the service already, or a third one does where it has one holder (R24).
    AlreadyHeld {
        /// The service.
        service: ServiceId,
        /// The name of the delegation by which it is held.
        holder: String,
    },
}

/// What a hand-over meets.
#[derive(Clone, Copy, Debug)]
pub struct HandOver<'a> {
    /// The relationship of the partner that gets it.
    pub receiver: Option<&'a Relationship>,
    /// Whether that partner may be given anything ([`super::directory::Partner::may_act`]).
    pub receiver_may_act: bool,
    /// The active delegations of the customer.
    pub active: &'a [Delegation],
    /// True where a service has one holder among the partners that transact (R24).
    pub exclusive_holder: bool,
}

/// Hands a delegation over to another partner (R46): the delegation that ends, and the one that begins with this id.
///
/// # Errors
/// [`CannotReassign`], the first that applies.
pub fn reassign(
    held: &Delegation,
    over: &HandOver<'_>,
    id: Uuid,
    end: End,
) -> Result<(Delegation, Delegation), CannotReassign> {
    let time = end.time;
    let ended = held.after(Verb::Reassign, end).map_err(CannotReassign::NotActive)?;
    let receiver = over.receiver.filter(|receiver| receiver.state == relationship::State::Active);
    let receiver = receiver.ok_or(CannotReassign::NoRelationship)?;
    if !over.receiver_may_act {
        return Err(CannotReassign::ReceiverMayNotAct);
    }
    let exclusive = over.exclusive_holder && receiver.kind.transacts();
    let on_service = over.active.iter().filter(|other| other.state == State::Active && other.service == held.service);
    let mut others = on_service.filter(|other| other.partner == receiver.partner || other.id != held.id);
    if let Some(other) = others.find(|other| other.partner == receiver.partner || (exclusive && other.exclusive)) {
        return Err(CannotReassign::AlreadyHeld { service: other.service.clone(), holder: other.name() });
    }
    let granted = Delegation {
        id,
        relationship: receiver.id,
        customer: held.customer.clone(),
        partner: receiver.partner.clone(),
        service: held.service.clone(),
        exclusive,
        state: State::Active,
        create_time: time,
        end: None,
        version: 1,
    };
    Ok((ended, granted))
}

/// A delegation with what its readers see of the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The delegation.
    pub delegation: Delegation,
    /// The partner's registered name.
    pub partner_display_name: String,
}

/// Which delegations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one partner.
    pub partner: Option<TenantId>,
    /// In one state.
    pub state: Option<State>,
    /// Of one service.
    pub service: Option<ServiceId>,
    /// On one relationship.
    pub relationship: Option<Uuid>,
}

/// How a delegation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub time: Time,
    /// By whom: the name of the principal.
    pub by: String,
    /// Why, in its words. May be empty.
    pub reason: String,
}

impl Delegation {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/delegations/{}", super::relationship::name(&self.customer, self.relationship), self.id)
    }

    /// The delegation after a verb.
    ///
    /// # Errors
    /// [`NotActive`] when it has ended before.
    pub fn after(&self, verb: Verb, end: End) -> Result<Delegation, NotActive> {
        let state = self.state.after(verb)?;
        Ok(Delegation { state, end: Some(end), version: self.version + 1, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::{NotActive, State, Verb};

    #[test]
    fn i11_every_verb_ends_an_active_delegation_and_no_verb_touches_an_ended_one() {
        for state in State::ALL {
            for verb in Verb::ALL {
                let expected = match (state, verb) {
                    (State::Active, Verb::Remove) => Ok(State::RemovedByCustomer),
                    (State::Active, Verb::Reassign) => Ok(State::Reassigned),
                    (State::Active, Verb::Close) => Ok(State::Closed),
                    _ => Err(NotActive(state)),
                };
                assert_eq!(state.after(verb), expected, "{state:?} {verb:?}");
            }
        }
    }
}
