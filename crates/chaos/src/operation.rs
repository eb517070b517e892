//! What clients do: every change of the contract, over few partners and customers so that they meet, and the reads between.

use api::ErrorReason as Reason;
use api::invitation as links;
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use cloud::Policy;
use prost::Message as _;
use prost_types::FieldMask;

use crate::client::{Actor, CUSTOMERS, Client, PARTNERS};
use crate::history::Outcome;
use crate::random::Random;
use crate::round::Removals;
use tenants::{consent, new_customer, new_partner};

mod part;
pub mod tenants;

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
                Reason::ReplacementInvalid,
                Reason::ResourceExists,
                Reason::FieldInvalid,
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

/// One planned operation: a kind, and the numbers by which it chooses among what it finds.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What to do.
    pub kind: Kind,
    /// What it chooses by.
    pub random: Random,
}

const GET_LINK: &str = "/mandate.invitation.v1.InvitationService/GetInvitationLink";
const LIST_DELEGATIONS: &str = "/mandate.relationship.v1.DelegationService/ListDelegations";
const GET_SUBSCRIPTION: &str = "/mandate.relationship.v1.SubscriptionService/GetSubscription";
const GET_CUSTOMER: &str = "/mandate.relationship.v1.DirectoryService/GetCustomer";
const LIST_RELATIONSHIPS: &str = "/mandate.relationship.v1.RelationshipService/ListRelationships";
const LIST_CUSTOMERS: &str = "/mandate.relationship.v1.RelationshipService/ListPartnerCustomers";

/// Carries out operations for one client.
#[derive(Debug)]
pub struct Doer<'a> {
    /// Who calls.
    pub client: Client,
    /// The policy of the cloud.
    pub policy: &'a Policy,
    /// What was removed, and the tokens of that.
    pub removals: &'a Removals,
}

impl Doer<'_> {
    /// Does it, repeating each request until its outcome is known.
    pub async fn perform(&self, operation: Operation) {
        let Operation { kind, mut random } = operation;
        let random = &mut random;
        match kind {
            Kind::Accept => self.accept(random).await,
            Kind::Remove | Kind::Reassign => self.end(kind, random).await,
            Kind::Terminate | Kind::CancelTermination => self.part(kind, random).await,
            Kind::RotateLink | Kind::DisableLink => self.link(kind, random).await,
            Kind::UpdateSubscription => self.subscription(random).await,
            Kind::CreatePartner | Kind::CreateCustomer | Kind::CreateUser => self.create(kind, random).await,
            Kind::UpdatePartner | Kind::UpdateCustomer => self.update(kind, random).await,
            Kind::CheckAccess => self.check_access(random).await,
            Kind::Read | Kind::Repeat => self.look(random).await,
        }
    }

    async fn change<M: prost::Message>(&self, actor: Actor, kind: Kind, request: &M) -> Outcome {
        self.client.ask(actor, kind, kind.path(), request.encode_to_vec().into()).await
    }

    /// The id of a link for some of the services.
    fn slug(&self, random: &mut Random) -> String {
        let mut services: Vec<&str> =
            self.policy.services.iter().map(|service| service.id.as_str()).filter(|_| random.once_in(2)).collect();
        if services.is_empty() && (!self.policy.delegation.optional || !random.once_in(4)) {
            services.push(self.policy.services[0].id.as_str());
        }
        services.sort_unstable();
        std::iter::once("reseller").chain(services).collect::<Vec<_>>().join(".")
    }

    async fn delegations(&self, customer: u64) -> Vec<wire::Delegation> {
        let parent = format!("{}/relationships/-", self.client.scene.customer(customer));
        let request =
            wire::ListDelegationsRequest { parent, filter: "state = ACTIVE".to_owned(), ..Default::default() };
        let page: Option<wire::ListDelegationsResponse> =
            self.client.read(Actor::Admin(customer), LIST_DELEGATIONS, &request).await;
        page.map(|page| page.delegations).unwrap_or_default()
    }

    async fn accept(&self, random: &mut Random) {
        let (partner, customer) = (random.below(PARTNERS), random.below(CUSTOMERS));
        let slug = self.slug(random);
        let name = format!("{}/invitationLinks/{slug}", self.client.scene.partner(partner));
        let request = links::GetInvitationLinkRequest { name };
        let link: Option<links::InvitationLink> = self.client.read(Actor::Agent(partner), GET_LINK, &request).await;
        let Some(link) = link else { return };
        let mut replace = Vec::new();
        if random.once_in(2) {
            let held = self.delegations(customer).await;
            let theirs = held.iter().filter(|held| held.partner != self.client.scene.partner(partner));
            replace.extend(theirs.filter(|held| link.services.contains(&held.service)).map(|held| held.name.clone()));
        }
        let agreement = self.policy.required_agreement.as_ref().filter(|_| !random.once_in(4));
        let request = links::AcceptInvitationRequest {
            token: link.token,
            customer: self.client.scene.customer(customer),
            agreement: agreement.map(|agreement| consent(&agreement.id, &agreement.version)),
            replace,
            validate_only: false,
            request_id: random.uuid(),
        };
        self.change(Actor::Admin(customer), Kind::Accept, &request).await;
    }

    async fn end(&self, kind: Kind, random: &mut Random) {
        let customer = random.below(CUSTOMERS);
        let (pick, checks_etag) = (random.number(), random.once_in(2));
        let (to, reason, request_id) =
            (random.below(PARTNERS), format!("because {}", random.below(100)), random.uuid());
        let held = self.delegations(customer).await;
        let Some(one) = held.get(usize::try_from(pick % held.len().max(1) as u64).unwrap_or_default()) else { return };
        let (name, etag) = (one.name.clone(), if checks_etag { one.etag.clone() } else { String::new() });
        let actor = Actor::Admin(customer);
        if kind == Kind::Reassign {
            let to_partner = self.client.scene.partner(to);
            let request = wire::ReassignDelegationRequest { name, to_partner, etag, reason, request_id };
            self.change(actor, kind, &request).await;
            return;
        }
        let request = wire::RemoveDelegationRequest { name, etag, reason, request_id };
        if let Outcome::Answered(answer) = self.change(actor, kind, &request).await
            && let Some(token) = answer.token
        {
            self.removals.add(one.clone(), self.client.scene.customer(customer), token);
            self.check_access(random).await;
        }
    }

    async fn link(&self, kind: Kind, random: &mut Random) {
        let partner = random.below(PARTNERS);
        let name = format!("{}/invitationLinks/{}", self.client.scene.partner(partner), self.slug(random));
        let (checks_etag, reason, request_id) = (random.once_in(3), "it went astray".to_owned(), random.uuid());
        // A link begins with its first read.
        let request = links::GetInvitationLinkRequest { name: name.clone() };
        let link: Option<links::InvitationLink> = self.client.read(Actor::Agent(partner), GET_LINK, &request).await;
        let Some(link) = link else { return };
        let etag = if checks_etag { link.etag } else { String::new() };
        if kind == Kind::RotateLink {
            let request = links::RotateInvitationLinkRequest { name, etag, request_id, reason };
            self.change(Actor::Agent(partner), kind, &request).await;
        } else {
            let request = links::DisableInvitationLinkRequest { name, etag, request_id, reason };
            self.change(Actor::Agent(partner), kind, &request).await;
        }
    }

    async fn subscription(&self, random: &mut Random) {
        let name = format!("{}/subscriptions/{}", self.client.scene.customer(random.below(CUSTOMERS)), random.below(2));
        let (checks_etag, request_id) = (random.once_in(3), random.uuid());
        let statuses = [wire::SubscriptionStatus::Active, wire::SubscriptionStatus::Suspended];
        let status = random.one_of(&statuses);
        let mut etag = String::new();
        if checks_etag {
            let request = wire::GetSubscriptionRequest { name: name.clone() };
            let found: Option<wire::Subscription> = self.client.read(Actor::Operator, GET_SUBSCRIPTION, &request).await;
            etag = found.map(|found| found.etag).unwrap_or_default();
        }
        let subscription = wire::Subscription {
            name,
            service: self.policy.services[0].id.as_str().to_owned(),
            status: status.into(),
            original_reseller: self.client.scene.partner(random.below(PARTNERS)),
            etag,
            ..Default::default()
        };
        let request = wire::UpdateSubscriptionRequest {
            subscription: Some(subscription),
            update_mask: None,
            allow_missing: true,
            request_id,
        };
        self.change(Actor::Operator, Kind::UpdateSubscription, &request).await;
    }

    async fn create(&self, kind: Kind, random: &mut Random) {
        let (round, number) = (self.client.scene.round, random.below(4));
        let (display_name, request_id) = (format!("Name {}", random.below(1000)), random.uuid());
        match kind {
            Kind::CreatePartner => {
                let id = format!("round-{round}-new-partner-{number}");
                let request = new_partner(self.policy, id, display_name, request_id);
                self.change(Actor::Operator, kind, &request).await;
            }
            Kind::CreateCustomer => {
                let id = format!("round-{round}-new-customer-{number}");
                let request = new_customer(self.policy, id, display_name, request_id);
                self.change(Actor::Operator, kind, &request).await;
            }
            Kind::CreateUser
            | Kind::Accept
            | Kind::Remove
            | Kind::Reassign
            | Kind::Terminate
            | Kind::CancelTermination
            | Kind::RotateLink
            | Kind::DisableLink
            | Kind::UpdateSubscription
            | Kind::UpdatePartner
            | Kind::UpdateCustomer
            | Kind::CheckAccess
            | Kind::Read
            | Kind::Repeat => {
                let parent = self.client.scene.customer(random.below(CUSTOMERS));
                let user = wire::User { display_name, ..Default::default() };
                let user_id = format!("user-{number}");
                let request = wire::CreateUserRequest { parent, user_id, user: Some(user), request_id };
                self.change(Actor::Operator, Kind::CreateUser, &request).await;
            }
        }
    }

    async fn update(&self, kind: Kind, random: &mut Random) {
        let (display_name, request_id) = (format!("Name {}", random.below(1000)), random.uuid());
        let mask = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });
        if kind == Kind::UpdatePartner {
            let number = random.below(PARTNERS);
            let mut partner = wire::Partner { name: self.client.scene.partner(number), ..Default::default() };
            let mut update_mask = mask("display_name");
            partner.display_name = display_name;
            // The last partner is suspended now and then.
            if number == PARTNERS - 1 {
                let statuses =
                    [wire::PartnerStatus::Active, wire::PartnerStatus::Active, wire::PartnerStatus::Suspended];
                partner.set_status(random.one_of(&statuses));
                update_mask = mask("status");
            }
            let request = wire::UpdatePartnerRequest { partner: Some(partner), update_mask, request_id };
            self.change(Actor::Operator, kind, &request).await;
            return;
        }
        let name = self.client.scene.customer(random.below(CUSTOMERS));
        let mut etag = String::new();
        if random.once_in(3) {
            let request = wire::GetCustomerRequest { name: name.clone() };
            let found: Option<wire::Customer> = self.client.read(Actor::Operator, GET_CUSTOMER, &request).await;
            etag = found.map(|found| found.etag).unwrap_or_default();
        }
        let customer = wire::Customer { name, display_name, etag, ..Default::default() };
        let update_mask = mask("display_name");
        let request = wire::UpdateCustomerRequest { customer: Some(customer), update_mask, request_id };
        self.change(Actor::Operator, kind, &request).await;
    }

    /// After an acknowledged removal nobody who shows its token is told that the removed privilege allows anything.
    async fn check_access(&self, random: &mut Random) {
        let removal = if random.once_in(3) { None } else { self.removals.one(random) };
        let (partner, customer, service, requirement) = match &removal {
            Some(removed) => (
                removed.delegation.partner.clone(),
                removed.customer.clone(),
                removed.delegation.service.clone(),
                Requirement::AtLeastAsFresh(removed.token.clone()),
            ),
            None => (
                self.client.scene.partner(random.below(PARTNERS)),
                self.client.scene.customer(random.below(CUSTOMERS)),
                random
                    .one_of(&self.policy.services.iter().map(|service| service.id.as_str()).collect::<Vec<_>>())
                    .to_owned(),
                Requirement::FullyConsistent(()),
            ),
        };
        let request = wire::CheckAccessRequest {
            partner,
            customer,
            action: wire::Action::ManageUsers.into(),
            target: Some(Target::Service(service)),
            consistency: Some(wire::Consistency { requirement: Some(requirement) }),
        };
        let Outcome::Answered(answer) = self.change(Actor::Checker, Kind::CheckAccess, &request).await else { return };
        let (Some(removed), Ok(answer)) = (removal, wire::CheckAccessResponse::decode(answer.message)) else { return };
        if answer.allowed && answer.grant == removed.delegation.name {
            let name = &removed.delegation.name;
            self.client.history.problem(format!("CheckAccess allows by {name}, with the token of its removal"));
        }
    }

    async fn look(&self, random: &mut Random) {
        let customer = random.below(CUSTOMERS);
        if random.once_in(2) {
            let parent = self.client.scene.customer(customer);
            let request = wire::ListRelationshipsRequest { parent, ..Default::default() };
            let _kept: Option<wire::ListRelationshipsResponse> =
                self.client.read(Actor::Admin(customer), LIST_RELATIONSHIPS, &request).await;
            return;
        }
        let partner = random.below(PARTNERS);
        let parent = self.client.scene.partner(partner);
        let request = wire::ListPartnerCustomersRequest { parent, ..Default::default() };
        let _kept: Option<wire::ListPartnerCustomersResponse> =
            self.client.read(Actor::Agent(partner), LIST_CUSTOMERS, &request).await;
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
        assert!(missing.is_empty(), "give {missing:?} an operation in crates/chaos/src/operation.rs");
        assert!(done.is_subset(&changes), "an operation calls what is no change of the contract");
    }
}
