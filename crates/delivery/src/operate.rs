//! The command `outbox` of a service.

use std::time::Duration;

use clock::Uuid;
use outbox::inspect;
use serde_json::{Value, json};
use server::StartError;
use server::outbox::{Report, Task, moment};
use store::{Failure, Pool, Schema, Settings};

use crate::kind;

/// Does what an operator asks of the outbox in this database. Relays may run meanwhile.
///
/// # Errors
/// When the database cannot be used, or there is no parked event of the id given.
pub async fn operate(database: &Settings, schema: &Schema, task: Task) -> Result<Report, StartError> {
    let failed = |failure: Failure| StartError::database(&failure);
    let pool = Pool::open(database, schema).await.map_err(failed)?;
    let report = match task {
        Task::Status => status(&pool).await.map_err(failed),
        Task::Parked => parked(&pool).await.map_err(failed),
        Task::RedriveAll => {
            let count = inspect::redrive_all(&pool).await.map_err(failed);
            count.map(|count| Report::One(vec![("redriven", json!(count))]))
        }
        Task::Redrive(id) => redrive(&pool, id).await,
        Task::Redeliver { since } => {
            let count = inspect::redeliver(&pool, since).await.map_err(failed);
            count.map(|count| Report::One(vec![("redelivered", json!(count))]))
        }
    };
    pool.close().await;
    report
}

async fn status(pool: &Pool) -> Result<Report, Failure> {
    let status = inspect::status(pool).await?;
    Ok(Report::One(vec![
        ("waiting", json!(status.waiting)),
        ("oldest_waiting_seconds", seconds(status.oldest_age)),
        ("parked", json!(status.parked)),
        ("behind_parked", json!(status.behind)),
        ("delivered_kept", json!(status.kept)),
        ("counted_to", json!(inspect::COUNT_MAX)),
    ]))
}

fn seconds(duration: Duration) -> Value {
    json!(duration.as_millis() as f64 / 1000.0)
}

async fn parked(pool: &Pool) -> Result<Report, Failure> {
    let row = |parked: inspect::Parked| {
        vec![
            json!(parked.id.to_string()),
            json!(parked.key),
            json!(kind(&parked.payload)),
            json!(parked.tries),
            json!(moment(parked.since)),
            json!(parked.reason),
        ]
    };
    Ok(Report::Many {
        columns: &["id", "key", "type", "tries", "since", "reason"],
        rows: inspect::parked(pool).await?.into_iter().map(row).collect(),
        none: "no event is parked",
    })
}

async fn redrive(pool: &Pool, id: Uuid) -> Result<Report, StartError> {
    let count = inspect::redrive(pool, id).await.map_err(|failure| StartError::database(&failure))?;
    if count == 0 {
        return Err(StartError::new(format!(
            "no event {id} is parked; the command outbox parked lists those that are"
        )));
    }
    Ok(Report::One(vec![("redriven", json!(count))]))
}
