//! Plans of SQLite, which makes them without knowing how many rows there are.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use super::statement::Statement;
use super::{Entered, Index, Plan, Scan};

const INDEXES: &str = "SELECT l.name, l.\"unique\", i.name FROM sqlite_schema t, pragma_index_list(t.name) l,
         pragma_index_info(l.name) i WHERE t.type = 'table' ORDER BY l.name, i.seqno";
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'";

/// Runs a statement that answers nothing.
pub(super) async fn run(pool: &SqlitePool, text: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.clone())).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// The indexes of our tables, by name.
pub(super) async fn indexes(pool: &SqlitePool) -> BTreeMap<String, Index> {
    let rows: Vec<(String, bool, String)> =
        sqlx::query_as(INDEXES).fetch_all(pool).await.expect("the indexes can be read");
    let mut indexes = BTreeMap::new();
    for (name, is_unique, column) in rows {
        let index = indexes.entry(name).or_insert(Index { columns: Vec::new(), is_unique });
        index.columns.push(column);
    }
    indexes
}

/// The plan of a statement. It says nothing of conditions that are tested on rows.
pub(super) async fn plan(pool: &SqlitePool, statement: &Statement) -> Plan {
    let tables: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(pool).await.expect("the tables can be read");
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.text));
    let rows = sqlx::query(explain).fetch_all(pool).await;
    let rows = rows.unwrap_or_else(|error| panic!("{}: {error}", statement.title()));
    let lines: Vec<(i64, String)> = rows.iter().map(|row| (row.get("parent"), row.get("detail"))).collect();
    let mut scans = Vec::new();
    for (parent, line) in &lines {
        let sorts = lines.iter().any(|(sorted, line)| sorted == parent && line.starts_with("USE TEMP B-TREE"));
        scans.extend(scan(line, statement, statement.text.contains(" LIMIT ") && !sorts));
    }
    scans.retain(|scan| tables.contains(&scan.table));
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    Plan { scans, text: lines.join("\n") }
}

/// What a line such as `SEARCH r USING INDEX relationships_by_partner (partner=? AND (customer,id)>(?,?))` says.
fn scan(line: &str, statement: &Statement, ends_with_page: bool) -> Option<Scan> {
    let rest = line.strip_prefix("SCAN ").or_else(|| line.strip_prefix("SEARCH "))?;
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let index = rest.split_once("INDEX ").map(|(_, index)| index.split(' ').next().unwrap_or(index).to_owned());
    let conditions = rest.split_once('(').and_then(|(_, conditions)| conditions.strip_suffix(')')).unwrap_or_default();
    let mut by = Vec::new();
    for condition in conditions.split(" AND ").filter(|condition| !condition.is_empty()) {
        let columns = condition.trim_start_matches('(').split(['=', '<', '>', ')']).next().unwrap_or_default();
        let how = if condition.contains("=?") { Entered::AtOneValue } else { Entered::InRange };
        by.extend(columns.split(',').map(|column| (column.to_owned(), how)));
    }
    Some(Scan { table: statement.table(name).to_owned(), index, by, ends_with_page, filter: None })
}
