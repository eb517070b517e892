//! What a change happens to: three partners and a customer that nobody else knows, and what is between them.

use std::time::Duration;

use api::invitation::InvitationLink;
use api::relationship as wire;
use clock::Clock;
use prost_types::Timestamp;

use super::stage::{Person, Stage};
use crate::scenarios::Caller;

/// Tenants of its own on a stage. The customer has accepted the first partner with two services, the second with none, and the
/// fourth with none, of which it has given notice; the third asks it, by two links.
pub(crate) struct World {
    number: usize,
    /// Of the customer with the first partner.
    pub(crate) relationship: String,
    /// Of the customer with the fourth partner: the customer has given notice of its end.
    pub(crate) ending: String,
    /// When a notice may take effect.
    pub(crate) next_month: Timestamp,
    /// The delegations of the first partner: one to remove and one to reassign.
    pub(crate) held: [String; 2],
    /// A link of the first partner that nobody accepts through: one to rotate and to disable.
    pub(crate) spare: InvitationLink,
    /// The links of the third partner.
    pub(crate) asking: [InvitationLink; 2],
    /// The customer's events so far.
    pub(crate) told: usize,
}

/// What the first partner is granted.
const HELD: &str = "reseller.azure-ad.office-365";

/// How many events that makes: three relationships, two delegations, one notice.
const TOLD: usize = 6;

/// How long a notice is.
const MONTH: Duration = Duration::from_hours(24 * 30);

impl World {
    /// Makes the world of this number, which no other on the stage has.
    pub(crate) async fn new(stage: &Stage, number: usize) -> World {
        let cloud = stage.cloud;
        let mut world = World {
            number,
            relationship: String::new(),
            ending: String::new(),
            next_month: api::field::timestamp(Clock::system().now().plus(MONTH).micros()),
            held: Default::default(),
            spare: InvitationLink::default(),
            asking: Default::default(),
            told: TOLD + usize::from(cloud.agreement.is_some()),
        };
        let [otto, _] = stage.callers(&Person::operator("otto")).await;
        for partner in ["one", "two", "three", "four"] {
            otto.register_partner(&world.id(partner), cloud.country, cloud.contract).await;
        }
        otto.register_customer(&world.id("buyer"), cloud.country).await;
        world.register_others(&otto).await;
        let [gwen, _] = stage.callers(&world.admin("gwen")).await;
        let link = world.link(stage, "one", HELD).await;
        let answer =
            gwen.accept(cloud.acceptance(&link.token, &world.customer())).await.expect("accepted").into_inner();
        world.relationship = answer.relationship.expect("it was established").name;
        let held: Vec<String> = answer.delegations.into_iter().map(|held| held.name).collect();
        world.held = held.try_into().expect("two services");
        let link = world.link(stage, "two", "reseller").await;
        gwen.accept(cloud.acceptance(&link.token, &world.customer())).await.expect("accepted");
        world.ending = world.given_notice(stage, &gwen).await;
        world.spare = world.link(stage, "one", "reseller.azure").await;
        world.asking = [
            world.link(stage, "three", "reseller.office-365").await,
            world.link(stage, "three", "reseller.azure-ad").await,
        ];
        world
    }

    /// A relationship with the fourth partner, of which the customer gives notice.
    async fn given_notice(&self, stage: &Stage, gwen: &Caller) -> String {
        let link = self.link(stage, "four", "reseller").await;
        let answer = gwen.accept(stage.cloud.acceptance(&link.token, &self.customer())).await.expect("accepted");
        let name = answer.into_inner().relationship.expect("it was established").name;
        let effective_time = Some(self.next_month);
        let request = wire::RequestTerminationRequest { name: name.clone(), effective_time, ..Default::default() };
        gwen.relationships().request_termination(request).await.expect("a notice passes");
        name
    }

    async fn register_others(&self, otto: &Caller) {
        let subscription = wire::Subscription {
            name: format!("{}/subscriptions/mail", self.customer()),
            service: "azure".to_owned(),
            status: wire::SubscriptionStatus::Active.into(),
            ..Default::default()
        };
        let request = wire::UpdateSubscriptionRequest {
            subscription: Some(subscription),
            allow_missing: true,
            ..Default::default()
        };
        otto.subscriptions().update_subscription(request).await.expect("an operator keeps the records");
        let user = wire::User { display_name: "Uma".to_owned(), ..Default::default() };
        let request = wire::CreateUserRequest {
            parent: self.customer(),
            user_id: "uma".to_owned(),
            user: Some(user),
            ..Default::default()
        };
        otto.directory().create_user(request).await.expect("an operator keeps the records");
    }

    /// A link of a partner of this world.
    pub(crate) async fn link(&self, stage: &Stage, partner: &str, options: &str) -> InvitationLink {
        let [agent, _] = stage.callers(&self.agent(partner, "ada")).await;
        agent.link(&self.partner(partner), options).await.expect("a link")
    }

    /// The id of a tenant of this world.
    pub(crate) fn id(&self, tenant: &str) -> String {
        format!("{tenant}-{}", self.number)
    }

    pub(crate) fn partner(&self, tenant: &str) -> String {
        format!("partners/{}", self.id(tenant))
    }

    pub(crate) fn customer(&self) -> String {
        format!("customers/{}", self.id("buyer"))
    }

    pub(crate) fn admin(&self, subject: &str) -> Person {
        Person::admin(&self.id("buyer"), subject)
    }

    pub(crate) fn agent(&self, tenant: &str, subject: &str) -> Person {
        Person::agent(&self.id(tenant), subject)
    }
}
