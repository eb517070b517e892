//! No call longer than its caller allows, nor than we allow; streams may last.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::rule::MethodRule;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{Answer, CHECK_ACCESS};
use crate::config::Limits;
use crate::{deadline, failure};

/// How much sooner than the caller's own clock we give up, so that the answer can say why: at most this, and a tenth.
const MARGIN_MAX: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
pub(super) struct TimeLayer {
    check_access_max: Duration,
    call_max: Duration,
    cloud: Arc<str>,
}

impl TimeLayer {
    pub(super) fn new(limits: &Limits, cloud: &Arc<str>) -> TimeLayer {
        TimeLayer {
            check_access_max: limits.check_access_max_seconds.0,
            call_max: limits.call_max_seconds.0,
            cloud: Arc::clone(cloud),
        }
    }

    /// How long this call may take. `None`: as long as it likes.
    fn allowed<B>(&self, request: &http::Request<B>) -> Option<Duration> {
        let path = request.uri().path();
        if super::is_probe(path) || MethodRule::find(path).is_some_and(|rule| rule.streams) {
            return None;
        }
        let most = if path == CHECK_ACCESS { self.check_access_max } else { self.call_max };
        let asked = deadline::parse(request.headers());
        Some(asked.map_or(most, |asked| most.min(asked - MARGIN_MAX.min(asked / 10))))
    }
}

impl<S> Layer<S> for TimeLayer {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, of: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    of: TimeLayer,
}

impl<S, B> Service<http::Request<B>> for Bounded<S>
where
    S: Service<http::Request<B>, Response = Answer>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let allowed = self.of.allowed(&request);
        let answer = self.inner.call(request);
        let Some(allowed) = allowed else {
            return Box::pin(answer);
        };
        let (end, cloud) = (Instant::now() + allowed, Arc::clone(&self.of.cloud));
        Box::pin(async move {
            let answer = tokio::time::timeout_at(end, deadline::scope(end, answer)).await;
            answer.unwrap_or_else(|_| Ok(failure::deadline_exceeded().status(&cloud).into_http()))
        })
    }
}
