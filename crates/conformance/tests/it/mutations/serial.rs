//! Remove, reassign, accept and rotate at once, about one service of one customer: some serial order explains every answer.
//!
//! The customer's history gives the order of the changes; [`order`] replays it and looks, for each answer, for a moment between
//! call and answer at which it is the right one.

mod order;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::invitation::RotateInvitationLinkRequest;
use api::notification::Event;
use api::relationship::{ReassignDelegationRequest, RemoveDelegationRequest};
use tokio::task::JoinSet;
use tonic::Status;
use tonic_types::StatusExt as _;

use self::order::{Call, Grant, Operation, Outcome, Refusal};
use super::stage::{Person, Stage};
use crate::scenarios::Caller;
use crate::scenarios::cloud::Cloud;
use crate::scenarios::history::watched_until;

/// Where the choices of the first round begin; each round adds one.
const SEED: u64 = 0x6d61_6e64_6174_6501;

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 6;
const CALLS: usize = 8;
const PARTNERS: usize = 3;
const OPTIONS: &str = "reseller.office-365";

#[tokio::test(flavor = "multi_thread")]
async fn some_serial_order_explains_every_answer_on_two_replicas() {
    explained(&Stage::apart("china").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_serial_order_explains_every_answer_in_the_embedded_system() {
    explained(&Stage::embedded("china").await).await;
}

async fn explained(stage: &Stage) {
    let [otto, _] = stage.callers(&Person::operator("otto")).await;
    let mut made = HashSet::new();
    for seed in SEED..SEED + ROUNDS {
        let round = Arc::new(Round::new(stage, &otto, seed).await);
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let round = Arc::clone(&round);
            clients.spawn(async move { round.play(Dice(seed.wrapping_mul(31).wrapping_add(client))).await });
        }
        clients.join_all().await;
        let events = round.events().await;
        let holders = round.gwen[0].holders(&round.customer).await.into_iter().map(|held| held.name).collect();
        let partners = round.gwen[1].partners(&round.customer).await.into_iter().map(|found| found.partner).collect();
        let calls = locked(&round.calls);
        let problems = order::unexplained(&events, &calls, (holders, partners));
        assert!(problems.is_empty(), "seed {seed:#x}: {problems:#?}\n{calls:#?}\n{events:#?}");
        made.extend(calls.iter().filter_map(|call| call.outcome.as_ref().ok()).map(std::mem::discriminant));
    }
    assert_eq!(made.len(), 4, "of each kind of operation some succeeded, or this has shown little");
}

/// Numbers that a seed decides (splitmix64).
struct Dice(u64);

impl Dice {
    /// One of so many.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 33) % sides as u64).expect("less than the sides")
    }
}

/// A customer of its own, its suitors, and all that is asked of both.
struct Round {
    cloud: &'static Cloud,
    customer: String,
    partners: [String; PARTNERS],
    gwen: [Caller; 2],
    agents: Vec<[Caller; 2]>,
    /// Counts beginnings and ends of calls: what ended with a lower number than another began with came before it.
    moment: AtomicUsize,
    /// The delegations that somebody has heard of.
    known: Mutex<Vec<String>>,
    /// The last token of each partner that somebody has heard of, and when.
    tokens: Mutex<Vec<Grant>>,
    calls: Mutex<Vec<Call>>,
}

impl Round {
    async fn new(stage: &Stage, otto: &Caller, seed: u64) -> Round {
        let (cloud, buyer) = (stage.cloud, format!("buyer-{seed:x}"));
        otto.register_customer(&buyer, cloud.country).await;
        let (mut partners, mut agents, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..PARTNERS {
            let id = format!("partner-{place}-{seed:x}");
            otto.register_partner(&id, cloud.country, cloud.contract).await;
            let callers = stage.callers(&Person::agent(&id, "ada")).await;
            let token = callers[0].link(&format!("partners/{id}"), OPTIONS).await.expect("a link").token;
            tokens.push(Grant { token, began: 0, ended: 0 });
            partners.push(format!("partners/{id}"));
            agents.push(callers);
        }
        Round {
            cloud,
            customer: format!("customers/{buyer}"),
            partners: partners.try_into().expect("so many were made"),
            gwen: stage.callers(&Person::admin(&buyer, "gwen")).await,
            agents,
            moment: AtomicUsize::new(1),
            known: Mutex::default(),
            tokens: Mutex::new(tokens),
            calls: Mutex::default(),
        }
    }

    fn now(&self) -> usize {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    async fn play(&self, mut dice: Dice) {
        for _ in 0..CALLS {
            let operation = self.choose(&mut dice);
            // A refusal is an answer like any other: it is judged when all are there.
            self.perform(dice.roll(2), operation).await.ok();
        }
    }

    /// Calls, and writes down what came of it.
    async fn perform(&self, way: usize, operation: Operation) -> Result<Outcome, Refusal> {
        let began = self.now();
        let outcome = self.call(way, &operation).await.map_err(|status| Refusal::of(&status));
        let ended = self.now();
        match &outcome {
            Ok(Outcome::Accepted { delegation, .. } | Outcome::Reassigned { delegation }) => {
                locked(&self.known).push(delegation.clone());
            }
            Ok(Outcome::Rotated { partner, token }) => {
                locked(&self.tokens)[*partner] = Grant { token: token.clone(), began, ended };
            }
            Ok(Outcome::Removed) | Err(_) => {}
        }
        locked(&self.calls).push(Call { began, ended, operation, outcome: outcome.clone() });
        outcome
    }

    /// What to do next, with what somebody has heard of.
    fn choose(&self, dice: &mut Dice) -> Operation {
        let known = locked(&self.known).clone();
        let tokens = locked(&self.tokens).clone();
        let place = dice.roll(PARTNERS);
        let partner = self.partners[place].clone();
        // The later ones are more likely to be in force.
        let recent = known.len().saturating_sub(2);
        let name = known.get(recent + dice.roll(2)).or(known.last()).cloned();
        match (dice.roll(10), name) {
            (0..=1, Some(name)) => Operation::Remove { name },
            (2..=3, Some(name)) => Operation::Reassign { name, to: partner },
            (4, _) => Operation::Rotate { partner: place },
            (5..=7, Some(name)) => {
                Operation::Accept { place, partner, grant: tokens[place].clone(), replace: vec![name] }
            }
            _ => Operation::Accept { place, partner, grant: tokens[place].clone(), replace: Vec::new() },
        }
    }

    async fn call(&self, way: usize, operation: &Operation) -> Result<Outcome, Status> {
        let gwen = &self.gwen[way];
        match operation {
            Operation::Accept { grant, replace, .. } => {
                let mut request = self.cloud.acceptance(&grant.token, &self.customer);
                request.replace.clone_from(replace);
                let mut answer = gwen.accept(request).await?.into_inner();
                let replaced = answer.replaced.into_iter().map(|ended| ended.name).collect();
                Ok(Outcome::Accepted { delegation: answer.delegations.remove(0).name, replaced })
            }
            Operation::Remove { name } => {
                let request = RemoveDelegationRequest { name: name.clone(), ..Default::default() };
                gwen.delegations().remove_delegation(request).await.map(|_| Outcome::Removed)
            }
            Operation::Reassign { name, to } => {
                let (name, to_partner) = (name.clone(), to.clone());
                let request = ReassignDelegationRequest { name, to_partner, ..Default::default() };
                let answer = gwen.delegations().reassign_delegation(request).await?.into_inner();
                Ok(Outcome::Reassigned { delegation: answer.granted.expect("one began").name })
            }
            Operation::Rotate { partner } => {
                let name = format!("{}/invitationLinks/{OPTIONS}", self.partners[*partner]);
                let request = RotateInvitationLinkRequest { name, ..Default::default() };
                let link = self.agents[*partner][way].invitations().rotate_invitation_link(request).await?.into_inner();
                Ok(Outcome::Rotated { partner: *partner, token: link.token })
            }
        }
    }

    /// The history of the customer, up to an acceptance that nothing comes after.
    async fn events(&self) -> Vec<Event> {
        let gwen = &self.gwen[0];
        let place = gwen.partners(&self.customer).await.len() % PARTNERS;
        let partner = self.partners[place].clone();
        for held in gwen.holders(&self.customer).await {
            let removed = self.perform(0, Operation::Remove { name: held.name }).await;
            removed.expect("nobody else does anything any more");
        }
        // Of rotations that were answered together nobody knows which was the last.
        let began = self.now();
        let token = self.agents[place][0].link(&partner, OPTIONS).await.expect("its own").token;
        let grant = Grant { token, began, ended: self.now() };
        let accept = Operation::Accept { place, partner, grant, replace: Vec::new() };
        let Ok(Outcome::Accepted { delegation, .. }) = self.perform(1, accept).await else {
            panic!("nobody holds the service: {:#?}", locked(&self.calls));
        };
        let is_end = |events: &[Event]| {
            events.last().is_some_and(|event| event.resource == delegation && event.r#type == "delegation.granted")
        };
        watched_until(gwen, &self.customer, 0, is_end).await
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Refusal {
    fn of(status: &Status) -> Refusal {
        let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
        let metadata = info.metadata.into_iter().collect();
        Refusal { reason: info.reason, metadata, may_retry: status.get_details_retry_info().is_some() }
    }
}
