//! Partners, customers and users.

use api::field;
use api::relationship as wire;
use cloud::TenantId;

use crate::domain::directory::{Customer, Partner, Status, Tenant, Tier, User};
use crate::error::Error;

/// The longest name of a tenant or person, in characters.
pub const NAME_CHARACTERS_MAX: usize = 128;
/// The longest domain, in characters.
pub const DOMAIN_CHARACTERS_MAX: usize = 253;
/// The longest e-mail address, in characters.
pub const EMAIL_CHARACTERS_MAX: usize = 254;
/// The longest id of a user, in characters.
pub const USER_ID_CHARACTERS_MAX: usize = 128;

/// `partners/{partner}` or `customers/{customer}`.
pub fn tenant(field: &str, name: &str) -> Result<Tenant, Error> {
    let tenant = |id: &str| TenantId::parse(id).ok();
    let partner = api::name::ids(name, ["partners"]).and_then(|[id]| tenant(id)).map(Tenant::Partner);
    let found =
        partner.or_else(|| api::name::ids(name, ["customers"]).and_then(|[id]| tenant(id)).map(Tenant::Customer));
    found.ok_or_else(|| Error::invalid(field, "give partners/{partner} or customers/{customer}"))
}

/// `partners/{partner}/users/{user}` or `customers/{customer}/users/{user}`.
pub fn user_name(field: &str, name: &str) -> Result<(Tenant, String), Error> {
    let pattern = || Error::invalid(field, "give partners/{partner}/users/{user} or customers/{customer}/users/{user}");
    let (parent, id) = name.rsplit_once("/users/").ok_or_else(pattern)?;
    let tenant = tenant(field, parent).map_err(|_| pattern())?;
    Ok((tenant, user_id(field, id)?))
}

/// The id of a user.
pub fn user_id(field: &str, id: &str) -> Result<String, Error> {
    if id.contains('/') {
        return Err(Error::invalid(field, "an id holds no slash"));
    }
    Ok(field::text(field, id, 1..=USER_ID_CHARACTERS_MAX)?.to_owned())
}

/// The fields of a partner that can be written, as `update_mask` names them.
pub const PARTNER_FIELDS: &[&str] =
    &["display_name", "verified_domain", "country", "tier", "signed_contract", "status"];
/// The fields of a customer that can be written, as `update_mask` names them.
pub const CUSTOMER_FIELDS: &[&str] = &["display_name", "country", "domain"];

/// A partner with the named fields taken from the wire.
pub fn merged_partner(mut onto: Partner, from: &wire::Partner, fields: &[&str]) -> Result<Partner, Error> {
    for field in fields {
        match *field {
            "display_name" => {
                onto.display_name =
                    field::text("partner.display_name", &from.display_name, 1..=NAME_CHARACTERS_MAX)?.to_owned();
            }
            "verified_domain" => {
                onto.verified_domain =
                    field::text("partner.verified_domain", &from.verified_domain, 0..=DOMAIN_CHARACTERS_MAX)?
                        .to_owned();
            }
            "country" => onto.country = super::country("partner.country", &from.country)?,
            "tier" => onto.tier = tier_from(from.tier)?,
            "signed_contract" => {
                onto.signed_contract =
                    field::text("partner.signed_contract", &from.signed_contract, 0..=NAME_CHARACTERS_MAX)?.to_owned();
            }
            "status" => onto.status = status_from(from.status)?,
            other => {
                return Err(Error::invalid("update_mask", format!("{other} cannot be written")));
            }
        }
    }
    Ok(onto)
}

/// Refuses a change of status or tier that does not say to what: an update meant for a name must not lift a suspension.
pub fn expect_said(from: &wire::Partner, fields: &[&str]) -> Result<(), Error> {
    let unsaid = [("status", from.status), ("tier", from.tier)];
    match unsaid.into_iter().find(|(field, number)| *number == 0 && fields.contains(field)) {
        Some((field, _)) => {
            Err(Error::invalid(format!("partner.{field}"), "give a value, or leave the field out of update_mask"))
        }
        None => Ok(()),
    }
}

/// A customer with the named fields taken from the wire.
pub fn merged_customer(mut onto: Customer, from: &wire::Customer, fields: &[&str]) -> Result<Customer, Error> {
    for field in fields {
        match *field {
            "display_name" => {
                onto.display_name =
                    field::text("customer.display_name", &from.display_name, 1..=NAME_CHARACTERS_MAX)?.to_owned();
            }
            "country" => onto.country = super::country("customer.country", &from.country)?,
            "domain" => {
                onto.domain = field::text("customer.domain", &from.domain, 0..=DOMAIN_CHARACTERS_MAX)?.to_owned()
            }
            other => {
                return Err(Error::invalid("update_mask", format!("{other} cannot be written")));
            }
        }
    }
    Ok(onto)
}

fn tier_from(number: i32) -> Result<Tier, Error> {
    match wire::PartnerTier::try_from(number) {
        Ok(wire::PartnerTier::Unspecified | wire::PartnerTier::Direct) => Ok(Tier::Direct),
        Ok(wire::PartnerTier::IndirectProvider) => Ok(Tier::IndirectProvider),
        Ok(wire::PartnerTier::IndirectReseller) => Ok(Tier::IndirectReseller),
        Ok(wire::PartnerTier::Advisor) => Ok(Tier::Advisor),
        Err(_) => Err(Error::invalid("partner.tier", "give a tier that PartnerTier names")),
    }
}

fn tier(tier: Tier) -> wire::PartnerTier {
    match tier {
        Tier::Direct => wire::PartnerTier::Direct,
        Tier::IndirectProvider => wire::PartnerTier::IndirectProvider,
        Tier::IndirectReseller => wire::PartnerTier::IndirectReseller,
        Tier::Advisor => wire::PartnerTier::Advisor,
    }
}

fn status_from(number: i32) -> Result<Status, Error> {
    match wire::PartnerStatus::try_from(number) {
        Ok(wire::PartnerStatus::Unspecified | wire::PartnerStatus::Active) => Ok(Status::Active),
        Ok(wire::PartnerStatus::Suspended) => Ok(Status::Suspended),
        Err(_) => Err(Error::invalid("partner.status", "give ACTIVE or SUSPENDED")),
    }
}

fn status(status: Status) -> wire::PartnerStatus {
    match status {
        Status::Active => wire::PartnerStatus::Active,
        Status::Suspended => wire::PartnerStatus::Suspended,
    }
}

/// A partner on the wire.
#[must_use]
pub fn partner(partner: &Partner) -> wire::Partner {
    wire::Partner {
        name: format!("partners/{}", partner.id),
        display_name: partner.display_name.clone(),
        verified_domain: partner.verified_domain.clone(),
        country: partner.country.to_string(),
        tier: tier(partner.tier).into(),
        signed_contract: partner.signed_contract.clone(),
        status: status(partner.status).into(),
        create_time: Some(super::timestamp(partner.create_time)),
        update_time: Some(super::timestamp(partner.update_time)),
        etag: field::etag(partner.version),
    }
}

/// A customer on the wire.
#[must_use]
pub fn customer(customer: &Customer) -> wire::Customer {
    wire::Customer {
        name: format!("customers/{}", customer.id),
        display_name: customer.display_name.clone(),
        country: customer.country.to_string(),
        domain: customer.domain.clone(),
        create_time: Some(super::timestamp(customer.create_time)),
        update_time: Some(super::timestamp(customer.update_time)),
        etag: field::etag(customer.version),
    }
}

/// A user on the wire.
#[must_use]
pub fn user(user: &User) -> wire::User {
    wire::User {
        name: user.name(),
        display_name: user.display_name.clone(),
        email: user.email.clone(),
        create_time: Some(super::timestamp(user.create_time)),
        etag: field::etag(user.version),
    }
}
