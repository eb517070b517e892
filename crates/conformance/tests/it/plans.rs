//! Plans: what grows does not make statements slower.
//!
//! Every statement of the store rooms, of `crates/outbox` and of `crates/store` is planned on a real database, on PostgreSQL with
//! many rows in every table, and must find its rows by an index: those of one key, or those of one page. A new statement is
//! covered by being there. What a plan must not hold is said in [`Plan::faults`].

mod postgres;
mod sqlite;
mod statement;

use std::collections::{BTreeMap, BTreeSet};

use store::{Pool, Schema, Settings};
use testkit::Database;

use statement::{Engine, Statement};

/// Tables that stay small, so that reading all of one is fine.
const SMALL_TABLES: &[&str] = &["_sqlx_migrations"];

/// Columns of which one value has a handful of rows: those of a customer, and what stands on one relationship. A partner, a feed
/// or a caller may have any number.
const HANDFUL: &[&str] = &["customer", "relationship"];

/// Statements that read little of an index for a reason that no plan shows.
const BOUNDED_OTHERWISE: &[(&str, &str)] = &[
    (
        "crates/outbox/src/queue.rs NEXT",
        "takes the oldest 200 events, and asks of each whether one of its key is parked",
    ),
    ("crates/outbox/src/queue.rs FREED", "walks what is parked: few, and people are called for each"),
    ("crates/outbox/src/queue.rs REFUSED", "walks what is parked: few, and people are called for each"),
    ("crates/outbox/src/inspect.rs WAITING", "counts to ten thousand"),
    ("crates/outbox/src/inspect.rs PARKED", "counts to ten thousand"),
    ("crates/outbox/src/inspect.rs PARKED_OR_BEHIND", "counts to ten thousand"),
    ("crates/outbox/src/inspect.rs KEPT", "counts to ten thousand"),
    ("crates/outbox/src/inspect.rs LIST", "shows what is parked: few, and no more than a page"),
];

testkit::on_both!(
    statements_of_invitation_are_served_by_indexes,
    statements_of_notification_are_served_by_indexes,
    statements_of_outbox_are_served_by_indexes,
    statements_of_relationship_are_served_by_indexes,
    statements_of_store_are_served_by_indexes,
    a_statement_that_lost_its_index_is_told,
);

async fn statements_of_invitation_are_served_by_indexes(database: Database) {
    Ground::of("invitation", &database, &invitation::store::schema()).await.assert_served().await;
}

async fn statements_of_notification_are_served_by_indexes(database: Database) {
    Ground::of("notification", &database, &notification::store::schema()).await.assert_served().await;
}

async fn statements_of_outbox_are_served_by_indexes(database: Database) {
    // Its tables are the same in every service.
    Ground::of("outbox", &database, &relationship::store::schema()).await.assert_served().await;
}

async fn statements_of_relationship_are_served_by_indexes(database: Database) {
    Ground::of("relationship", &database, &relationship::store::schema()).await.assert_served().await;
}

async fn statements_of_store_are_served_by_indexes(database: Database) {
    Ground::of("store", &database, &relationship::store::schema()).await.assert_served().await;
}

async fn a_statement_that_lost_its_index_is_told(database: Database) {
    let ground = Ground::of("relationship", &database, &relationship::store::schema()).await;
    for index in ["relationships_by_partner", "delegations_by_customer"] {
        let drop = format!("DROP INDEX {index}");
        match &ground.pool {
            Pool::Postgres(pool) => postgres::run(pool, drop).await,
            Pool::Sqlite(pool) => sqlite::run(pool, drop).await,
        }
    }
    let lost: &[&str] = match &ground.pool {
        Pool::Postgres(_) => &["relationship.rs OF_PARTNER:", "delegation.rs LIST:", "delegation.rs ACTIVE:"],
        // It does not tell that it steps over the relationships of other partners, which takes PostgreSQL to see.
        Pool::Sqlite(_) => &["delegation.rs LIST:", "delegation.rs ACTIVE:"],
    };
    let faults = ground.faults().await;
    for lost in lost {
        assert!(faults.iter().any(|fault| fault.contains(lost)), "{lost} is not among\n{}", faults.join("\n\n"));
    }
}

#[test]
fn the_statements_of_every_package_are_tested_and_exceptions_name_some() {
    let all = Statement::all();
    let packages: BTreeSet<&str> = all.iter().map(|statement| statement.package.as_str()).collect();
    let tested: BTreeSet<&str> = ["invitation", "notification", "outbox", "relationship", "store"].into();
    assert_eq!(
        packages, tested,
        "write a test above for the package that is new, remove that of the one that has gone"
    );
    for (title, _) in BOUNDED_OTHERWISE {
        let there = all.iter().any(|statement| statement.title() == *title);
        assert!(there, "there is no {title} any more: take it off BOUNDED_OTHERWISE");
    }
}

/// A database, filled, and the statements to plan on it.
struct Ground {
    pool: Pool,
    statements: Vec<Statement>,
}

impl Ground {
    async fn of(package: &str, database: &Database, schema: &Schema) -> Ground {
        let engine = if database.is_postgres() { Engine::Postgres } else { Engine::Sqlite };
        let mut statements = Statement::all();
        statements.retain(|statement| statement.package == package && statement.runs_on(engine));
        assert!(!statements.is_empty(), "{package} has lost its statements");
        // One connection, so that what is set on it holds for all that follows.
        let settings = Settings { connections_max: 1, ..Settings::new(database.url()) };
        let pool = Pool::migrate(&settings, schema).await.expect("the schema is that of this checkout");
        if let Pool::Postgres(pool) = &pool {
            postgres::fill(pool, &statements).await;
        }
        Ground { pool, statements }
    }

    async fn assert_served(&self) {
        let faults = self.faults().await;
        assert!(faults.is_empty(), "\n\n{}\n", faults.join("\n\n"));
    }

    /// What is wrong with the plans of the statements, and what to do.
    async fn faults(&self) -> Vec<String> {
        let indexes = match &self.pool {
            Pool::Postgres(pool) => postgres::indexes(pool).await,
            Pool::Sqlite(pool) => sqlite::indexes(pool).await,
        };
        let mut faults = Vec::new();
        for statement in &self.statements {
            let plan = match &self.pool {
                Pool::Postgres(pool) => postgres::plan(pool, statement).await,
                Pool::Sqlite(pool) => sqlite::plan(pool, statement).await,
            };
            for fault in plan.faults(&statement.title(), &indexes) {
                faults.push(format!("{}:\n{fault}\n{}\n{}", statement.title(), statement.text, plan.text));
            }
        }
        faults
    }
}

/// The columns of an index.
struct Index {
    columns: Vec<String>,
    is_unique: bool,
}

/// What a plan does with tables.
struct Plan {
    scans: Vec<Scan>,
    /// As the engine tells it.
    text: String,
}

/// How rows of one table are found.
struct Scan {
    table: String,
    /// None: all rows are read.
    index: Option<String>,
    /// The columns by which the index is entered, and whether by one value or by many.
    by: Vec<(String, Entered)>,
    /// True when reading ends with the page: there is a LIMIT above, and nothing between that must read all first, as a sort.
    ends_with_page: bool,
    /// What is tested on rows that the index has found, as far as the engine tells.
    filter: Option<String>,
}

/// How an index is entered by one of its columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    AtOneValue,
    InRange,
}

impl Plan {
    /// What makes this plan slower when tables grow.
    fn faults(&self, title: &str, indexes: &BTreeMap<String, Index>) -> Vec<String> {
        let growing = self.scans.iter().filter(|scan| !SMALL_TABLES.contains(&scan.table.as_str()));
        growing.filter_map(|scan| scan.fault(title, indexes)).collect()
    }
}

impl Scan {
    fn fault(&self, title: &str, indexes: &BTreeMap<String, Index>) -> Option<String> {
        let table = &self.table;
        let Some(name) = &self.index else {
            return Some(format!("it reads all of {table}: add an index, or ask for what an index has"));
        };
        let index = indexes.get(name).unwrap_or_else(|| panic!("{title}: the engine names an index {name}"));
        if BOUNDED_OTHERWISE.iter().any(|(excepted, _)| *excepted == title) {
            return None;
        }
        let enters_at_first = self.by.iter().any(|(column, _)| Some(column) == index.columns.first());
        if !enters_at_first {
            let reason = "begin the index with a column that the statement compares";
            return Some(format!("it reads all of {name} on {table}: {reason}"));
        }
        if self.finds_a_handful(index) {
            return None;
        }
        if !self.ends_with_page {
            let reason = "let the index give the order, and end with LIMIT";
            return Some(format!("it reads any number of rows from {name} on {table} before it answers: {reason}"));
        }
        let filter = self.filter.as_ref()?;
        let reason = "make the condition part of an index";
        Some(format!("it may step over any number of rows of {table} that are not {filter} to fill a page: {reason}"))
    }

    fn finds_a_handful(&self, index: &Index) -> bool {
        let at_one = |column: &str| self.by.contains(&(column.to_owned(), Entered::AtOneValue));
        HANDFUL.iter().any(|column| at_one(column)) || (index.is_unique && index.columns.iter().all(|it| at_one(it)))
    }
}
