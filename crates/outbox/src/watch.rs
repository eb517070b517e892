//! What an outbox tells of itself: measurements, and a log line that cannot be overlooked while events wait too long.

use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};
use tokio::time::Instant;

use crate::Outbox;
use crate::inspect::{self, Status};

/// How often it is looked what waits.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long events wait before that is worth a warning.
const LATE: Duration = Duration::from_secs(60);
/// How long until the warning is repeated.
const REMINDER: Duration = Duration::from_secs(60);

/// Bounds of the durations in seconds.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0];

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// So many events arrived.
    Delivered(usize),
    /// At least one of them will never be taken.
    Refused,
    /// The one that will never be taken is parked.
    Parked,
    /// The same may succeed later.
    Failed,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Ending::Delivered(_) => "delivered",
            Ending::Refused | Ending::Parked => "refused",
            Ending::Failed => "failed",
        }
    }
}

/// The instruments of one outbox.
pub(crate) struct Measures {
    labels: Vec<KeyValue>,
    waiting: Gauge<i64>,
    oldest_age: Gauge<f64>,
    parked: Gauge<i64>,
    delivered: Counter<u64>,
    duration: Histogram<f64>,
}

impl Measures {
    pub(crate) fn new(labels: &[(&'static str, &str)]) -> Measures {
        let meter = global::meter("mandate");
        let events =
            |name, description| meter.i64_gauge(name).with_description(description).with_unit("{event}").build();
        Measures {
            labels: labels.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned())).collect(),
            waiting: events("mandate.outbox.waiting", "Events to be delivered, counted to 10000."),
            oldest_age: meter
                .f64_gauge("mandate.outbox.oldest.age")
                .with_description("How long the oldest event to be delivered has waited.")
                .with_unit("s")
                .build(),
            parked: events("mandate.outbox.parked", "Events that the receiver refused for good, counted to 10000."),
            delivered: meter
                .u64_counter("mandate.outbox.delivered")
                .with_description("Events delivered, repeats included.")
                .with_unit("{event}")
                .build(),
            duration: meter
                .f64_histogram("mandate.outbox.delivery.duration")
                .with_description("How long deliveries took, of one event or several together.")
                .with_unit("s")
                .with_boundaries(BOUNDS.to_vec())
                .build(),
        }
    }

    pub(crate) fn delivery(&self, taken: Duration, ending: &Ending) {
        let mut labels = self.labels.clone();
        labels.push(KeyValue::new("outcome", ending.name()));
        self.duration.record(taken.as_secs_f64(), &labels);
        if let Ending::Delivered(count) = ending {
            self.delivered.add(*count as u64, &self.labels);
        }
    }

    fn status(&self, status: &Status) {
        self.waiting.record(status.waiting, &self.labels);
        self.oldest_age.record(status.oldest_age.as_secs_f64(), &self.labels);
        self.parked.record(status.parked, &self.labels);
    }
}

impl Outbox {
    /// Measures what waits, for ever, and lets go what waits behind nothing.
    pub(crate) async fn watch(&self, measures: &Measures) {
        let mut alarm = Alarm::default();
        loop {
            match self.look().await {
                Ok(status) => {
                    measures.status(&status);
                    alarm.judge(&status, Instant::now()).tell(&status);
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "what waits in the outbox cannot be counted"
                    );
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn look(&self) -> Result<Status, store::Failure> {
        let status = inspect::status(&self.pool).await?;
        if status.behind > 0 {
            // Whoever let the parked event go may have been cut off before it let these go.
            inspect::release(&self.pool).await?;
        }
        Ok(status)
    }
}

/// What is worth saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Late,
    Recovered,
    Nothing,
}

impl Word {
    fn tell(self, status: &Status) {
        let Status { waiting, parked, behind, .. } = *status;
        let oldest_age_seconds = status.oldest_age.as_secs();
        match self {
            Word::Late => tracing::warn!(waiting, oldest_age_seconds, parked, behind, "events are late or parked"),
            Word::Recovered => tracing::info!(waiting, oldest_age_seconds, "events are in time again, none is parked"),
            Word::Nothing => {}
        }
    }
}

/// When something was last said.
#[derive(Debug, Default)]
struct Alarm {
    said: Option<Instant>,
}

impl Alarm {
    fn judge(&mut self, status: &Status, now: Instant) -> Word {
        let late = status.oldest_age >= LATE || status.parked > 0;
        match self.said {
            None if !late => Word::Nothing,
            Some(said) if late && now.duration_since(said) < REMINDER => Word::Nothing,
            Some(_) if !late => {
                self.said = None;
                Word::Recovered
            }
            None | Some(_) => {
                self.said = Some(now);
                Word::Late
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(age_seconds: u64, parked: i64) -> Status {
        Status { oldest_age: Duration::from_secs(age_seconds), parked, ..Status::default() }
    }

    #[test]
    fn what_is_late_is_said_once_a_minute_and_so_is_the_recovery() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(alarm.judge(&seen(59, 0), at(0)), Word::Nothing);
        assert_eq!(alarm.judge(&seen(60, 0), at(1)), Word::Late);
        assert_eq!(alarm.judge(&seen(110, 0), at(51)), Word::Nothing, "it was just said");
        assert_eq!(alarm.judge(&seen(120, 0), at(61)), Word::Late);
        assert_eq!(alarm.judge(&seen(0, 0), at(62)), Word::Recovered);
        assert_eq!(alarm.judge(&seen(0, 0), at(200)), Word::Nothing);
    }

    #[test]
    fn a_parked_event_is_worth_a_word_however_young_the_others_are() {
        let (mut alarm, now) = (Alarm::default(), Instant::now());
        assert_eq!(alarm.judge(&seen(0, 1), now), Word::Late);
        assert_eq!(alarm.judge(&seen(0, 0), now), Word::Recovered);
    }
}
