//! Whether the promises were kept: what was acknowledged against state, history and databases, after a round.

mod answers;
mod feeds;
mod parties;
mod serial;
mod versions;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use api::ErrorReason;
use cloud::Policy;
use testkit::records::{self, ABSENT};
use tokio::task::JoinSet;
use tonic::Code;

pub use world::World;

use crate::client::{Client, Scene};
use crate::cluster::Cluster;
use crate::history::{Call, History, Outcome};
use crate::kind::Kind;
use answers::Told;

/// All promises that were broken in one cloud, one sentence each.
///
/// # Errors
/// When the system cannot be asked.
pub async fn all(cluster: &Cluster, scene: &Arc<Scene>, history: &Arc<History>) -> Result<Vec<String>> {
    let cloud = &cluster.clouds[scene.cloud];
    let calls: Vec<Call> = history.calls().into_iter().filter(|call| call.cloud == scene.cloud).collect();
    let client = Client::new(cluster, scene, history)?;
    let repeat = |call| {
        let client = client.clone();
        async move { client.repeat(&call).await }
    };
    let mut broken = repeats(&calls, repeat).await;
    // A repeat changes nothing, so nothing waits after it either.
    for absent in ABSENT {
        let count = cloud.count(absent).await?;
        if count > 0 {
            broken.push(format!("{count} {}", absent.what));
        }
    }
    let (delivered, told) = (cloud.count(&records::DELIVERED).await?, cloud.count(&records::TOLD).await?);
    if delivered != told {
        broken.push(format!("{delivered} events were delivered, and {told} are in the history"));
    }
    let world = World::read(&client).await.context("after the round")?;
    broken.extend(judge(&calls, &world, &cloud.policy)?);
    Ok(broken.into_iter().map(|problem| format!("{}: {problem}", cloud.id)).collect())
}

/// What the calls of a round and what there is after it say of each other.
///
/// # Errors
/// When a request or an answer is no message of its method.
fn judge(calls: &[Call], world: &World, policy: &Policy) -> Result<Vec<String>> {
    let told = Told::of(calls)?;
    let mut broken = refusals(calls);
    broken.extend(versions::check(calls, world)?);
    broken.extend(feeds::check(&told, world));
    broken.extend(parties::check(calls, &told)?);
    broken.extend(serial::check(calls, &told, world, policy)?);
    Ok(broken)
}

/// Every outcome is known, and what was refused was refused for a reason of the contract that such a call can have.
fn refusals(calls: &[Call]) -> Vec<String> {
    let mut broken = Vec::new();
    for call in calls {
        match &call.outcome {
            Outcome::Answered(_) => {}
            Outcome::Unknown(problem) => {
                broken.push(format!("{:?} at {} µs never had an outcome: {problem}", call.kind, call.begin_us));
            }
            Outcome::Refused(refusal) => {
                let known: BTreeSet<&str> = call.kind.refusals().iter().map(|reason| reason.wire()).collect();
                let is_known =
                    !refusal.reasons.is_empty() && refusal.reasons.iter().all(|it| known.contains(it.as_str()));
                if !is_known || refusal.code != code(&refusal.reasons) {
                    broken.push(format!("{:?} {} was refused with {refusal:?}", call.kind, call.path));
                }
            }
        }
    }
    broken
}

/// The code of a refusal: that of its reason, or of an acceptance that failed several conditions.
fn code(reasons: &[String]) -> Code {
    match reasons {
        [reason] => {
            let reason = ErrorReason::from_str_name(&format!("ERROR_REASON_{reason}"));
            reason.map_or(Code::Unknown, ErrorReason::code)
        }
        _ => Code::FailedPrecondition,
    }
}

/// Repeats under way at a time.
const REPEATS: usize = 8;

/// Every change that was answered gives the same answer when it is repeated.
async fn repeats<R>(calls: &[Call], repeat: impl Fn(Call) -> R) -> Vec<String>
where
    R: Future<Output = Outcome> + Send + 'static,
{
    let mut broken = Vec::new();
    let changes = calls.iter().filter(|call| Kind::CHANGES.contains(&call.kind));
    let mut acknowledged = changes.filter(|call| matches!(call.outcome, Outcome::Answered(_))).cloned();
    let mut repeating = JoinSet::new();
    loop {
        while repeating.len() < REPEATS
            && let Some(call) = acknowledged.next()
        {
            let again = repeat(call.clone());
            repeating.spawn(async move { differs(&call, &again.await) });
        }
        match repeating.join_next().await {
            Some(Ok(problem)) => broken.extend(problem),
            Some(Err(error)) => broken.push(format!("a repeat came to no end: {error}")),
            None => return broken,
        }
    }
}

/// How the answer to a repeat differs from the first.
fn differs(call: &Call, again: &Outcome) -> Option<String> {
    if let (Outcome::Answered(first), Outcome::Answered(again)) = (&call.outcome, again)
        && first.message == again.message
    {
        return None;
    }
    Some(format!("{:?} of {} µs, repeated, got another answer: {again:?}", call.kind, call.begin_us))
}

/// The number in an etag; 0 for what is none.
fn version(etag: &str) -> u64 {
    etag.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
