//! `GET /i/{token}`: sends the browser that follows an invitation link to the acceptance portal of the link's cloud.
//!
//! The token is read as far as its cloud and carried on; whether it is genuine is for the service that signed it. A token
//! never reaches a log, and no answer repeats one but the redirect.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Method, Response, StatusCode};
use tonic::body::Body;

use crate::clouds::Clouds;

/// What the path of a link starts with.
pub(crate) const PREFIX: &str = "/i/";

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 512;

/// The cloud in the token, when the whole has the form `<cloud>.<rest>` of a link token.
fn cloud_of(token: &str) -> Option<&str> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let (cloud, rest) = token.split_once('.')?;
    let in_cloud = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let in_rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let formed = !cloud.is_empty() && !rest.is_empty() && cloud.bytes().all(in_cloud) && rest.bytes().all(in_rest);
    formed.then_some(cloud)
}

/// The answer to a request for `/i/{token}` at this host.
pub(crate) fn answer(clouds: &Clouds, method: &Method, host: Option<&str>, token: &str) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut refusal = plain(method, StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match location(clouds, host, token) {
        Some(location) => {
            let mut redirect = plain(method, StatusCode::FOUND, "");
            redirect.headers_mut().insert(LOCATION, location);
            redirect
        }
        None => {
            plain(method, StatusCode::NOT_FOUND, "There is no such invitation link. Ask your partner for a new one.\n")
        }
    }
}

/// The portal of the token's cloud. `None` where the token is malformed, its cloud unknown, or the host another cloud's: the
/// portal is a function of the cloud of the link and of nothing else (R49-R52).
fn location(clouds: &Clouds, host: Option<&str>, token: &str) -> Option<HeaderValue> {
    let cloud = clouds.named(cloud_of(token)?)?;
    let hosted = host.and_then(|host| clouds.hosted(host));
    if hosted.is_some_and(|other| other.id != cloud.id) {
        return None;
    }
    HeaderValue::try_from(cloud.policy.acceptance_portal.location(token)).ok()
}

fn plain(method: &Method, status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(if method == Method::HEAD || text.is_empty() {
        Body::empty()
    } else {
        Body::new(http_body_util::Full::new(bytes::Bytes::from_static(text.as_bytes())))
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // A link can be disabled or moved, so nothing between here and the browser may keep the answer; and a portal has no
    // business learning the address of the link beyond its token.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !text.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{TOKEN_BYTES_MAX, cloud_of};

    #[test]
    fn a_token_names_its_cloud() {
        assert_eq!(cloud_of("public.AbC-_09"), Some("public"));
        assert_eq!(cloud_of("us-gov2.x"), Some("us-gov2"));
        let longest = format!("a.{}", "b".repeat(TOKEN_BYTES_MAX - 2));
        assert_eq!(cloud_of(&longest), Some("a"));
    }

    #[test]
    fn a_malformed_token_names_none() {
        for token in [
            "",
            ".",
            "public",
            "public.",
            ".rest",
            "Public.rest",
            "public.re.st",
            "public.re st",
            "public.r%65st",
            "public/../x.y",
            "public.rest/",
            "pub\u{fc}lic.rest",
            "public.r\u{e9}st",
            &format!("a.{}", "b".repeat(TOKEN_BYTES_MAX - 1)),
        ] {
            assert_eq!(cloud_of(token), None, "{token}");
        }
    }
}
