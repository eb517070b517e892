//! Plans of PostgreSQL, made on tables with many rows for parameters of any value.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, Row as _};

use super::statement::Statement;
use super::{Entered, Index, Plan, SMALL_TABLES, Scan};

/// Enough for an index to cost less than reading all.
const ROWS: u32 = 20_000;

/// Tables that need more for that, since hundreds of their rows are looked up by one statement.
const MORE_ROWS: &[(&str, u32)] = &[("outbox_delivered", 200_000), ("requests", 200_000)];

/// A column, as the database describes it.
#[derive(sqlx::FromRow)]
struct Column {
    table_name: String,
    column_name: String,
    data_type: String,
    nullable: bool,
}

const COLUMNS: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT),
         is_nullable = 'YES' AS nullable
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";

const INDEXES: &str = "SELECT CAST(c.relname AS TEXT), i.indisunique, ARRAY(
         SELECT CAST(a.attname AS TEXT) FROM pg_attribute a WHERE a.attrelid = i.indexrelid ORDER BY a.attnum)
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = CAST('public' AS regnamespace)";

/// Runs a statement that answers nothing.
pub(super) async fn run(pool: &PgPool, text: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.clone())).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Puts rows into every table that grows and that one of the statements names, and has statements planned for parameters that
/// are not known.
pub(super) async fn fill(pool: &PgPool, statements: &[Statement]) {
    // The rows of a table name those of others by number; that they exist need not be checked.
    let settings =
        "SET statement_timeout = 0; SET session_replication_role = replica; SET plan_cache_mode = force_generic_plan";
    run(pool, settings.to_owned()).await;
    let columns: Vec<Column> = sqlx::query_as(COLUMNS).fetch_all(pool).await.expect("the columns can be read");
    let mut tables: BTreeMap<&str, Vec<&Column>> = BTreeMap::new();
    for column in columns.iter().filter(|column| !SMALL_TABLES.contains(&column.table_name.as_str())) {
        tables.entry(&column.table_name).or_default().push(column);
    }
    for (table, columns) in tables {
        if !statements.iter().any(|statement| statement.text.contains(table)) {
            continue;
        }
        let names: Vec<&str> = columns.iter().map(|column| column.column_name.as_str()).collect();
        let values: Vec<String> = columns.iter().map(|column| column.value()).collect();
        let (names, values) = (names.join(", "), values.join(", "));
        let rows = MORE_ROWS.iter().find(|(with_more, _)| *with_more == table).map_or(ROWS, |(_, rows)| *rows);
        let series = format!("generate_series(1, {rows}) AS n");
        run(pool, format!("INSERT INTO {table} ({names}) SELECT {values} FROM {series}; ANALYZE {table}")).await;
    }
}

impl Column {
    /// What stands in row `n`. Two hundred partners, feeds and callers have a hundred rows each, customers come in any order, and
    /// ids grow with time, as they do where it counts: what an index costs depends on it.
    fn value(&self) -> String {
        let text = |words: &str, number: &str| format!("'{words}' || lpad(CAST({number} AS TEXT), 6, '0')");
        let value = match (self.table_name.as_str(), self.column_name.as_str()) {
            ("partners", "id") => text("partner", "n"),
            ("customers", "id") | (_, "customer") => text("customer", &format!("n * 7919 % {ROWS}")),
            (_, "partner") => text("partner", "n % 200 * 100 + 1"),
            ("feeds", "feed") => text("feed", "n"),
            (_, "feed" | "caller" | "tenant") => text(&self.column_name, "n % 200"),
            (_, "service" | "type" | "kind") => text(&self.column_name, "n % 5"),
            (_, "state") => {
                "CASE n % 10 WHEN 0 THEN 'TERMINATED' WHEN 1 THEN 'TERMINATING' ELSE 'ACTIVE' END".to_owned()
            }
            (table, column) => match self.data_type.as_str() {
                "text" => text(column, "n"),
                "bigint" => "n".to_owned(),
                "uuid" => "CAST(lpad(to_hex(n), 32, '0') AS UUID)".to_owned(),
                "bytea" => "decode(md5(CAST(n AS TEXT)), 'hex')".to_owned(),
                "boolean" => "n % 2 = 0".to_owned(),
                other => panic!("{table}.{column} is {other}: say here what stands in it"),
            },
        };
        if self.nullable { format!("CASE WHEN n % 10 = 0 THEN {value} END") } else { value }
    }
}

/// The indexes of our tables, by name.
pub(super) async fn indexes(pool: &PgPool) -> BTreeMap<String, Index> {
    let rows: Vec<(String, bool, Vec<String>)> =
        sqlx::query_as(INDEXES).fetch_all(pool).await.expect("the indexes can be read");
    rows.into_iter().map(|(name, is_unique, columns)| (name, Index { columns, is_unique })).collect()
}

/// The plan of a statement, whatever its parameters are.
pub(super) async fn plan(pool: &PgPool, statement: &Statement) -> Plan {
    run(pool, format!("PREPARE planned AS {}", statement.text)).await;
    let nulls = vec!["NULL"; statement.parameter_count()].join(", ");
    let call = if nulls.is_empty() { "planned".to_owned() } else { format!("planned({nulls})") };
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE {call}"));
    let row = sqlx::raw_sql(explain).fetch_one(pool).await.unwrap_or_else(|error| panic!("{call}: {error}"));
    let tree: Value = row.get(0);
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE {call}"));
    let rows = sqlx::raw_sql(explain).fetch_all(pool).await.unwrap_or_else(|error| panic!("{call}: {error}"));
    let text: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    run(pool, "DEALLOCATE planned".to_owned()).await;
    let mut scans = Vec::new();
    gather(&tree[0]["Plan"], false, &mut scans);
    Plan { scans, text: text.join("\n") }
}

/// Adds the scans of this part of a plan. `ends_with_page`: whether it is read only until a page is full.
fn gather(node: &Value, ends_with_page: bool, scans: &mut Vec<Scan>) {
    let text = |key: &str| node[key].as_str().map(str::to_owned);
    let kind = node["Node Type"].as_str().expect("every part of a plan has a type");
    let index = text("Index Name");
    let table = text("Relation Name");
    // The rows of a bitmap are read by the part above it, which is not told as a scan of its own.
    if kind.ends_with("Scan") && kind != "Bitmap Heap Scan" && (index.is_some() || table.is_some()) {
        let table = table.or_else(|| index.clone()).expect("it has one of them");
        let by = text("Index Cond").map(|condition| entered(&condition)).unwrap_or_default();
        scans.push(Scan { table, index, by, ends_with_page, filter: text("Filter") });
    }
    // Other parts read all that is below them before they give the first row, or may do so.
    let passes_on = matches!(kind, "Nested Loop" | "Subquery Scan" | "LockRows" | "ModifyTable" | "Result");
    for below in node["Plans"].as_array().into_iter().flatten() {
        let is_of_its_own = matches!(below["Parent Relationship"].as_str(), Some("InitPlan" | "SubPlan"));
        gather(below, !is_of_its_own && (kind == "Limit" || (passes_on && ends_with_page)), scans);
    }
}

/// The columns of an index condition such as `((partner = $1) AND (ROW(customer, id) > ROW($2, $3)))`.
fn entered(condition: &str) -> Vec<(String, Entered)> {
    let mut entered = Vec::new();
    for comparison in condition.split(" AND ") {
        let comparison = comparison.trim_start_matches('(');
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        match comparison.strip_prefix("ROW(").and_then(|row| row.split_once(')')) {
            Some((row, _)) => entered.extend(row.split(", ").map(|column| (column.to_owned(), Entered::InRange))),
            None => {
                let (column, rest) = comparison.split_at(comparison.find(|c| !is_word(c)).unwrap_or(comparison.len()));
                let how = if rest.starts_with(" = ") { Entered::AtOneValue } else { Entered::InRange };
                entered.push((column.to_owned(), how));
            }
        }
    }
    entered
}

#[test]
fn conditions_are_read_as_they_are_meant() {
    let read = |condition: &str| -> Vec<(String, bool)> {
        entered(condition).into_iter().map(|(column, how)| (column, how == Entered::AtOneValue)).collect()
    };
    let expected =
        [("partner", true), ("customer", false), ("id", false)].map(|(column, one)| (column.to_owned(), one));
    assert_eq!(read("((partner = $1) AND (ROW(customer, id) > ROW($2, $3)))"), expected);
    assert_eq!(read("(id = r.customer)"), [("id".to_owned(), true)]);
}
