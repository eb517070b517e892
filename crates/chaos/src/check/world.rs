//! All that the public contract tells of the tenants of a round, once it is over.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use api::invitation as links;
use api::notification as history;
use api::relationship as wire;
use prost::Message;

use crate::client::{Actor, CUSTOMERS, Client, PARTNERS};

/// Rows of a page, the most there can be.
const PAGE: i32 = 1000;
/// Pages of a list at most: more is a list that does not end.
const PAGES_MAX: usize = 100;

/// What there is.
#[derive(Debug, Default)]
pub struct World {
    /// Relationships of the customers.
    pub relationships: Vec<wire::Relationship>,
    /// Their delegations, ended ones too.
    pub delegations: Vec<wire::Delegation>,
    /// Their agreements.
    pub agreements: Vec<wire::AgreementAcceptance>,
    /// Their subscriptions.
    pub subscriptions: Vec<wire::Subscription>,
    /// Their users.
    pub users: Vec<wire::User>,
    /// All partners of the round.
    pub partners: Vec<wire::Partner>,
    /// All customers of the round.
    pub customers: Vec<wire::Customer>,
    /// The links of the partners.
    pub links: Vec<links::InvitationLink>,
    /// The customers that each partner sees.
    pub seen_by: BTreeMap<String, Vec<wire::PartnerCustomer>>,
    /// The feeds of customers and partners, by name.
    pub feeds: BTreeMap<String, Vec<history::Event>>,
}

impl World {
    /// Reads it.
    ///
    /// # Errors
    /// When something is refused, or does not end.
    pub async fn read(client: &Client) -> Result<World> {
        let mut world = World::default();
        let own = format!("/round-{}-", client.scene.round);
        world.partners = of_operator(client, "ListPartners", |page: wire::ListPartnersResponse| {
            (page.partners, page.next_page_token)
        })
        .await?;
        world.partners.retain(|partner| partner.name.contains(&own));
        world.customers = of_operator(client, "ListCustomers", |page: wire::ListCustomersResponse| {
            (page.customers, page.next_page_token)
        })
        .await?;
        world.customers.retain(|customer| customer.name.contains(&own));
        for number in 0..CUSTOMERS {
            world.read_customer(client, number).await?;
        }
        for number in 0..PARTNERS {
            world.read_partner(client, number).await?;
        }
        Ok(world)
    }

    async fn read_customer(&mut self, client: &Client, number: u64) -> Result<()> {
        let (name, actor) = (client.scene.customer(number), Actor::Admin(number));
        let path = "/mandate.relationship.v1.RelationshipService/ListRelationships";
        let lister = Lister { client, actor, path, parent: &name };
        let take = |page: wire::ListRelationshipsResponse| (page.relationships, page.next_page_token);
        self.relationships.extend(lister.all(take).await?);
        let path = "/mandate.relationship.v1.DelegationService/ListDelegations";
        let parent = format!("{name}/relationships/-");
        let take = |page: wire::ListDelegationsResponse| (page.delegations, page.next_page_token);
        self.delegations.extend(Lister { path, parent: &parent, ..lister }.all(take).await?);
        let path = "/mandate.relationship.v1.AgreementService/ListAgreementAcceptances";
        let take = |page: wire::ListAgreementAcceptancesResponse| (page.agreement_acceptances, page.next_page_token);
        self.agreements.extend(Lister { path, ..lister }.all(take).await?);
        let path = "/mandate.relationship.v1.SubscriptionService/ListSubscriptions";
        let take = |page: wire::ListSubscriptionsResponse| (page.subscriptions, page.next_page_token);
        self.subscriptions.extend(Lister { path, ..lister }.all(take).await?);
        let path = "/mandate.relationship.v1.DirectoryService/ListUsers";
        let take = |page: wire::ListUsersResponse| (page.users, page.next_page_token);
        self.users.extend(Lister { path, ..lister }.all(take).await?);
        let events = feed(lister).await?;
        self.feeds.insert(name, events);
        Ok(())
    }

    async fn read_partner(&mut self, client: &Client, number: u64) -> Result<()> {
        let (name, actor) = (client.scene.partner(number), Actor::Agent(number));
        let path = "/mandate.invitation.v1.InvitationService/ListInvitationLinks";
        let lister = Lister { client, actor, path, parent: &name };
        let take = |page: links::ListInvitationLinksResponse| (page.invitation_links, page.next_page_token);
        self.links.extend(lister.all(take).await?);
        let path = "/mandate.relationship.v1.RelationshipService/ListPartnerCustomers";
        let take = |page: wire::ListPartnerCustomersResponse| (page.partner_customers, page.next_page_token);
        let seen = Lister { path, ..lister }.all(take).await?;
        self.seen_by.insert(name.clone(), seen);
        let events = feed(lister).await?;
        self.feeds.insert(name, events);
        Ok(())
    }
}

async fn feed(lister: Lister<'_>) -> Result<Vec<history::Event>> {
    let path = "/mandate.notification.v1.EventService/ListEvents";
    Lister { path, ..lister }.all(|page: history::ListEventsResponse| (page.events, page.next_page_token)).await
}

async fn of_operator<A: Message + Default, T>(
    client: &Client,
    method: &'static str,
    take: impl Fn(A) -> (Vec<T>, String),
) -> Result<Vec<T>> {
    let path = match method {
        "ListPartners" => "/mandate.relationship.v1.DirectoryService/ListPartners",
        _ => "/mandate.relationship.v1.DirectoryService/ListCustomers",
    };
    let mut all = Vec::new();
    let mut page_token = String::new();
    for _ in 0..PAGES_MAX {
        let request = wire::ListPartnersRequest { page_size: PAGE, page_token };
        let page = client.read(Actor::Operator, path, &request).await;
        let (items, next) = take(page.with_context(|| format!("{path} was refused"))?);
        all.extend(items);
        page_token = next;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
    anyhow::bail!("{path} does not end")
}

/// Reads a list of a parent to its end. All such requests have the same first fields.
#[derive(Clone, Copy)]
struct Lister<'a> {
    client: &'a Client,
    actor: Actor,
    path: &'static str,
    parent: &'a str,
}

impl Lister<'_> {
    async fn all<A: Message + Default, T>(&self, take: impl Fn(A) -> (Vec<T>, String)) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let parent = self.parent.to_owned();
            let request = wire::ListUsersRequest { parent, page_size: PAGE, page_token };
            let page = self.client.read(self.actor, self.path, &request).await;
            let (items, next) = take(page.with_context(|| format!("{} was refused", self.path))?);
            all.extend(items);
            page_token = next;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
        anyhow::bail!("{} does not end", self.path)
    }
}
