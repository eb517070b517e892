//! Resolving and accepting. This service vouches for the token; everything else is decided, and written, where relationships
//! are kept, under the caller's own token. Nothing is written here (R21).

use std::sync::Arc;

use api::field;
use api::invitation as wire;
use api::relationship as peer;
use api::relationship::directory_service_client::DirectoryServiceClient;
use api::relationship::establishment_service_client::EstablishmentServiceClient;
use failpoint::Point;
use server::Caller;
use tonic::Response;

use super::{Calls, expect_customer};
use crate::domain::token::Token;
use crate::error::Error;
use crate::wire::acceptance as convert;

pub(super) async fn resolve_invitation(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ResolveInvitationRequest,
) -> Result<wire::ResolveInvitationResponse, Error> {
    let customer = if request.customer.is_empty() { format!("customers/{}", caller.tenant) } else { request.customer };
    let id = crate::wire::customer("customer", &customer)?;
    expect_customer(&caller, &id, &customer)?;
    let (token, is_live) = verify(&calls, &request.token).await?;
    let asked = peer::PreviewEstablishmentRequest { invitation: Some(convert::invitation(&token, is_live)), customer };
    let mut client = EstablishmentServiceClient::new(calls.relationship.calls_for(&caller));
    let preview = client.preview_establishment(asked).await.map_err(Error::Peer)?.into_inner();
    let policy = &calls.process.policy;
    // R49-R52: the portal follows from the cloud. The token is written anew, so a link in a wrapping leads to a clean one.
    let clean = token.sign(&calls.process.cloud, &calls.issue.keys).unwrap_or_default();
    let portal_uri = policy.acceptance_portal.location(&clean);
    Ok(convert::resolved(&token, portal_uri, preview, policy))
}

pub(super) async fn accept_invitation(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::AcceptInvitationRequest,
) -> Result<Response<wire::AcceptInvitationResponse>, Error> {
    let customer = crate::wire::customer("customer", &request.customer)?;
    expect_customer(&caller, &customer, &request.customer)?;
    let request_id = field::request_id(&request.request_id)?;
    let (token, is_live) = verify(&calls, &request.token).await?;
    failpoint::reach(Point::LinkVerified);
    let can_repeat = request_id.is_some() || request.validate_only;
    let to = calls.relationship.calls_for(&caller);
    let mut client = EstablishmentServiceClient::new(if can_repeat { to.repeatable() } else { to });
    let established = client.establish(convert::establishment(&token, is_live, request)).await.map_err(Error::Peer)?;
    failpoint::reach(Point::LinkEstablished);
    let (mut metadata, established, _) = established.into_parts();
    let mut response = Response::new(convert::accepted(established));
    // The change happened over there, and so did the moment from which it can be seen.
    if let Some(consistency) = metadata.remove(server::consistency::METADATA) {
        response.metadata_mut().insert(server::consistency::METADATA, consistency);
    }
    Ok(response)
}

/// What a token says, and whether its link still stands: one indexed read.
async fn verify(calls: &Calls, text: &str) -> Result<(Token, bool), Error> {
    let token = Token::verify(convert::token(text)?, &calls.process.cloud, &calls.issue.keys)?;
    let mut tx = store::read(&calls.pool).await?;
    let link = crate::store::link::find(&mut tx, &token.partner, &token.options).await?;
    let is_live = token.is_live(link.as_ref());
    Ok((token, is_live))
}

/// What the operator has verified about the caller's partner.
pub(super) async fn partner(calls: &Calls, caller: &Caller, id: &cloud::TenantId) -> Result<peer::Partner, Error> {
    let mut client = DirectoryServiceClient::new(calls.relationship.calls_for(caller));
    let asked = peer::GetPartnerRequest { name: format!("partners/{id}") };
    let partner = client.get_partner(asked).await.map_err(Error::Peer)?;
    Ok(partner.into_inner())
}
