//! Somebody who calls, and repeats each request with the same id until its outcome is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use api::ErrorReason;
use api::raw::Raw;
use bytes::Bytes;
use prost::Message;
use serde_json::json;
use testkit::provider::Identity;
use tokio::time::{Instant, sleep, timeout};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::cluster::Cluster;
use crate::history::{Call, History, Outcome};
use crate::kind::Kind;

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(6);
/// How long an outcome may stay unknown, over all tries.
const OUTCOME_MAX: Duration = Duration::from_secs(90);
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// How many partners each round has in each cloud.
pub const PARTNERS: u64 = 4;
/// How many customers.
pub const CUSTOMERS: u64 = 3;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// Of the cloud.
    Operator,
    /// A service that asks who may do what.
    Checker,
    /// An agent of a partner.
    Agent(u64),
    /// A global administrator of a customer.
    Admin(u64),
}

/// The tenants of one round in one cloud, and what their people show.
#[derive(Debug)]
pub struct Scene {
    /// The cloud, by place.
    pub cloud: usize,
    /// The round.
    pub round: u64,
    tokens: BTreeMap<Actor, MetadataValue<Ascii>>,
    cloud_id: MetadataValue<Ascii>,
}

impl Scene {
    /// The tenants of this round.
    ///
    /// # Errors
    /// Never for clouds whose id is ASCII.
    pub fn set(cluster: &Cluster, cloud: usize, round: u64) -> Result<Scene> {
        let partners = (0..PARTNERS).map(Actor::Agent);
        let customers = (0..CUSTOMERS).map(Actor::Admin);
        let mut tokens = BTreeMap::new();
        for actor in [Actor::Operator, Actor::Checker].into_iter().chain(partners).chain(customers) {
            let tenant = match actor {
                Actor::Operator | Actor::Checker => "platform".to_owned(),
                Actor::Agent(number) => partner_id(round, number),
                Actor::Admin(number) => customer_id(round, number),
            };
            let (kind, subject, role) = match actor {
                Actor::Operator => ("operator", "otto", "operator"),
                Actor::Checker => ("workload", "billing", "access_checker"),
                Actor::Agent(_) => ("partner", "ada", "admin_agent"),
                Actor::Admin(_) => ("customer", "gwen", "global_admin"),
            };
            let token = cluster.clouds[cloud].token(Identity { kind, tenant: &tenant, subject, roles: &[role] });
            tokens.insert(actor, format!("Bearer {token}").parse().context("a token is ASCII")?);
        }
        let cloud_id = cluster.clouds[cloud].id.parse().context("the id of a cloud is ASCII")?;
        Ok(Scene { cloud, round, tokens, cloud_id })
    }

    /// `partners/…`
    #[must_use]
    pub fn partner(&self, number: u64) -> String {
        format!("partners/{}", partner_id(self.round, number))
    }

    /// `customers/…`
    #[must_use]
    pub fn customer(&self, number: u64) -> String {
        format!("customers/{}", customer_id(self.round, number))
    }
}

/// The tenant id of a partner.
#[must_use]
pub fn partner_id(round: u64, number: u64) -> String {
    format!("round-{round}-partner-{number}")
}

/// The tenant id of a customer.
#[must_use]
pub fn customer_id(round: u64, number: u64) -> String {
    format!("round-{round}-customer-{number}")
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The message, encoded.
    pub message: Bytes,
    /// The token by which later reads see the change.
    pub token: Option<String>,
}

/// A refusal of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its code.
    pub code: Code,
    /// All its reasons as they travel; the first is that of `ErrorInfo`. Empty when it was none of the contract's.
    pub reasons: Vec<String>,
    /// Its sentence.
    pub message: String,
}

/// What came of one try.
#[derive(Debug)]
enum Tried {
    Answered(Answer),
    Refused(Refusal),
    /// It may have happened or not.
    Unknown(String),
}

/// A connection, and what is kept of the calls over it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Who its people are.
    pub scene: Arc<Scene>,
    /// Where its calls are kept.
    pub history: Arc<History>,
    channel: Channel,
}

impl Client {
    /// Somebody with a connection of their own to the gateways.
    ///
    /// # Errors
    /// Never for an address of ours.
    pub fn new(cluster: &Cluster, scene: &Arc<Scene>, history: &Arc<History>) -> Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://{}", cluster.front.address()))?;
        let channel = endpoint.connect_timeout(CONNECT_MAX).tcp_nodelay(true).connect_lazy();
        Ok(Client { scene: Arc::clone(scene), history: Arc::clone(history), channel })
    }

    /// Asks until the outcome is known, and keeps both.
    pub async fn ask(&self, actor: Actor, kind: Kind, path: &'static str, request: Bytes) -> Outcome {
        let begin_us = self.history.now_us();
        let deadline = Instant::now() + OUTCOME_MAX;
        let (mut sent, mut pause) = (0, PAUSE_MIN);
        let outcome = loop {
            sent += 1;
            match self.send(actor, path, request.clone()).await {
                Tried::Answered(answer) => break Outcome::Answered(answer),
                Tried::Refused(refusal) => break Outcome::Refused(refusal),
                Tried::Unknown(problem) => {
                    let tried = json!({ "path": path, "begin_us": begin_us, "sent": sent, "problem": problem });
                    self.history.note("unknown", &tried);
                    if Instant::now() >= deadline {
                        break Outcome::Unknown(problem);
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        };
        let end_us = self.history.now_us();
        let (cloud, kept) = (self.scene.cloud, outcome.clone());
        self.history.keep(Call { cloud, kind, actor, path, request, begin_us, end_us, sent, outcome: kept });
        outcome
    }

    /// Reads; `None` when it was refused or no answer came, which is kept as any outcome.
    pub async fn read<Q: Message, A: Message + Default>(
        &self,
        actor: Actor,
        path: &'static str,
        request: &Q,
    ) -> Option<A> {
        match self.ask(actor, Kind::Read, path, request.encode_to_vec().into()).await {
            Outcome::Answered(answer) => match A::decode(answer.message) {
                Ok(message) => Some(message),
                Err(error) => {
                    self.history.problem(format!("{path} answered with something else: {error}"));
                    None
                }
            },
            Outcome::Refused(_) | Outcome::Unknown(_) => None,
        }
    }

    /// Repeats a call that was made; for the same answer.
    pub async fn repeat(&self, call: &Call) -> Outcome {
        self.ask(call.actor, Kind::Repeat, call.path, call.request.clone()).await
    }

    async fn send(&self, actor: Actor, path: &'static str, message: Bytes) -> Tried {
        let mut request = Request::new(message);
        request.set_timeout(TRY_MAX);
        request.metadata_mut().insert("authorization", self.scene.tokens[&actor].clone());
        request.metadata_mut().insert("x-mandate-cloud", self.scene.cloud_id.clone());
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        let call = async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            client.unary(request, PathAndQuery::from_static(path), Raw).await
        };
        match timeout(TRY_MAX, call).await {
            Err(_) => Tried::Unknown("no answer in time".to_owned()),
            Ok(Err(status)) => tried(&status),
            Ok(Ok(response)) => {
                let token = response.metadata().get("mandate-consistency-token");
                let token = token.and_then(|token| token.to_str().ok()).map(str::to_owned);
                Tried::Answered(Answer { message: response.into_inner(), token })
            }
        }
    }
}

/// What a status says of the try: refused for good, or worth another.
fn tried(status: &Status) -> Tried {
    let info = status.get_details_error_info().filter(|info| info.domain == "mandate");
    let said = format!("{:?}: {}", status.code(), status.message());
    let Some(info) = info else {
        // Nobody of ours says nothing of the cause: the connection broke.
        let code = status.code();
        let broken = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled, Code::Unknown];
        // The last is how the client calls a stream that was cut off in the middle.
        if broken.contains(&code) || (code == Code::Internal && status.message().contains("h2 protocol error")) {
            return Tried::Unknown(said);
        }
        return Tried::Refused(Refusal { code, reasons: Vec::new(), message: status.message().to_owned() });
    };
    let again = [
        ErrorReason::CloudInstanceUnreachable,
        ErrorReason::DependencyUnavailable,
        ErrorReason::DeadlineExceeded,
        ErrorReason::Overloaded,
        ErrorReason::RateLimited,
        ErrorReason::ConcurrentChange,
    ];
    if again.iter().any(|reason| reason.wire() == info.reason) {
        return Tried::Unknown(said);
    }
    let mut reasons = vec![info.reason];
    for violation in status.get_details_precondition_failure().into_iter().flat_map(|failure| failure.violations) {
        if !reasons.contains(&violation.r#type) {
            reasons.push(violation.r#type);
        }
    }
    Tried::Refused(Refusal { code: status.code(), reasons, message: status.message().to_owned() })
}
