//! Reading relationships, from both sides.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::page::{self, Page};
use api::relationship as wire;
use api::rule::PrincipalKind;
use clock::Uuid;
use cloud::TenantId;
use server::Caller;
use store::Tx;

use super::{Calls, View, expect_partner, view_of};
use crate::domain::relationship::{Found, State};
use crate::domain::termination;
use crate::error::Error;
use crate::store::{relationship as table, subscription};
use crate::wire::relationship::{self as convert, Around};

pub(super) async fn get_relationship(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetRelationshipRequest,
) -> Result<wire::Relationship, Error> {
    let (customer, id) = convert::name("name", &request.name)?;
    let view = view_of(&caller, &customer, &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let found = table::find(&mut tx, &customer, id).await?;
    let found = found.filter(|found| match &view {
        View::All => true,
        View::Partner(partner) => found.relationship.partner == *partner, // I12
    });
    let found = found.ok_or(Error::NotFound(request.name))?;
    shown(&calls, &mut tx, &found).await
}

pub(super) async fn list_relationships(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListRelationshipsRequest,
) -> Result<wire::ListRelationshipsResponse, Error> {
    let pairs = api::filter::parse(&request.filter, &["partner", "state"])?;
    let state = pairs.get("state").map(|text| convert::state_filter(text)).transpose()?;
    let mut partner = pairs.get("partner").map(|name| crate::wire::partner("filter", name)).transpose()?;
    if request.parent == "customers/-" {
        return list_of_partner(calls, &caller, request, partner, state).await;
    }
    let customer = crate::wire::customer("parent", &request.parent)?;
    match view_of(&caller, &customer, &request.parent)? {
        View::All => {}
        View::Partner(own) => {
            // I12: a partner that asks about another sees nothing, as everybody does who asks about nothing.
            if partner.as_ref().is_some_and(|asked| *asked != own) {
                return Ok(wire::ListRelationshipsResponse::default());
            }
            partner = Some(own);
        }
    }
    let scope = format!("relationships {customer} {partner:?} {state:?}");
    let page = Page::parse(scope, request.page_size, &request.page_token)?;
    let after = if page.after.is_empty() { Uuid::nil() } else { page_id(&page.after)? };
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::of_customer(&mut tx, &customer, (partner.as_ref(), state), after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |found| found.relationship.id.to_string());
    listed(&calls, &mut tx, &rows, next_page_token).await
}

/// All relationships of the calling partner, whoever the customer is.
async fn list_of_partner(
    calls: Calls,
    caller: &Caller,
    request: wire::ListRelationshipsRequest,
    asked: Option<TenantId>,
    state: Option<State>,
) -> Result<wire::ListRelationshipsResponse, Error> {
    let partner = match (caller.kind, asked) {
        (PrincipalKind::Partner, None) => caller.tenant.clone(),
        (PrincipalKind::Partner, Some(asked)) if asked == caller.tenant => asked,
        (PrincipalKind::Operator, Some(asked)) => asked,
        (PrincipalKind::Operator, None) => {
            return Err(Error::invalid("filter", "name the partner: partner = \"partners/…\""));
        }
        (
            PrincipalKind::Partner | PrincipalKind::Customer | PrincipalKind::Workload | PrincipalKind::Unspecified,
            _,
        ) => {
            return Err(Error::NotFound(request.parent));
        }
    };
    let page = Page::parse(format!("relationships of {partner} {state:?}"), request.page_size, &request.page_token)?;
    let (customer, id) = match page.after.split_once(' ') {
        Some((customer, id)) => (customer, page_id(id)?),
        None => ("", Uuid::nil()),
    };
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::of_partner(&mut tx, &partner, state, (customer, id), page.limit()).await?;
    let (rows, next_page_token) =
        page.cut(rows, |found| format!("{} {}", found.relationship.customer, found.relationship.id));
    listed(&calls, &mut tx, &rows, next_page_token).await
}

async fn listed(
    calls: &Calls,
    tx: &mut Tx,
    rows: &[Found],
    next_page_token: String,
) -> Result<wire::ListRelationshipsResponse, Error> {
    let relationships = all_shown(calls, tx, rows).await?;
    Ok(wire::ListRelationshipsResponse { relationships, next_page_token })
}

/// A relationship as it travels, with what it shows of others now.
pub(super) async fn shown(calls: &Calls, tx: &mut Tx, found: &Found) -> Result<wire::Relationship, Error> {
    let mut shown = all_shown(calls, tx, std::slice::from_ref(found)).await?;
    Ok(shown.pop().expect("one in, one out"))
}

async fn all_shown(calls: &Calls, tx: &mut Tx, rows: &[Found]) -> Result<Vec<wire::Relationship>, Error> {
    let policy = &calls.process.policy;
    let ids: Vec<Uuid> = rows.iter().map(|found| found.relationship.id).collect();
    let services = table::services(tx, &ids).await?;
    let ending = rows.iter().map(|found| &found.relationship).filter(|found| found.state == State::Terminating);
    let ending: BTreeSet<&str> = ending.map(|found| found.customer.as_str()).collect();
    let subscriptions = match ending.is_empty() {
        true => Vec::new(),
        false => subscription::of_customers(tx, &ending.into_iter().collect::<Vec<_>>()).await?,
    };
    let shown = rows.iter().map(|found| {
        let delegated_services = services.get(&found.relationship.id).map(Vec::as_slice).unwrap_or_default();
        let blockers = termination::blockers(&found.relationship, &subscriptions, &policy.termination);
        convert::relationship(found, Around { delegated_services, blockers: &blockers }, policy)
    });
    Ok(shown.collect())
}

/// The id in a page token of ours.
pub(super) fn page_id(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| page::not_ours().into())
}

pub(super) async fn get_partner_customer(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetPartnerCustomerRequest,
) -> Result<wire::PartnerCustomer, Error> {
    let (partner, customer) = convert::partner_customer_name("name", &request.name)?;
    expect_partner(&caller, &partner, &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    // R25: the record exists exactly while the relationship does.
    let found = table::customer(&mut tx, &partner, &customer).await?.ok_or(Error::NotFound(request.name))?;
    let services = table::services(&mut tx, &[found.relationship]).await?;
    let services = services.get(&found.relationship).map(Vec::as_slice).unwrap_or_default();
    Ok(convert::partner_customer(&found, services))
}

pub(super) async fn list_partner_customers(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListPartnerCustomersRequest,
) -> Result<wire::ListPartnerCustomersResponse, Error> {
    let partner = crate::wire::partner("parent", &request.parent)?;
    expect_partner(&caller, &partner, &request.parent)?;
    let page = Page::parse(format!("customers of {partner}"), request.page_size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::customers(&mut tx, &partner, &page.after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |found| found.customer.to_string());
    let ids: Vec<Uuid> = rows.iter().map(|found| found.relationship).collect();
    let services = table::services(&mut tx, &ids).await?;
    let partner_customers = rows.iter().map(|found| {
        convert::partner_customer(found, services.get(&found.relationship).map(Vec::as_slice).unwrap_or_default())
    });
    Ok(wire::ListPartnerCustomersResponse { partner_customers: partner_customers.collect(), next_page_token })
}
