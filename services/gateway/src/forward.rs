//! Carries a whole call to a service, unread, and its answer back unchanged: messages, streams both ways, trailers and error
//! details.
//!
//! A call is sent once, on a connection that takes it. Whether it had an effect when the connection broke is for the caller to find out, with the same
//! `request_id`; the gateway adds no tries of its own.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use api::ErrorReason;
use api::rule::MethodRule;
use api::status::Refusal;
use cloud::CloudId;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Request, Response, Uri, Version};
use server::config::Limits;
use server::failure::{RETRY_AFTER, chain};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::{Status, TimeoutExpired};

use crate::routes::Route;
use crate::upstream::{Place, Upstream};

mod body;
mod head;

use body::{Answer, Ending, Overflow, Sent};

/// The one question that every request of other systems waits for: it has limits of its own.
const CHECK_ACCESS: &str = "/mandate.relationship.v1.AccessService/CheckAccess";

/// Where a call goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The cloud.
    pub(crate) cloud: &'a CloudId,
    /// The way to the service.
    pub(crate) upstream: &'a Upstream,
    /// What is known of the method.
    pub(crate) route: Route,
}

/// Carries the call to its target and gives the answer, be it the service's or, where there is none, ours.
///
/// # Errors
/// `OVERLOADED`, `MESSAGE_TOO_LARGE`, `DEADLINE_EXCEEDED` or `CLOUD_INSTANCE_UNREACHABLE`.
pub(crate) async fn forward(
    target: Target<'_>,
    limits: &Limits,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let rule = target.route.rule;
    let bytes_max = bytes_max(rule, limits);
    if bytes_max.is_some_and(|max| announced(&head.headers) > max) {
        return Err(too_large());
    }
    let Some(place) = target.upstream.place(target.route.streams()) else {
        return Err(overloaded(target.cloud));
    };

    let overflow = Overflow::default();
    let mut forwarded = Request::new(Body::new(Sent::new(body, bytes_max, overflow.clone())));
    *forwarded.method_mut() = head.method;
    *forwarded.version_mut() = Version::HTTP_2;
    // The channel sets scheme and authority; where the call goes is never taken from the caller.
    *forwarded.uri_mut() = Uri::try_from(head.uri.path()).map_err(|_| too_large())?;
    *forwarded.headers_mut() = head.headers;
    head::clean(forwarded.headers_mut());
    let left = head::deadline(forwarded.headers_mut(), cap(rule, limits));
    // A deadline beyond the clock is none.
    let until = left.and_then(|left| Instant::now().checked_add(left));
    server::telemetry::inject(forwarded.headers_mut());

    answer(target.cloud, place, until, overflow, forwarded).await
}

async fn answer(
    cloud: &CloudId,
    place: Place,
    until: Option<Instant>,
    overflow: Overflow,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let mut limit = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
    let unreachable = place.unreachable.clone();
    let mut unreachable = std::pin::pin!(unreachable.notified());
    // Listens from now on, so that a failure while the call is being handed over is not missed.
    unreachable.as_mut().enable();
    let response = {
        // A service that asks for a new connection refuses what waits on the old one: that is no try, since nothing was sent.
        let call = server::peer::send(place.channel.clone(), request);
        tokio::select! {
            biased;
            response = call => response,
            () = &mut unreachable => return Err(lost(cloud, "another call found that no connection can be made")),
            () = wait(limit.as_mut()) => return Err(late(cloud)),
        }
    };
    match response {
        Ok(response) => {
            let owner = cloud.clone();
            let ending = move |ending| end(&owner, ending, &overflow);
            Ok(response.map(|body| Body::new(Answer::new(body, limit, place, ending))))
        }
        Err(error) if overflow.happened() => {
            tracing::debug!(error = chain(&error), "a call was cut short");
            Err(too_large())
        }
        Err(error) if has_cause::<TimeoutExpired>(&error) => Err(late(cloud)),
        Err(error) => {
            // What goes wrong with a call comes from hyper; everything else, with making the connection.
            if !has_cause::<hyper::Error>(&error) {
                place.unreachable.notify_waiters();
            }
            Err(lost(cloud, &chain(&error)))
        }
    }
}

/// How many bytes the caller may send: one message and its frame. Streams count per message, which is the service's to do.
fn bytes_max(rule: Option<&MethodRule>, limits: &Limits) -> Option<usize> {
    const FRAME: usize = 5;
    let bytes = |message: u32| usize::try_from(message).expect("32 bits fit") + FRAME;
    match rule {
        Some(rule) if rule.streams => None,
        Some(rule) if rule.path == CHECK_ACCESS => Some(bytes(limits.check_access_max_bytes)),
        Some(_) | None => Some(bytes(limits.message_max_bytes)),
    }
}

fn cap(rule: Option<&MethodRule>, limits: &Limits) -> Option<Duration> {
    match rule {
        Some(rule) if rule.streams => None,
        Some(rule) if rule.path == CHECK_ACCESS => Some(limits.check_access_max_seconds.0),
        Some(_) | None => Some(limits.call_max_seconds.0),
    }
}

fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH);
    length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or_default()
}

async fn wait(limit: Option<&mut Pin<Box<Sleep>>>) {
    match limit {
        Some(limit) => limit.await,
        None => std::future::pending().await,
    }
}

fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn end(cloud: &CloudId, ending: Ending, overflow: &Overflow) -> Status {
    let refusal = match ending {
        Ending::Late => late(cloud),
        // The service was cut off, and may have begun to answer.
        Ending::Lost(_) if overflow.happened() => too_large(),
        Ending::Lost(why) => lost(cloud, &why),
    };
    refusal.status(cloud.as_str())
}

fn resource(cloud: &CloudId) -> String {
    format!("clouds/{}", cloud.as_str())
}

fn late(cloud: &CloudId) -> Refusal {
    let message = "the cloud did not answer in time; ask again, with the same request_id";
    Refusal::new(ErrorReason::DeadlineExceeded, "AIP-193", &resource(cloud), message)
}

fn lost(cloud: &CloudId, why: &str) -> Refusal {
    tracing::warn!(cloud = cloud.as_str(), error = why, "a cloud instance cannot be reached");
    let message = "the cloud instance cannot be reached; ask again, with the same request_id";
    Refusal::new(ErrorReason::CloudInstanceUnreachable, "D10", &resource(cloud), message).retry_after(RETRY_AFTER)
}

fn overloaded(cloud: &CloudId) -> Refusal {
    let message = "the cloud has all the work it can hold; ask again later";
    Refusal::new(ErrorReason::Overloaded, "AIP-194", &resource(cloud), message).retry_after(RETRY_AFTER)
}

fn too_large() -> Refusal {
    let message = "the message is larger than the method takes; send less at once";
    Refusal::new(ErrorReason::MessageTooLarge, "AIP-193", "", message)
}
