//! What clients do: every change of the contract, over few partners and customers so that they meet, and the reads between.

use api::invitation as links;
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use cloud::Policy;
use prost::Message as _;
use prost_types::FieldMask;

use crate::client::{Actor, CUSTOMERS, Client, PARTNERS};
use crate::history::Outcome;
use crate::kind::Kind;
use crate::random::Random;
use crate::round::Removals;
use tenants::{consent, new_customer, new_partner};

mod part;
pub mod tenants;

/// One planned operation: a kind, and the numbers by which it chooses among what it finds.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What to do.
    pub kind: Kind,
    /// What it chooses by.
    pub random: Random,
}

/// By which partners read their links, and so begin them.
pub(crate) const GET_LINK: &str = "/mandate.invitation.v1.InvitationService/GetInvitationLink";
const LIST_DELEGATIONS: &str = "/mandate.relationship.v1.DelegationService/ListDelegations";
const GET_SUBSCRIPTION: &str = "/mandate.relationship.v1.SubscriptionService/GetSubscription";
const GET_CUSTOMER: &str = "/mandate.relationship.v1.DirectoryService/GetCustomer";
const LIST_RELATIONSHIPS: &str = "/mandate.relationship.v1.RelationshipService/ListRelationships";
const LIST_CUSTOMERS: &str = "/mandate.relationship.v1.RelationshipService/ListPartnerCustomers";
const LIST_EVENTS: &str = "/mandate.notification.v1.EventService/ListEvents";

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

    /// Mostly with the token of a removal, and for what was removed.
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
        self.change(Actor::Checker, Kind::CheckAccess, &request).await;
    }

    async fn look(&self, random: &mut Random) {
        let (customer, partner) = (random.below(CUSTOMERS), random.below(PARTNERS));
        let (of_customer, of_partner) = (self.client.scene.customer(customer), self.client.scene.partner(partner));
        let (path, actor, parent) = random.one_of(&[
            (LIST_RELATIONSHIPS, Actor::Admin(customer), &of_customer),
            (LIST_CUSTOMERS, Actor::Agent(partner), &of_partner),
            (LIST_EVENTS, Actor::Admin(customer), &of_customer),
            (LIST_EVENTS, Actor::Agent(partner), &of_partner),
        ]);
        // All lists begin with their parent, and what they answer is kept.
        let request = wire::ListRelationshipsRequest { parent: parent.clone(), ..Default::default() };
        self.client.ask(actor, Kind::Read, path, request.encode_to_vec().into()).await;
    }
}
