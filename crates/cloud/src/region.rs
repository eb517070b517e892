//! Whether a partner and a customer may meet in a cloud at all, by the countries of their tenants.
//!
//! What counts is the country set in the tenant, not where a company sits (N26): the caller passes it.

use std::fmt;

use crate::{CountryCode, MarketTable, Policy, RuleNumber};

/// Why a partner and a customer may not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionRefusal {
    /// The rule that forbids it.
    pub rule: RuleNumber,
    /// The country of the partner's tenant.
    pub partner: CountryCode,
    /// The country of the customer's tenant.
    pub customer: CountryCode,
    /// What is in the way.
    pub cause: RegionRefusalCause,
}

/// What is in the way of a partner and a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionRefusalCause {
    /// The cloud does not serve the partner's country.
    PartnerNotServed,
    /// The cloud does not serve the customer's country.
    CustomerNotServed,
    /// No market holds both countries.
    NoSharedMarket,
}

impl fmt::Display for RegionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partner, customer) = (self.partner, self.customer);
        match self.cause {
            RegionRefusalCause::PartnerNotServed => {
                write!(f, "this cloud does not serve partners of {partner}")
            }
            RegionRefusalCause::CustomerNotServed => {
                write!(f, "this cloud does not serve customers of {customer}")
            }
            RegionRefusalCause::NoSharedMarket => {
                write!(f, "a partner of {partner} cannot sell to a customer of {customer}: they share no market")
            }
        }
    }
}

impl std::error::Error for RegionRefusal {}

impl Policy {
    /// Says whether a partner and a customer of these countries may meet in this cloud.
    ///
    /// # Errors
    /// When the cloud serves one of them not (its own rule), or no market holds both (R35). The first in that order.
    pub fn same_region(
        &self,
        markets: &MarketTable,
        partner: &CountryCode,
        customer: &CountryCode,
    ) -> Result<(), RegionRefusal> {
        let refuse = |rule: RuleNumber, cause: RegionRefusalCause| {
            Err(RegionRefusal { rule, partner: *partner, customer: *customer, cause })
        };
        if let Some(countries) = &self.region.countries {
            if !countries.contains(partner) {
                return refuse(self.region.rule.clone(), RegionRefusalCause::PartnerNotServed);
            }
            if !countries.contains(customer) {
                return refuse(self.region.rule.clone(), RegionRefusalCause::CustomerNotServed);
            }
        }
        if markets.shared_markets(*partner, *customer).is_empty() {
            let shared_market = RuleNumber::parse("R35").expect("a rule number");
            return refuse(shared_market, RegionRefusalCause::NoSharedMarket);
        }
        Ok(())
    }
}
