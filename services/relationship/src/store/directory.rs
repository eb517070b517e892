//! Partners, customers and users.

use clock::Time;
use cloud::TenantId;
use store::{Failure, Tx, on};

use crate::domain::directory::{Customer, Partner, Status, Tenant, Tier, User};

const PARTNER: &str = "SELECT id, display_name, verified_domain, country, tier, signed_contract, status,
     create_time_us, update_time_us, version FROM partners WHERE id = $1";
const PARTNERS: &str = "SELECT id, display_name, verified_domain, country, tier, signed_contract, status,
     create_time_us, update_time_us, version FROM partners WHERE id > $1 ORDER BY id LIMIT $2";
const INSERT_PARTNER: &str = "INSERT INTO partners (id, display_name, verified_domain, country, tier, signed_contract,
     status, create_time_us, update_time_us, version)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
const UPDATE_PARTNER: &str = "UPDATE partners SET display_name = $2, verified_domain = $3, country = $4, tier = $5,
     signed_contract = $6, status = $7, update_time_us = $8, version = $9 WHERE id = $1";

const CUSTOMER: &str = "SELECT id, display_name, country, domain, create_time_us, update_time_us, version
     FROM customers WHERE id = $1";
const CUSTOMERS: &str = "SELECT id, display_name, country, domain, create_time_us, update_time_us, version
     FROM customers WHERE id > $1 ORDER BY id LIMIT $2";
const INSERT_CUSTOMER: &str =
    "INSERT INTO customers (id, display_name, country, domain, create_time_us, update_time_us, version)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
const UPDATE_CUSTOMER: &str = "UPDATE customers SET display_name = $2, country = $3, domain = $4, update_time_us = $5,
     version = $6 WHERE id = $1";

const USER: &str = "SELECT id, display_name, email, create_time_us, version FROM users WHERE tenant = $1 AND id = $2";
const USERS: &str = "SELECT id, display_name, email, create_time_us, version FROM users
     WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
const INSERT_USER: &str = "INSERT INTO users (tenant, id, display_name, email, create_time_us, version)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, id) DO NOTHING";

const TIERS: [Tier; 4] = [Tier::Direct, Tier::IndirectProvider, Tier::IndirectReseller, Tier::Advisor];
const STATUSES: [Status; 2] = [Status::Active, Status::Suspended];

fn tier_text(tier: Tier) -> &'static str {
    match tier {
        Tier::Direct => "DIRECT",
        Tier::IndirectProvider => "INDIRECT_PROVIDER",
        Tier::IndirectReseller => "INDIRECT_RESELLER",
        Tier::Advisor => "ADVISOR",
    }
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "ACTIVE",
        Status::Suspended => "SUSPENDED",
    }
}

#[derive(sqlx::FromRow)]
struct PartnerRow {
    id: String,
    display_name: String,
    verified_domain: String,
    country: String,
    tier: String,
    signed_contract: String,
    status: String,
    create_time_us: i64,
    update_time_us: i64,
    version: i64,
}

impl TryFrom<PartnerRow> for Partner {
    type Error = Failure;

    fn try_from(row: PartnerRow) -> Result<Partner, Failure> {
        Ok(Partner {
            id: super::tenant("partners", &row.id)?,
            display_name: row.display_name,
            verified_domain: row.verified_domain,
            country: super::country("partners", &row.country)?,
            tier: super::value("partners", &TIERS, tier_text, &row.tier)?,
            signed_contract: row.signed_contract,
            status: super::value("partners", &STATUSES, status_text, &row.status)?,
            create_time: Time::from_micros(row.create_time_us),
            update_time: Time::from_micros(row.update_time_us),
            version: row.version,
        })
    }
}

#[derive(sqlx::FromRow)]
struct CustomerRow {
    id: String,
    display_name: String,
    country: String,
    domain: String,
    create_time_us: i64,
    update_time_us: i64,
    version: i64,
}

impl TryFrom<CustomerRow> for Customer {
    type Error = Failure;

    fn try_from(row: CustomerRow) -> Result<Customer, Failure> {
        Ok(Customer {
            id: super::tenant("customers", &row.id)?,
            display_name: row.display_name,
            country: super::country("customers", &row.country)?,
            domain: row.domain,
            create_time: Time::from_micros(row.create_time_us),
            update_time: Time::from_micros(row.update_time_us),
            version: row.version,
        })
    }
}

#[derive(sqlx::FromRow)]
struct UserRow {
    id: String,
    display_name: String,
    email: String,
    create_time_us: i64,
    version: i64,
}

impl UserRow {
    fn of(self, tenant: &Tenant) -> User {
        User {
            tenant: tenant.clone(),
            id: self.id,
            display_name: self.display_name,
            email: self.email,
            create_time: Time::from_micros(self.create_time_us),
            version: self.version,
        }
    }
}

/// The partner, if it is registered.
pub async fn partner(tx: &mut Tx, id: &TenantId) -> Result<Option<Partner>, Failure> {
    let row: Option<PartnerRow> =
        on!(tx, tx => sqlx::query_as(PARTNER).bind(id.as_str()).fetch_optional(&mut **tx).await?);
    row.map(Partner::try_from).transpose()
}

/// Partners after an id, in order.
pub async fn partners(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Partner>, Failure> {
    let rows: Vec<PartnerRow> =
        on!(tx, tx => sqlx::query_as(PARTNERS).bind(after).bind(limit).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Partner::try_from).collect()
}

/// Registers a partner. False when the id is taken.
pub async fn insert_partner(tx: &mut Tx, partner: &Partner) -> Result<bool, Failure> {
    let rows = on!(tx, tx => sqlx::query(INSERT_PARTNER)
        .bind(partner.id.as_str())
        .bind(&partner.display_name)
        .bind(&partner.verified_domain)
        .bind(partner.country.as_str())
        .bind(tier_text(partner.tier))
        .bind(&partner.signed_contract)
        .bind(status_text(partner.status))
        .bind(partner.create_time.micros())
        .bind(partner.update_time.micros())
        .bind(partner.version)
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}

/// Writes a partner back.
pub async fn update_partner(tx: &mut Tx, partner: &Partner) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(UPDATE_PARTNER)
            .bind(partner.id.as_str())
            .bind(&partner.display_name)
            .bind(&partner.verified_domain)
            .bind(partner.country.as_str())
            .bind(tier_text(partner.tier))
            .bind(&partner.signed_contract)
            .bind(status_text(partner.status))
            .bind(partner.update_time.micros())
            .bind(partner.version)
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}

/// The customer, if it is registered.
pub async fn customer(tx: &mut Tx, id: &TenantId) -> Result<Option<Customer>, Failure> {
    let row: Option<CustomerRow> =
        on!(tx, tx => sqlx::query_as(CUSTOMER).bind(id.as_str()).fetch_optional(&mut **tx).await?);
    row.map(Customer::try_from).transpose()
}

/// Customers after an id, in order.
pub async fn customers(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Customer>, Failure> {
    let rows: Vec<CustomerRow> =
        on!(tx, tx => sqlx::query_as(CUSTOMERS).bind(after).bind(limit).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Customer::try_from).collect()
}

/// Registers a customer. False when the id is taken.
pub async fn insert_customer(tx: &mut Tx, customer: &Customer) -> Result<bool, Failure> {
    let rows = on!(tx, tx => sqlx::query(INSERT_CUSTOMER)
        .bind(customer.id.as_str())
        .bind(&customer.display_name)
        .bind(customer.country.as_str())
        .bind(&customer.domain)
        .bind(customer.create_time.micros())
        .bind(customer.update_time.micros())
        .bind(customer.version)
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}

/// Writes a customer back.
pub async fn update_customer(tx: &mut Tx, customer: &Customer) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(UPDATE_CUSTOMER)
            .bind(customer.id.as_str())
            .bind(&customer.display_name)
            .bind(customer.country.as_str())
            .bind(&customer.domain)
            .bind(customer.update_time.micros())
            .bind(customer.version)
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}

/// True when the tenant exists.
pub async fn is_tenant(tx: &mut Tx, tenant: &Tenant) -> Result<bool, Failure> {
    match tenant {
        Tenant::Partner(id) => Ok(partner(tx, id).await?.is_some()),
        Tenant::Customer(id) => Ok(customer(tx, id).await?.is_some()),
    }
}

/// The user, if registered.
pub async fn user(tx: &mut Tx, tenant: &Tenant, id: &str) -> Result<Option<User>, Failure> {
    let row: Option<UserRow> =
        on!(tx, tx => sqlx::query_as(USER).bind(tenant.name()).bind(id).fetch_optional(&mut **tx).await?);
    Ok(row.map(|row| row.of(tenant)))
}

/// Users of a tenant after an id, in order.
pub async fn users(tx: &mut Tx, tenant: &Tenant, after: &str, limit: i64) -> Result<Vec<User>, Failure> {
    let rows: Vec<UserRow> =
        on!(tx, tx => sqlx::query_as(USERS).bind(tenant.name()).bind(after).bind(limit).fetch_all(&mut **tx).await?);
    Ok(rows.into_iter().map(|row| row.of(tenant)).collect())
}

/// Registers a user. False when the id is taken.
pub async fn insert_user(tx: &mut Tx, user: &User) -> Result<bool, Failure> {
    let rows = on!(tx, tx => sqlx::query(INSERT_USER)
        .bind(user.tenant.name())
        .bind(&user.id)
        .bind(&user.display_name)
        .bind(&user.email)
        .bind(user.create_time.micros())
        .bind(user.version)
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}
