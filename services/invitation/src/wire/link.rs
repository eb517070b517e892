//! Links. Their live half, URI and token, is added where the keys are.

use api::field;
use api::invitation as wire;
use cloud::TenantId;

use crate::domain::link::{self, Kind, Link, Options, State};
use crate::error::Error;

/// The name of a link, asked for before or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkName {
    /// Whose it is.
    pub partner: TenantId,
    /// What it asks for.
    pub options: Options,
}

impl LinkName {
    /// The name as text.
    #[must_use]
    pub fn text(&self) -> String {
        link::name(&self.partner, &self.options.slug())
    }
}

/// `partners/{partner}/invitationLinks/{link}`.
pub fn name(field: &str, name: &str) -> Result<LinkName, Error> {
    let pattern = || Error::invalid(field, "give partners/{partner}/invitationLinks/{link}");
    let [partner, slug] = api::name::ids(name, ["partners", link::COLLECTION]).ok_or_else(pattern)?;
    let partner = TenantId::parse(partner).map_err(|_| pattern())?;
    let options = Options::parse(slug).map_err(|error| Error::invalid(field, error.to_string()))?;
    Ok(LinkName { partner, options })
}

/// What a link asks for, on the wire.
#[must_use]
pub fn kind(kind: Kind) -> wire::InvitationKind {
    match kind {
        Kind::Reseller => wire::InvitationKind::Reseller,
        Kind::ResellerWithDelegation => wire::InvitationKind::ResellerWithDelegation,
    }
}

fn state(state: State) -> wire::InvitationLinkState {
    match state {
        State::Active => wire::InvitationLinkState::Active,
        State::Disabled => wire::InvitationLinkState::Disabled,
    }
}

/// A link as the history shows it: without the URI and the token, because a feed is no place for a live link.
#[must_use]
pub fn record(link: &Link) -> wire::InvitationLink {
    wire::InvitationLink {
        name: link.name(),
        kind: kind(link.options.kind()).into(),
        services: link.options.services().iter().map(ToString::to_string).collect(),
        uri: String::new(),
        state: state(link.state).into(),
        create_time: Some(super::timestamp(link.create_time)),
        update_time: Some(super::timestamp(link.update_time)),
        etag: field::etag(link.version),
        token: String::new(),
    }
}

/// A link with its URI. Without one it cannot be accepted through, whatever it was set to.
#[must_use]
pub fn link(link: &Link, signed: Option<Signed>) -> wire::InvitationLink {
    match signed {
        Some(Signed { uri, token }) => wire::InvitationLink { uri, token, ..record(link) },
        None => wire::InvitationLink { state: state(State::Disabled).into(), ..record(link) },
    }
}

/// The live half of a link.
pub struct Signed {
    /// What the partner sends.
    pub uri: String,
    /// The token at its end.
    pub token: String,
}
