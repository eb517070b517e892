//! Registering and reading partners, customers and users.

use std::sync::Arc;

use api::field;
use api::page::Page;
use api::relationship as wire;
use api::rule::PrincipalKind;
use clock::Time;
use cloud::TenantId;
use outbox::{Done, Scope};
use prost_types::FieldMask;
use server::Caller;

use super::{Calls, change_request};
use crate::domain::directory::{Customer, Partner, Status, Tenant, Tier, User};
use crate::error::Error;
use crate::store::directory as table;
use crate::wire::directory as convert;

/// The fields that an update mask names; all when it is empty.
pub(super) fn fields<'a>(mask: Option<&'a FieldMask>, all: &'a [&'static str]) -> Result<Vec<&'a str>, Error> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
        return Ok(all.to_vec());
    };
    let unknown = mask.paths.iter().find(|path| !all.contains(&path.as_str()));
    match unknown {
        Some(path) => Err(Error::invalid("update_mask", format!("{path} cannot be written; {} can", all.join(", ")))),
        None => Ok(mask.paths.iter().map(String::as_str).collect()),
    }
}

/// Lets in the tenant itself and those that keep the records.
fn expect_own(calls: &Calls, caller: &Caller, tenant: &Tenant, name: &str) -> Result<(), Error> {
    let own = match tenant {
        Tenant::Partner(id) => caller.is_partner(id),
        Tenant::Customer(id) => caller.is_customer(id),
    };
    let keeper = matches!(caller.kind, PrincipalKind::Operator | PrincipalKind::Workload)
        && calls.process.policy.permits("directory.write", &caller.roles);
    if own || keeper { Ok(()) } else { Err(Error::NotFound(name.to_owned())) }
}

pub(super) async fn get_partner(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetPartnerRequest,
) -> Result<wire::Partner, Error> {
    let id = crate::wire::partner("name", &request.name)?;
    expect_own(&calls, &caller, &Tenant::Partner(id.clone()), &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let found = table::partner(&mut tx, &id).await?.ok_or(Error::NotFound(request.name))?;
    Ok(convert::partner(&found))
}

pub(super) async fn list_partners(
    calls: Calls,
    _: Arc<Caller>,
    request: wire::ListPartnersRequest,
) -> Result<wire::ListPartnersResponse, Error> {
    let page = Page::parse("partners".to_owned(), request.page_size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::partners(&mut tx, &page.after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |partner| partner.id.to_string());
    Ok(wire::ListPartnersResponse { partners: rows.iter().map(convert::partner).collect(), next_page_token })
}

pub(super) async fn get_customer(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetCustomerRequest,
) -> Result<wire::Customer, Error> {
    let id = crate::wire::customer("name", &request.name)?;
    expect_own(&calls, &caller, &Tenant::Customer(id.clone()), &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let found = table::customer(&mut tx, &id).await?.ok_or(Error::NotFound(request.name))?;
    Ok(convert::customer(&found))
}

pub(super) async fn list_customers(
    calls: Calls,
    _: Arc<Caller>,
    request: wire::ListCustomersRequest,
) -> Result<wire::ListCustomersResponse, Error> {
    let page = Page::parse("customers".to_owned(), request.page_size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::customers(&mut tx, &page.after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |customer| customer.id.to_string());
    Ok(wire::ListCustomersResponse { customers: rows.iter().map(convert::customer).collect(), next_page_token })
}

pub(super) async fn get_user(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetUserRequest,
) -> Result<wire::User, Error> {
    let (tenant, id) = convert::user_name("name", &request.name)?;
    expect_own(&calls, &caller, &tenant, &request.name)?;
    let mut tx = store::read(&calls.pool).await?;
    let found = table::user(&mut tx, &tenant, &id).await?.ok_or(Error::NotFound(request.name))?;
    Ok(convert::user(&found))
}

pub(super) async fn list_users(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListUsersRequest,
) -> Result<wire::ListUsersResponse, Error> {
    let tenant = convert::tenant("parent", &request.parent)?;
    expect_own(&calls, &caller, &tenant, &request.parent)?;
    let page = Page::parse(format!("users {}", request.parent), request.page_size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::users(&mut tx, &tenant, &page.after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |user| user.id.clone());
    Ok(wire::ListUsersResponse { users: rows.iter().map(convert::user).collect(), next_page_token })
}

pub(super) async fn create_partner(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::CreatePartnerRequest,
) -> Result<Done<wire::Partner>, Error> {
    let id = crate::wire::tenant_id("partner_id", &request.partner_id)?;
    let from = request.partner.as_ref().ok_or_else(|| Error::invalid("partner", "is required"))?;
    let blank = Partner {
        id,
        display_name: String::new(),
        verified_domain: String::new(),
        country: crate::wire::country("partner.country", &from.country)?,
        tier: Tier::Direct,
        signed_contract: String::new(),
        status: Status::Active,
        create_time: Time::default(),
        update_time: Time::default(),
        version: 1,
    };
    let partner = convert::merged_partner(blank, from, convert::PARTNER_FIELDS)?;
    let actor = caller.user_name();
    let asked = change_request(&actor, "CreatePartner", &request.request_id, &request)?;
    calls.outbox.change(&asked, &CreatePartner { key: format!("partners/{}", partner.id), partner }).await
}

struct CreatePartner {
    key: String,
    partner: Partner,
}

impl outbox::Change for CreatePartner {
    const NAME: &'static str = "create_partner";
    type Answer = wire::Partner;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Partner, Error> {
        let partner = Partner { create_time: scope.now, update_time: scope.now, ..self.partner.clone() };
        if !table::insert_partner(scope.tx, &partner).await? {
            return Err(Error::Exists(self.key.clone()));
        }
        Ok(convert::partner(&partner))
    }
}

pub(super) async fn update_partner(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::UpdatePartnerRequest,
) -> Result<Done<wire::Partner>, Error> {
    let from = request.partner.as_ref().ok_or_else(|| Error::invalid("partner", "is required"))?;
    let id = crate::wire::partner("partner.name", &from.name)?;
    let fields = fields(request.update_mask.as_ref(), convert::PARTNER_FIELDS)?;
    convert::expect_said(from, &fields)?;
    let actor = caller.user_name();
    let asked = change_request(&actor, "UpdatePartner", &request.request_id, &request)?;
    calls.outbox.change(&asked, &UpdatePartner { id, from, fields }).await
}

struct UpdatePartner<'a> {
    id: TenantId,
    from: &'a wire::Partner,
    fields: Vec<&'a str>,
}

impl outbox::Change for UpdatePartner<'_> {
    const NAME: &'static str = "update_partner";
    type Answer = wire::Partner;
    type Error = Error;

    fn key(&self) -> &str {
        &self.from.name
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Partner, Error> {
        let found = table::partner(scope.tx, &self.id).await?;
        let found = found.ok_or_else(|| Error::NotFound(self.from.name.clone()))?;
        field::check_etag(&self.from.name, &self.from.etag, found.version)?;
        let partner = convert::merged_partner(found, self.from, &self.fields)?;
        let partner = Partner { update_time: scope.now, version: partner.version + 1, ..partner };
        table::update_partner(scope.tx, &partner).await?;
        Ok(convert::partner(&partner))
    }
}

pub(super) async fn create_customer(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::CreateCustomerRequest,
) -> Result<Done<wire::Customer>, Error> {
    let id = crate::wire::tenant_id("customer_id", &request.customer_id)?;
    let from = request.customer.as_ref().ok_or_else(|| Error::invalid("customer", "is required"))?;
    let blank = Customer {
        id,
        display_name: String::new(),
        country: crate::wire::country("customer.country", &from.country)?,
        domain: String::new(),
        create_time: Time::default(),
        update_time: Time::default(),
        version: 1,
    };
    let customer = convert::merged_customer(blank, from, convert::CUSTOMER_FIELDS)?;
    let actor = caller.user_name();
    let asked = change_request(&actor, "CreateCustomer", &request.request_id, &request)?;
    calls.outbox.change(&asked, &CreateCustomer { key: format!("customers/{}", customer.id), customer }).await
}

struct CreateCustomer {
    key: String,
    customer: Customer,
}

impl outbox::Change for CreateCustomer {
    const NAME: &'static str = "create_customer";
    type Answer = wire::Customer;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Customer, Error> {
        let customer = Customer { create_time: scope.now, update_time: scope.now, ..self.customer.clone() };
        if !table::insert_customer(scope.tx, &customer).await? {
            return Err(Error::Exists(self.key.clone()));
        }
        Ok(convert::customer(&customer))
    }
}

pub(super) async fn update_customer(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::UpdateCustomerRequest,
) -> Result<Done<wire::Customer>, Error> {
    let from = request.customer.as_ref().ok_or_else(|| Error::invalid("customer", "is required"))?;
    let id = crate::wire::customer("customer.name", &from.name)?;
    let fields = fields(request.update_mask.as_ref(), convert::CUSTOMER_FIELDS)?;
    let actor = caller.user_name();
    let asked = change_request(&actor, "UpdateCustomer", &request.request_id, &request)?;
    calls.outbox.change(&asked, &UpdateCustomer { id, from, fields }).await
}

struct UpdateCustomer<'a> {
    id: TenantId,
    from: &'a wire::Customer,
    fields: Vec<&'a str>,
}

impl outbox::Change for UpdateCustomer<'_> {
    const NAME: &'static str = "update_customer";
    type Answer = wire::Customer;
    type Error = Error;

    fn key(&self) -> &str {
        &self.from.name
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::Customer, Error> {
        let found = table::customer(scope.tx, &self.id).await?;
        let found = found.ok_or_else(|| Error::NotFound(self.from.name.clone()))?;
        field::check_etag(&self.from.name, &self.from.etag, found.version)?;
        let customer = convert::merged_customer(found, self.from, &self.fields)?;
        let customer = Customer { update_time: scope.now, version: customer.version + 1, ..customer };
        table::update_customer(scope.tx, &customer).await?;
        Ok(convert::customer(&customer))
    }
}

pub(super) async fn create_user(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::CreateUserRequest,
) -> Result<Done<wire::User>, Error> {
    let tenant = convert::tenant("parent", &request.parent)?;
    let from = request.user.as_ref().ok_or_else(|| Error::invalid("user", "is required"))?;
    let user = User {
        tenant,
        id: convert::user_id("user_id", &request.user_id)?,
        display_name: field::text("user.display_name", &from.display_name, 1..=convert::NAME_CHARACTERS_MAX)?
            .to_owned(),
        email: field::text("user.email", &from.email, 0..=convert::EMAIL_CHARACTERS_MAX)?.to_owned(),
        create_time: Time::default(),
        version: 1,
    };
    let actor = caller.user_name();
    let asked = change_request(&actor, "CreateUser", &request.request_id, &request)?;
    calls.outbox.change(&asked, &CreateUser { key: user.tenant.name(), user }).await
}

struct CreateUser {
    key: String,
    user: User,
}

impl outbox::Change for CreateUser {
    const NAME: &'static str = "create_user";
    type Answer = wire::User;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::User, Error> {
        if !table::is_tenant(scope.tx, &self.user.tenant).await? {
            return Err(Error::NotFound(self.key.clone()));
        }
        let user = User { create_time: scope.now, ..self.user.clone() };
        if !table::insert_user(scope.tx, &user).await? {
            return Err(Error::Exists(user.name()));
        }
        Ok(convert::user(&user))
    }
}
