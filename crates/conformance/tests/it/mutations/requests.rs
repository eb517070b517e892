//! The requests of every change, in a world in which nothing stands in their way.

use api::invitation as links;
use api::notification as events;
use api::relationship as wire;
use prost::Message as _;
use prost_types::{FieldMask, Timestamp};

use super::world::World;

/// Which request is wanted. None has a request id or an etag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// One that succeeds.
    Right,
    /// Another for which nothing is wrong but that it differs.
    Other,
    /// One that passes for a request and is refused for what there is.
    Refused,
}

/// A resource that nobody has made.
const NOBODY: &str = "01a00000-0000-7000-8000-000000000000";

impl Ask {
    /// Two texts that differ.
    fn text(self) -> String {
        let text = if self == Ask::Other { "another reason" } else { "a reason" };
        text.to_owned()
    }

    /// What is named, or what nobody has made.
    fn existing(self, name: &str) -> String {
        match (self, name.rsplit_once('/')) {
            (Ask::Refused, Some((collection, _))) => format!("{collection}/{NOBODY}"),
            (Ask::Refused | Ask::Right | Ask::Other, _) => name.to_owned(),
        }
    }

    /// An id that is new, or is not.
    fn new_id(self, world: &World, taken: &str) -> String {
        match self {
            Ask::Right => world.id("fresh"),
            Ask::Other => world.id("other"),
            Ask::Refused => world.id(taken),
        }
    }
}

pub(crate) fn accept_invitation(world: &World, ask: Ask) -> Vec<u8> {
    let [right, other] = &world.asking;
    let link = if ask == Ask::Other { other } else { right };
    links::AcceptInvitationRequest {
        token: link.token.clone(),
        customer: world.customer(),
        replace: nothing_to_replace(world, ask),
        ..Default::default()
    }
    .encode_to_vec()
}

/// A delegation to end that does not exist.
fn nothing_to_replace(world: &World, ask: Ask) -> Vec<String> {
    let name = format!("{}/delegations/{NOBODY}", world.relationship);
    if ask == Ask::Refused { vec![name] } else { Vec::new() }
}

/// A link that has been asked for, or not.
fn link_name(world: &World, ask: Ask) -> String {
    if ask == Ask::Refused { format!("{}.office-365", world.spare.name) } else { world.spare.name.clone() }
}

pub(crate) fn disable_invitation_link(world: &World, ask: Ask) -> Vec<u8> {
    let (name, reason) = (link_name(world, ask), ask.text());
    links::DisableInvitationLinkRequest { name, reason, ..Default::default() }.encode_to_vec()
}

pub(crate) fn rotate_invitation_link(world: &World, ask: Ask) -> Vec<u8> {
    let (name, reason) = (link_name(world, ask), ask.text());
    links::RotateInvitationLinkRequest { name, reason, ..Default::default() }.encode_to_vec()
}

/// The id of the event is that of the relationship, which every world has one of.
pub(crate) fn ingest_events(world: &World, ask: Ask) -> Vec<u8> {
    let id = world.relationship.rsplit('/').next().expect("a name has an id");
    let event = events::Event {
        r#type: "subscription.renewed".to_owned(),
        event_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        reason: ask.text(),
        ..Default::default()
    };
    let envelope = events::EventEnvelope {
        event_id: if ask == Ask::Refused { "no UUID".to_owned() } else { id.to_owned() },
        feeds: vec![world.customer()],
        event: Some(event),
        traceparent: String::new(),
    };
    events::IngestEventsRequest { envelopes: vec![envelope] }.encode_to_vec()
}

pub(crate) fn reassign_delegation(world: &World, ask: Ask) -> Vec<u8> {
    wire::ReassignDelegationRequest {
        name: ask.existing(&world.held[1]),
        to_partner: world.partner("two"),
        reason: ask.text(),
        ..Default::default()
    }
    .encode_to_vec()
}

pub(crate) fn remove_delegation(world: &World, ask: Ask) -> Vec<u8> {
    let (name, reason) = (ask.existing(&world.held[0]), ask.text());
    wire::RemoveDelegationRequest { name, reason, ..Default::default() }.encode_to_vec()
}

pub(crate) fn create_customer(world: &World, ask: Ask) -> Vec<u8> {
    let customer = wire::Customer { display_name: "New".to_owned(), country: "IT".to_owned(), ..Default::default() };
    let customer_id = ask.new_id(world, "buyer");
    wire::CreateCustomerRequest { customer_id, customer: Some(customer), ..Default::default() }.encode_to_vec()
}

pub(crate) fn create_partner(world: &World, ask: Ask) -> Vec<u8> {
    let partner = wire::Partner { display_name: "New".to_owned(), country: "IT".to_owned(), ..Default::default() };
    let partner_id = ask.new_id(world, "one");
    wire::CreatePartnerRequest { partner_id, partner: Some(partner), ..Default::default() }.encode_to_vec()
}

pub(crate) fn create_user(world: &World, ask: Ask) -> Vec<u8> {
    let user = wire::User { display_name: "New".to_owned(), ..Default::default() };
    wire::CreateUserRequest {
        parent: ask.existing(&world.customer()),
        user_id: ask.new_id(world, "fresh"),
        user: Some(user),
        ..Default::default()
    }
    .encode_to_vec()
}

fn display_name() -> Option<FieldMask> {
    Some(FieldMask { paths: vec!["display_name".to_owned()] })
}

pub(crate) fn update_customer(world: &World, ask: Ask) -> Vec<u8> {
    let (name, display_name_now) = (ask.existing(&world.customer()), ask.text());
    let customer = wire::Customer { name, display_name: display_name_now, ..Default::default() };
    wire::UpdateCustomerRequest { customer: Some(customer), update_mask: display_name(), ..Default::default() }
        .encode_to_vec()
}

pub(crate) fn update_partner(world: &World, ask: Ask) -> Vec<u8> {
    let (name, display_name_now) = (ask.existing(&world.partner("one")), ask.text());
    let partner = wire::Partner { name, display_name: display_name_now, ..Default::default() };
    wire::UpdatePartnerRequest { partner: Some(partner), update_mask: display_name(), ..Default::default() }
        .encode_to_vec()
}

pub(crate) fn establish(world: &World, ask: Ask) -> Vec<u8> {
    let [right, other] = &world.asking;
    let link = if ask == Ask::Other { other } else { right };
    let invitation = wire::VerifiedInvitation {
        link: link.name.clone(),
        link_active: true,
        r#type: wire::RelationshipType::Reseller.into(),
        services: link.services.clone(),
    };
    wire::EstablishRequest {
        invitation: Some(invitation),
        customer: world.customer(),
        replace: nothing_to_replace(world, ask),
        ..Default::default()
    }
    .encode_to_vec()
}

/// By a notice: ending at once would end the delegations too, which is proved elsewhere.
pub(crate) fn request_termination(world: &World, ask: Ask) -> Vec<u8> {
    wire::RequestTerminationRequest {
        name: ask.existing(&world.relationship),
        reason: ask.text(),
        effective_time: Some(world.next_month),
        ..Default::default()
    }
    .encode_to_vec()
}

pub(crate) fn cancel_termination(world: &World, ask: Ask) -> Vec<u8> {
    let (name, reason) = (ask.existing(&world.ending), ask.text());
    wire::CancelTerminationRequest { name, reason, ..Default::default() }.encode_to_vec()
}

pub(crate) fn update_subscription(world: &World, ask: Ask) -> Vec<u8> {
    let status =
        if ask == Ask::Other { wire::SubscriptionStatus::Suspended } else { wire::SubscriptionStatus::Cancelled };
    let subscription = wire::Subscription {
        name: ask.existing(&format!("{}/subscriptions/mail", world.customer())),
        service: "azure".to_owned(),
        status: status.into(),
        ..Default::default()
    };
    wire::UpdateSubscriptionRequest { subscription: Some(subscription), ..Default::default() }.encode_to_vec()
}
