//! How much time a call has left. The layer that bounds a call sets it, calls to other services carry it on.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// The header in which gRPC sends it.
pub const HEADER: &str = "grpc-timeout";

tokio::task_local! {
    static DEADLINE: Instant;
}

/// The time left for the call that this task answers. `None` outside of a call, and in one that may stream for ever.
#[must_use]
pub fn left() -> Option<Duration> {
    let now = Instant::now();
    DEADLINE.try_with(|deadline| deadline.saturating_duration_since(now)).ok()
}

/// Runs the work of a call that must end at `deadline`.
pub(crate) fn scope<F: Future>(deadline: Instant, work: F) -> impl Future<Output = F::Output> {
    DEADLINE.scope(deadline, work)
}

/// What the caller allows, if it says. A malformed header counts as none: the clamp holds anyway.
#[must_use]
pub fn parse(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// The header's value for so much time: at most eight digits, in microseconds where they fit.
#[must_use]
pub fn header(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let text = if left.as_micros() <= MOST {
        format!("{}u", left.as_micros())
    } else {
        format!("{}m", left.as_millis().min(MOST))
    };
    HeaderValue::try_from(text).expect("digits and a letter are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &'static str) -> Option<Duration> {
        parse(&HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), HeaderValue::from_static(text))]))
    }

    #[test]
    fn every_unit_of_the_protocol_is_read() {
        assert_eq!(parsed("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parsed("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parsed("3S"), Some(Duration::from_secs(3)));
        assert_eq!(parsed("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parsed("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(parsed("7n"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn malformed_times_count_as_none() {
        for text in ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1 S"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for left in [0, 1, 1_500_000, 99_999_999, 100_000_000, 3_600_000_000] {
            let left = Duration::from_micros(left);
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), header(left))]);
            assert_eq!(parse(&headers), Some(left));
        }
    }
}
