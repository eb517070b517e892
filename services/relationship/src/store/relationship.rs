//! Relationships, and the customers of a partner.

use std::collections::BTreeMap;

use clock::{Time, Uuid};
use cloud::TenantId;
use store::{Failure, Tx, on};

use crate::domain::relationship::{Found, PartnerCustomer, Relationship, State, Type};
use crate::domain::termination::{Side, Termination};

const IN_FORCE: &str =
    "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.customer = $1 AND r.partner = $2 AND r.state <> 'TERMINATED' ORDER BY r.id";
const FIND: &str = "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.id = $1 AND r.customer = $2";
/// The filters are tested on all rows of one customer: as many as it has ever accepted, a handful. An index for each would cost
/// every acceptance and save nothing here.
const OF_CUSTOMER: &str =
    "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.customer = $1 AND r.id > $2
     AND (CAST($3 AS TEXT) IS NULL OR r.partner = $3) AND (CAST($4 AS TEXT) IS NULL OR r.state = $4)
     ORDER BY r.id LIMIT $5";
/// A partner may have a million customers, so each state it can list by has a text and an index of its own: a page reads the
/// rows it shows and no others.
const OF_PARTNER: &str =
    "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.partner = $1 AND (r.customer, r.id) > ($2, $3)
     ORDER BY r.customer, r.id LIMIT $4";
const OF_PARTNER_ACTIVE: &str =
    "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.partner = $1 AND r.state = 'ACTIVE' AND (r.customer, r.id) > ($2, $3)
     ORDER BY r.customer, r.id LIMIT $4";
const OF_PARTNER_TERMINATING: &str =
    "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.partner = $1 AND r.state = 'TERMINATING' AND (r.customer, r.id) > ($2, $3)
     ORDER BY r.customer, r.id LIMIT $4";
const OF_PARTNER_TERMINATED: &str =
    "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name, p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.partner = $1 AND r.state = 'TERMINATED' AND (r.customer, r.id) > ($2, $3)
     ORDER BY r.customer, r.id LIMIT $4";
const INSERT: &str =
    "INSERT INTO relationships (id, customer, partner, kind, state, origin_link, accept_time_us, acceptor, version)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
/// Of those of one customer, a handful.
const ENDING: &str = "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.origin_link, r.accept_time_us, r.acceptor,
     r.version, r.termination_side, r.termination_by, r.termination_reason, r.termination_request_time_us,
     r.termination_effective_time_us, r.terminate_time_us, p.display_name AS partner_display_name,
     p.verified_domain AS partner_verified_domain
     FROM relationships r JOIN partners p ON p.id = r.partner
     WHERE r.customer = $1 AND r.state = 'TERMINATING' AND r.termination_effective_time_us <= $2 ORDER BY r.id";
/// Writes how a relationship that is still as it was read ends, or that it goes on.
const END: &str = "UPDATE relationships SET state = $2, termination_side = $3, termination_by = $4,
     termination_reason = $5, termination_request_time_us = $6, termination_effective_time_us = $7,
     terminate_time_us = $8, version = $9 WHERE id = $1 AND version = $10";

/// A customer stands in the list exactly while a relationship is in force (R25, I7). The page is cut before the join: a join in
/// the order of the customers would begin with the first customer of all, however deep the page.
const CUSTOMERS: &str = "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.accept_time_us,
     c.display_name, c.country
     FROM (SELECT id, customer, partner, kind, state, accept_time_us FROM relationships
           WHERE partner = $1 AND customer > $2 AND state <> 'TERMINATED' ORDER BY customer, id LIMIT $3) AS r
     JOIN customers c ON c.id = r.customer ORDER BY r.customer, r.id";
const CUSTOMER: &str = "SELECT r.id, r.customer, r.partner, r.kind, r.state, r.accept_time_us,
     c.display_name, c.country
     FROM relationships r JOIN customers c ON c.id = r.customer
     WHERE r.partner = $1 AND r.customer = $2 AND r.state <> 'TERMINATED' ORDER BY r.id LIMIT 1";

/// A pair because the engines have no list of values in common: PostgreSQL binds an array, SQLite reads JSON.
const SERVICES_POSTGRES: &str =
    "SELECT relationship, service FROM delegations WHERE relationship = ANY($1) AND state = 'ACTIVE' ORDER BY service";
const SERVICES_SQLITE: &str = "SELECT relationship, service FROM delegations
     WHERE relationship IN (SELECT unhex(value) FROM json_each($1)) AND state = 'ACTIVE' ORDER BY service";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    customer: String,
    partner: String,
    kind: String,
    state: String,
    origin_link: String,
    accept_time_us: i64,
    acceptor: String,
    version: i64,
    termination_side: Option<String>,
    termination_by: Option<String>,
    termination_reason: Option<String>,
    termination_request_time_us: Option<i64>,
    termination_effective_time_us: Option<i64>,
    terminate_time_us: Option<i64>,
    partner_display_name: String,
    partner_verified_domain: String,
}

impl Row {
    /// What its columns say together, if they say anything.
    fn termination(&self) -> Result<Option<Termination>, Failure> {
        let Some(side) = &self.termination_side else { return Ok(None) };
        let (Some(request_time), Some(effective_time)) =
            (self.termination_request_time_us, self.termination_effective_time_us)
        else {
            return Err(Failure::inconsistent("relationships", "a termination has no time"));
        };
        Ok(Some(Termination {
            side: super::value("relationships", &Side::ALL, Side::text, side)?,
            by: self.termination_by.clone().unwrap_or_default(),
            reason: self.termination_reason.clone().unwrap_or_default(),
            request_time: Time::from_micros(request_time),
            effective_time: Time::from_micros(effective_time),
        }))
    }
}

impl TryFrom<Row> for Found {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Found, Failure> {
        let termination = row.termination()?;
        let relationship = Relationship {
            id: row.id,
            customer: super::tenant("relationships", &row.customer)?,
            partner: super::tenant("relationships", &row.partner)?,
            kind: super::value("relationships", &Type::ALL, Type::text, &row.kind)?,
            state: super::value("relationships", &State::ALL, State::text, &row.state)?,
            origin_link: row.origin_link,
            accept_time: Time::from_micros(row.accept_time_us),
            acceptor: row.acceptor,
            termination,
            terminate_time: row.terminate_time_us.map(Time::from_micros),
            version: row.version,
        };
        Ok(Found {
            relationship,
            partner_display_name: row.partner_display_name,
            partner_verified_domain: row.partner_verified_domain,
        })
    }
}

#[derive(sqlx::FromRow)]
struct CustomerRow {
    id: Uuid,
    customer: String,
    partner: String,
    kind: String,
    state: String,
    accept_time_us: i64,
    display_name: String,
    country: String,
}

impl TryFrom<CustomerRow> for PartnerCustomer {
    type Error = Failure;

    fn try_from(row: CustomerRow) -> Result<PartnerCustomer, Failure> {
        Ok(PartnerCustomer {
            relationship: row.id,
            customer: super::tenant("relationships", &row.customer)?,
            partner: super::tenant("relationships", &row.partner)?,
            kind: super::value("relationships", &Type::ALL, Type::text, &row.kind)?,
            state: super::value("relationships", &State::ALL, State::text, &row.state)?,
            accept_time: Time::from_micros(row.accept_time_us),
            display_name: row.display_name,
            country: row.country,
        })
    }
}

/// The relationships in force of a pair, at most one per type.
pub async fn in_force(tx: &mut Tx, customer: &TenantId, partner: &TenantId) -> Result<Vec<Relationship>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(IN_FORCE)
        .bind(customer.as_str())
        .bind(partner.as_str())
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(|row| Found::try_from(row).map(|found| found.relationship)).collect()
}

/// A relationship of a customer.
pub async fn find(tx: &mut Tx, customer: &TenantId, id: Uuid) -> Result<Option<Found>, Failure> {
    let row: Option<Row> =
        on!(tx, tx => sqlx::query_as(FIND).bind(id).bind(customer.as_str()).fetch_optional(&mut **tx).await?);
    row.map(Found::try_from).transpose()
}

/// Relationships of a customer after an id, in order.
pub async fn of_customer(
    tx: &mut Tx,
    customer: &TenantId,
    filter: (Option<&TenantId>, Option<State>),
    after: Uuid,
    limit: i64,
) -> Result<Vec<Found>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(OF_CUSTOMER)
        .bind(customer.as_str())
        .bind(after)
        .bind(filter.0.map(TenantId::as_str))
        .bind(filter.1.map(State::text))
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(Found::try_from).collect()
}

/// Relationships of a partner after a customer and an id, in order.
pub async fn of_partner(
    tx: &mut Tx,
    partner: &TenantId,
    state: Option<State>,
    after: (&str, Uuid),
    limit: i64,
) -> Result<Vec<Found>, Failure> {
    let text = match state {
        None => OF_PARTNER,
        Some(State::Active) => OF_PARTNER_ACTIVE,
        Some(State::Terminating) => OF_PARTNER_TERMINATING,
        Some(State::Terminated) => OF_PARTNER_TERMINATED,
    };
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(text)
        .bind(partner.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(Found::try_from).collect()
}

/// Writes a new relationship.
pub async fn insert(tx: &mut Tx, relationship: &Relationship) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(INSERT)
            .bind(relationship.id)
            .bind(relationship.customer.as_str())
            .bind(relationship.partner.as_str())
            .bind(Type::text(relationship.kind))
            .bind(State::text(relationship.state))
            .bind(&relationship.origin_link)
            .bind(relationship.accept_time.micros())
            .bind(&relationship.acceptor)
            .bind(relationship.version)
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}

/// The relationships of a customer of which notice was given for this time or before.
pub async fn ending(tx: &mut Tx, customer: &TenantId, now: Time) -> Result<Vec<Found>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(ENDING)
        .bind(customer.as_str())
        .bind(now.micros())
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(Found::try_from).collect()
}

/// Writes how a relationship ends, or that it goes on. False when it has changed since it was read.
pub async fn end(tx: &mut Tx, relationship: &Relationship) -> Result<bool, Failure> {
    let termination = relationship.termination.as_ref();
    let rows = on!(tx, tx => sqlx::query(END)
        .bind(relationship.id)
        .bind(State::text(relationship.state))
        .bind(termination.map(|termination| termination.side.text()))
        .bind(termination.map(|termination| termination.by.as_str()))
        .bind(termination.map(|termination| termination.reason.as_str()))
        .bind(termination.map(|termination| termination.request_time.micros()))
        .bind(termination.map(|termination| termination.effective_time.micros()))
        .bind(relationship.terminate_time.map(Time::micros))
        .bind(relationship.version)
        .bind(relationship.version - 1)
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}

/// Customers of a partner after an id, in order.
pub async fn customers(
    tx: &mut Tx,
    partner: &TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<PartnerCustomer>, Failure> {
    let rows: Vec<CustomerRow> = on!(tx, tx => sqlx::query_as(CUSTOMERS)
        .bind(partner.as_str())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(PartnerCustomer::try_from).collect()
}

/// A customer of a partner.
pub async fn customer(
    tx: &mut Tx,
    partner: &TenantId,
    customer: &TenantId,
) -> Result<Option<PartnerCustomer>, Failure> {
    let row: Option<CustomerRow> = on!(tx, tx => sqlx::query_as(CUSTOMER)
        .bind(partner.as_str())
        .bind(customer.as_str())
        .fetch_optional(&mut **tx)
        .await?);
    row.map(PartnerCustomer::try_from).transpose()
}

/// The services delegated now, by relationship, in order.
pub type DelegatedServices = BTreeMap<Uuid, Vec<String>>;

/// The services that are delegated now on these relationships: on those of a page, so one lookup for each.
pub async fn services(tx: &mut Tx, relationships: &[Uuid]) -> Result<DelegatedServices, Failure> {
    let rows: Vec<(Uuid, String)> = match tx {
        Tx::Postgres(tx) => sqlx::query_as(SERVICES_POSTGRES).bind(relationships).fetch_all(&mut **tx).await?,
        Tx::Sqlite(tx) => {
            let ids: Vec<String> = relationships.iter().map(|id| id.simple().to_string()).collect();
            sqlx::query_as(SERVICES_SQLITE).bind(sqlx::types::Json(ids)).fetch_all(&mut **tx).await?
        }
    };
    let mut services = DelegatedServices::new();
    for (relationship, service) in rows {
        services.entry(relationship).or_default().push(service);
    }
    Ok(services)
}
