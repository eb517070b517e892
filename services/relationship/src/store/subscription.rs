//! Facts about subscriptions.

use clock::Time;
use cloud::TenantId;
use store::{Failure, Tx, on};

use crate::domain::subscription::{Status, Subscription};

const FIND: &str = "SELECT customer, id, service, status, original_reseller, partner_of_record, provisioned_by,
     update_time_us, version FROM subscriptions WHERE customer = $1 AND id = $2";
const LIST: &str = "SELECT customer, id, service, status, original_reseller, partner_of_record, provisioned_by,
     update_time_us, version FROM subscriptions WHERE customer = $1 AND id > $2 ORDER BY id LIMIT $3";
/// A pair because the engines have no list of values in common: PostgreSQL binds an array, SQLite reads JSON.
const OF_CUSTOMERS_POSTGRES: &str = "SELECT customer, id, service, status, original_reseller, partner_of_record,
     provisioned_by, update_time_us, version FROM subscriptions WHERE customer = ANY($1) ORDER BY customer, id";
const OF_CUSTOMERS_SQLITE: &str = "SELECT customer, id, service, status, original_reseller, partner_of_record,
     provisioned_by, update_time_us, version FROM subscriptions
     WHERE customer IN (SELECT value FROM json_each($1)) ORDER BY customer, id";
const WRITE: &str = "INSERT INTO subscriptions (customer, id, service, status, original_reseller, partner_of_record,
     provisioned_by, update_time_us, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (customer, id) DO UPDATE SET service = excluded.service, status = excluded.status,
     original_reseller = excluded.original_reseller, partner_of_record = excluded.partner_of_record,
     provisioned_by = excluded.provisioned_by, update_time_us = excluded.update_time_us, version = excluded.version";

const STATUSES: [Status; 3] = [Status::Active, Status::Suspended, Status::Cancelled];

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "ACTIVE",
        Status::Suspended => "SUSPENDED",
        Status::Cancelled => "CANCELLED",
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    customer: String,
    id: String,
    service: String,
    status: String,
    original_reseller: Option<String>,
    partner_of_record: Option<String>,
    provisioned_by: Option<String>,
    update_time_us: i64,
    version: i64,
}

impl TryFrom<Row> for Subscription {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Subscription, Failure> {
        Ok(Subscription {
            customer: super::tenant("subscriptions", &row.customer)?,
            id: row.id,
            service: super::service("subscriptions", &row.service)?,
            status: super::value("subscriptions", &STATUSES, status_text, &row.status)?,
            original_reseller: super::optional_tenant("subscriptions", row.original_reseller.as_deref())?,
            partner_of_record: super::optional_tenant("subscriptions", row.partner_of_record.as_deref())?,
            provisioned_by: super::optional_tenant("subscriptions", row.provisioned_by.as_deref())?,
            update_time: Time::from_micros(row.update_time_us),
            version: row.version,
        })
    }
}

/// A subscription of a customer.
pub async fn find(tx: &mut Tx, customer: &TenantId, id: &str) -> Result<Option<Subscription>, Failure> {
    let row: Option<Row> =
        on!(tx, tx => sqlx::query_as(FIND).bind(customer.as_str()).bind(id).fetch_optional(&mut **tx).await?);
    row.map(Subscription::try_from).transpose()
}

/// Subscriptions of a customer after an id, in order.
pub async fn list(tx: &mut Tx, customer: &TenantId, after: &str, limit: i64) -> Result<Vec<Subscription>, Failure> {
    let rows: Vec<Row> =
        on!(tx, tx => sqlx::query_as(LIST).bind(customer.as_str()).bind(after).bind(limit).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Subscription::try_from).collect()
}

/// All subscriptions of these customers, in order: of one, or of those of a page whose relationships are ending.
pub async fn of_customers(tx: &mut Tx, customers: &[&str]) -> Result<Vec<Subscription>, Failure> {
    let rows: Vec<Row> = match tx {
        Tx::Postgres(tx) => sqlx::query_as(OF_CUSTOMERS_POSTGRES).bind(customers).fetch_all(&mut **tx).await?,
        Tx::Sqlite(tx) => {
            sqlx::query_as(OF_CUSTOMERS_SQLITE).bind(sqlx::types::Json(customers)).fetch_all(&mut **tx).await?
        }
    };
    rows.into_iter().map(Subscription::try_from).collect()
}

/// Writes a subscription, new or changed.
pub async fn write(tx: &mut Tx, subscription: &Subscription) -> Result<(), Failure> {
    let name = |tenant: &Option<TenantId>| tenant.as_ref().map(|tenant| tenant.as_str().to_owned());
    on!(tx, tx => {
        sqlx::query(WRITE)
            .bind(subscription.customer.as_str())
            .bind(&subscription.id)
            .bind(subscription.service.as_str())
            .bind(status_text(subscription.status))
            .bind(name(&subscription.original_reseller))
            .bind(name(&subscription.partner_of_record))
            .bind(name(&subscription.provisioned_by))
            .bind(subscription.update_time.micros())
            .bind(subscription.version)
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}
