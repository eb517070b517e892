//! Callers that wait for each answer before they ask again, and what they saw in a window of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

/// How long callers call before the window opens, as a share of it.
const WARM_UP: f64 = 0.2;
/// How often a window without an answer is looked at.
const POLL: Duration = Duration::from_millis(10);

/// What callers saw in a window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// How long the window was.
    pub(crate) window: Duration,
    /// Of each call that was answered in it, in order of length.
    latencies: Vec<Duration>,
}

impl Seen {
    /// What was seen in a window of this length.
    #[must_use]
    pub(crate) fn new(window: Duration, mut latencies: Vec<Duration>) -> Seen {
        latencies.sort_unstable();
        Seen { window, latencies }
    }

    /// Calls answered.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a window holds far fewer calls than 2^52")]
    pub(crate) fn calls(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Calls answered in a second.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        self.calls() / self.window.as_secs_f64()
    }

    /// The latency in milliseconds that this share of the calls, 0 to 1, did not exceed; 0 when there was none.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the number of calls")]
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let place = (self.calls() * share).ceil() as usize;
        let latency = self.latencies.get(place.saturating_sub(1)).copied();
        latency.unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// Calls from so many callers at once, each waiting for its answer, for a window of time after a short warm-up; it stays open
/// until there was an answer. `call` is told which caller it is. `around` is run when the window opens and when it closes.
///
/// # Errors
/// The first call that is refused: a measurement in which calls fail measures something else.
pub(crate) async fn calls<F, C, U>(
    callers: usize,
    window: Duration,
    call: F,
    around: impl Fn() -> Result<U>,
) -> Result<(Seen, U, U)>
where
    F: Fn(usize) -> C + Clone + Send + 'static,
    C: Future<Output = Result<()>> + Send,
{
    let (open, closed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let answered = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (call, open, closed) = (call.clone(), Arc::clone(&open), Arc::clone(&closed));
        let answered = Arc::clone(&answered);
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while !closed.load(Ordering::Relaxed) {
                let start = Instant::now();
                call(caller).await?;
                let latency = start.elapsed();
                if open.load(Ordering::Relaxed) && !closed.load(Ordering::Relaxed) {
                    latencies.push(latency);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
            anyhow::Ok(latencies)
        });
    }
    tokio::time::sleep(window.mul_f64(WARM_UP)).await;
    let before = around()?;
    open.store(true, Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(window).await;
    while answered.load(Ordering::Relaxed) == 0 {
        // Callers end before the window closes only when they are refused.
        if let Some(refused) = tasks.try_join_next() {
            refused.context("a caller ended early")??;
        }
        tokio::time::sleep(POLL).await;
    }
    closed.store(true, Ordering::Relaxed);
    let lasted = start.elapsed();
    let after = around()?;
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done.context("a caller ended early")??);
    }
    Ok((Seen::new(lasted, latencies), before, after))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Seen;

    #[test]
    fn quantiles_are_latencies_that_were_seen() {
        let seen = Seen::new(Duration::from_secs(2), (1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((seen.rate(), seen.quantile_ms(0.5), seen.quantile_ms(0.99)), (50.0, 50.0, 99.0));
        assert_eq!(Seen::default().quantile_ms(0.99), 0.0);
    }
}
