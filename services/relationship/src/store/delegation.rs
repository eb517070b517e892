//! Delegations.

use clock::{Time, Uuid};
use cloud::{ServiceId, TenantId};
use store::{Failure, Tx, on};

use crate::domain::delegation::{Delegation, End, Filter, Found, State};

const FIND: &str =
    "SELECT d.id, d.relationship, d.customer, d.partner, d.service, d.exclusive, d.state, d.create_time_us,
     d.end_time_us, d.ended_by, d.end_reason, d.version, p.display_name AS partner_display_name
     FROM delegations d JOIN partners p ON p.id = d.partner
     WHERE d.id = $1 AND d.customer = $2 AND d.relationship = $3";
const ACTIVE: &str =
    "SELECT d.id, d.relationship, d.customer, d.partner, d.service, d.exclusive, d.state, d.create_time_us,
     d.end_time_us, d.ended_by, d.end_reason, d.version, p.display_name AS partner_display_name
     FROM delegations d JOIN partners p ON p.id = d.partner
     WHERE d.customer = $1 AND d.state = 'ACTIVE' ORDER BY d.service, d.id";
const ACTIVE_OF_PAIR: &str =
    "SELECT d.id, d.relationship, d.customer, d.partner, d.service, d.exclusive, d.state, d.create_time_us,
     d.end_time_us, d.ended_by, d.end_reason, d.version, p.display_name AS partner_display_name
     FROM delegations d JOIN partners p ON p.id = d.partner
     WHERE d.partner = $1 AND d.customer = $2 AND d.state = 'ACTIVE' ORDER BY d.service, d.id";
/// The filters are tested on the rows of one customer, in the order of its index: as many as it has ever granted, a handful. An
/// index for each would cost every acceptance and save nothing here.
const LIST: &str =
    "SELECT d.id, d.relationship, d.customer, d.partner, d.service, d.exclusive, d.state, d.create_time_us,
     d.end_time_us, d.ended_by, d.end_reason, d.version, p.display_name AS partner_display_name
     FROM delegations d JOIN partners p ON p.id = d.partner
     WHERE d.customer = $1 AND (d.service, d.id) > ($2, $3)
     AND (CAST($4 AS TEXT) IS NULL OR d.partner = $4)
     AND (CAST($5 AS TEXT) IS NULL OR d.state = $5)
     AND (CAST($6 AS TEXT) IS NULL OR d.service = $6)
     AND ($7 OR d.relationship = $8)
     ORDER BY d.service, d.id LIMIT $9";

/// R24: the partial unique index refuses a second holder, also of a concurrent acceptance.
const INSERT: &str =
    "INSERT INTO delegations (id, relationship, customer, partner, service, exclusive, state, create_time_us,
     end_time_us, ended_by, end_reason, version)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, '', '', $9)
     ON CONFLICT DO NOTHING";
/// Ends a delegation that is still as it was read.
const END: &str = "UPDATE delegations SET state = $2, end_time_us = $3, ended_by = $4, end_reason = $5, version = $6
     WHERE id = $1 AND state = 'ACTIVE' AND version = $7";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    relationship: Uuid,
    customer: String,
    partner: String,
    service: String,
    exclusive: bool,
    state: String,
    create_time_us: i64,
    end_time_us: Option<i64>,
    ended_by: String,
    end_reason: String,
    version: i64,
    partner_display_name: String,
}

impl TryFrom<Row> for Found {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Found, Failure> {
        let end = row.end_time_us.map(|micros| End {
            time: Time::from_micros(micros),
            by: row.ended_by,
            reason: row.end_reason,
        });
        let delegation = Delegation {
            id: row.id,
            relationship: row.relationship,
            customer: super::tenant("delegations", &row.customer)?,
            partner: super::tenant("delegations", &row.partner)?,
            service: super::service("delegations", &row.service)?,
            exclusive: row.exclusive,
            state: super::value("delegations", &State::ALL, State::text, &row.state)?,
            create_time: Time::from_micros(row.create_time_us),
            end,
            version: row.version,
        };
        Ok(Found { delegation, partner_display_name: row.partner_display_name })
    }
}

/// A delegation of a customer, on a relationship.
pub async fn find(tx: &mut Tx, customer: &TenantId, relationship: Uuid, id: Uuid) -> Result<Option<Found>, Failure> {
    let row: Option<Row> = on!(tx, tx => sqlx::query_as(FIND)
        .bind(id)
        .bind(customer.as_str())
        .bind(relationship)
        .fetch_optional(&mut **tx)
        .await?);
    row.map(Found::try_from).transpose()
}

/// All active delegations of a customer: as many as it has services and partners, a handful.
pub async fn active(tx: &mut Tx, customer: &TenantId) -> Result<Vec<Found>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(ACTIVE).bind(customer.as_str()).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Found::try_from).collect()
}

/// All active delegations of a customer to one partner: at most one for each service and relationship.
pub async fn active_of_pair(tx: &mut Tx, customer: &TenantId, partner: &TenantId) -> Result<Vec<Found>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(ACTIVE_OF_PAIR)
        .bind(partner.as_str())
        .bind(customer.as_str())
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(Found::try_from).collect()
}

/// Delegations of a customer after a service and an id, in order.
pub async fn list(
    tx: &mut Tx,
    customer: &TenantId,
    filter: &Filter,
    after: (&str, Uuid),
    limit: i64,
) -> Result<Vec<Found>, Failure> {
    let rows: Vec<Row> = on!(tx, tx => sqlx::query_as(LIST)
        .bind(customer.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(filter.partner.as_ref().map(TenantId::as_str))
        .bind(filter.state.map(State::text))
        .bind(filter.service.as_ref().map(ServiceId::as_str))
        .bind(filter.relationship.is_none())
        .bind(filter.relationship.unwrap_or_default())
        .bind(limit)
        .fetch_all(&mut **tx)
        .await?);
    rows.into_iter().map(Found::try_from).collect()
}

/// Writes a new active delegation. False when another holds the service, where it has one holder (R24).
pub async fn insert(tx: &mut Tx, delegation: &Delegation) -> Result<bool, Failure> {
    let rows = on!(tx, tx => sqlx::query(INSERT)
        .bind(delegation.id)
        .bind(delegation.relationship)
        .bind(delegation.customer.as_str())
        .bind(delegation.partner.as_str())
        .bind(delegation.service.as_str())
        .bind(delegation.exclusive)
        .bind(State::text(delegation.state))
        .bind(delegation.create_time.micros())
        .bind(delegation.version)
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}

/// Writes the end of a delegation. False when it has changed since it was read.
pub async fn end(tx: &mut Tx, ended: &Delegation) -> Result<bool, Failure> {
    let Some(end) = &ended.end else {
        return Err(Failure::inconsistent("delegations", "a delegation ends without an end"));
    };
    let rows = on!(tx, tx => sqlx::query(END)
        .bind(ended.id)
        .bind(State::text(ended.state))
        .bind(end.time.micros())
        .bind(&end.by)
        .bind(&end.reason)
        .bind(ended.version)
        .bind(ended.version - 1)
        .execute(&mut **tx)
        .await?
        .rows_affected());
    Ok(rows == 1)
}
