//! Commercial relationships. They outlive every delegation (R28).

use clock::{Time, Uuid};
use cloud::TenantId;

use super::termination::Termination;

/// What a partner is to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// Sells to the customer.
    Reseller,
    /// Advises, without transacting.
    Advisor,
    /// Provides for an indirect reseller.
    IndirectProvider,
    /// Sells through a provider.
    IndirectReseller,
}

impl Type {
    /// All types.
    pub const ALL: [Type; 4] = [Type::Reseller, Type::Advisor, Type::IndirectProvider, Type::IndirectReseller];

    /// Its name, in the contract and in the database.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Type::Reseller => "RESELLER",
            Type::Advisor => "ADVISOR",
            Type::IndirectProvider => "INDIRECT_PROVIDER",
            Type::IndirectReseller => "INDIRECT_RESELLER",
        }
    }

    /// True for partners that transact, of which a service has one holder where the cloud says so (R24; that this is every
    /// type but advisor is our reading).
    #[must_use]
    pub fn transacts(self) -> bool {
        match self {
            Type::Reseller | Type::IndirectProvider | Type::IndirectReseller => true,
            Type::Advisor => false,
        }
    }
}

/// The life of a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// In force.
    Active,
    /// In force; its end has been requested.
    Terminating,
    /// Ended for good.
    Terminated,
}

impl State {
    /// All states.
    pub const ALL: [State; 3] = [State::Active, State::Terminating, State::Terminated];

    /// Its name, in the contract and in the database.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            State::Active => "ACTIVE",
            State::Terminating => "TERMINATING",
            State::Terminated => "TERMINATED",
        }
    }

    /// True while the partner is bound, may buy, and has the customer in its list (R25, I7).
    #[must_use]
    pub fn is_in_force(self) -> bool {
        match self {
            State::Active | State::Terminating => true,
            State::Terminated => false,
        }
    }
}

/// A relationship of a partner with a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relationship {
    /// Its id.
    pub id: Uuid,
    /// The customer.
    pub customer: TenantId,
    /// The partner.
    pub partner: TenantId,
    /// What the partner is to the customer.
    pub kind: Type,
    /// Where it stands.
    pub state: State,
    /// The link it was accepted through: `partners/{partner}/invitationLinks/{link}`.
    pub origin_link: String,
    /// When it was accepted.
    pub accept_time: Time,
    /// Who accepted (I8).
    pub acceptor: String,
    /// How it ends. `None` while nobody has requested that, and again when it was taken back.
    pub termination: Option<Termination>,
    /// When it ended: set exactly when it is terminated.
    pub terminate_time: Option<Time>,
    /// Grows by one with every change.
    pub version: i64,
}

impl Relationship {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.customer, self.id)
    }
}

/// A relationship with what its readers see of the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The relationship.
    pub relationship: Relationship,
    /// The partner's registered name.
    pub partner_display_name: String,
    /// The partner's verified domain.
    pub partner_verified_domain: String,
}

/// A customer as its partner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerCustomer {
    /// The relationship it rests on.
    pub relationship: Uuid,
    /// The customer.
    pub customer: TenantId,
    /// The partner.
    pub partner: TenantId,
    /// What the partner is to it.
    pub kind: Type,
    /// Where the relationship stands.
    pub state: State,
    /// When it was accepted.
    pub accept_time: Time,
    /// The customer's registered name.
    pub display_name: String,
    /// The customer's country.
    pub country: String,
}

/// The name of a relationship.
#[must_use]
pub fn name(customer: &TenantId, id: Uuid) -> String {
    format!("customers/{customer}/relationships/{id}")
}

#[cfg(test)]
mod tests {
    use super::{State, Type};

    #[test]
    fn a_relationship_is_in_force_until_terminated() {
        let in_force: Vec<bool> = State::ALL.into_iter().map(State::is_in_force).collect();
        assert_eq!(in_force, [true, true, false]);
    }

    #[test]
    fn r24_every_type_but_advisor_transacts() {
        let transacting: Vec<bool> = Type::ALL.into_iter().map(Type::transacts).collect();
        assert_eq!(transacting, [true, false, true, true]);
    }
}
