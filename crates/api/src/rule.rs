//! Who may call each method, as `proto/` declares it.

use crate::ErrorReason;
pub use crate::generated::mandate::method::v1::PrincipalKind;

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// What `option (mandate.method.v1.rule)` says of one method.
#[derive(Debug)]
pub struct MethodRule {
    /// The path of the call: `/mandate.relationship.v1.AccessService/CheckAccess`.
    pub path: &'static str,
    /// The kinds of principal that may call.
    pub callers: &'static [PrincipalKind],
    /// The permission that one of the caller's roles must hold. Empty exactly when `callers` is.
    pub permission: &'static str,
    /// The services that may call, proved by certificate. Not empty exactly for internal methods.
    pub workloads: &'static [&'static str],
    /// True when no credential is needed.
    pub anonymous: bool,
    /// The reason sent to a caller without the permission.
    pub refusal: ErrorReason,
    /// The rule sent with `refusal`. May be empty.
    pub refusal_rule: &'static str,
    /// True when the method may write.
    pub changes: bool,
    /// True when requests or answers are streams.
    pub streams: bool,
}

impl MethodRule {
    /// The rule of the method at this path.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static MethodRule> {
        let found = RULES.binary_search_by(|rule| rule.path.cmp(path));
        found.ok().map(|index| &RULES[index])
    }

    /// True for methods that only services may call. The gateway does not route them.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        !self.workloads.is_empty()
    }

    /// The gRPC service of the method: `mandate.relationship.v1.AccessService`.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.path.trim_start_matches('/').split('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_path() {
        assert!(RULES.len() > 30, "the contract has lost methods");
        for rule in RULES {
            assert_eq!(MethodRule::find(rule.path).map(|found| found.path), Some(rule.path));
        }
        assert!(MethodRule::find("/mandate.relationship.v1.AccessService/CheckNothing").is_none());
    }

    #[test]
    fn only_the_acceptor_may_accept() {
        let rule = MethodRule::find("/mandate.invitation.v1.InvitationService/AcceptInvitation").expect("it exists");
        assert_eq!(rule.callers, [PrincipalKind::Customer]);
        assert_eq!(rule.permission, "invitations.accept");
        assert_eq!((rule.refusal, rule.refusal_rule), (ErrorReason::AcceptorRoleRequired, "R44"));
        assert!(rule.changes && !rule.is_internal());
    }
}
