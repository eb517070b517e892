//! Subscriptions.

use api::field::{self, Invalid};
use api::relationship as wire;
use cloud::TenantId;

use crate::domain::subscription::{Status, Subscription};
use crate::error::Error;

/// `customers/{customer}/subscriptions/{subscription}`.
pub fn name(field: &str, name: &str) -> Result<(TenantId, String), Error> {
    let pattern = "give customers/{customer}/subscriptions/{subscription}";
    let [customer, id] =
        api::name::ids(name, ["customers", "subscriptions"]).ok_or_else(|| Error::invalid(field, pattern))?;
    let customer = TenantId::parse(customer).map_err(|_| Error::invalid(field, pattern))?;
    // A subscription id has the form of every other id, a tenant's for one.
    let id = super::tenant_id(field, id)?;
    Ok((customer, id.as_str().to_owned()))
}

/// The fields of a subscription that can be written, as `update_mask` names them.
pub const FIELDS: &[&str] = &["service", "status", "original_reseller", "partner_of_record", "provisioned_by"];

/// The facts of a subscription with the named fields taken from the wire. Unset partners are given by empty names.
pub fn merged(mut onto: Subscription, from: &wire::Subscription, fields: &[&str]) -> Result<Subscription, Error> {
    for field in fields {
        match *field {
            "service" => onto.service = super::service("subscription.service", &from.service)?,
            "status" => onto.status = status_from(from.status())?,
            "original_reseller" => {
                onto.original_reseller = partner("subscription.original_reseller", &from.original_reseller)?
            }
            "partner_of_record" => {
                onto.partner_of_record = partner("subscription.partner_of_record", &from.partner_of_record)?
            }
            "provisioned_by" => onto.provisioned_by = partner("subscription.provisioned_by", &from.provisioned_by)?,
            other => {
                return Err(Error::invalid("update_mask", format!("{other} cannot be written")));
            }
        }
    }
    Ok(onto)
}

fn partner(field: &str, name: &str) -> Result<Option<TenantId>, Invalid> {
    if name.is_empty() {
        return Ok(None);
    }
    super::partner(field, name).map(Some)
}

fn status_from(status: wire::SubscriptionStatus) -> Result<Status, Error> {
    match status {
        wire::SubscriptionStatus::Active => Ok(Status::Active),
        wire::SubscriptionStatus::Suspended => Ok(Status::Suspended),
        wire::SubscriptionStatus::Cancelled => Ok(Status::Cancelled),
        wire::SubscriptionStatus::Unspecified => {
            Err(Error::invalid("subscription.status", "give ACTIVE, SUSPENDED or CANCELLED"))
        }
    }
}

fn status(status: Status) -> wire::SubscriptionStatus {
    match status {
        Status::Active => wire::SubscriptionStatus::Active,
        Status::Suspended => wire::SubscriptionStatus::Suspended,
        Status::Cancelled => wire::SubscriptionStatus::Cancelled,
    }
}

/// A subscription on the wire.
#[must_use]
pub fn subscription(subscription: &Subscription) -> wire::Subscription {
    let name = |tenant: &Option<TenantId>| tenant.as_ref().map(|id| format!("partners/{id}")).unwrap_or_default();
    wire::Subscription {
        name: subscription.name(),
        service: subscription.service.to_string(),
        status: status(subscription.status).into(),
        original_reseller: name(&subscription.original_reseller),
        partner_of_record: name(&subscription.partner_of_record),
        provisioned_by: name(&subscription.provisioned_by),
        update_time: Some(super::timestamp(subscription.update_time)),
        etag: field::etag(subscription.version),
    }
}
