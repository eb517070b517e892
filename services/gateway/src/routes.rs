//! Which gRPC service is answered where. What is not in the table is not public.
//!
//! Services are routed, not methods: a method that is new behind the gateway needs no new gateway. Nothing here looks at a
//! caller or a cloud.

use api::rule::MethodRule;

/// Where the calls of a gRPC service are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// In the gateway itself.
    Here,
    /// By the invitation service of the cloud.
    Invitation,
    /// By the relationship service of the cloud.
    Relationship,
    /// By the notification service of the cloud.
    Notification,
}

/// Every public gRPC service, ordered by name.
pub const ROUTES: &[(&str, Destination)] = &[
    ("mandate.cloud.v1.CloudService", Destination::Here),
    ("mandate.invitation.v1.InvitationService", Destination::Invitation),
    ("mandate.notification.v1.EventService", Destination::Notification),
    ("mandate.relationship.v1.AccessService", Destination::Relationship),
    ("mandate.relationship.v1.AgreementService", Destination::Relationship),
    ("mandate.relationship.v1.DelegationService", Destination::Relationship),
    ("mandate.relationship.v1.DirectoryService", Destination::Relationship),
    ("mandate.relationship.v1.RelationshipService", Destination::Relationship),
    ("mandate.relationship.v1.SubscriptionService", Destination::Relationship),
];

/// What the gateway knows of a call from its path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Where it is answered.
    pub destination: Destination,
    /// The rule of the method. `None` for a method that this build of the contract does not have: it is carried like any
    /// unary call that changes something, and the service decides.
    pub rule: Option<&'static MethodRule>,
}

impl Route {
    /// The route of the call at this path, `/{package.Service}/{Method}`. `None` when it is not public, be it internal or
    /// nowhere at all: a stranger cannot tell.
    #[must_use]
    pub fn find(path: &str) -> Option<Route> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let found = ROUTES.binary_search_by(|(name, _)| (*name).cmp(service));
        let (_, destination) = ROUTES[found.ok()?];
        let rule = MethodRule::find(path);
        // Internal methods live in services of their own; should one ever slip into a public service, it stays hidden.
        let public = rule.is_none_or(|rule| !rule.is_internal());
        public.then_some(Route { destination, rule })
    }

    /// True when the call needs a credential.
    #[must_use]
    pub fn needs_credential(&self) -> bool {
        self.rule.is_none_or(|rule| !rule.anonymous)
    }

    /// True when requests or answers are streams.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.rule.is_some_and(|rule| rule.streams)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use api::rule::RULES;

    use super::{Destination, ROUTES, Route};

    #[test]
    fn every_public_service_is_routed_once_and_no_internal_one_is() {
        let mut internal: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for rule in RULES {
            internal.entry(rule.service()).or_default().push(rule.is_internal());
        }
        for (service, methods) in &internal {
            let hidden = methods.iter().all(|internal| *internal);
            let shown = methods.iter().all(|internal| !internal);
            assert!(hidden || shown, "{service} mixes internal and public methods");
            let times = ROUTES.iter().filter(|(name, _)| name == service).count();
            assert_eq!(times, usize::from(shown), "{service}");
        }
        for (service, _) in ROUTES {
            assert!(internal.contains_key(service), "{service} is routed but not in the contract");
        }
        assert!(ROUTES.is_sorted(), "the table is searched by name");
    }

    #[test]
    fn a_service_lives_in_the_process_its_package_names() {
        for (service, destination) in ROUTES {
            let expected = match *destination {
                Destination::Here => "cloud",
                Destination::Invitation => "invitation",
                Destination::Relationship => "relationship",
                Destination::Notification => "notification",
            };
            assert_eq!(service.split('.').nth(1), Some(expected), "{service}");
        }
    }

    #[test]
    fn every_public_method_has_a_route_and_no_internal_one_has() {
        for rule in RULES {
            let route = Route::find(rule.path);
            assert_eq!(route.is_some(), !rule.is_internal(), "{}", rule.path);
            if let Some(route) = route {
                assert_eq!((route.needs_credential(), route.streams()), (!rule.anonymous, rule.streams));
            }
        }
    }

    #[test]
    fn a_method_unknown_to_this_build_is_left_to_its_service() {
        let route = Route::find("/mandate.invitation.v1.InvitationService/FromTheFuture");
        let route = route.expect("its service is routed");
        assert_eq!(route.destination, Destination::Invitation);
        assert!(route.needs_credential() && !route.streams());
    }

    #[test]
    fn a_path_that_is_no_public_call_has_no_route() {
        for path in [
            "",
            "/",
            "//",
            "/mandate.invitation.v1.InvitationService",
            "/mandate.invitation.v1.InvitationService/",
            "mandate.invitation.v1.InvitationService/GetInvitation",
            "/mandate.invitation.v1.invitationservice/GetInvitation",
            "/mandate.invitation.v1.InvitationService/../mandate.relationship.v1.EstablishmentService/Establish",
            "/mandate.invitation.v1.InvitationService//GetInvitation",
            "/mandate.invitation.v1.InvitationService/Get%49nvitation",
            "/mandate.invitation.v1.InvitationService%2FGetInvitation",
            "/mandate.relationship.v1.EstablishmentService/FromTheFuture",
            "/mandate.notification.v1.IngestService/FromTheFuture",
            "/somebody.Else/Method",
        ] {
            assert!(Route::find(path).is_none(), "{path}");
        }
    }
}
