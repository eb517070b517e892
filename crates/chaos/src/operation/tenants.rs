//! Those whom clients register, and what customers agree to.

use api::relationship as wire;
use cloud::Policy;

/// A partner that may act.
#[must_use]
pub fn new_partner(
    policy: &Policy,
    id: String,
    display_name: String,
    request_id: String,
) -> wire::CreatePartnerRequest {
    let partner = wire::Partner {
        display_name,
        country: country(policy),
        signed_contract: policy.partner_contract.id.clone(),
        ..Default::default()
    };
    wire::CreatePartnerRequest { partner_id: id, partner: Some(partner), request_id }
}

/// A customer that such partners may meet.
#[must_use]
pub fn new_customer(
    policy: &Policy,
    id: String,
    display_name: String,
    request_id: String,
) -> wire::CreateCustomerRequest {
    let customer = wire::Customer { display_name, country: country(policy), ..Default::default() };
    wire::CreateCustomerRequest { customer_id: id, customer: Some(customer), request_id }
}

fn country(policy: &Policy) -> String {
    let served = policy.region.countries.as_ref().and_then(|countries| countries.first());
    served.map_or("IT", |country| country.as_str()).to_owned()
}

/// Consent to an agreement, dated when it is taken.
#[must_use]
pub fn consent(agreement: &str, version: &str) -> wire::AgreementConsent {
    let signer = wire::Signer {
        first_name: "Gwen".to_owned(),
        last_name: "Sample".to_owned(),
        email: "gwen@customer.example".to_owned(),
        phone: String::new(),
    };
    wire::AgreementConsent {
        agreement: agreement.to_owned(),
        version: version.to_owned(),
        signer: Some(signer),
        accept_time: None,
    }
}
