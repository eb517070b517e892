//! The database as services meet it: bounded, measured, full, crashed, followed and migrated.

#![expect(clippy::unwrap_used, reason = "allowed in tests, and these helpers are part of them")]

mod bounds;
mod crash;
mod full;
mod measure;
mod migrate;
mod reads;

use store::{Failure, Pool, Schema, Settings, Tx, Work, on};
use testkit::Database;

fn schema() -> Schema {
    Schema { postgres: sqlx::migrate!("tests/migrations/postgres"), sqlite: sqlx::migrate!("tests/migrations/sqlite") }
}

async fn pool(database: &Database) -> Pool {
    pool_with(&Settings::new(database.url())).await
}

async fn pool_with(settings: &Settings) -> Pool {
    measure::start();
    Pool::migrate(settings, &schema()).await.expect("a fresh database")
}

/// Writes down one note.
struct Note {
    id: i64,
    text: String,
}

impl Note {
    fn new(id: i64) -> Note {
        Note { id, text: "a note".to_owned() }
    }
}

impl Work for Note {
    const NAME: &'static str = "note";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        on!(tx, tx => {
            sqlx::query("INSERT INTO note (id, text) VALUES ($1, $2)").bind(self.id).bind(&self.text).execute(&mut **tx).await?;
        });
        Ok(())
    }
}

/// The ids of all notes, in order.
async fn notes(mut tx: Tx) -> Result<Vec<i64>, Failure> {
    Ok(on!(&mut tx, tx => sqlx::query_scalar("SELECT id FROM note ORDER BY id").fetch_all(&mut **tx).await?))
}

async fn all(pool: &Pool) -> Vec<i64> {
    notes(store::read(pool).await.unwrap()).await.unwrap()
}
