//! The caller of a call, as its token describes it.

use std::collections::BTreeSet;
use std::fmt;

use api::rule::PrincipalKind;
use cloud::TenantId;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What would end or confuse a segment of a resource name.
const SEGMENT: &AsciiSet = &CONTROLS.add(b'/').add(b'%').add(b' ');

/// Who calls. It never shows the person or the token when it is logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    /// What kind of principal it is.
    pub kind: PrincipalKind,
    /// The tenant it belongs to: the partner or customer itself.
    pub tenant: TenantId,
    /// The person or workload, as the issuer names it.
    pub subject: String,
    /// Its roles, by our names.
    pub roles: BTreeSet<String>,
    /// The token it came with, to be shown to another service on its behalf.
    pub token: String,
}

impl Caller {
    /// The resource name of the caller: `partners/T/users/S`, `customers/T/users/S`, `operators/S` or `workloads/S`.
    #[must_use]
    pub fn user_name(&self) -> String {
        let (tenant, subject) = (&self.tenant, utf8_percent_encode(&self.subject, SEGMENT));
        match self.kind {
            PrincipalKind::Partner => format!("partners/{tenant}/users/{subject}"),
            PrincipalKind::Customer => format!("customers/{tenant}/users/{subject}"),
            PrincipalKind::Operator => format!("operators/{subject}"),
            PrincipalKind::Workload => format!("workloads/{subject}"),
            PrincipalKind::Unspecified => format!("principals/{subject}"),
        }
    }

    /// True for a user of this partner.
    #[must_use]
    pub fn is_partner(&self, tenant: &TenantId) -> bool {
        self.kind == PrincipalKind::Partner && self.tenant == *tenant
    }

    /// True for a user of this customer.
    #[must_use]
    pub fn is_customer(&self, tenant: &TenantId) -> bool {
        self.kind == PrincipalKind::Customer && self.tenant == *tenant
    }

    /// True for an operator of the cloud.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.kind == PrincipalKind::Operator
    }

    /// True for a service of the cloud that acts for itself.
    #[must_use]
    pub fn is_workload(&self) -> bool {
        self.kind == PrincipalKind::Workload
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("kind", &self.kind)
            .field("tenant", &self.tenant.as_str())
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(kind: PrincipalKind, subject: &str) -> Caller {
        Caller {
            kind,
            tenant: TenantId::parse("contoso").unwrap(),
            subject: subject.to_owned(),
            roles: BTreeSet::new(),
            token: "a.b.c".to_owned(),
        }
    }

    #[test]
    fn names_follow_the_kind() {
        let name = |kind| caller(kind, "ann").user_name();
        assert_eq!(name(PrincipalKind::Partner), "partners/contoso/users/ann");
        assert_eq!(name(PrincipalKind::Customer), "customers/contoso/users/ann");
        assert_eq!(name(PrincipalKind::Operator), "operators/ann");
        assert_eq!(name(PrincipalKind::Workload), "workloads/ann");
    }

    #[test]
    fn a_subject_cannot_leave_its_segment() {
        let name = caller(PrincipalKind::Partner, "../x/%2e").user_name();
        assert_eq!(name, "partners/contoso/users/..%2Fx%2F%252e");
    }

    #[test]
    fn what_is_logged_shows_neither_person_nor_token() {
        let text = format!("{:?}", caller(PrincipalKind::Customer, "ann@contoso.example"));
        assert!(!text.contains("ann") && !text.contains("a.b.c"), "{text}");
        assert!(text.contains("contoso"), "{text}");
    }

    #[test]
    fn partner_and_customer_of_one_id_are_not_each_other() {
        let tenant = TenantId::parse("contoso").unwrap();
        let partner = caller(PrincipalKind::Partner, "ann");
        assert!(partner.is_partner(&tenant) && !partner.is_customer(&tenant));
        assert!(!partner.is_partner(&TenantId::parse("fabrikam").unwrap()));
        assert!(!partner.is_operator() && !partner.is_workload());
    }
}
