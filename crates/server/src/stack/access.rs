//! Whether a call may reach its handler at all: by the rule that the contract declares for its method, the caller's token, the
//! peer's certificate and the permissions of the cloud's policy.
//!
//! Which tenant's data the caller may touch is not decided here: that depends on the request, which no layer reads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::ErrorReason;
use api::rule::{MethodRule, PrincipalKind};
use api::status::Refusal;
use cloud::{CloudId, Policy, Role};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::transport::server::TlsConnectInfo;
use tower::{Layer, Service};

use super::Answer;
use crate::identity::{self, Caller, Issuer};
use crate::listener::WireInfo;
use crate::workload::Workload;

/// Enforces the rules of the contract.
#[derive(Clone, Debug)]
pub(crate) struct AccessLayer {
    gate: Arc<Gate>,
}

impl AccessLayer {
    pub(crate) fn new(issuer: Issuer, policy: Arc<Policy>, trust_domain: &str) -> AccessLayer {
        let cloud = issuer.cloud().clone();
        let trust_domain = trust_domain.to_owned();
        AccessLayer { gate: Arc::new(Gate { cloud, issuer, policy, trust_domain }) }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, gate: Arc::clone(&self.gate) }
    }
}

/// What a decision needs.
#[derive(Debug)]
struct Gate {
    cloud: CloudId,
    issuer: Issuer,
    policy: Arc<Policy>,
    trust_domain: String,
}

/// What is to be done with a call.
enum Decision {
    Pass,
    PassAs(Arc<Caller>),
    /// The token was not seen before.
    Verify(&'static MethodRule, String),
}

impl Gate {
    fn decide<B>(&self, request: &http::Request<B>) -> Result<Decision, Refusal> {
        let path = request.uri().path();
        if super::is_probe(path) {
            return Ok(Decision::Pass);
        }
        let rule = MethodRule::find(path).ok_or_else(|| method_unknown(path))?;
        self.check_workload(rule, request.extensions())?;
        if rule.callers.is_empty() {
            return Ok(Decision::Pass);
        }
        let bearer = identity::bearer(request.headers())?;
        match self.issuer.remembered(bearer) {
            Some(caller) => self.admit(rule, caller).map(Decision::PassAs),
            None => Ok(Decision::Verify(rule, bearer.to_owned())),
        }
    }

    /// Internal methods are for the services that they name. The others come through the gateway or from a sibling: a service of
    /// another cloud has no business here, whatever token it holds (N69).
    fn check_workload(&self, rule: &MethodRule, extensions: &http::Extensions) -> Result<(), Refusal> {
        let connection = extensions.get::<TlsConnectInfo<WireInfo>>();
        let workload = connection.and_then(|connection| {
            connection.get_ref().workload(|| {
                let certificates = connection.peer_certs()?;
                Workload::of(certificates.first()?, &self.trust_domain)
            })
        });
        let cloud = self.cloud.as_str();
        let allowed = workload.is_some_and(|workload| {
            if rule.is_internal() { workload.is_one_of(rule.workloads, cloud) } else { workload.may_bring_calls(cloud) }
        });
        if allowed {
            return Ok(());
        }
        let message = if rule.is_internal() {
            format!("the method is internal to cloud {cloud}; it takes calls of {} alone", rule.workloads.join(" and "))
        } else {
            format!("the certificate is of no service of cloud {cloud}; call through the gateway")
        };
        Err(Refusal::new(ErrorReason::WorkloadIdentityRequired, "N69", "", message))
    }

    fn admit(&self, rule: &MethodRule, caller: Arc<Caller>) -> Result<Arc<Caller>, Refusal> {
        if !rule.callers.contains(&caller.kind) {
            return Err(kind_not_allowed(rule, &caller));
        }
        if !self.policy.permits(rule.permission, &caller.roles) {
            return Err(self.role_required(rule));
        }
        Ok(caller)
    }

    fn role_required(&self, rule: &MethodRule) -> Refusal {
        let roles: Vec<&str> = self.policy.roles_of(rule.permission).iter().map(Role::as_str).collect();
        let message = match roles.as_slice() {
            [] => format!("nobody holds the permission {} in cloud {}", rule.permission, self.cloud),
            roles => format!(
                "the call needs the permission {}; ask somebody with the role {}",
                rule.permission,
                roles.join(" or ")
            ),
        };
        let number = if rule.refusal_rule.is_empty() { "AIP-211" } else { rule.refusal_rule };
        Refusal::new(rule.refusal, number, "", message)
            .with("permission", rule.permission)
            .with("roles", roles.join(","))
    }
}

fn method_unknown(path: &str) -> Refusal {
    let path: String = path.chars().take(256).collect();
    let message = format!("there is no method {path:?} here; list the methods by reflection");
    Refusal::new(ErrorReason::MethodUnknown, "AIP-193", "", message)
}

/// The answer to a method of the contract that another process serves.
pub(crate) fn method_elsewhere(path: &str, cloud: &str) -> tonic::Status {
    method_unknown(path).status(cloud)
}

fn kind_not_allowed(rule: &MethodRule, caller: &Caller) -> Refusal {
    let allowed: Vec<&str> = rule.callers.iter().map(|kind| kind_name(*kind)).collect();
    let kind = kind_name(caller.kind);
    let message = format!("the method is for {} principals, not for {kind}", allowed.join(" and "));
    Refusal::new(ErrorReason::PrincipalKindNotAllowed, "AIP-211", "", message)
        .with("kind", kind)
        .with("allowed_kinds", allowed.join(","))
}

fn kind_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Partner => "partner",
        PrincipalKind::Customer => "customer",
        PrincipalKind::Operator => "operator",
        PrincipalKind::Workload => "workload",
        PrincipalKind::Unspecified => "unspecified",
    }
}

/// Services behind [`AccessLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Guarded<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = Answer> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match self.gate.decide(&request) {
            Ok(Decision::Pass) => GuardedFuture::Call { inner: self.inner.call(request) },
            Ok(Decision::PassAs(caller)) => {
                request.extensions_mut().insert(caller);
                GuardedFuture::Call { inner: self.inner.call(request) }
            }
            Ok(Decision::Verify(rule, bearer)) => {
                // The one that was asked whether it is ready must be the one that is called.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let gate = Arc::clone(&self.gate);
                GuardedFuture::Verify { inner: Box::pin(verify(gate, rule, bearer, request, inner)) }
            }
            Err(refusal) => GuardedFuture::Refused { answer: Some(refused(refusal, &self.gate.cloud)) },
        }
    }
}

async fn verify<S>(
    gate: Arc<Gate>,
    rule: &'static MethodRule,
    bearer: String,
    mut request: http::Request<Body>,
    mut inner: S,
) -> Result<Answer, S::Error>
where
    S: Service<http::Request<Body>, Response = Answer>,
{
    let verified = gate.issuer.verify(&bearer).await;
    match verified.and_then(|caller| gate.admit(rule, caller)) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            inner.call(request).await
        }
        Err(refusal) => Ok(refused(refusal, &gate.cloud)),
    }
}

fn refused(refusal: Refusal, cloud: &CloudId) -> Answer {
    refusal.status(cloud.as_str()).into_http()
}

pin_project! {
    #[project = Project]
    pub(crate) enum GuardedFuture<F, E> {
        Call { #[pin] inner: F },
        Verify { inner: Pin<Box<dyn Future<Output = Result<Answer, E>> + Send>> },
        Refused { answer: Option<Answer> },
    }
}

impl<F, E> Future for GuardedFuture<F, E>
where
    F: Future<Output = Result<Answer, E>>,
{
    type Output = Result<Answer, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Project::Call { inner } => inner.poll(context),
            Project::Verify { inner } => inner.as_mut().poll(context),
            Project::Refused { answer } => {
                Poll::Ready(Ok(answer.take().expect("a future is not polled after it was ready")))
            }
        }
    }
}
