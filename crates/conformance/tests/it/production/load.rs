//! Customers who accept an invitation, ask what it allows, take it back and begin again, until they are told to end; and whether
//! a system still knows all that it told them.
//!
//! What fails in passing is repeated with the same request id, as the contract tells callers to. Anything else fails the test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::invitation::{AcceptInvitationRequest, AcceptInvitationResponse};
use api::relationship::DelegationState as State;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use api::relationship::{
    Action, CheckAccessRequest, Consistency, Delegation, ListDelegationsRequest, RemoveDelegationRequest,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::site::{AGENT, Instance, OPERATOR, admin};
use crate::scenarios::cloud::Cloud;
use crate::scenarios::history::{listed_by, watched};
use crate::scenarios::{Caller, request_id};

/// How long a call may be repeated.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries of a call.
const PAUSE: Duration = Duration::from_millis(20);
/// As large as the contract allows.
const PAGE: i32 = 1000;
const SERVICE: &str = "office-365";
/// The link that asks for it.
pub(crate) const LINK: &str = "reseller.office-365";

/// Who asks for what.
#[derive(Clone)]
pub(crate) struct Scene {
    /// Where.
    pub(crate) cloud: &'static Cloud,
    /// The partner: `partners/…`.
    pub(crate) partner: String,
    /// The token of its [`LINK`].
    pub(crate) token: String,
}

/// A customer, and what it was told has happened.
#[derive(Clone)]
pub(crate) struct Ledger {
    /// The customer: `customers/…`.
    customer: String,
    caller: Caller,
    acts: Vec<Act>,
    /// How often a call was repeated.
    pub(crate) repeats: usize,
}

/// What was acknowledged.
#[derive(Clone)]
enum Act {
    Accepted(Box<AcceptInvitationRequest>, Box<AcceptInvitationResponse>),
    Removed(String),
}

/// Customers at work.
pub(crate) struct Load {
    ledgers: Vec<Arc<Mutex<Ledger>>>,
    working: JoinSet<()>,
    /// True once they are to end.
    end: watch::Sender<bool>,
    /// How many changes were acknowledged.
    done: watch::Receiver<usize>,
}

/// Registers a partner with its link and so many customers in a cloud that holds nobody yet; returns them with an agent of the
/// partner.
pub(crate) async fn populated(
    instance: &Instance,
    channel: &Channel,
    customers: usize,
) -> (Scene, Caller, Vec<Ledger>) {
    let cloud = Cloud::of(instance.cloud);
    let (otto, ada) = (instance.caller(channel, OPERATOR), instance.caller(channel, AGENT));
    let partner = format!("partners/{}", AGENT.tenant);
    otto.register_partner(AGENT.tenant, cloud.country, cloud.contract).await;
    let token = ada.link(&partner, LINK).await.expect("a link").token;
    let mut ledgers = Vec::new();
    for place in 0..customers {
        let id = format!("customer-{place}");
        otto.register_customer(&id, cloud.country).await;
        ledgers.push(Ledger::new(&format!("customers/{id}"), instance.caller(channel, admin(&id))));
    }
    (Scene { cloud, partner, token }, ada, ledgers)
}

impl Ledger {
    /// The empty one of a customer, who calls as this caller.
    pub(crate) fn new(customer: &str, caller: Caller) -> Ledger {
        Ledger { customer: customer.to_owned(), caller, acts: Vec::new(), repeats: 0 }
    }

    /// How many changes it holds.
    pub(crate) fn len(&self) -> usize {
        self.acts.len()
    }

    /// The delegation in force.
    fn held(&self) -> Option<String> {
        match self.acts.last()? {
            Act::Accepted(_, answer) => Some(answer.delegations[0].name.clone()),
            Act::Removed(_) => None,
        }
    }

    /// Each delegation with its state.
    fn delegations(&self) -> BTreeMap<String, State> {
        let states = self.acts.iter().map(|act| match act {
            Act::Accepted(_, answer) => (answer.delegations[0].name.clone(), State::Active),
            Act::Removed(name) => (name.clone(), State::RemovedByCustomer),
        });
        states.collect()
    }

    /// What the history tells: type and resource of each event.
    fn history(&self) -> Vec<(&'static str, String)> {
        let mut events = Vec::new();
        for act in &self.acts {
            match act {
                Act::Accepted(_, answer) => {
                    if events.is_empty() {
                        let relationship = answer.relationship.as_ref().expect("an acceptance has one");
                        events.push(("relationship.established", relationship.name.clone()));
                        let taken = answer.agreement_acceptance.as_ref();
                        events.extend(taken.map(|taken| ("agreement.accepted", taken.name.clone())));
                    }
                    events.push(("delegation.granted", answer.delegations[0].name.clone()));
                }
                Act::Removed(name) => events.push(("delegation.removedByCustomer", name.clone())),
            }
        }
        events
    }

    /// Forgets what an older state does not know, and says how many changes it knows.
    pub(crate) async fn rewind(&mut self) -> usize {
        let known = listed_delegations(&self.caller, &self.customer).await;
        let removed = known.iter().filter(|held| held.state() != State::Active).count();
        self.acts.truncate(known.len() + removed);
        self.acts.len()
    }
}

impl Load {
    /// Lets the customers begin, or go on where their ledgers end.
    pub(crate) fn begin(scene: &Scene, ledgers: Vec<Ledger>) -> Load {
        let (end, told) = watch::channel(false);
        let (done_by_all, done) = watch::channel(0);
        let ledgers: Vec<_> = ledgers.into_iter().map(|ledger| Arc::new(Mutex::new(ledger))).collect();
        let mut working = JoinSet::new();
        for ledger in &ledgers {
            let customer = At { scene: scene.clone(), ledger: Arc::clone(ledger) };
            let (told, done) = (told.clone(), done_by_all.clone());
            working.spawn(async move {
                while !*told.borrow() {
                    customer.act().await;
                    done.send_modify(|count| *count += 1);
                }
            });
        }
        Load { ledgers, working, end, done }
    }

    /// Waits until so many more changes are acknowledged.
    pub(crate) async fn more(&mut self, count: usize) {
        let goal = *self.done.borrow() + count;
        let reached = tokio::select! {
            reached = self.done.wait_for(|done| *done >= goal) => reached.map(drop).map_err(|_| ()),
            ended = self.working.join_next() => panic!("a customer gave up: {ended:?}"),
        };
        assert!(reached.is_ok(), "they work until they are told to end");
    }

    /// How many changes each customer knows of now.
    pub(crate) fn acknowledged(&self) -> Vec<usize> {
        self.ledgers.iter().map(|ledger| ledger.lock().expect("nobody panicked").len()).collect()
    }

    /// Lets each customer end what it does, and returns what all of them know.
    pub(crate) async fn end(mut self) -> Vec<Ledger> {
        self.end.send_replace(true);
        while let Some(ended) = self.working.join_next().await {
            ended.expect("no customer gave up");
        }
        self.ledgers.iter().map(|ledger| ledger.lock().expect("nobody panicked").clone()).collect()
    }
}

/// A customer at work.
struct At {
    scene: Scene,
    ledger: Arc<Mutex<Ledger>>,
}

impl At {
    /// Makes one change, and asks whether it is in force.
    async fn act(&self) {
        let ledger = self.ledger.lock().expect("nobody panicked").clone();
        let (act, token) = match ledger.held() {
            None => {
                let request = self.scene.cloud.acceptance(&self.scene.token, &ledger.customer);
                let answer = self.settled(|| ledger.caller.accept(request.clone())).await;
                let token = consistency_token(&answer);
                (Act::Accepted(Box::new(request), Box::new(answer.into_inner())), token)
            }
            Some(name) => {
                let request =
                    RemoveDelegationRequest { name: name.clone(), request_id: request_id(), ..Default::default() };
                let remove = || {
                    let (mut client, request) = (ledger.caller.delegations(), request.clone());
                    async move { client.remove_delegation(request).await }
                };
                let answer = self.settled(remove).await;
                (Act::Removed(name), consistency_token(&answer))
            }
        };
        let is_granted = matches!(act, Act::Accepted(..));
        self.ledger.lock().expect("nobody panicked").acts.push(act);
        let question = check(&self.scene.partner, &ledger.customer, token);
        let ask = || {
            let (mut client, question) = (ledger.caller.access(), question.clone());
            async move { client.check_access(question).await }
        };
        let answer = self.settled(ask).await;
        assert_eq!(answer.into_inner().allowed, is_granted, "{} sees its own change", ledger.customer);
    }

    /// The answer to a call that is repeated for as long as what keeps it from being answered passes.
    async fn settled<T, F>(&self, call: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + PATIENCE;
        let mut pauses = tokio::time::interval(PAUSE);
        loop {
            pauses.tick().await;
            match call().await {
                Ok(answer) => return answer,
                Err(status) => assert!(passes(&status) && Instant::now() < deadline, "{status:?}"),
            }
            self.ledger.lock().expect("nobody panicked").repeats += 1;
        }
    }
}

/// Whether the same call may be answered later: the system says so, or nobody answered and it was the caller's own library that
/// gave up.
fn passes(status: &Status) -> bool {
    let gave_up = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled].contains(&status.code());
    match status.get_details_error_info() {
        Some(_) => status.get_details_retry_info().is_some() || status.code() == Code::DeadlineExceeded,
        None => gave_up,
    }
}

/// Whether the system knows all that it told these customers: once, in the state and in both histories, without gaps; and whether
/// it answers each acceptance as it did before. Events on their way are waited for. `ada` is an agent of the partner.
pub(crate) async fn confirm(scene: &Scene, ada: &Caller, ledgers: &[Ledger]) {
    let mut of_partner = 0;
    for ledger in ledgers {
        let expected = ledger.history();
        let events = watched(&ledger.caller, &ledger.customer, 0, expected.len()).await;
        let told: Vec<(&str, String)> =
            events.iter().map(|event| (event.r#type.as_str(), event.resource.clone())).collect();
        assert_eq!(told, expected, "{}: the history tells each change once, in order", ledger.customer);
        assert_eq!(listed_by(&ledger.caller, &ledger.customer, PAGE).await, events, "and nothing after them");
        let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..).take(events.len()).collect::<Vec<i64>>(), "no gaps, no repeats");

        let known = listed_delegations(&ledger.caller, &ledger.customer).await;
        let known: BTreeMap<String, State> = known.into_iter().map(|held| (held.name.clone(), held.state())).collect();
        assert_eq!(known, ledger.delegations(), "{}", ledger.customer);
        assert_eq!(ledger.caller.partners(&ledger.customer).await.len(), usize::from(ledger.len() > 0));
        for act in &ledger.acts {
            if let Act::Accepted(request, answer) = act {
                let again = ledger.caller.accept(*request.clone()).await.expect("a repeat is answered");
                assert_eq!(again.into_inner(), **answer, "with the first answer");
            }
        }
        of_partner += expected.len();
    }
    let events = watched(ada, &scene.partner, 0, of_partner).await;
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..).take(of_partner).collect::<Vec<i64>>(), "no gaps, no repeats");
    assert_eq!(listed_by(ada, &scene.partner, PAGE).await, events, "the partner is told the same, and no more");
}

async fn listed_delegations(caller: &Caller, customer: &str) -> Vec<Delegation> {
    let mut request =
        ListDelegationsRequest { parent: format!("{customer}/relationships/-"), page_size: 1000, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = caller.delegations().list_delegations(request.clone()).await.expect("its own").into_inner();
        all.extend(page.delegations);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

fn consistency_token<T>(answer: &Response<T>) -> String {
    let token = answer.metadata().get("mandate-consistency-token").expect("every change has one");
    token.to_str().expect("ASCII").to_owned()
}

/// Whether the partner may manage users, as of this token.
fn check(partner: &str, customer: &str, token: String) -> CheckAccessRequest {
    CheckAccessRequest {
        partner: partner.to_owned(),
        customer: customer.to_owned(),
        action: Action::ManageUsers.into(),
        target: Some(Target::Service(SERVICE.to_owned())),
        consistency: Some(Consistency { requirement: Some(Requirement::AtLeastAsFresh(token)) }),
    }
}
