//! The deployed clouds, and tenants, relationships, delegations and subscriptions to put into them.

use std::path::PathBuf;

use clock::{Time, Uuid};
use cloud::{CountryCode, Policy, ServiceId, TenantId};

use crate::domain::agreement::{Acceptance, Consent, Method, Signer};
use crate::domain::delegation::{self, Delegation};
use crate::domain::directory::{Customer, Partner, Status, Tier};
use crate::domain::relationship::{self, Relationship, Type};
use crate::domain::subscription::{self, Subscription};

/// The clouds of `deploy/clouds`.
pub(in crate::domain) const CLOUDS: [&str; 4] = ["public", "china", "germany", "usgov"];

/// When the tests take place.
pub(in crate::domain) const NOW: Time = Time::from_seconds(1_800_000_000);

fn policy_text(cloud: &str) -> String {
    let clouds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clouds");
    std::fs::read_to_string(clouds.join(cloud).join("policy/policy.toml")).unwrap()
}

/// The policy of a cloud, as it is deployed.
pub(in crate::domain) fn policy(cloud: &str) -> Policy {
    Policy::parse(&policy_text(cloud), cloud).unwrap_or_else(|error| panic!("{error}"))
}

/// The same with one switch turned, which stands once in the file.
pub(in crate::domain) fn policy_with(cloud: &str, key: &str, from: &str, to: &str) -> Policy {
    let (before, after) = (format!("\n{key} = {from}"), format!("\n{key} = {to}"));
    let text = policy_text(cloud);
    assert_eq!(text.matches(&before).count(), 1, "{cloud}: {before}");
    Policy::parse(&text.replace(&before, &after), cloud).unwrap_or_else(|error| panic!("{error}"))
}

/// The same with a passage left out besides.
pub(in crate::domain) fn policy_without(cloud: &str, (key, from, to): (&str, &str, &str), without: &str) -> Policy {
    let text = policy_text(cloud);
    let (before, after) = (format!("\n{key} = {from}"), format!("\n{key} = {to}"));
    assert_eq!((text.matches(&before).count(), text.matches(without).count()), (1, 1), "{cloud}: {before} {without}");
    // What follows on the line is a comment.
    let text = text.replace(without, "\n#").replace(&before, &after);
    Policy::parse(&text, cloud).unwrap_or_else(|error| panic!("{error}"))
}

pub(in crate::domain) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(in crate::domain) fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

pub(in crate::domain) fn service(id: &str) -> ServiceId {
    ServiceId::parse(id).unwrap()
}

pub(in crate::domain) fn country(code: &str) -> CountryCode {
    CountryCode::parse(code).unwrap()
}

/// A country in which partner and customer of a cloud may meet.
pub(in crate::domain) fn home(cloud: &str) -> CountryCode {
    let homes = [("public", "DE"), ("china", "CN"), ("germany", "DE"), ("usgov", "US")];
    country(homes.iter().find(|(of, _)| *of == cloud).unwrap().1)
}

/// An active partner that has signed the contract of the cloud.
pub(in crate::domain) fn partner(id: &str, country: CountryCode, policy: &Policy) -> Partner {
    Partner {
        id: tenant(id),
        display_name: id.to_owned(),
        verified_domain: String::new(),
        country,
        tier: Tier::Direct,
        signed_contract: policy.partner_contract.id.clone(),
        status: Status::Active,
        create_time: NOW,
        update_time: NOW,
        version: 1,
    }
}

pub(in crate::domain) fn customer(id: &str, country: CountryCode) -> Customer {
    Customer {
        id: tenant(id),
        display_name: id.to_owned(),
        country,
        domain: String::new(),
        create_time: NOW,
        update_time: NOW,
        version: 1,
    }
}

pub(in crate::domain) fn relationship(id: Uuid, partner: &TenantId, customer: &TenantId, kind: Type) -> Relationship {
    Relationship {
        id,
        customer: customer.clone(),
        partner: partner.clone(),
        kind,
        state: relationship::State::Active,
        origin_link: format!("partners/{partner}/invitationLinks/default"),
        accept_time: NOW,
        acceptor: format!("customers/{customer}/users/ada"),
        termination: None,
        terminate_time: None,
        version: 1,
    }
}

/// An active delegation that does not keep others out.
pub(in crate::domain) fn delegation(id: Uuid, on: &Relationship, service: ServiceId) -> Delegation {
    Delegation {
        id,
        relationship: on.id,
        customer: on.customer.clone(),
        partner: on.partner.clone(),
        service,
        exclusive: false,
        state: delegation::State::Active,
        create_time: NOW,
        end: None,
        version: 1,
    }
}

fn signer() -> Signer {
    Signer {
        first_name: "Ada".to_owned(),
        last_name: "Byron".to_owned(),
        email: "ada@example.org".to_owned(),
        phone: String::new(),
    }
}

/// Consent, now, to the agreement of a cloud; where it has none, to another.
pub(in crate::domain) fn consent(policy: &Policy) -> Consent {
    let required = policy.required_agreement.as_ref();
    Consent {
        agreement: required.map_or_else(|| "some-agreement".to_owned(), |document| document.id.clone()),
        version: required.map_or_else(|| "1".to_owned(), |document| document.version.clone()),
        signer: signer(),
        accept_time: None,
    }
}

/// An acceptance of version 1 of an agreement.
pub(in crate::domain) fn agreement(id: Uuid, customer: &TenantId, agreement: &str) -> Acceptance {
    Acceptance {
        id,
        customer: customer.clone(),
        agreement: agreement.to_owned(),
        version: "1".to_owned(),
        method: Method::Direct,
        signer: signer(),
        accept_time: NOW,
        create_time: NOW,
    }
}

/// A running subscription in which no partner has a part.
pub(in crate::domain) fn subscription(customer: &TenantId, id: &str, service: ServiceId) -> Subscription {
    Subscription {
        customer: customer.clone(),
        id: id.to_owned(),
        service,
        status: subscription::Status::Active,
        original_reseller: None,
        partner_of_record: None,
        provisioned_by: None,
        update_time: NOW,
        version: 1,
    }
}
