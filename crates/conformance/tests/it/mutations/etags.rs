//! An etag lets through what was decided on the state it was read with, and nothing else (AIP-154).

use std::collections::{BTreeMap, BTreeSet};

use api::ErrorReason as Reason;
use tonic_types::StatusExt as _;

use super::message::Message;
use super::repeats::at_once;
use super::requests::Ask;
use super::stage::{Person, Stage};
use super::table::{Again, Guard, MUTATIONS, Mutation};
use super::world::World;
use crate::scenarios::{Caller, raw, refused};

/// How many change one thing at the same moment.
const AT_ONCE: usize = 20;

/// What resources show of others: it comes and goes with those, whose etags tell of it.
const OF_OTHERS: &[&str] = &["delegated_services", "partner_display_name", "partner_verified_domain"];

#[tokio::test(flavor = "multi_thread")]
async fn aip_154_of_many_changes_by_one_etag_one_is_made_on_two_replicas() {
    let stage = Stage::apart("public").await;
    assert_eq!(proved(&stage).await, MUTATIONS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn aip_154_of_many_changes_by_one_etag_one_is_made_in_the_embedded_system() {
    let stage = Stage::embedded("public").await;
    assert!(proved(&stage).await > 0);
}

/// How many entries were proved.
async fn proved(stage: &Stage) -> usize {
    let mut count = 0;
    for (number, mutation) in Mutation::on(stage) {
        let proof = Proof::new(stage, mutation, World::new(stage, number).await).await;
        match mutation.guard {
            Guard::Etag { field, read } => proof.guarded(field, read).await,
            Guard::Nothing(_) => proof.unguarded().await,
        }
        proof.again().await;
        count += 1;
    }
    count
}

struct Proof<'a> {
    stage: &'a Stage,
    mutation: &'static Mutation,
    world: World,
    callers: [Caller; 2],
    request: Message,
}

/// What can be read in a world, by name: what it holds of its own, and its etag.
type Sight = BTreeMap<String, (Message, String)>;

impl<'a> Proof<'a> {
    async fn new(stage: &'a Stage, mutation: &'static Mutation, world: World) -> Proof<'a> {
        let [callers, _] = mutation.callers(stage, &world).await;
        let request = Message::request(mutation.path, &(mutation.request)(&world, Ask::Right));
        Proof { stage, mutation, world, callers, request }
    }

    /// All that existed before the change.
    async fn sight(&self) -> Sight {
        let [otto, _] = self.stage.callers(&Person::operator("otto")).await;
        let [ada, _] = self.stage.callers(&self.world.agent("one", "ada")).await;
        let (customer, world) = (self.world.customer(), &self.world);
        let directory = |method: &str| format!("/mandate.relationship.v1.DirectoryService/{method}");
        let delegation = "/mandate.relationship.v1.DelegationService/GetDelegation".to_owned();
        let subscription = "/mandate.relationship.v1.SubscriptionService/GetSubscription".to_owned();
        let relationship = "/mandate.relationship.v1.RelationshipService/GetRelationship".to_owned();
        let link = "/mandate.invitation.v1.InvitationService/GetInvitationLink".to_owned();
        let read = [
            (&otto, directory("GetPartner"), world.partner("one")),
            (&otto, directory("GetPartner"), world.partner("two")),
            (&otto, directory("GetCustomer"), customer.clone()),
            (&otto, directory("GetUser"), format!("{customer}/users/uma")),
            (&otto, subscription, format!("{customer}/subscriptions/mail")),
            (&otto, relationship.clone(), world.relationship.clone()),
            (&otto, relationship, world.ending.clone()),
            (&otto, delegation.clone(), world.held[0].clone()),
            (&otto, delegation, world.held[1].clone()),
            (&ada, link, world.spare.name.clone()),
        ];
        let mut sight = Sight::new();
        for (caller, path, name) in read {
            let request = Message::request(&path, &[]).with("name", &name).bytes();
            let found = raw::call(caller, &path, request).await.unwrap_or_else(|status| panic!("{path}: {status:?}"));
            let found = Message::answer(&path, &found.message);
            let etag = found.text("etag");
            assert!(!etag.is_empty(), "{name} has no etag");
            sight.insert(name, (found.without(OF_OTHERS), etag));
        }
        sight
    }

    /// A change by etag: never by an old one, once by one of many, and by none at all.
    async fn guarded(&self, field: &str, read: &str) {
        let path = self.mutation.path;
        let name = self.request.text(&field.replace("etag", "name"));
        let before = self.sight().await;
        let (_, etag) = before.get(&name).unwrap_or_else(|| panic!("{path}: let `sight` read {name} by {read}"));
        for stale in [&format!("{etag}0"), "v0", "anything"] {
            let answer = raw::call(&self.callers[0], path, self.request.clone().with(field, stale).bytes()).await;
            refused(answer, Reason::EtagMismatch, ["AIP-154", self.stage.cloud.id, &name], &[]);
        }
        assert_eq!(self.sight().await, before, "{path}: a refusal changes nothing");

        let request = self.request.clone().with(field, etag).bytes();
        let answers = at_once(&self.callers, path, &request, AT_ONCE).await;
        let made = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(made, 1, "{path}: of many one is made: {answers:?}");
        for answer in answers.into_iter().filter(Result::is_err) {
            refused(answer, Reason::EtagMismatch, ["AIP-154", self.stage.cloud.id, &name], &[]);
        }
        let after = self.sight().await;
        assert_eq!(changed(&before, &after), BTreeSet::from([name.as_str()]), "{path} changes what it names");
        assert_ne!(after[&name].1, *etag, "{path}: the etag changes with the resource");
    }

    /// A change without etag touches nothing that was there.
    async fn unguarded(&self) {
        let path = self.mutation.path;
        let before = self.sight().await;
        let answer = raw::call(&self.callers[0], path, self.request.bytes()).await;
        answer.unwrap_or_else(|status| panic!("{path}: {status:?}"));
        let after = self.sight().await;
        assert_eq!(changed(&before, &after), BTreeSet::new(), "{path} adds, and changes nothing");
    }

    /// A call without request id and etag: whatever there is now.
    async fn again(&self) {
        let path = self.mutation.path;
        let before = self.sight().await;
        let answer = raw::call(&self.callers[1], path, self.request.bytes()).await;
        let after = self.sight().await;
        let expected = match self.mutation.again {
            Again::Refused(reason) => {
                let status = answer.expect_err("it cannot happen twice");
                let info = status.get_details_error_info().expect("every refusal has it");
                assert_eq!(info.reason, reason.wire(), "{path}: {status:?}");
                false
            }
            Again::Nothing | Again::Changes => {
                answer.unwrap_or_else(|status| panic!("{path}, once more: {status:?}"));
                self.mutation.again == Again::Changes
            }
        };
        assert_eq!(!changed(&before, &after).is_empty(), expected, "{path}, once more");
    }
}

/// The names of what has changed, each of which has another etag, as nothing else has.
fn changed<'a>(before: &'a Sight, after: &Sight) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (name, (found, etag)) in before {
        let (found_now, etag_now) = &after[name];
        assert_eq!(
            found == found_now,
            etag == etag_now,
            "{name} and its etag change together: {found:?} {found_now:?}"
        );
        if etag != etag_now {
            names.insert(name.as_str());
        }
    }
    names
}
