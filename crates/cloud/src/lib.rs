//! What makes one sovereign cloud differ from another, as data.
//!
//! A [`Policy`] is read from the `policy.toml` of a cloud and checked as a whole before anybody sees it; the
//! [`MarketTable`] says which countries can do business with each other and is the same in every cloud. The ids that both
//! speak of ([`CloudId`], [`ServiceId`], [`CountryCode`], [`TenantId`], [`Role`], [`RuleNumber`]) cannot hold a malformed
//! value.
//!
//! There is nothing here that travels on the wire, waits or decides for one cloud by name: a further cloud is a further
//! file. Reading that file, [`Policy::load`], is the only I/O.

mod failure;
mod id;
mod market;
mod policy;
mod region;

pub use failure::LoadError;
pub use id::{CloudId, CountryCode, IdError, Role, RuleNumber, ServiceId, TenantId};
pub use market::{MarketRow, MarketTable};
pub use policy::{
    AccessRule, BlockingStatus, Claims, DelegableService, DelegationRule, Document, IdentityRule, Obligation,
    PRINCIPAL_KINDS, Policy, Portal, RegionRule, Rules, TerminationRule, TextEditRule,
};
pub use region::{RegionRefusal, RegionRefusalCause};
