//! The tenants of the cloud instance, as registered by operators.

use clock::Time;
use cloud::{CountryCode, TenantId};

/// What a partner is in the sales channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Buys from the operator and sells to customers.
    Direct,
    /// Buys from the operator and sells through indirect resellers.
    IndirectProvider,
    /// Sells what an indirect provider buys.
    IndirectReseller,
    /// Advises customers and does not transact.
    Advisor,
}

impl Tier {
    /// True for partners that transact, whose tenants other partners cannot sell to (N24).
    #[must_use]
    pub fn transacts(self) -> bool {
        match self {
            Tier::Direct | Tier::IndirectProvider | Tier::IndirectReseller => true,
            Tier::Advisor => false,
        }
    }
}

/// Whether a partner may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Active,
    /// It may not.
    Suspended,
}

/// A partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its tenant.
    pub id: TenantId,
    /// The registered name.
    pub display_name: String,
    /// The domain the operator has verified. May be empty.
    pub verified_domain: String,
    /// The country of the tenant, which decides the region (R35, N26).
    pub country: CountryCode,
    /// What it is in the sales channel.
    pub tier: Tier,
    /// The id of the contract it has signed. May be empty.
    pub signed_contract: String,
    /// Whether it may act.
    pub status: Status,
    /// When it was registered.
    pub create_time: Time,
    /// When it was last changed.
    pub update_time: Time,
    /// Grows by one with every change.
    pub version: i64,
}

impl Partner {
    /// True while it may be given anything: it is active, and has signed the contract that the cloud asks for (R30, R47).
    #[must_use]
    pub fn may_act(&self, contract: &str) -> bool {
        self.status == Status::Active && self.signed_contract == contract
    }
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Its tenant.
    pub id: TenantId,
    /// The registered name.
    pub display_name: String,
    /// The country of the tenant, which decides the region (R35, N26).
    pub country: CountryCode,
    /// Its domain. May be empty.
    pub domain: String,
    /// When it was registered.
    pub create_time: Time,
    /// When it was last changed.
    pub update_time: Time,
    /// Grows by one with every change.
    pub version: i64,
}

/// Whose user somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// A partner's.
    Partner(TenantId),
    /// A customer's.
    Customer(TenantId),
}

impl Tenant {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Tenant::Partner(id) => format!("partners/{id}"),
            Tenant::Customer(id) => format!("customers/{id}"),
        }
    }
}

/// A user of a tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Whose user.
    pub tenant: Tenant,
    /// The subject of the user's tokens.
    pub id: String,
    /// The name of the person.
    pub display_name: String,
    /// E-mail address. May be empty.
    pub email: String,
    /// When registered.
    pub create_time: Time,
    /// Grows by one with every change.
    pub version: i64,
}

impl User {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/users/{}", self.tenant.name(), self.id)
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({}/…)", self.tenant.name()) // a person: never in a log
    }
}
