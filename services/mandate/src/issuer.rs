//! Stands in for the identity provider of every cloud while people try Mandate on their machine.
//!
//! It speaks OIDC discovery and JWKS as a real one does, so that callers are verified the same way
//! here and in production, and its keys survive a restart, so that tokens do. It does **not** ask
//! anybody who they are: whoever reaches it gets the identity they name. That is why it says so
//! loudly, refuses every address but loopback, and refuses requests that a browser was tricked into.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;

use crate::private_file;

mod http;
mod key;

use key::Key;

/// The audience of a token that asks for no other.
pub const DEFAULT_AUDIENCE: &str = "mandate";
/// How long a token is good for when nobody says.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// The shortest and the longest life a token may have.
pub const LIFETIME_MIN: Duration = Duration::from_secs(1);
/// See [`LIFETIME_MIN`].
pub const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

/// What kind of principal a token speaks for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An agent of a reseller.
    Partner,
    /// A user of a customer's tenant.
    Customer,
    /// Somebody who runs the cloud.
    Operator,
    /// A service, not a person.
    Workload,
}

impl Kind {
    /// Every kind, in the order in which sentences list them.
    pub const ALL: [Self; 4] = [Self::Partner, Self::Customer, Self::Operator, Self::Workload];

    /// The claim's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Customer => "customer",
            Self::Operator => "operator",
            Self::Workload => "workload",
        }
    }

    /// Reads the claim's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Whom a token speaks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The user or workload: claim `sub`.
    pub subject: String,
    /// The tenant it belongs to: claim `tid`.
    pub tenant: String,
    /// Which side it stands on: claim `kind`.
    pub kind: Kind,
    /// What it may do there: claim `roles`.
    pub roles: Vec<String>,
}

/// Why no token, or no issuer, is to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Everybody on the network could become anybody.
    #[error(
        "the development issuer gives anyone any identity and so listens on loopback alone; {address} is not: use 127.0.0.1"
    )]
    NotLoopback {
        /// The refused address.
        address: SocketAddr,
    },
    /// The tokens would name an issuer that answers elsewhere.
    #[error("the development issuer was opened for {expected} and cannot serve on {actual}")]
    OtherAddress {
        /// The address in the claim `iss`.
        expected: SocketAddr,
        /// The address of the listener.
        actual: SocketAddr,
    },
    /// A cloud's name that cannot be a folder and a path segment.
    #[error("{name:?} cannot name a cloud: use lower-case letters, digits and hyphens")]
    CloudName {
        /// The refused name.
        name: String,
    },
    /// A cloud nobody opened an issuer for.
    #[error("there is no cloud {name:?}; there are: {known}")]
    UnknownCloud {
        /// The name that was asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// A life outside what a token may have.
    #[error(
        "a token lives between {} and {} seconds, not {seconds}",
        LIFETIME_MIN.as_secs(),
        LIFETIME_MAX.as_secs()
    )]
    Lifetime {
        /// The refused life.
        seconds: u64,
    },
    /// The disk refused.
    #[error(transparent)]
    File(#[from] private_file::Error),
    /// The key file holds no key that we could have written.
    #[error(
        "{} holds no private key for ES256; put the right file back, or remove it to have a new key made (old tokens then stop working)",
        path.display()
    )]
    BrokenKey {
        /// The key file.
        path: PathBuf,
        /// What the reader of keys said.
        source: jsonwebtoken::errors::Error,
    },
    /// The system gave no key or no random numbers.
    #[error("cannot make a key: the system gives no random numbers")]
    Randomness,
    /// The token could not be signed.
    #[error("cannot sign a token")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// The listener broke.
    #[error("the development issuer stopped listening")]
    Listen(#[source] std::io::Error),
}

/// The issuers of all clouds, one path per cloud under one address. Clones share their keys.
#[derive(Clone)]
pub struct Issuers {
    address: SocketAddr,
    keys: Arc<BTreeMap<String, Key>>,
}

impl Issuers {
    /// Reads each cloud's key from `<data_dir>/<cloud>/issuer.pem`, and makes those that are missing.
    ///
    /// The address is the one the issuers will be served on: it stands in every token, so tokens
    /// survive a restart only where it does.
    ///
    /// # Errors
    ///
    /// When the address is not loopback, a name is unusable, or a key file is broken or unreadable.
    pub fn open(data_dir: &Path, clouds: &[&str], address: SocketAddr) -> Result<Self, Error> {
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback { address });
        }
        // All names first, so that a bad one leaves no keys behind.
        if let Some(name) = clouds.iter().find(|name| !private_file::is_name(name)) {
            return Err(Error::CloudName { name: (*name).to_owned() });
        }
        let mut keys = BTreeMap::new();
        for cloud in clouds {
            keys.insert((*cloud).to_owned(), Key::open(&data_dir.join(cloud))?);
        }
        Ok(Self { address, keys: Arc::new(keys) })
    }

    /// The issuer of a cloud as it stands in the claim `iss`: `http://127.0.0.1:PORT/<cloud>`.
    #[must_use]
    pub fn uri(&self, cloud: &str) -> String {
        format!("http://{}/{cloud}", self.address)
    }

    /// Makes a token for the default audience, good from `now` (seconds since 1970) on.
    ///
    /// # Errors
    ///
    /// When there is no such cloud, or the lifetime is out of bounds.
    pub fn mint(&self, cloud: &str, identity: &Identity, now: u64, lifetime: Duration) -> Result<String, Error> {
        self.sign(cloud, identity, DEFAULT_AUDIENCE, (now, lifetime))
    }

    fn sign(
        &self,
        cloud: &str,
        identity: &Identity,
        audience: &str,
        (now, lifetime): (u64, Duration),
    ) -> Result<String, Error> {
        let key = self.key(cloud)?;
        if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
            return Err(Error::Lifetime { seconds: lifetime.as_secs() });
        }
        key.sign(&Claims {
            iss: self.uri(cloud),
            aud: audience,
            sub: &identity.subject,
            tid: &identity.tenant,
            kind: identity.kind,
            roles: &identity.roles,
            iat: now,
            nbf: now,
            exp: now.saturating_add(lifetime.as_secs()),
            jti: key::random_id()?,
        })
    }

    fn key(&self, cloud: &str) -> Result<&Key, Error> {
        self.keys.get(cloud).ok_or_else(|| Error::UnknownCloud {
            name: cloud.to_owned(),
            known: self.keys.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    /// Answers on the listener until `shutdown` is done and the calls under way are answered, which
    /// is given a bound. `now` tells the time in seconds since 1970.
    ///
    /// # Errors
    ///
    /// When the listener is not on the loopback address the issuers were opened for, or breaks.
    pub async fn serve<N, S>(self, listener: TcpListener, now: N, shutdown: S) -> Result<(), Error>
    where
        N: Fn() -> u64 + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let actual = listener.local_addr().map_err(Error::Listen)?;
        if !actual.ip().is_loopback() {
            return Err(Error::NotLoopback { address: actual });
        }
        if actual != self.address {
            return Err(Error::OtherAddress { expected: self.address, actual });
        }
        tracing::warn!(
            address = %actual,
            "DEVELOPMENT ISSUER: anyone who reaches {actual} gets a token for any identity; \
             never let a production deployment trust it"
        );
        http::serve(self, listener, Arc::new(now), shutdown).await.map_err(Error::Listen)
    }
}

/// What a token says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    aud: &'a str,
    sub: &'a str,
    tid: &'a str,
    kind: Kind,
    roles: &'a [String],
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

#[cfg(test)]
mod tests;
