//! How far feeds have come.

use std::collections::BTreeMap;

use store::{Failure, Tx, on};

use crate::domain::feed::Feed;

/// Whoever locks a feed adds to it alone until its transaction ends, and sees all that was added before.
const LOCK: &str = "INSERT INTO feeds (feed, last_sequence) VALUES ($1, 0)
     ON CONFLICT (feed) DO UPDATE SET last_sequence = feeds.last_sequence RETURNING last_sequence";
const ADVANCE: &str = "UPDATE feeds SET last_sequence = $2 WHERE feed = $1";
const LAST: &str = "SELECT last_sequence FROM feeds WHERE feed = $1";

/// A pair because the engines have no list of values in common: PostgreSQL binds an array, SQLite reads JSON.
const LAST_OF_MANY_POSTGRES: &str = "SELECT feed, last_sequence FROM feeds WHERE feed = ANY($1)";
const LAST_OF_MANY_SQLITE: &str =
    "SELECT feed, last_sequence FROM feeds WHERE feed IN (SELECT value FROM json_each($1))";

/// Locks a feed for adding to it, and gives the sequence of its last event; 0 when it has none.
pub async fn lock(tx: &mut Tx, feed: &Feed) -> Result<i64, Failure> {
    Ok(on!(tx, tx => sqlx::query_scalar(LOCK).bind(feed.to_string()).fetch_one(&mut **tx).await?))
}

/// Sets the sequence of the last event of a locked feed.
pub async fn advance(tx: &mut Tx, feed: &Feed, last: i64) -> Result<(), Failure> {
    on!(tx, tx => {
        sqlx::query(ADVANCE).bind(feed.to_string()).bind(last).execute(&mut **tx).await?;
    });
    Ok(())
}

/// The sequence of the last event of a feed; 0 when it has none.
pub async fn last(tx: &mut Tx, feed: &Feed) -> Result<i64, Failure> {
    let last: Option<i64> =
        on!(tx, tx => sqlx::query_scalar(LAST).bind(feed.to_string()).fetch_optional(&mut **tx).await?);
    Ok(last.unwrap_or_default())
}

/// The sequence of the last event of each of these feeds that has one.
pub async fn last_of_many<'a>(tx: &mut Tx, feeds: &'a [Feed]) -> Result<Vec<(&'a Feed, i64)>, Failure> {
    let names: BTreeMap<String, &Feed> = feeds.iter().map(|feed| (feed.to_string(), feed)).collect();
    let rows: Vec<(String, i64)> = match tx {
        Tx::Postgres(tx) => {
            let names: Vec<&str> = names.keys().map(String::as_str).collect();
            sqlx::query_as(LAST_OF_MANY_POSTGRES).bind(names).fetch_all(&mut **tx).await?
        }
        Tx::Sqlite(tx) => {
            let names: Vec<&str> = names.keys().map(String::as_str).collect();
            sqlx::query_as(LAST_OF_MANY_SQLITE).bind(sqlx::types::Json(names)).fetch_all(&mut **tx).await?
        }
    };
    Ok(rows.into_iter().filter_map(|(name, last)| Some((*names.get(&name)?, last))).collect())
}
