//! The list of all changes of the contract, and what is promised of each.

use api::ErrorReason as Reason;
use api::rule::RULES;

use super::message;
use super::requests::{self, Ask};
use super::stage::{Person, Stage};
use super::world::World;
use crate::scenarios::Caller;

/// Where the list stands, for whoever must add to it.
const HERE: &str = "crates/conformance/tests/it/mutations/table.rs";

/// A method that changes something.
#[derive(Debug)]
pub(crate) struct Mutation {
    /// Its path.
    pub(crate) path: &'static str,
    /// Who calls it.
    pub(crate) caller: Who,
    /// The requests that the proofs send.
    pub(crate) request: fn(&World, Ask) -> Vec<u8>,
    /// Why [`Ask::Refused`] is.
    pub(crate) refused: Reason,
    /// How a repeat is recognized.
    pub(crate) repeat: Repeat,
    /// What keeps it from changing what somebody else has changed meanwhile.
    pub(crate) guard: Guard,
    /// What comes of a second call without a request id.
    pub(crate) again: Again,
    /// What the history tells of it.
    pub(crate) events: Events,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// An agent of the first partner.
    Agent,
    /// An administrator of the customer.
    Admin,
    /// An operator.
    Operator,
    /// The invitation service on behalf of an administrator of the customer.
    Invitation,
    /// The relationship service by itself.
    Relationship,
}

/// How a repeat is recognized.
#[derive(Debug)]
pub(crate) enum Repeat {
    /// By the request id (AIP-155), in the database of the service of this name.
    RequestId(&'static str),
    /// By something else, for this reason. `repeats.rs` proves those one by one.
    Otherwise(&'static str),
}

/// What keeps a change from overwriting another.
#[derive(Debug)]
pub(crate) enum Guard {
    /// The etag in this field of the request, of the resource that this method reads (AIP-154).
    Etag { field: &'static str, read: &'static str },
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// What comes of a second call without a request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Another change.
    Changes,
    /// The same answer, as there is nothing left to change.
    Nothing,
    /// A refusal.
    Refused(Reason),
}

/// What the history tells of a change.
#[derive(Debug)]
pub(crate) enum Events {
    /// Events of these types: in the feed of the customer, or, of links, in that of the partner.
    Told(&'static [&'static str]),
    /// Nothing, for this reason.
    None(&'static str),
}

impl Events {
    /// The types of what is told.
    pub(crate) fn types(&self) -> &'static [&'static str] {
        match self {
            Events::Told(types) => types,
            Events::None(_) => &[],
        }
    }
}

const DIRECTORY: Events = Events::None("the operator's record; no state between partner and customer changes");
const FACTS: Events = Events::None("facts from elsewhere");
const RELATIONSHIP: Repeat = Repeat::RequestId("relationship");
const INVITATION: Repeat = Repeat::RequestId("invitation");
const CREATES: Guard = Guard::Nothing("it creates the resource: that it exists is the refusal");
const ACCEPTS: Guard = Guard::Nothing(
    "it adds to what there is: `replace` names what it may end, and every condition is evaluated when it is committed",
);

const fn delegation(field: &'static str) -> Guard {
    Guard::Etag { field, read: "/mandate.relationship.v1.DelegationService/GetDelegation" }
}

const RELATIONSHIP_READ: Guard =
    Guard::Etag { field: "etag", read: "/mandate.relationship.v1.RelationshipService/GetRelationship" };

const fn link(field: &'static str) -> Guard {
    Guard::Etag { field, read: "/mandate.invitation.v1.InvitationService/GetInvitationLink" }
}

/// All of them, ordered by path.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        path: "/mandate.invitation.v1.InvitationService/AcceptInvitation",
        caller: Who::Admin,
        request: requests::accept_invitation,
        refused: Reason::ReplacementInvalid,
        repeat: RELATIONSHIP,
        guard: ACCEPTS,
        again: Again::Nothing,
        events: Events::Told(&["relationship.established", "delegation.granted"]),
    },
    Mutation {
        path: "/mandate.invitation.v1.InvitationService/DisableInvitationLink",
        caller: Who::Agent,
        request: requests::disable_invitation_link,
        refused: Reason::ResourceNotFound,
        repeat: INVITATION,
        guard: link("etag"),
        again: Again::Nothing,
        events: Events::Told(&["invitationLink.disabled"]),
    },
    Mutation {
        path: "/mandate.invitation.v1.InvitationService/RotateInvitationLink",
        caller: Who::Agent,
        request: requests::rotate_invitation_link,
        refused: Reason::ResourceNotFound,
        repeat: INVITATION,
        guard: link("etag"),
        again: Again::Changes,
        events: Events::Told(&["invitationLink.rotated"]),
    },
    Mutation {
        path: "/mandate.notification.v1.IngestService/IngestEvents",
        caller: Who::Relationship,
        request: requests::ingest_events,
        refused: Reason::FieldInvalid,
        repeat: Repeat::Otherwise("each event has an id of its own, and is kept once however it comes"),
        guard: Guard::Nothing("feeds only grow"),
        again: Again::Nothing,
        events: Events::Told(&["subscription.renewed"]),
    },
    Mutation {
        path: "/mandate.relationship.v1.DelegationService/ReassignDelegation",
        caller: Who::Admin,
        request: requests::reassign_delegation,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: delegation("etag"),
        again: Again::Refused(Reason::DelegationNotActive),
        events: Events::Told(&["delegation.reassigned", "delegation.granted"]),
    },
    Mutation {
        path: "/mandate.relationship.v1.DelegationService/RemoveDelegation",
        caller: Who::Admin,
        request: requests::remove_delegation,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: delegation("etag"),
        again: Again::Refused(Reason::DelegationNotActive),
        events: Events::Told(&["delegation.removedByCustomer"]),
    },
    Mutation {
        path: "/mandate.relationship.v1.DirectoryService/CreateCustomer",
        caller: Who::Operator,
        request: requests::create_customer,
        refused: Reason::ResourceExists,
        repeat: RELATIONSHIP,
        guard: CREATES,
        again: Again::Refused(Reason::ResourceExists),
        events: DIRECTORY,
    },
    Mutation {
        path: "/mandate.relationship.v1.DirectoryService/CreatePartner",
        caller: Who::Operator,
        request: requests::create_partner,
        refused: Reason::ResourceExists,
        repeat: RELATIONSHIP,
        guard: CREATES,
        again: Again::Refused(Reason::ResourceExists),
        events: DIRECTORY,
    },
    Mutation {
        path: "/mandate.relationship.v1.DirectoryService/CreateUser",
        caller: Who::Operator,
        request: requests::create_user,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: CREATES,
        again: Again::Refused(Reason::ResourceExists),
        events: DIRECTORY,
    },
    Mutation {
        path: "/mandate.relationship.v1.DirectoryService/UpdateCustomer",
        caller: Who::Operator,
        request: requests::update_customer,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: Guard::Etag { field: "customer.etag", read: "/mandate.relationship.v1.DirectoryService/GetCustomer" },
        again: Again::Changes,
        events: DIRECTORY,
    },
    Mutation {
        path: "/mandate.relationship.v1.DirectoryService/UpdatePartner",
        caller: Who::Operator,
        request: requests::update_partner,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: Guard::Etag { field: "partner.etag", read: "/mandate.relationship.v1.DirectoryService/GetPartner" },
        again: Again::Changes,
        events: DIRECTORY,
    },
    Mutation {
        path: "/mandate.relationship.v1.EstablishmentService/Establish",
        caller: Who::Invitation,
        request: requests::establish,
        refused: Reason::ReplacementInvalid,
        repeat: RELATIONSHIP,
        guard: ACCEPTS,
        again: Again::Nothing,
        events: Events::Told(&["relationship.established", "delegation.granted"]),
    },
    Mutation {
        path: "/mandate.relationship.v1.RelationshipService/CancelTermination",
        caller: Who::Admin,
        request: requests::cancel_termination,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: RELATIONSHIP_READ,
        again: Again::Refused(Reason::RelationshipNotTerminating),
        events: Events::Told(&["relationship.terminationCancelled"]),
    },
    Mutation {
        path: "/mandate.relationship.v1.RelationshipService/RequestTermination",
        caller: Who::Admin,
        request: requests::request_termination,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: RELATIONSHIP_READ,
        again: Again::Refused(Reason::RelationshipNotActive),
        events: Events::Told(&["relationship.terminationRequested"]),
    },
    Mutation {
        path: "/mandate.relationship.v1.SubscriptionService/UpdateSubscription",
        caller: Who::Operator,
        request: requests::update_subscription,
        refused: Reason::ResourceNotFound,
        repeat: RELATIONSHIP,
        guard: Guard::Etag {
            field: "subscription.etag",
            read: "/mandate.relationship.v1.SubscriptionService/GetSubscription",
        },
        again: Again::Changes,
        events: FACTS,
    },
];

impl Mutation {
    /// Whether it can be called on a stage without peers.
    pub(crate) fn is_public(&self) -> bool {
        !matches!(self.caller, Who::Invitation | Who::Relationship)
    }

    /// Two of those who may call it, each by every way to the cloud.
    pub(crate) async fn callers(&self, stage: &Stage, world: &World) -> [[Caller; 2]; 2] {
        let people = match self.caller {
            Who::Agent => ["ada", "alan"].map(|subject| world.agent("one", subject)),
            Who::Admin | Who::Invitation => ["gwen", "gina"].map(|subject| world.admin(subject)),
            Who::Operator => ["otto", "olga"].map(Person::operator),
            Who::Relationship => {
                return [(); 2].map(|()| stage.peers(["relationship", "notification"], None));
            }
        };
        if self.caller == Who::Invitation {
            return people.map(|person| stage.peers(["invitation", "relationship"], Some(&person)));
        }
        let [one, other] = &people;
        [stage.callers(one).await, stage.callers(other).await]
    }

    /// The entries that can be proved on a stage.
    pub(crate) fn on(stage: &Stage) -> impl Iterator<Item = (usize, &'static Mutation)> {
        let has_peers = stage.has_peers();
        MUTATIONS.iter().enumerate().filter(move |(_, mutation)| has_peers || mutation.is_public())
    }

    /// The database that its request ids are kept in, where it has some.
    pub(crate) fn kept_by(&self) -> Option<&'static str> {
        match self.repeat {
            Repeat::RequestId(service) => Some(service),
            Repeat::Otherwise(_) => None,
        }
    }
}

#[test]
fn every_change_of_the_contract_is_proved() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let entries = MUTATIONS.iter().filter(|mutation| mutation.path == rule.path).count();
        let sentence = match (rule.changes, entries) {
            (true, 1) | (false, 0) => continue,
            (true, 0) => {
                "changes something and nothing is proved of it: add an entry to MUTATIONS, with its requests in requests.rs"
            }
            (true, _) => "has several entries: leave one",
            (false, _) => "changes nothing: take its entry out, or declare EFFECT_CHANGE in proto/",
        };
        wrong.push(format!("{HERE}: {} {sentence}", rule.path));
    }
    for mutation in MUTATIONS.iter().filter(|mutation| RULES.iter().all(|rule| rule.path != mutation.path)) {
        wrong.push(format!("{HERE}: the contract has no {}: take its entry out", mutation.path));
    }
    assert!(wrong.is_empty(), "\n\n{}\n", wrong.join("\n"));
}

#[test]
fn every_change_is_told_by_events_or_says_why_not() {
    let says_nothing = |mutation: &&Mutation| match mutation.events {
        Events::Told(types) => types.is_empty(),
        Events::None(why) => why.is_empty(),
    };
    let wrong: Vec<&str> = MUTATIONS.iter().filter(says_nothing).map(|mutation| mutation.path).collect();
    assert!(wrong.is_empty(), "{HERE}: name the events of these, or say in Events::None why there are none: {wrong:?}");
}

/// Where a request holds an etag: beside the name, or in the resource.
fn etag_of(request: &prost_reflect::MessageDescriptor) -> Option<String> {
    if request.get_field_by_name("etag").is_some() {
        return Some("etag".to_owned());
    }
    let mut inner = request.fields().filter(|field| !field.is_list());
    let guarded = inner.find(|field| {
        let resource = field.kind();
        resource.as_message().is_some_and(|resource| resource.get_field_by_name("etag").is_some())
    });
    guarded.map(|field| format!("{}.etag", field.name()))
}

#[test]
fn every_change_has_a_request_id_and_of_something_existing_an_etag_or_says_why_not() {
    let mut wrong = Vec::new();
    for mutation in MUTATIONS {
        let request = message::method(mutation.path).input();
        let mut tell = |sentence: &str| wrong.push(format!("{HERE}: {}: {sentence}", mutation.path));
        match (request.get_field_by_name("request_id").is_some(), &mutation.repeat) {
            (true, Repeat::RequestId(_)) => {}
            (false, Repeat::Otherwise(why)) if !why.is_empty() => {}
            (true, Repeat::Otherwise(_)) => tell("it has a request_id: prove its repeats by Repeat::RequestId"),
            (false, _) => {
                tell("add `string request_id` to its request, or say in Repeat::Otherwise what does in its place")
            }
        }
        let creates = mutation.path.rsplit('/').next().is_some_and(|name| name.starts_with("Create"));
        match (etag_of(&request), &mutation.guard) {
            (Some(found), Guard::Etag { field, .. }) if found == *field => {}
            (None, Guard::Nothing(why)) if !why.is_empty() => {}
            (Some(_), Guard::Nothing(why)) if creates && !why.is_empty() => {}
            (Some(found), _) => tell(&format!("its request has {found}: prove that by Guard::Etag")),
            (None, _) => tell("add `string etag` to its request, or say in Guard::Nothing why it needs none"),
        }
    }
    assert!(wrong.is_empty(), "\n\n{}\n", wrong.join("\n"));
}
