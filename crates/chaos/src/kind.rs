//! Kinds of calls: which there are, how often each comes, and for what it may be refused.

use api::ErrorReason as Reason;

use crate::random::Random;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `AcceptInvitation`
    Accept,
    /// `RemoveDelegation`
    Remove,
    /// `ReassignDelegation`
    Reassign,
    /// `RequestTermination`, at once or by a notice longer than any round.
    Terminate,
    /// `CancelTermination`
    CancelTermination,
    /// `RotateInvitationLink`
    RotateLink,
    /// `DisableInvitationLink`
    DisableLink,
    /// `UpdateSubscription`
    UpdateSubscription,
    /// `CreatePartner`
    CreatePartner,
    /// `CreateCustomer`
    CreateCustomer,
    /// `CreateUser`
    CreateUser,
    /// `UpdatePartner`
    UpdatePartner,
    /// `UpdateCustomer`
    UpdateCustomer,
    /// `CheckAccess`, with a token or fully consistent.
    CheckAccess,
    /// Any other read.
    Read,
    /// A call that was made before, made again after the round.
    Repeat,
}

impl Kind {
    /// Every change.
    pub const CHANGES: [Kind; 13] = [
        Kind::Accept,
        Kind::Remove,
        Kind::Reassign,
        Kind::Terminate,
        Kind::CancelTermination,
        Kind::RotateLink,
        Kind::DisableLink,
        Kind::UpdateSubscription,
        Kind::CreatePartner,
        Kind::CreateCustomer,
        Kind::CreateUser,
        Kind::UpdatePartner,
        Kind::UpdateCustomer,
    ];

    /// The method; empty for kinds that stand for several.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Kind::Accept => "/mandate.invitation.v1.InvitationService/AcceptInvitation",
            Kind::Remove => "/mandate.relationship.v1.DelegationService/RemoveDelegation",
            Kind::Reassign => "/mandate.relationship.v1.DelegationService/ReassignDelegation",
            Kind::Terminate => "/mandate.relationship.v1.RelationshipService/RequestTermination",
            Kind::CancelTermination => "/mandate.relationship.v1.RelationshipService/CancelTermination",
            Kind::RotateLink => "/mandate.invitation.v1.InvitationService/RotateInvitationLink",
            Kind::DisableLink => "/mandate.invitation.v1.InvitationService/DisableInvitationLink",
            Kind::UpdateSubscription => "/mandate.relationship.v1.SubscriptionService/UpdateSubscription",
            Kind::CreatePartner => "/mandate.relationship.v1.DirectoryService/CreatePartner",
            Kind::CreateCustomer => "/mandate.relationship.v1.DirectoryService/CreateCustomer",
            Kind::CreateUser => "/mandate.relationship.v1.DirectoryService/CreateUser",
            Kind::UpdatePartner => "/mandate.relationship.v1.DirectoryService/UpdatePartner",
            Kind::UpdateCustomer => "/mandate.relationship.v1.DirectoryService/UpdateCustomer",
            Kind::CheckAccess => "/mandate.relationship.v1.AccessService/CheckAccess",
            Kind::Read | Kind::Repeat => "",
        }
    }

    /// The reasons for which such a call may be refused here, where credentials are good and fields are well-formed.
    #[must_use]
    pub const fn refusals(self) -> &'static [Reason] {
        match self {
            Kind::Accept => &[
                Reason::LinkDisabled,
                Reason::ServiceAlreadyDelegated,
                Reason::AgreementRequired,
                Reason::ReplacementInvalid,
                Reason::PartnerNotActive,
                Reason::ConcurrentAcceptance,
            ],
            Kind::Remove => &[Reason::DelegationNotActive, Reason::EtagMismatch],
            Kind::Reassign => &[
                Reason::DelegationNotActive,
                Reason::EtagMismatch,
                Reason::RelationshipRequired,
                Reason::PartnerNotActive,
                Reason::ServiceAlreadyDelegated,
            ],
            Kind::Terminate => &[Reason::RelationshipNotActive, Reason::EtagMismatch, Reason::TerminationBlocked],
            Kind::CancelTermination => {
                &[Reason::RelationshipNotTerminating, Reason::EtagMismatch, Reason::TerminationOfOtherSide]
            }
            Kind::RotateLink | Kind::DisableLink | Kind::UpdateSubscription => &[Reason::EtagMismatch],
            Kind::CreatePartner | Kind::CreateCustomer | Kind::CreateUser => &[Reason::ResourceExists],
            Kind::UpdatePartner | Kind::UpdateCustomer => &[Reason::EtagMismatch],
            // What is read before it is written may not be there yet.
            Kind::Read => &[Reason::ResourceNotFound],
            Kind::CheckAccess | Kind::Repeat => &[],
        }
    }

    /// The next kind: those that meet most come most.
    pub fn next(random: &mut Random) -> Kind {
        match random.below(100) {
            0..26 => Kind::Accept,
            26..38 => Kind::Remove,
            38..47 => Kind::Reassign,
            47..51 => Kind::Terminate,
            51..54 => Kind::CancelTermination,
            54..58 => Kind::RotateLink,
            58..60 => Kind::DisableLink,
            60..66 => Kind::UpdateSubscription,
            66..68 => Kind::CreatePartner,
            68..70 => Kind::CreateCustomer,
            70..73 => Kind::CreateUser,
            73..77 => Kind::UpdatePartner,
            77..81 => Kind::UpdateCustomer,
            81..93 => Kind::CheckAccess,
            _ => Kind::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use api::rule::RULES;

    use super::Kind;

    #[test]
    fn every_change_of_the_contract_is_among_the_operations() {
        let changes: BTreeSet<&str> =
            RULES.iter().filter(|rule| rule.changes && !rule.is_internal()).map(|rule| rule.path).collect();
        let done: BTreeSet<&str> = Kind::CHANGES.iter().map(|kind| kind.path()).collect();
        let missing: Vec<&&str> = changes.difference(&done).collect();
        assert!(missing.is_empty(), "give {missing:?} an operation in crates/chaos/src/kind.rs and operation.rs");
        assert!(done.is_subset(&changes), "an operation calls what is no change of the contract");
    }
}
