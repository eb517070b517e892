//! What of a call's head goes on to the service, and by when the answer must be there.

use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use server::deadline::HEADER;

/// Headers that are about one connection, not about the call.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HOST,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    FORWARDED,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Takes out what a caller may not hand on: what is about its connection, what a proxy alone may say of a caller, and what
/// services alone may say to each other.
pub(super) fn clean(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    // Where a body is cut short, its announced length would be wrong; without it, the frames say all.
    headers.remove(CONTENT_LENGTH);
    let reserved = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("x-forwarded-") || (name.starts_with("mandate-") && name.ends_with("-internal"))
    };
    let reserved: Vec<HeaderName> = headers.keys().filter(reserved).cloned().collect();
    for name in reserved {
        headers.remove(name);
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
}

/// The time the call may take: the caller's, and at most `cap`. Writes it where the service reads it.
pub(super) fn deadline(headers: &mut HeaderMap, cap: Option<Duration>) -> Option<Duration> {
    let left = match (server::deadline::parse(headers), cap) {
        (Some(asked), Some(cap)) => Some(asked.min(cap)),
        (asked, cap) => asked.or(cap),
    };
    headers.remove(HEADER);
    if let Some(left) = left {
        headers.insert(HEADER, server::deadline::header(left));
    }
    left
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HEADER, HeaderMap, HeaderName, HeaderValue, clean, deadline};

    #[test]
    fn the_shorter_of_asked_and_cap_goes_on() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (asked, cap, expected, sent) in [
            (Some("1S"), seconds(15), seconds(1), Some("1000000u")),
            (Some("1H"), seconds(15), seconds(15), Some("15000000u")),
            (None, seconds(2), seconds(2), Some("2000000u")),
            (Some("soon"), seconds(2), seconds(2), Some("2000000u")),
            (Some("1H"), None, seconds(3600), Some("3600000m")),
            (None, None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(asked) = asked {
                headers.insert(HEADER, HeaderValue::from_static(asked));
            }
            assert_eq!(deadline(&mut headers, cap), expected, "{asked:?}");
            let value = headers.get(HEADER).map(|value| value.to_str().expect("ASCII"));
            assert_eq!(value, sent, "{asked:?}");
        }
    }

    #[test]
    fn headers_that_are_not_the_callers_to_set_stay_behind() {
        let mut headers = HeaderMap::new();
        for name in [
            "connection",
            "keep-alive",
            "te",
            "host",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "mandate-caller-internal",
            "content-length",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("evil"));
        }
        for name in ["authorization", "x-mandate-cloud", "mandate-consistency-token", "x-own", "grpc-encoding"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("kept"));
        }
        clean(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let kept = ["authorization", "grpc-encoding", "mandate-consistency-token", "te", "x-mandate-cloud", "x-own"];
        assert_eq!(names, kept);
        assert_eq!(headers["te"], "trailers");
    }
}
