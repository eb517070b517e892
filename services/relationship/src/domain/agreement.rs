//! Agreements that customers accept.

use clock::{Time, Uuid};
use cloud::TenantId;

/// How an agreement was accepted (N32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the customer itself.
    Direct,
    /// On the partner's word.
    Attested,
}

/// Who signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Phone number. May be empty.
    pub phone: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)") // a person: never in a log
    }
}

/// A customer's consent, carried by an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The agreement consented to.
    pub agreement: String,
    /// Its version.
    pub version: String,
    /// Who signs.
    pub signer: Signer,
    /// When it was signed. `None` means now.
    pub accept_time: Option<Time>,
}

/// An agreement accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Its id.
    pub id: Uuid,
    /// The customer.
    pub customer: TenantId,
    /// The agreement.
    pub agreement: String,
    /// Its version.
    pub version: String,
    /// How.
    pub method: Method,
    /// Who signed.
    pub signer: Signer,
    /// When it was signed.
    pub accept_time: Time,
    /// When it was recorded.
    pub create_time: Time,
}

impl Acceptance {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("customers/{}/agreementAcceptances/{}", self.customer, self.id)
    }
}
