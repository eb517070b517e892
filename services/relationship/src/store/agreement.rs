//! Acceptances of agreements.

use clock::{Time, Uuid};
use cloud::TenantId;
use store::{Failure, Tx, on};

use crate::domain::agreement::{Acceptance, Method, Signer};

const OF: &str = "SELECT id, customer, agreement, version, method, first_name, last_name, email, phone, accept_time_us,
     create_time_us FROM agreement_acceptances WHERE customer = $1 AND agreement = $2 ORDER BY id DESC LIMIT 1";
const LIST: &str =
    "SELECT id, customer, agreement, version, method, first_name, last_name, email, phone, accept_time_us,
     create_time_us FROM agreement_acceptances WHERE customer = $1 AND id > $2 ORDER BY id LIMIT $3";
const INSERT: &str =
    "INSERT INTO agreement_acceptances (id, customer, agreement, version, method, first_name, last_name,
     email, phone, accept_time_us, create_time_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

const METHODS: [Method; 2] = [Method::Direct, Method::Attested];

fn method_text(method: Method) -> &'static str {
    match method {
        Method::Direct => "DIRECT",
        Method::Attested => "ATTESTED",
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    customer: String,
    agreement: String,
    version: String,
    method: String,
    first_name: String,
    last_name: String,
    email: String,
    phone: String,
    accept_time_us: i64,
    create_time_us: i64,
}

impl TryFrom<Row> for Acceptance {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Acceptance, Failure> {
        Ok(Acceptance {
            id: row.id,
            customer: super::tenant("agreement_acceptances", &row.customer)?,
            agreement: row.agreement,
            version: row.version,
            method: super::value("agreement_acceptances", &METHODS, method_text, &row.method)?,
            signer: Signer { first_name: row.first_name, last_name: row.last_name, email: row.email, phone: row.phone },
            accept_time: Time::from_micros(row.accept_time_us),
            create_time: Time::from_micros(row.create_time_us),
        })
    }
}

/// The latest acceptance of an agreement by a customer, of whichever version.
pub async fn of(tx: &mut Tx, customer: &TenantId, agreement: &str) -> Result<Option<Acceptance>, Failure> {
    let row: Option<Row> =
        on!(tx, tx => sqlx::query_as(OF).bind(customer.as_str()).bind(agreement).fetch_optional(&mut **tx).await?);
    row.map(Acceptance::try_from).transpose()
}

/// Acceptances of a customer after an id, in order.
pub async fn list(tx: &mut Tx, customer: &TenantId, after: Uuid, limit: i64) -> Result<Vec<Acceptance>, Failure> {
    let rows: Vec<Row> =
        on!(tx, tx => sqlx::query_as(LIST).bind(customer.as_str()).bind(after).bind(limit).fetch_all(&mut **tx).await?);
    rows.into_iter().map(Acceptance::try_from).collect()
}

/// Writes an acceptance.
pub async fn insert(tx: &mut Tx, acceptance: &Acceptance) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(INSERT)
            .bind(acceptance.id)
            .bind(acceptance.customer.as_str())
            .bind(&acceptance.agreement)
            .bind(&acceptance.version)
            .bind(method_text(acceptance.method))
            .bind(&acceptance.signer.first_name)
            .bind(&acceptance.signer.last_name)
            .bind(&acceptance.signer.email)
            .bind(&acceptance.signer.phone)
            .bind(acceptance.accept_time.micros())
            .bind(acceptance.create_time.micros())
            .execute(&mut **tx)
            .await?;
    });
    Ok(())
}
