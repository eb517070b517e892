//! The conventions that fields of requests and answers follow in every service: how each is read, and what it should be when it
//! cannot be.
//!
//! What a field means stays with the service that has it; here are ids, bounds and moments alone.

use std::ops::RangeInclusive;

use aws_lc_rs::digest;
use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::name;

/// The longest reason that a caller can give, in characters.
const REASON_CHARACTERS_MAX: usize = 256;

/// A field that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field, as a path: `partner.country`.
    pub field: String,
    /// What it should be.
    pub problem: String,
}

impl Invalid {
    /// A malformed field, and what it should be.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Invalid {
        Invalid { field: field.into(), problem: problem.into() }
    }
}

/// The id in `{collection}/{id}`, made into what it stands for. `pattern` is what a caller should give.
///
/// # Errors
/// [`Invalid`] for a name of another shape, or with an id that `parse` does not take.
pub fn named<T, E>(
    field: &str,
    name: &str,
    (collection, pattern): (&str, &str),
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Invalid> {
    let id = name::ids(name, [collection]).and_then(|[id]| parse(id).ok());
    id.ok_or_else(|| Invalid::new(field, format!("give {pattern}")))
}

/// A request id, when one is given.
///
/// # Errors
/// [`Invalid`] when it is no UUID.
pub fn request_id(text: &str) -> Result<Option<Uuid>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    Uuid::try_parse(text).map(Some).map_err(|_| Invalid::new("request_id", "give a UUID, or leave it out"))
}

/// Why somebody does something, in its words.
///
/// # Errors
/// [`Invalid`] when it is too long, or more than one line.
pub fn reason(reason: &str) -> Result<&str, Invalid> {
    text("reason", reason, 0..=REASON_CHARACTERS_MAX)
}

/// A text of so many characters, without control characters.
///
/// # Errors
/// [`Invalid`] when it is anything else.
pub fn text<'a>(field: &str, text: &'a str, characters: RangeInclusive<usize>) -> Result<&'a str, Invalid> {
    if characters.contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let (min, max) = (characters.start(), characters.end());
    let length = if *min == 0 { format!("at most {max}") } else { format!("{min} to {max}") };
    Err(Invalid::new(field, format!("use {length} characters, no control characters")))
}

/// The etag of a version (AIP-154).
#[must_use]
pub fn etag(version: i64) -> String {
    format!("v{version}")
}

/// A resource that is no longer as the caller read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale(pub String);

/// Refuses a change of something that is no longer as the caller read it, if the caller says how it read it.
///
/// # Errors
/// [`Stale`] with the name, when an etag was given and is not that of this version.
pub fn check_etag(name: &str, given: &str, version: i64) -> Result<(), Stale> {
    if given.is_empty() || given == etag(version) { Ok(()) } else { Err(Stale(name.to_owned())) }
}

/// A moment on the wire, from microseconds since 1970-01-01 UTC.
#[must_use]
pub fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).expect("less than a second");
    Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A moment from the wire, in whole microseconds since 1970-01-01 UTC.
///
/// # Errors
/// [`Invalid`] when there is no such moment.
pub fn micros(field: &str, timestamp: &Timestamp) -> Result<i64, Invalid> {
    let whole = timestamp.seconds.checked_mul(1_000_000);
    let micros = whole.and_then(|whole| whole.checked_add(i64::from(timestamp.nanos) / 1000));
    let in_range = (0..1_000_000_000).contains(&timestamp.nanos);
    micros.filter(|_| in_range).ok_or_else(|| Invalid::new(field, "give a valid timestamp"))
}

/// The digest by which a repeated request is recognized.
///
/// # Panics
/// Never.
#[must_use]
pub fn digest(request: &impl Message) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &request.encode_to_vec());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_what_its_id_stands_for() {
        let parse = |name| named("parent", name, ("versions", "versions/{version}"), str::parse::<u8>);
        assert_eq!(parse("versions/7"), Ok(7));
        for name in ["", "versions", "versions/", "versions/x", "versions/7/", "others/7"] {
            assert_eq!(parse(name), Err(Invalid::new("parent", "give versions/{version}")), "{name}");
        }
    }

    #[test]
    fn a_request_id_is_a_uuid_or_left_out() {
        let id = "0190aaaa-0000-7000-8000-000000000001";
        assert_eq!(request_id(""), Ok(None));
        assert_eq!(request_id(id).map(|id| id.map(|id| id.to_string())), Ok(Some(id.to_owned())));
        assert!(request_id("1").is_err());
    }

    #[test]
    fn texts_are_bounded_in_characters() {
        assert_eq!(reason(&"ü".repeat(256)), Ok("ü".repeat(256).as_str()));
        let refused = |problem| Err(Invalid::new("reason", problem));
        assert_eq!(reason(&"u".repeat(257)), refused("use at most 256 characters, no control characters"));
        assert_eq!(reason("a\nb"), refused("use at most 256 characters, no control characters"));
        assert_eq!(text("reason", "", 1..=9), refused("use 1 to 9 characters, no control characters"));
    }

    #[test]
    fn moments_travel_to_the_microsecond_also_before_1970() {
        for moment in [0, 1, -1, 999_999, -1_000_001, 1_700_000_000_123_456] {
            let sent = timestamp(moment);
            assert!((0..1_000_000_000).contains(&sent.nanos), "{sent:?}");
            assert_eq!(micros("time", &sent), Ok(moment));
        }
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert!(micros("time", &Timestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn an_etag_is_checked_when_it_is_given() {
        for given in ["", &etag(3)] {
            assert_eq!(check_etag("partners/p", given, 3), Ok(()));
        }
        for given in [&etag(2), "3"] {
            assert_eq!(check_etag("partners/p", given, 3), Err(Stale("partners/p".to_owned())));
        }
    }
}
