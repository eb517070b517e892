//! A process killed at each named point while one change is made: after its restart and the caller's repeat there is one outcome.

use std::path::Path;
use std::sync::Arc;

use api::invitation as links;
use api::relationship as wire;
use chaos::check;
use chaos::client::{Actor, Client, Scene};
use chaos::cluster::{Cluster, Engine, Shape, unlike};
use chaos::history::{History, Outcome};
use chaos::kind::Kind;
use chaos::operation::tenants::consent;
use chaos::random::Random;
use chaos::round;
use failpoint::Point;
use prost::Message;

/// The services that pass this point while a customer accepts, removes or reassigns.
fn passed_by(point: Point) -> &'static str {
    match point {
        Point::ChangeBegun
        | Point::ChangeClaimed
        | Point::ChangeEmitted
        | Point::ChangeKept
        | Point::ChangeCommitted
        | Point::RelayRead
        | Point::RelayDelivered
        | Point::RelayMarked => "relationship",
        Point::LinkVerified | Point::LinkEstablished => "invitation",
        Point::IngestBegun | Point::IngestWritten | Point::IngestCommitted => "notification",
    }
}

/// A system with one process of each service.
struct Stage {
    cluster: Cluster,
    logs: std::path::PathBuf,
    random: Random,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_has_one_outcome_wherever_a_process_is_killed() {
    let mut stage = Stage::set(Kind::Accept).await;
    for (round, point) in (1..).zip(Point::ALL) {
        stage.play(Kind::Accept, &format!("{}:1", point.name()), passed_by(point), round).await;
    }
    // Between relationship and agreement, and between agreement and delegation.
    for (round, pass) in [(101, 2), (102, 3)] {
        let plan = format!("{}:{pass}", Point::ChangeEmitted.name());
        stage.play(Kind::Accept, &plan, "relationship", round).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_has_one_outcome_wherever_a_process_is_killed() {
    let mut stage = Stage::set(Kind::Remove).await;
    for (round, point) in (1..).zip(Point::ALL).filter(|(_, point)| passed_by(*point) != "invitation") {
        stage.play(Kind::Remove, &format!("{}:1", point.name()), passed_by(point), round).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reassignment_has_one_outcome_wherever_a_process_is_killed() {
    let mut stage = Stage::set(Kind::Reassign).await;
    for (round, point) in (1..).zip(Point::ALL).filter(|(_, point)| passed_by(*point) != "invitation") {
        stage.play(Kind::Reassign, &format!("{}:1", point.name()), passed_by(point), round).await;
    }
    // Between the end of one delegation and the begin of the other.
    let plan = format!("{}:2", Point::ChangeEmitted.name());
    stage.play(Kind::Reassign, &plan, "relationship", 101).await;
}

impl Stage {
    async fn set(kind: Kind) -> Stage {
        let seed = 1_000_000 + kind as u64;
        let logs = round::logs(Path::new(env!("CARGO_TARGET_TMPDIR")), seed).expect("room for logs");
        // The cloud with an agreement: three events of one acceptance.
        let policies = unlike().expect("the clouds of this checkout")[1..].to_vec();
        let shape = Shape { policies, replicas: 1, gateways: 1, engine: Engine::Postgres, logs: logs.clone() };
        let cluster = Cluster::start(&shape).await.expect("the system starts");
        Stage { cluster, logs, random: Random::at(seed, &[]) }
    }

    /// One change, by tenants of its own, while a service is told to die.
    async fn play(&mut self, kind: Kind, plan: &str, service: &str, round: u64) {
        let history = History::begin(&self.logs.join(format!("{kind:?}-{plan}.jsonl"))).expect("room for a history");
        let history = Arc::new(history);
        let scene = Arc::new(Scene::set(&self.cluster, 0, round).expect("tokens"));
        round::prepare(&self.cluster, &scene, &history, 1).await.expect("tenants");
        let client = Client::new(&self.cluster, &scene, &history).expect("an address");
        let request = self.request(kind, &client).await;
        self.cluster.quiet().await.expect("nothing is on its way");

        let slot = self.cluster.replicas(0, service).next().expect("there is one of each");
        let deaths = slot.deaths().len();
        slot.die_at(plan);
        tokio::task::block_in_place(|| slot.wait_ready()).expect("it starts");
        let actor = Actor::Admin(0);
        let outcome = client.ask(actor, kind, kind.path(), request.into()).await;
        assert!(matches!(outcome, Outcome::Answered(_)), "{kind:?} cut off at {plan}: {outcome:?}");
        tokio::task::block_in_place(|| slot.wait_death(deaths)).unwrap_or_else(|error| panic!("{plan}: {error}"));
        assert_eq!(slot.deaths().last().map(String::as_str), Some(plan), "it died where it was told to");

        self.cluster.mend().await.expect("all is well again");
        self.cluster.quiet().await.expect("all is told");
        let broken = check::all(&self.cluster, &scene, &history).await.expect("the system can be asked");
        assert!(broken.is_empty(), "{kind:?} cut off at {plan}: {broken:#?}");
    }

    /// The request that is going to be cut off, and whatever must have happened before.
    async fn request(&mut self, kind: Kind, client: &Client) -> Vec<u8> {
        let request_id = self.random.uuid();
        if kind == Kind::Accept {
            return self.acceptance(client, 0, "reseller.azure-ad").await.encode_to_vec();
        }
        let name = self.accepted(client, 0, "reseller.azure-ad").await.delegations[0].name.clone();
        if kind == Kind::Remove {
            return wire::RemoveDelegationRequest { name, request_id, ..Default::default() }.encode_to_vec();
        }
        self.accepted(client, 1, "reseller").await;
        let to_partner = client.scene.partner(1);
        wire::ReassignDelegationRequest { name, to_partner, request_id, ..Default::default() }.encode_to_vec()
    }

    async fn acceptance(&mut self, client: &Client, partner: u64, slug: &str) -> links::AcceptInvitationRequest {
        let name = format!("{}/invitationLinks/{slug}", client.scene.partner(partner));
        let path = "/mandate.invitation.v1.InvitationService/GetInvitationLink";
        let request = links::GetInvitationLinkRequest { name };
        let link: Option<links::InvitationLink> = client.read(Actor::Agent(partner), path, &request).await;
        let agreement = self.cluster.clouds[0].policy.required_agreement.as_ref();
        links::AcceptInvitationRequest {
            token: link.expect("a link").token,
            customer: client.scene.customer(0),
            agreement: agreement.map(|agreement| consent(&agreement.id, &agreement.version)),
            request_id: self.random.uuid(),
            ..Default::default()
        }
    }

    async fn accepted(&mut self, client: &Client, partner: u64, slug: &str) -> links::AcceptInvitationResponse {
        let request = self.acceptance(client, partner, slug).await.encode_to_vec();
        let outcome = client.ask(Actor::Admin(0), Kind::Accept, Kind::Accept.path(), request.into()).await;
        let Outcome::Answered(answer) = outcome else {
            panic!("nothing stands in the way: {outcome:?}");
        };
        links::AcceptInvitationResponse::decode(answer.message).expect("an answer of the contract")
    }
}
