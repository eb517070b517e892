//! Reading and feeding the facts of subscriptions.

use std::sync::Arc;

use api::field;
use api::page::Page;
use api::relationship as wire;
use api::rule::PrincipalKind;
use outbox::{Done, Scope};
use server::Caller;

use super::agreement::party;
use super::{Calls, View, change_request};
use crate::domain::subscription::{Status, Subscription};
use crate::error::Error;
use crate::store::subscription as table;
use crate::wire::subscription as convert;

/// Workloads see subscriptions when they keep the records or check access.
fn expect_trusted(calls: &Calls, caller: &Caller, name: &str) -> Result<(), Error> {
    let policy = &calls.process.policy;
    let trusted = ["subscriptions.write", "access.check_any"].iter().any(|it| policy.permits(it, &caller.roles));
    if caller.kind != PrincipalKind::Workload || trusted { Ok(()) } else { Err(Error::NotFound(name.to_owned())) }
}

pub(super) async fn get_subscription(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetSubscriptionRequest,
) -> Result<wire::Subscription, Error> {
    let (customer, id) = convert::name("name", &request.name)?;
    expect_trusted(&calls, &caller, &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let view = party(&mut tx, &caller, &customer, &request.name).await?;
    let found = table::find(&mut tx, &customer, &id).await?.ok_or(Error::NotFound(request.name))?;
    Ok(seen(&view, found))
}

/// A subscription as the caller sees it: a partner sees the parts that are its own, and not those of other partners (I12).
fn seen(view: &View, mut subscription: Subscription) -> wire::Subscription {
    if let View::Partner(own) = view {
        subscription.original_reseller.take_if(|partner| partner != own);
        subscription.partner_of_record.take_if(|partner| partner != own);
        subscription.provisioned_by.take_if(|partner| partner != own);
    }
    convert::subscription(&subscription)
}

pub(super) async fn list_subscriptions(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListSubscriptionsRequest,
) -> Result<wire::ListSubscriptionsResponse, Error> {
    let customer = crate::wire::customer("parent", &request.parent)?;
    expect_trusted(&calls, &caller, &request.parent)?;
    let page = Page::parse(format!("subscriptions {customer}"), request.page_size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    let view = party(&mut tx, &caller, &customer, &request.parent).await?;
    let rows = table::list(&mut tx, &customer, &page.after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |subscription| subscription.id.clone());
    let subscriptions = rows.into_iter().map(|subscription| seen(&view, subscription)).collect();
    Ok(wire::ListSubscriptionsResponse { subscriptions, next_page_token })
}

pub(super) async fn update_subscription(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::UpdateSubscriptionRequest,
) -> Result<Done<wire::Subscription>, Error> {
    let from = request.subscription.as_ref().ok_or_else(|| Error::invalid("subscription", "is required"))?;
    let (customer, id) = convert::name("subscription.name", &from.name)?;
    let actor = caller.user_name();
    let change = Update { calls: &calls, key: format!("customers/{customer}"), customer, id, from, request: &request };
    let asked = change_request(&actor, "UpdateSubscription", &request.request_id, &request)?;
    calls.outbox.change(&asked, &change).await
}

struct Update<'a> {
    calls: &'a Calls,
    key: String,
    customer: cloud::TenantId,
    id: String,
    from: &'a wire::Subscription,
    request: &'a wire::UpdateSubscriptionRequest,
}

impl outbox::Change for Update<'_> {
    const NAME: &'static str = "update_subscription";
    type Answer = wire::Subscription;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Subscription, Error> {
        let customer = crate::store::directory::customer(scope.tx, &self.customer).await?;
        customer.ok_or_else(|| Error::NotFound(self.key.clone()))?;
        let onto = match table::find(scope.tx, &self.customer, &self.id).await? {
            Some(found) => {
                field::check_etag(&self.from.name, &self.from.etag, found.version)?;
                let fields = super::directory::fields(self.request.update_mask.as_ref(), convert::FIELDS)?;
                convert::merged(found, self.from, &fields)?
            }
            // Whoever has read an etag has read a subscription, and this is not it.
            None if self.request.allow_missing && !self.from.etag.is_empty() => {
                return Err(Error::EtagMismatch(self.from.name.clone()));
            }
            None if self.request.allow_missing => convert::merged(self.blank()?, self.from, convert::FIELDS)?,
            None => return Err(Error::NotFound(self.from.name.clone())),
        };
        self.expect_known(&onto)?;
        let written = Subscription { update_time: scope.now, version: onto.version + 1, ..onto };
        table::write(scope.tx, &written).await?;
        super::termination::end_unblocked(self.calls, scope, &self.customer).await?;
        Ok(convert::subscription(&written))
    }
}

impl Update<'_> {
    /// What a new subscription is before its fields are taken from the request.
    fn blank(&self) -> Result<Subscription, Error> {
        Ok(Subscription {
            customer: self.customer.clone(),
            id: self.id.clone(),
            service: crate::wire::service("subscription.service", &self.from.service)?,
            status: Status::Active,
            original_reseller: None,
            partner_of_record: None,
            provisioned_by: None,
            update_time: clock::Time::default(),
            version: 0,
        })
    }

    fn expect_known(&self, subscription: &Subscription) -> Result<(), Error> {
        let policy = &self.calls.process.policy;
        if policy.service(&subscription.service).is_some() {
            return Ok(());
        }
        let known = policy.services.iter().map(|service| service.id.to_string()).collect();
        Err(Error::ServiceUnknown { service: subscription.service.to_string(), known })
    }
}
