//! A small round that kept every promise, for tests to plant one fault in.

use api::invitation as links;
use api::notification::resource_snapshot::Resource;
use api::notification::{Event, ResourceSnapshot};
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use cloud::Policy;
use prost::Message;
use tonic::Code;

use super::{World, judge};
use crate::client::{Actor, Answer, Refusal};
use crate::history::{Call, Outcome};
use crate::kind::Kind;
use crate::operation::GET_LINK;

pub(super) const CUSTOMER: &str = "customers/c";
pub(super) const SERVICE: &str = "office-365";
/// Shown by whoever wants to see that the delegation of `partners/p` was removed.
pub(super) const REMOVAL: &str = "token of the removal";

/// Calls, and what there is after them. One customer accepts a link of `partners/p` at 20 µs and removes the delegation at 40;
/// then the link is rotated, and `partners/q` gets the service at 80.
pub(super) struct Sample {
    pub(super) calls: Vec<Call>,
    pub(super) world: World,
    policy: Policy,
}

/// What is found to be broken when this is done to a round that is sound.
pub(super) fn found(plant: impl FnOnce(&mut Sample)) -> String {
    let mut sample = Sample::sound();
    plant(&mut sample);
    judge(&sample.calls, &sample.world, &sample.policy).expect("messages of the contract").join("\n")
}

/// A call of 4 µs.
pub(super) fn call(kind: Kind, begin_us: u64, request: &impl Message, outcome: Outcome) -> Call {
    let path = if kind == Kind::Read { GET_LINK } else { kind.path() };
    let request = request.encode_to_vec().into();
    Call { cloud: 0, kind, actor: Actor::Admin(0), path, request, begin_us, end_us: begin_us + 4, sent: 1, outcome }
}

pub(super) fn answered(message: &impl Message) -> Outcome {
    Outcome::Answered(Answer { message: message.encode_to_vec().into(), token: None })
}

pub(super) fn refused(reason: &str) -> Outcome {
    let (reasons, message) = (vec![reason.to_owned()], "a sentence".to_owned());
    Outcome::Refused(Refusal { code: Code::FailedPrecondition, reasons, message })
}

pub(super) fn partner(id: &str, version: u64, status: wire::PartnerStatus) -> wire::Partner {
    let (name, etag) = (format!("partners/{id}"), format!("v{version}"));
    wire::Partner { name, etag, status: status.into(), ..Default::default() }
}

/// The link of a partner. Its token is that of the version at which it was active last.
pub(super) fn link(id: &str, version: u64, token: &str) -> links::InvitationLink {
    let state = links::InvitationLinkState::Active.into();
    let (name, etag) = (format!("partners/{id}/invitationLinks/reseller.{SERVICE}"), format!("v{version}"));
    links::InvitationLink {
        name,
        services: vec![SERVICE.to_owned()],
        state,
        etag,
        token: token.to_owned(),
        ..Default::default()
    }
}

pub(super) fn relationship(id: &str) -> wire::Relationship {
    let (name, partner) = (format!("{CUSTOMER}/relationships/{id}"), format!("partners/{id}"));
    wire::Relationship { name, partner, ..Default::default() }
}

pub(super) fn delegation(id: &str) -> wire::Delegation {
    let (name, partner) = (format!("{CUSTOMER}/relationships/{id}/delegations/d"), format!("partners/{id}"));
    let (service, etag, state) = (SERVICE.to_owned(), "v1".to_owned(), wire::DelegationState::Active.into());
    wire::Delegation { name, partner, service, state, etag, ..Default::default() }
}

fn ended(id: &str) -> wire::Delegation {
    let (etag, state) = ("v2".to_owned(), wire::DelegationState::RemovedByCustomer.into());
    wire::Delegation { etag, state, ..delegation(id) }
}

pub(super) fn acceptance(token: &str) -> links::AcceptInvitationRequest {
    links::AcceptInvitationRequest { token: token.to_owned(), customer: CUSTOMER.to_owned(), ..Default::default() }
}

pub(super) fn accepted(id: &str) -> Outcome {
    let (relationship, delegations) = (Some(relationship(id)), vec![delegation(id)]);
    answered(&links::AcceptInvitationResponse { relationship, delegations, ..Default::default() })
}

pub(super) fn removal(id: &str) -> wire::RemoveDelegationRequest {
    wire::RemoveDelegationRequest { name: delegation(id).name, ..Default::default() }
}

pub(super) fn reassignment(from: &str, to: &str) -> wire::ReassignDelegationRequest {
    let to_partner = format!("partners/{to}");
    wire::ReassignDelegationRequest { name: delegation(from).name, to_partner, ..Default::default() }
}

/// Whether a partner may act for the customer, as this wants to know it.
pub(super) fn question(id: &str, requirement: Requirement) -> wire::CheckAccessRequest {
    let target = Some(Target::Service(SERVICE.to_owned()));
    let consistency = Some(wire::Consistency { requirement: Some(requirement) });
    let (partner, customer) = (format!("partners/{id}"), CUSTOMER.to_owned());
    wire::CheckAccessRequest { partner, customer, target, consistency, ..Default::default() }
}

pub(super) fn allowed(id: &str) -> Outcome {
    answered(&wire::CheckAccessResponse { allowed: true, grant: delegation(id).name, ..Default::default() })
}

pub(super) fn denied() -> Outcome {
    answered(&wire::CheckAccessResponse::default())
}

fn event(kind: &str, before: Option<Resource>, after: Resource) -> Event {
    let resource = match &after {
        Resource::Relationship(after) => after.name.clone(),
        Resource::Delegation(after) => after.name.clone(),
        Resource::AgreementAcceptance(after) => after.name.clone(),
        Resource::InvitationLink(after) => after.name.clone(),
    };
    let snapshot = |resource| Some(ResourceSnapshot { resource: Some(resource) });
    Event {
        r#type: kind.to_owned(),
        resource,
        before: before.and_then(snapshot),
        after: snapshot(after),
        ..Event::default()
    }
}

impl Sample {
    fn sound() -> Sample {
        let policies = crate::cluster::unlike().expect("the clouds of this checkout");
        let policy = Policy::load(&policies[0]).expect("a policy");
        let mut sample = Sample { calls: calls(), world: World::default(), policy };
        sample.happened();
        let world = &mut sample.world;
        world.partners = ["p", "q"].map(|id| partner(id, 1, wire::PartnerStatus::Active)).to_vec();
        world.links = vec![link("p", 2, "p2"), link("q", 1, "q1")];
        world.delegations = vec![ended("p"), delegation("q")];
        for (id, services) in [("p", vec![]), ("q", vec![SERVICE.to_owned()])] {
            let relationship = wire::Relationship { delegated_services: services, ..relationship(id) };
            let seen = wire::PartnerCustomer {
                relationship: relationship.name.clone(),
                delegated_services: relationship.delegated_services.clone(),
                ..Default::default()
            };
            world.seen_by.insert(relationship.partner.clone(), vec![seen]);
            world.relationships.push(relationship);
        }
        sample
    }

    /// Fills the feeds.
    fn happened(&mut self) {
        let of_link = |version| {
            Resource::InvitationLink(links::InvitationLink { token: String::new(), ..link("p", version, "") })
        };
        let granted = |id| event("delegation.granted", None, Resource::Delegation(delegation(id)));
        let established = |id| event("relationship.established", None, Resource::Relationship(relationship(id)));
        let (was, is) = (Resource::Delegation(delegation("p")), Resource::Delegation(ended("p")));
        let of_p = [established("p"), granted("p"), event("delegation.removedByCustomer", Some(was), is)];
        let of_q = [established("q"), granted("q")];
        for event in of_p {
            self.tell(&["partners/p", CUSTOMER], &event);
        }
        self.tell(&["partners/p"], &event("invitationLink.rotated", Some(of_link(1)), of_link(2)));
        for event in of_q {
            self.tell(&["partners/q", CUSTOMER], &event);
        }
    }

    /// An event at the end of feeds, under one id.
    pub(super) fn tell(&mut self, feeds: &[&str], event: &Event) {
        let id: usize = self.world.feeds.values().map(Vec::len).sum();
        for feed in feeds {
            let events = self.world.feeds.entry((*feed).to_owned()).or_default();
            let sequence = i64::try_from(events.len() + 1).expect("a few");
            events.push(Event { name: format!("{feed}/events/{id}"), sequence, ..event.clone() });
        }
    }

    /// Takes the event of this type away from a feed, as if it had never been there, and returns it.
    pub(super) fn untell(&mut self, feed: &str, kind: &str) -> Event {
        let events = self.feed(feed);
        let place = events.iter().position(|event| event.r#type == kind).expect("it is told");
        let event = events.remove(place);
        for (event, sequence) in events.iter_mut().zip(1..) {
            event.sequence = sequence;
        }
        event
    }

    pub(super) fn feed(&mut self, feed: &str) -> &mut Vec<Event> {
        self.world.feeds.get_mut(feed).expect("there are three")
    }

    /// The call that began then.
    pub(super) fn at(&mut self, begin_us: u64) -> &mut Call {
        self.calls.iter_mut().find(|call| call.begin_us == begin_us).expect("a call of the sample")
    }

    /// Makes the partner suspended from this moment on.
    pub(super) fn suspend(&mut self, id: &str, begin_us: u64) {
        let suspended = partner(id, 2, wire::PartnerStatus::Suspended);
        let request = wire::UpdatePartnerRequest::default();
        self.calls.push(call(Kind::UpdatePartner, begin_us, &request, answered(&suspended)));
        let kept = self.world.partners.iter_mut().find(|it| it.name == suspended.name);
        *kept.expect("one of two") = suspended;
    }
}

fn calls() -> Vec<Call> {
    let created = |id| answered(&partner(id, 1, wire::PartnerStatus::Active));
    let read = |begin_us, link: &links::InvitationLink| {
        let request = links::GetInvitationLinkRequest { name: link.name.clone() };
        call(Kind::Read, begin_us, &request, answered(link))
    };
    let token = Some(REMOVAL.to_owned());
    let removed = Outcome::Answered(Answer { message: ended("p").encode_to_vec().into(), token });
    let with_token = || question("p", Requirement::AtLeastAsFresh(REMOVAL.to_owned()));
    vec![
        call(Kind::CreatePartner, 1, &wire::CreatePartnerRequest::default(), created("p")),
        call(Kind::CreatePartner, 5, &wire::CreatePartnerRequest::default(), created("q")),
        read(10, &link("p", 1, "p1")),
        read(15, &link("q", 1, "q1")),
        call(Kind::Accept, 20, &acceptance("p1"), accepted("p")),
        call(Kind::Accept, 25, &acceptance("q1"), refused("SERVICE_ALREADY_DELEGATED")),
        call(Kind::Reassign, 30, &reassignment("p", "q"), refused("RELATIONSHIP_REQUIRED")),
        call(Kind::CheckAccess, 35, &question("p", Requirement::FullyConsistent(())), allowed("p")),
        call(Kind::Remove, 40, &removal("p"), removed),
        call(Kind::CheckAccess, 45, &with_token(), denied()),
        call(Kind::Remove, 50, &removal("p"), refused("DELEGATION_NOT_ACTIVE")),
        call(Kind::RotateLink, 60, &links::RotateInvitationLinkRequest::default(), answered(&link("p", 2, "p2"))),
        call(Kind::Accept, 70, &acceptance("p1"), refused("LINK_DISABLED")),
        call(Kind::Accept, 80, &acceptance("q1"), accepted("q")),
        call(Kind::Reassign, 90, &reassignment("q", "q"), refused("SERVICE_ALREADY_DELEGATED")),
    ]
}
