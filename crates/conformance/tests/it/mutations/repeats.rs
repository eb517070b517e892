//! A repeated request returns the first answer, whoever answers and whatever happened in between (AIP-155).

use api::ErrorReason as Reason;
use api::invitation::RotateInvitationLinkRequest;
use api::notification::{Event, IngestEventsResponse};
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::task::JoinSet;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::message::{self, Message};
use super::requests::Ask;
use super::stage::Stage;
use super::table::{Guard, MUTATIONS, Mutation, Repeat, Who};
use super::world::World;
use crate::scenarios::history::{types, watched_until};
use crate::scenarios::raw::{self, Answer};
use crate::scenarios::{Caller, refused, request_id};

/// How often a request is sent at the same moment.
const AT_ONCE: usize = 8;

/// How often a call is repeated that asks for it.
const TRIES_MAX: usize = 100;

/// What the second partner's customer is asked for at the end, so that nothing is on its way any more.
const MARKER: &str = "reseller.azure";

/// The reason given for the same with a link.
const THE_END: &str = "the end";

#[tokio::test(flavor = "multi_thread")]
async fn aip_155_repeats_get_the_first_answer_from_both_replicas_and_after_one_was_killed() {
    let mut stage = Stage::apart("public").await;
    let proofs = proved(&stage).await;
    assert_eq!(proofs.len() + 1, MUTATIONS.len(), "all but the one that is recognized otherwise");
    let arrivals = Arrivals::sent(&stage, MUTATIONS.len()).await;
    stage.kill();
    for proof in &proofs {
        proof.repeated().await;
    }
    arrivals.again().await;
    for proof in &proofs {
        proof.told(&stage).await;
    }
    arrivals.told(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aip_155_repeats_get_the_first_answer_from_the_embedded_system() {
    let stage = Stage::embedded("public").await;
    for proof in proved(&stage).await {
        proof.told(&stage).await;
    }
}

/// Every change with a request id, made and repeated.
async fn proved(stage: &Stage) -> Vec<Proof> {
    let mut proofs = Vec::new();
    for (number, mutation) in Mutation::on(stage).filter(|(_, mutation)| mutation.kept_by().is_some()) {
        proofs.push(Proof::of(stage, mutation, World::new(stage, number).await).await);
    }
    proofs
}

/// A call, made again for as long as it is told that this helps.
pub(crate) async fn insist(caller: &Caller, path: &str, request: &Bytes) -> Result<Answer, Status> {
    for _ in 0..TRIES_MAX {
        match raw::call(caller, path, request.clone()).await {
            Err(status) if status.get_details_retry_info().is_some() => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
    raw::call(caller, path, request.clone()).await
}

/// The same request so many times at the same moment, by all ways in turn.
pub(crate) async fn at_once(
    callers: &[Caller; 2],
    path: &'static str,
    request: &Bytes,
    times: usize,
) -> Vec<Result<Answer, Status>> {
    let mut sending = JoinSet::new();
    for place in 0..times {
        let (caller, request) = (callers[place % 2].clone(), request.clone());
        sending.spawn(async move { insist(&caller, path, &request).await });
    }
    sending.join_all().await
}

/// A change that was made, and what it was answered.
struct Proof {
    mutation: &'static Mutation,
    world: World,
    callers: [Caller; 2],
    request: Message,
    first: Bytes,
}

impl Proof {
    async fn of(stage: &Stage, mutation: &'static Mutation, world: World) -> Proof {
        let [callers, others] = mutation.callers(stage, &world).await;
        let request = Message::request(mutation.path, &(mutation.request)(&world, Ask::Right));
        let request = request.with("request_id", &request_id());
        let mut proof = Proof { mutation, world, callers, request, first: Bytes::new() };
        proof.refused(stage.cloud.id).await;
        proof.made().await;
        proof.repeated().await;
        proof.reused(stage).await;
        proof.independent(&others).await;
        proof.repeated().await;
        proof
    }

    /// Another request with the id of the first.
    fn asked(&self, mutation: &Mutation, ask: Ask) -> Bytes {
        let request = Message::request(mutation.path, &(mutation.request)(&self.world, ask));
        request.with("request_id", &self.request.text("request_id")).bytes()
    }

    /// What changes nothing uses no id.
    async fn refused(&self, cloud: &str) {
        let (path, caller) = (self.mutation.path, &self.callers[0]);
        for malformed in ["1", "not-a-uuid", "01a00000-0000-7000-8000-00000000000g"] {
            let answer = raw::call(caller, path, self.request.clone().with("request_id", malformed).bytes()).await;
            let told = refused(answer, Reason::FieldInvalid, ["AIP-203", cloud, ""], &[]);
            assert_eq!(told.fields, ["request_id"], "{path}");
        }
        if self.request.has("validate_only") {
            let answer = raw::call(caller, path, self.request.clone().flagged("validate_only").bytes()).await;
            let answer = answer.unwrap_or_else(|status| panic!("{path}, not meant: {status:?}"));
            assert_eq!(answer.consistency_token, None, "{path}: nothing has changed");
        }
        for _ in 0..2 {
            let answer = raw::call(caller, path, self.asked(self.mutation, Ask::Refused)).await;
            let status = answer.expect_err("there is something in its way");
            assert_eq!(reason(&status), self.mutation.refused.wire(), "{path}: {status:?}");
        }
    }

    /// Sent many times at once, made once.
    async fn made(&mut self) {
        let path = self.mutation.path;
        for answer in at_once(&self.callers, path, &self.request.bytes(), AT_ONCE).await {
            let answer = answer.unwrap_or_else(|status| panic!("{path}, at once: {status:?}"));
            assert!(answer.consistency_token.is_some(), "{path} returns no token");
            if self.first.is_empty() {
                self.first = answer.message;
            } else {
                assert_eq!(answer.message, self.first, "{path}: all at once get one answer");
            }
        }
        self.unchanged().await;
    }

    /// The resource is as the first answer says.
    async fn unchanged(&self) {
        let Guard::Etag { field, read } = self.mutation.guard else { return };
        if message::method(read).output() != message::method(self.mutation.path).output() {
            return;
        }
        let name = self.request.text(&field.replace("etag", "name"));
        let request = Message::request(read, &[]).with("name", &name).bytes();
        let found = raw::call(&self.callers[0], read, request).await.expect("whoever changes it may read it");
        assert_eq!(found.message, self.first, "{}: nothing happened twice", self.mutation.path);
    }

    /// Again and again, by every way.
    async fn repeated(&self) {
        let path = self.mutation.path;
        for caller in &self.callers {
            let again = insist(caller, path, &self.request.bytes()).await;
            let again = again.unwrap_or_else(|status| panic!("{path}, again: {status:?}"));
            assert_eq!(again.message, self.first, "{path}: a repeat returns the first answer");
            assert!(again.consistency_token.is_some(), "{path} returns no token to a repeat");
        }
        self.unchanged().await;
    }

    /// The id with anything else.
    async fn reused(&self, stage: &Stage) {
        let mutation = self.mutation;
        let principal = |who: Who| if who == Who::Invitation { Who::Admin } else { who };
        let another = Mutation::on(stage).map(|(_, other)| other).find(|other| {
            other.path != mutation.path
                && other.kept_by() == mutation.kept_by()
                && principal(other.caller) == principal(mutation.caller)
        });
        let another = another.unwrap_or_else(|| panic!("{}: its caller can call nothing else", mutation.path));
        let [as_another, _] = another.callers(stage, &self.world).await;
        for (callers, path, request) in [
            (&self.callers, mutation.path, self.asked(mutation, Ask::Other)),
            (&as_another, another.path, self.asked(another, Ask::Other)),
        ] {
            for caller in callers {
                let answer = raw::call(caller, path, request.clone()).await;
                let told = refused(answer, Reason::RequestIdReused, ["AIP-155", stage.cloud.id, ""], &[]);
                assert_eq!(told.fields, ["request_id"], "{path} after {}", mutation.path);
            }
        }
    }

    /// The id in the hands of somebody else: it is refused for what it asks, not for whose it was.
    async fn independent(&self, others: &[Caller; 2]) {
        let (path, request) = (self.mutation.path, self.asked(self.mutation, Ask::Refused));
        for other in others {
            let status = raw::call(other, path, request.clone()).await.expect_err("there is something in its way");
            assert_eq!(reason(&status), self.mutation.refused.wire(), "{path}: {status:?}");
        }
    }

    /// Both feeds hold what the table says, and nothing else.
    async fn told(&self, stage: &Stage) {
        let (path, world) = (self.mutation.path, &self.world);
        let is_of_link = |kind: &&&str| kind.starts_with("invitationLink.");
        let (of_links, others): (Vec<&str>, Vec<&str>) = self.mutation.events.types().iter().partition(is_of_link);
        let happened = happened(stage, world).await;
        assert_eq!(types(&happened[world.told..]), others, "{path}");

        let [ada, _] = stage.callers(&world.agent("one", "ada")).await;
        let rotate = RotateInvitationLinkRequest {
            name: world.spare.name.clone(),
            reason: THE_END.to_owned(),
            ..Default::default()
        };
        ada.invitations().rotate_invitation_link(rotate).await.expect("its own link");
        let is_end = |events: &[Event]| events.last().is_some_and(|event| event.reason == THE_END);
        let mut told = watched_until(&ada, &world.partner("one"), 0, is_end).await;
        told.pop();
        let told = types(&told).into_iter().filter(|kind| is_of_link(&kind)).collect::<Vec<_>>();
        assert_eq!(told, of_links, "{path}");
    }
}

/// All that the customer was told of, once nothing is on its way any more.
async fn happened(stage: &Stage, world: &World) -> Vec<Event> {
    let link = world.link(stage, "two", MARKER).await;
    let [gwen, _] = stage.callers(&world.admin("gwen")).await;
    let marker = gwen.accept(stage.cloud.acceptance(&link.token, &world.customer())).await.expect("nobody holds it");
    let marker = marker.into_inner().delegations.remove(0).name;
    let is_end = |events: &[Event]| events.last().is_some_and(|event| event.resource == marker);
    let mut events = watched_until(&gwen, &world.customer(), 0, is_end).await;
    events.pop();
    events
}

/// Events on their way in, which have ids of their own.
struct Arrivals {
    mutation: &'static Mutation,
    world: World,
    callers: [Caller; 2],
}

impl Arrivals {
    async fn sent(stage: &Stage, number: usize) -> Arrivals {
        let mutation = MUTATIONS.iter().find(|mutation| matches!(mutation.repeat, Repeat::Otherwise(_)));
        let mutation = mutation.expect("the table has one");
        let world = World::new(stage, number).await;
        let [callers, _] = mutation.callers(stage, &world).await;
        let arrivals = Arrivals { mutation, world, callers };
        let refused = raw::call(&arrivals.callers[0], mutation.path, arrivals.asked(Ask::Refused)).await;
        assert_eq!(reason(&refused.expect_err("it is no event")), mutation.refused.wire());
        let mut counts = Vec::new();
        for answer in at_once(&arrivals.callers, mutation.path, &arrivals.asked(Ask::Right), AT_ONCE).await {
            let answer = answer.unwrap_or_else(|status| panic!("{}: {status:?}", mutation.path));
            // No token: who brings events asks nothing about them.
            assert_eq!(answer.consistency_token, None, "{}", mutation.path);
            counts.push(count(&answer));
        }
        counts.sort_unstable();
        assert_eq!((counts.pop(), counts.iter().sum::<i32>()), (Some(1), 0), "it is new once");
        arrivals
    }

    fn asked(&self, ask: Ask) -> Bytes {
        (self.mutation.request)(&self.world, ask).into()
    }

    /// Nothing of it is new any more, also not when it says something else.
    async fn again(&self) {
        for caller in &self.callers {
            for ask in [Ask::Right, Ask::Other] {
                let answer = insist(caller, self.mutation.path, &self.asked(ask)).await.expect("nothing is in its way");
                assert_eq!(count(&answer), 0);
            }
        }
    }

    async fn told(&self, stage: &Stage) {
        let mut happened = happened(stage, &self.world).await;
        happened.retain(|event| self.mutation.events.types().contains(&event.r#type.as_str()));
        assert_eq!(types(&happened), self.mutation.events.types());
    }
}

fn count(answer: &Answer) -> i32 {
    IngestEventsResponse::decode(answer.message.clone()).expect("the answer of the method").ingested_count
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
