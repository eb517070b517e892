//! Invitation links: what one asks for, and how it lives. A link is its partner and its options; there is no customer in it
//! (R17), and acceptance never changes it (R18).

use std::collections::BTreeSet;
use std::fmt;

use clock::Time;
use cloud::{Policy, RuleNumber, ServiceId, TenantId};

use super::key::{KeyId, Keys};

/// The collection of links in resource names.
pub const COLLECTION: &str = "invitationLinks";

/// The first word of every slug: what the partner wants to become.
const RESELLER: &str = "reseller";

/// The longest a slug may be. With it the longest token stays below its own bound.
pub const SLUG_BYTES_MAX: usize = 200;

/// What a link asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The commercial relationship alone (R37).
    Reseller,
    /// The relationship and delegated admin privileges (R36).
    ResellerWithDelegation,
}

/// The options of a link. Their text, the slug, is the id of the link: `reseller`, or `reseller.azure-ad.office-365`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Options {
    services: BTreeSet<ServiceId>,
}

/// A text that is no slug. There is one slug for each set of options, because there is one URI (R18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotASlug {
    /// The options can be read, but their slug is this.
    Unordered {
        /// The slug to write.
        canonical: String,
    },
    /// Not of the form.
    Malformed,
    /// Longer than [`SLUG_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for NotASlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotASlug::Unordered { canonical } => {
                write!(f, "write the services in order and each once: `{canonical}`")
            }
            NotASlug::Malformed => {
                f.write_str("write `reseller`, or `reseller.` and the ids of services in order, joined by dots")
            }
            NotASlug::TooLong => {
                write!(f, "ask for fewer services: an id of a link has at most {SLUG_BYTES_MAX} characters")
            }
        }
    }
}

impl Options {
    /// Reads a slug.
    ///
    /// # Errors
    /// [`NotASlug`] for every other text, also one that spells known options in another way.
    pub fn parse(slug: &str) -> Result<Options, NotASlug> {
        if slug.len() > SLUG_BYTES_MAX {
            return Err(NotASlug::TooLong);
        }
        let mut words = slug.split('.');
        if words.next() != Some(RESELLER) {
            return Err(NotASlug::Malformed);
        }
        let services: Result<BTreeSet<ServiceId>, _> = words.map(ServiceId::parse).collect();
        let Ok(services) = services else {
            return Err(NotASlug::Malformed);
        };
        let options = Options { services };
        let canonical = options.slug();
        if canonical == slug { Ok(options) } else { Err(NotASlug::Unordered { canonical }) }
    }

    /// The text of the options.
    #[must_use]
    pub fn slug(&self) -> String {
        let mut slug = RESELLER.to_owned();
        for service in &self.services {
            slug.push('.');
            slug.push_str(service.as_str());
        }
        slug
    }

    /// The services whose administration is asked for, ordered.
    #[must_use]
    pub fn services(&self) -> &BTreeSet<ServiceId> {
        &self.services
    }

    /// What is asked for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.services.is_empty() { Kind::Reseller } else { Kind::ResellerWithDelegation }
    }

    /// Whether the cloud lets a partner ask for this.
    ///
    /// # Errors
    /// [`NotOffered`] for the first reason why not.
    pub fn check(&self, policy: &Policy) -> Result<(), NotOffered> {
        if let Some(unknown) = self.services.iter().find(|service| policy.service(service).is_none()) {
            return Err(NotOffered::ServiceUnknown(unknown.clone()));
        }
        // R5, R33, R34: the choice not to ask for privileges does not exist everywhere.
        match &policy.delegation.mandatory_rule {
            Some(rule) if self.services.is_empty() => Err(NotOffered::DelegationMandatory(rule.clone())),
            Some(_) | None => Ok(()),
        }
    }
}

/// Why a cloud has no link with such options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOffered {
    /// The cloud has no such delegable service.
    ServiceUnknown(ServiceId),
    /// The cloud allows no relationship without admin privileges, by this rule.
    DelegationMandatory(RuleNumber),
}

/// Whether customers can accept through a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They can.
    Active,
    /// The partner has disabled it.
    Disabled,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who asks (R16).
    pub partner: TenantId,
    /// What it asks for.
    pub options: Options,
    /// How many URIs it has had, this one included. Only the last is live.
    pub generation: u32,
    /// Whether the last one is.
    pub state: State,
    /// The key that its URI is signed with, so that a new key leaves URIs as they are.
    pub key_id: KeyId,
    /// When it was first asked for.
    pub create_time: Time,
    /// When it was last rotated or disabled.
    pub update_time: Time,
    /// Changes with every change, from 1.
    pub version: i64,
}

impl Link {
    /// A link that has not been asked for before.
    #[must_use]
    pub fn first(partner: TenantId, options: Options, key_id: KeyId, now: Time) -> Link {
        Link {
            partner,
            options,
            generation: 1,
            state: State::Active,
            key_id,
            create_time: now,
            update_time: now,
            version: 1,
        }
    }

    /// `partners/{partner}/invitationLinks/{link}`.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.partner, &self.options.slug())
    }

    /// Whether its URI can be accepted through: it was not disabled, and the key that signs it has not been withdrawn.
    #[must_use]
    pub fn is_live(&self, keys: &Keys) -> bool {
        self.state == State::Active && keys.holds(&self.key_id)
    }

    /// The link with a new URI, which is live whatever the old one was; the old one never is again.
    ///
    /// # Panics
    /// After four thousand million rotations.
    #[must_use]
    pub fn rotated(&self, current: &KeyId, now: Time) -> Link {
        Link {
            generation: self.generation.checked_add(1).expect("no link is rotated once a second for a century"),
            state: State::Active,
            key_id: current.clone(),
            update_time: now,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// The link disabled. `None` when it was before: nothing changes then.
    #[must_use]
    pub fn disabled(&self, now: Time) -> Option<Link> {
        match self.state {
            State::Disabled => None,
            State::Active => {
                Some(Link { state: State::Disabled, update_time: now, version: self.version + 1, ..self.clone() })
            }
        }
    }
}

/// The name of the link of a partner with these options.
#[must_use]
pub fn name(partner: &TenantId, slug: &str) -> String {
    format!("partners/{partner}/{COLLECTION}/{slug}")
}

#[cfg(test)]
mod tests;
