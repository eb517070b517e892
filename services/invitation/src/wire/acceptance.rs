//! What this service and the relationship service tell each other about an acceptance.

use api::invitation as wire;
use api::relationship as peer;
use cloud::{Policy, ServiceId};

use crate::domain::link;
use crate::domain::token::Token;
use crate::error::Error;

/// The longest text that is looked at for a token: a token with a URI around it.
const TEXT_BYTES_MAX: usize = 2048;

/// A token or a whole link, from the wire; what it says is for the keys to tell.
pub fn token(text: &str) -> Result<&str, Error> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid("token", "give the invitation link, or the token at its end"));
    }
    Ok(text)
}

/// A verified token as the relationship service takes it.
#[must_use]
pub fn invitation(token: &Token, is_live: bool) -> peer::VerifiedInvitation {
    peer::VerifiedInvitation {
        link: link::name(&token.partner, &token.options.slug()),
        link_active: is_live,
        r#type: peer::RelationshipType::Reseller.into(),
        services: token.options.services().iter().map(ToString::to_string).collect(),
    }
}

/// What an invitation means, from what accepting it would meet.
#[must_use]
pub fn resolved(
    token: &Token,
    portal_uri: String,
    preview: peer::PreviewEstablishmentResponse,
    policy: &Policy,
) -> wire::ResolveInvitationResponse {
    let requested = |service: &ServiceId| wire::RequestedService {
        service: service.to_string(),
        title: title(service, policy),
        already_delegated: preview.delegated_services.iter().any(|held| held == service.as_str()),
    };
    wire::ResolveInvitationResponse {
        kind: super::link::kind(token.options.kind()).into(),
        services: token.options.services().iter().map(requested).collect(),
        partner: Some(wire::InvitingPartner {
            name: format!("partners/{}", token.partner),
            display_name: preview.partner_display_name,
            verified_domain: preview.partner_verified_domain,
            country: preview.partner_country,
        }),
        agreement: preview.agreement,
        portal_title: policy.acceptance_portal.title.clone(),
        portal_uri,
        obstacles: preview.obstacles,
        existing_relationship: preview.existing_relationship,
    }
}

/// The name people know a service by; its id where the cloud has dropped it since.
#[must_use]
pub fn title(service: &ServiceId, policy: &Policy) -> String {
    policy.service(service).map_or_else(|| service.to_string(), |known| known.title.clone())
}

/// An acceptance as the relationship service takes it.
#[must_use]
pub fn establishment(token: &Token, is_live: bool, request: wire::AcceptInvitationRequest) -> peer::EstablishRequest {
    peer::EstablishRequest {
        invitation: Some(invitation(token, is_live)),
        customer: request.customer,
        agreement: request.agreement,
        replace: request.replace,
        validate_only: request.validate_only,
        request_id: request.request_id,
    }
}

/// What was established.
#[must_use]
pub fn accepted(established: peer::EstablishResponse) -> wire::AcceptInvitationResponse {
    wire::AcceptInvitationResponse {
        relationship: established.relationship,
        delegations: established.delegations,
        agreement_acceptance: established.agreement_acceptance,
        replaced: established.replaced,
    }
}
