//! Which cloud a call is for, decided from what the call says and nothing else.
//!
//! Pure: no request, no key, no network. That the credential is genuine is not known here; a choice made on a forged one
//! leads to the cloud that refuses it.

use std::collections::{BTreeMap, BTreeSet};

use api::ErrorReason;
use api::status::Refusal;
use cloud::CloudId;
use server::config::Fault;

/// The names by which calls can mean a cloud.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id, which `x-mandate-cloud` carries.
    pub id: CloudId,
    /// The host names that lead to it, in lower case.
    pub hosts: BTreeSet<String>,
    /// The issuer whose credentials it takes.
    pub issuer: String,
}

/// What a call says about its cloud.
#[derive(Clone, Debug, Default)]
pub struct Said<'a> {
    /// The host name called, without port.
    pub host: Option<&'a str>,
    /// Every value of `x-mandate-cloud`.
    pub metadata: Vec<&'a str>,
    /// The credential.
    pub credential: Credential<'a>,
}

/// What a credential says about its cloud, unverified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credential<'a> {
    /// The call carries none.
    #[default]
    Absent,
    /// The call carries something in which no issuer can be read, or more than one.
    Unreadable,
    /// The credential claims to be of this issuer.
    Of(&'a str),
}

/// The names of all clouds. No name leads to two of them.
#[derive(Clone, Debug)]
pub struct Directory {
    entries: Vec<Entry>,
    hosts: BTreeMap<String, usize>,
}

impl Directory {
    /// A directory of these clouds.
    ///
    /// # Errors
    /// When an id, a host or an issuer stands twice, or there is no cloud.
    pub fn new(entries: Vec<Entry>) -> Result<Directory, Fault> {
        let mut ids = BTreeSet::new();
        let mut issuers = BTreeSet::new();
        let mut hosts = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let id = entry.id.as_str();
            if !ids.insert(id) {
                return Err(Fault::new("cloud.id", format!("{id:?} stands twice; expected one each")));
            }
            if !issuers.insert(entry.issuer.as_str()) {
                let issuer = &entry.issuer;
                return Err(Fault::new("cloud.issuer", format!("{issuer:?} stands twice; expected one each")));
            }
            for host in &entry.hosts {
                if hosts.insert(host.clone(), index).is_some() {
                    return Err(Fault::new("cloud.hosts", format!("{host:?} stands twice; expected one cloud")));
                }
            }
        }
        if entries.is_empty() {
            return Err(Fault::new("cloud", "there is none; expected at least one [[cloud]]"));
        }
        Ok(Directory { entries, hosts })
    }

    /// The cloud with this id.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id.as_str() == id)
    }

    /// The cloud that this host name leads to. A host in nobody's list says nothing.
    #[must_use]
    pub fn hosted(&self, host: &str) -> Option<usize> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if let Some(index) = self.hosts.get(host) {
            return Some(*index);
        }
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        self.hosts.get(&host.to_ascii_lowercase()).copied()
    }

    fn issued(&self, issuer: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.issuer == issuer)
    }

    /// The cloud a call is for, by its place in the directory. Whatever the call says must agree (R52, N69).
    ///
    /// # Errors
    /// `CLOUD_REQUIRED` when the call names no cloud, or one that there is not; `CLOUD_DISAGREEMENT` when it names several;
    /// `TOKEN_INVALID` for a credential of nobody we know.
    pub fn choose(&self, said: &Said<'_>) -> Result<usize, Refusal> {
        let mut meant = BTreeSet::new();
        meant.extend(said.host.and_then(|host| self.hosted(host)));
        for id in &said.metadata {
            meant.insert(self.named(id).ok_or_else(|| self.cloud_required())?);
        }
        match said.credential {
            Credential::Absent => {}
            Credential::Unreadable => return Err(token_invalid()),
            Credential::Of(issuer) => {
                meant.insert(self.issued(issuer).ok_or_else(token_invalid)?);
            }
        }
        let mut chosen = meant.iter().copied();
        match (chosen.next(), chosen.next()) {
            (Some(index), None) => Ok(index),
            (None, _) => Err(self.cloud_required()),
            (Some(_), Some(_)) => Err(self.disagreement(&meant)),
        }
    }

    fn cloud_required(&self) -> Refusal {
        let clouds = self.ids(0..self.entries.len());
        let message = format!("name the cloud in x-mandate-cloud metadata: one of {clouds}");
        Refusal::new(ErrorReason::CloudRequired, "R52", "", message).with("clouds", clouds)
    }

    fn disagreement(&self, meant: &BTreeSet<usize>) -> Refusal {
        let clouds = self.ids(meant.iter().copied());
        let message = format!("host name, x-mandate-cloud and credential must mean one cloud; they mean {clouds}");
        Refusal::new(ErrorReason::CloudDisagreement, "R52", "", message).with("clouds", clouds)
    }

    fn ids(&self, indices: impl Iterator<Item = usize>) -> String {
        let mut ids: Vec<&str> = indices.map(|index| self.entries[index].id.as_str()).collect();
        ids.sort_unstable();
        ids.join(",")
    }
}

fn token_invalid() -> Refusal {
    let message = "send one token of the issuer of the cloud, as `authorization: Bearer <token>`";
    Refusal::new(ErrorReason::TokenInvalid, "AIP-211", "", message)
}

#[cfg(test)]
mod tests;
