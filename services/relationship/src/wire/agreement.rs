//! Agreements.

use api::field;
use api::relationship as wire;
use clock::Time;
use cloud::{Document, Policy};

use crate::domain::agreement::{Acceptance, Consent, Method, Signer};
use crate::error::Error;

/// A consent from the wire.
pub fn consent(consent: &wire::AgreementConsent) -> Result<Consent, Error> {
    let signer = consent.signer.clone().unwrap_or_default();
    if !signer.email.contains('@') {
        return Err(Error::invalid("agreement.signer.email", "give the e-mail address of who signs"));
    }
    let accept_time = consent
        .accept_time
        .as_ref()
        .map(|time| field::micros("agreement.accept_time", time).map(Time::from_micros))
        .transpose()?;
    Ok(Consent {
        agreement: field::text("agreement.agreement", &consent.agreement, 1..=128)?.to_owned(),
        version: field::text("agreement.version", &consent.version, 1..=64)?.to_owned(),
        signer: Signer {
            first_name: field::text("agreement.signer.first_name", &signer.first_name, 1..=100)?.to_owned(),
            last_name: field::text("agreement.signer.last_name", &signer.last_name, 1..=100)?.to_owned(),
            email: field::text("agreement.signer.email", &signer.email, 3..=254)?.to_owned(),
            phone: field::text("agreement.signer.phone", &signer.phone, 0..=32)?.to_owned(),
        },
        accept_time,
    })
}

/// What the cloud asks for, as an offer.
#[must_use]
pub fn offer(document: &Document) -> wire::AgreementOffer {
    wire::AgreementOffer {
        agreement: document.id.clone(),
        version: document.version.clone(),
        title: document.title.clone(),
        uri: document.uri.clone(),
    }
}

fn method(method: Method) -> wire::AgreementMethod {
    match method {
        Method::Direct => wire::AgreementMethod::Direct,
        Method::Attested => wire::AgreementMethod::Attested,
    }
}

/// An acceptance on the wire.
#[must_use]
pub fn acceptance(acceptance: &Acceptance) -> wire::AgreementAcceptance {
    let signer = &acceptance.signer;
    wire::AgreementAcceptance {
        name: acceptance.name(),
        agreement: acceptance.agreement.clone(),
        version: acceptance.version.clone(),
        method: method(acceptance.method).into(),
        signer: Some(wire::Signer {
            first_name: signer.first_name.clone(),
            last_name: signer.last_name.clone(),
            email: signer.email.clone(),
            phone: signer.phone.clone(),
        }),
        accept_time: Some(super::timestamp(acceptance.accept_time)),
        create_time: Some(super::timestamp(acceptance.create_time)),
    }
}

/// Whether a customer has accepted what its cloud asks for.
#[must_use]
pub fn status(name: String, policy: &Policy, acceptance: Option<&Acceptance>) -> wire::AgreementStatus {
    let required = policy.required_agreement.as_ref();
    wire::AgreementStatus {
        name,
        required: required.map(offer),
        satisfied: required.is_none_or(|required| acceptance.is_some_and(|it| it.version == required.version)),
        acceptance: acceptance.map(Acceptance::name).unwrap_or_default(),
    }
}
