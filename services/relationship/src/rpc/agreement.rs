//! Reading what a customer has agreed to.

use std::sync::Arc;

use api::page::Page;
use api::relationship as wire;
use clock::Uuid;
use cloud::TenantId;
use server::Caller;
use store::Tx;

use super::relationship::page_id;
use super::{Calls, View, view_of};
use crate::domain::agreement::Acceptance;
use crate::error::Error;
use crate::store::agreement as table;
use crate::wire::agreement as convert;

/// What the caller sees of a customer, when it is a party: the customer itself, or a partner with a relationship with it.
pub(super) async fn party(tx: &mut Tx, caller: &Caller, customer: &TenantId, name: &str) -> Result<View, Error> {
    let View::Partner(partner) = view_of(caller, customer, name)? else {
        return Ok(View::All);
    };
    let in_force = crate::store::relationship::in_force(tx, customer, &partner).await?;
    if in_force.is_empty() { Err(Error::NotFound(name.to_owned())) } else { Ok(View::Partner(partner)) }
}

pub(super) async fn get_agreement_status(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetAgreementStatusRequest,
) -> Result<wire::AgreementStatus, Error> {
    let pattern = || Error::invalid("name", "give customers/{customer}/agreementStatus");
    let parent = request.name.strip_suffix("/agreementStatus").ok_or_else(pattern)?;
    let customer = crate::wire::customer("name", parent).map_err(|_| pattern())?;
    let mut tx = store::read(&calls.pool).await?;
    party(&mut tx, &caller, &customer, &request.name).await?;
    if crate::store::directory::customer(&mut tx, &customer).await?.is_none() {
        return Err(Error::NotFound(request.name));
    }
    let policy = &calls.process.policy;
    let acceptance: Option<Acceptance> = match &policy.required_agreement {
        Some(required) => table::of(&mut tx, &customer, &required.id).await?,
        None => None,
    };
    Ok(convert::status(request.name, policy, acceptance.as_ref()))
}

pub(super) async fn list_agreement_acceptances(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListAgreementAcceptancesRequest,
) -> Result<wire::ListAgreementAcceptancesResponse, Error> {
    let customer = crate::wire::customer("parent", &request.parent)?;
    let page = Page::parse(format!("agreements {customer}"), request.page_size, &request.page_token)?;
    let after = if page.after.is_empty() { Uuid::nil() } else { page_id(&page.after)? };
    let mut tx = store::read(&calls.pool).await?;
    let view = party(&mut tx, &caller, &customer, &request.parent).await?;
    let rows = table::list(&mut tx, &customer, after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |acceptance| acceptance.id.to_string());
    let mut agreement_acceptances: Vec<_> = rows.iter().map(convert::acceptance).collect();
    if view != View::All {
        // Partners learn that it was accepted; the person who signed is the customer's own.
        agreement_acceptances.iter_mut().for_each(|acceptance| acceptance.signer = None);
    }
    Ok(wire::ListAgreementAcceptancesResponse { agreement_acceptances, next_page_token })
}
