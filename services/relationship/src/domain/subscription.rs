//! Facts about subscriptions. Delegations never change them (R5, N22, I3).

use clock::Time;
use cloud::{ServiceId, TenantId};

/// Whether a subscription runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Running.
    Active,
    /// Suspended; it can be resumed.
    Suspended,
    /// Over.
    Cancelled,
}

/// A subscription of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The customer.
    pub customer: TenantId,
    /// Its id below the customer.
    pub id: String,
    /// The service it is for.
    pub service: ServiceId,
    /// Whether it runs.
    pub status: Status,
    /// The partner that sold it.
    pub original_reseller: Option<TenantId>,
    /// The partner of record.
    pub partner_of_record: Option<TenantId>,
    /// The partner that provisioned it.
    pub provisioned_by: Option<TenantId>,
    /// When it was last written.
    pub update_time: Time,
    /// Grows by one with every change.
    pub version: i64,
}

impl Subscription {
    /// True when a partner sold it, provisioned it or is its partner of record.
    #[must_use]
    pub fn ties(&self, partner: &TenantId) -> bool {
        let parts = [&self.original_reseller, &self.provisioned_by, &self.partner_of_record];
        parts.into_iter().flatten().any(|part| part == partner)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("customers/{}/subscriptions/{}", self.customer, self.id)
    }
}
