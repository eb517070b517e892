//! The clouds behind the gateway: which of them a call is for, and that its credential is of that cloud.
//!
//! A credential is verified with the keys of the cloud that was chosen and with no other's, and goes to no other cloud (N69).

use std::collections::BTreeMap;
use std::sync::Arc;

use api::ErrorReason;
use api::status::Refusal;
use cloud::{CloudId, Policy};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use server::Issuer;

use crate::routes::Destination;
use crate::upstream::Upstream;

mod directory;

pub use directory::{Credential, Directory, Entry, Said};

/// The metadata by which a caller names the cloud.
const METADATA: &str = "x-mandate-cloud";

/// One cloud, as the gateway knows it.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// Its id.
    pub(crate) id: CloudId,
    /// Its id as telemetry wants it.
    pub(crate) label: Arc<str>,
    /// Its description in `ListClouds`.
    pub(crate) described: api::cloud::Cloud,
    /// Its rules: portal and `GetCloudPolicy`.
    pub(crate) policy: Arc<Policy>,
    /// Who verifies its credentials.
    pub(crate) issuer: Issuer,
    /// The ways to its services.
    pub(crate) upstreams: BTreeMap<Destination, Upstream>,
}

/// All clouds.
#[derive(Debug)]
pub(crate) struct Clouds {
    directory: Directory,
    all: Vec<Cloud>,
}

impl Clouds {
    /// These clouds, in the order of their entries in the directory.
    pub(crate) fn new(directory: Directory, all: Vec<Cloud>) -> Clouds {
        Clouds { directory, all }
    }

    /// Every cloud.
    pub(crate) fn all(&self) -> &[Cloud] {
        &self.all
    }

    /// The cloud with this id.
    pub(crate) fn named(&self, id: &str) -> Option<&Cloud> {
        self.directory.named(id).map(|index| &self.all[index])
    }

    /// The cloud that this host name leads to.
    pub(crate) fn hosted(&self, host: &str) -> Option<&Cloud> {
        self.directory.hosted(host).map(|index| &self.all[index])
    }

    /// The cloud the call is for.
    ///
    /// # Errors
    /// As [`Directory::choose`].
    pub(crate) fn choose(&self, head: &Parts) -> Result<&Cloud, Refusal> {
        let bearer = server::identity::bearer(&head.headers);
        let issuer = bearer.as_ref().ok().and_then(|token| server::identity::claimed_issuer(token));
        let credential = match (bearer, issuer.as_deref()) {
            (Ok(_), Some(issuer)) => Credential::Of(issuer),
            (Err(refusal), _) if refusal.reason() == ErrorReason::TokenRequired => Credential::Absent,
            (Ok(_) | Err(_), _) => Credential::Unreadable,
        };
        let metadata = head.headers.get_all(METADATA).iter();
        let said = Said {
            host: host(head),
            // Bytes that are no text name no cloud, and neither does the empty name.
            metadata: metadata.map(|value| value.to_str().unwrap_or_default()).collect(),
            credential,
        };
        self.directory.choose(&said).map(|index| &self.all[index])
    }
}

impl Cloud {
    /// Verifies that the call carries a credential of this cloud.
    ///
    /// # Errors
    /// `TOKEN_REQUIRED` without one, else as [`Issuer::verify`].
    pub(crate) async fn verify(&self, head: &Parts) -> Result<(), Refusal> {
        let token = server::identity::bearer(&head.headers)?;
        self.issuer.verify(token).await.map(|_| ())
    }
}

/// The host name that was called, without port.
pub(crate) fn host(head: &Parts) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.host());
    }
    let host = head.headers.get(HOST)?.to_str().ok()?;
    // Checked as a whole, then cut: a name with anything but a port behind it is no name.
    host.parse::<Authority>().ok()?;
    Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::request::Parts;

    use super::host;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn the_host_is_read_from_either_protocol_version_without_its_port() {
        assert_eq!(host(&head("http://a.example:7070/x", &[])), Some("a.example"));
        assert_eq!(host(&head("http://a.example/x", &[("host", "b.example")])), Some("a.example"));
        assert_eq!(host(&head("/x", &[("host", "b.example")])), Some("b.example"));
        assert_eq!(host(&head("/x", &[("host", "b.example:80")])), Some("b.example"));
        assert_eq!(host(&head("/x", &[("host", "b.example/c")])), None);
        assert_eq!(host(&head("/x", &[])), None);
    }
}
