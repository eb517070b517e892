//! The schemas: that PostgreSQL and SQLite get the same one, that text sorts alike in both, and that what several services
//! have is the same in each.
//!
//! Statements are compared as written, type by type; that each engine takes them is tested by their services.

use std::collections::BTreeSet;

use crate::checkout::{self, Broken};

/// What PostgreSQL's types are in SQLite.
const TYPES: &[(&str, &str)] =
    &[("UUID", "BLOB"), ("BYTEA", "BLOB"), ("BIGINT", "INTEGER"), ("BOOLEAN", "INTEGER"), ("JSONB", "TEXT")];

/// The tables that `outbox` works on, wherever they are.
const SHARED_TABLES: &[&str] = &["requests", "change_order", "outbox", "outbox_parked", "outbox_delivered", TIMERS];

/// The one of them that only services have in which something happens by itself.
const TIMERS: &str = "timers";

/// How a migration begins that takes away what the version before no longer uses; what follows says since which version.
const CONTRACT: &str = "-- contract: ";

/// A statement of a migration.
#[derive(Clone)]
struct Statement {
    path: String,
    /// The line it begins in, from 1.
    line: usize,
    /// Without comments, one space between words.
    text: String,
}

impl Statement {
    fn all_of(path: &str) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut open: Option<Statement> = None;
        for (index, line) in checkout::text(path).lines().enumerate() {
            let code = line.split("--").next().unwrap_or_default();
            for word in code.split_whitespace() {
                let statement = open.get_or_insert_with(|| Statement {
                    path: path.to_owned(),
                    line: index + 1,
                    text: String::new(),
                });
                if !statement.text.is_empty() {
                    statement.text.push(' ');
                }
                statement.text.push_str(word.trim_end_matches(';'));
                if word.ends_with(';') {
                    statements.extend(open.take());
                }
            }
        }
        statements.extend(open);
        statements
    }

    /// The table it makes, with what stands between the parentheses.
    fn makes_table(&self) -> Option<(&str, Vec<&str>)> {
        let (name, body) = self.text.strip_prefix("CREATE TABLE ")?.split_once(" (")?;
        Some((name, split_outside_parentheses(body.rsplit_once(')')?.0)))
    }

    /// The table it indexes, and the columns by which.
    fn makes_index(&self) -> Option<(&str, Vec<&str>)> {
        let (_, on) = self.text.strip_prefix("CREATE ")?.split_once("INDEX ")?.1.split_once(" ON ")?;
        let (table, columns) = on.split_once(" (")?;
        Some((table, columns.split_once(')')?.0.split(", ").collect()))
    }

    /// The table it is about.
    fn table(&self) -> Option<&str> {
        let altered = || self.text.strip_prefix("ALTER TABLE ")?.split(' ').next();
        self.makes_table().or_else(|| self.makes_index()).map(|(table, _)| table).or_else(altered)
    }

    /// What the version before cannot live with in it, when these are the tables that version knows.
    fn breaks(&self, older: &BTreeSet<String>) -> Option<&'static str> {
        let text = self.text.to_uppercase();
        if text.starts_with("DROP ") {
            return Some("the version before may use what this drops");
        }
        if text.contains(" RENAME ") {
            return Some("the version before knows this by its old name");
        }
        if text.starts_with("CREATE UNIQUE ") && self.table().is_some_and(|table| older.contains(table)) {
            return Some("the version before may write what this index refuses");
        }
        let (_, actions) = text.strip_prefix("ALTER TABLE ")?.split_once(' ')?;
        split_outside_parentheses(actions).into_iter().find_map(|action| {
            let has = |words: &str| format!(" {action} ").contains(&format!(" {words} "));
            let is = |word: &str| action.split(' ').next() == Some(word);
            if is("DROP") || is("ALTER") && has("DROP DEFAULT") {
                return Some("the version before may use what this drops");
            }
            if is("ALTER") && has("TYPE") {
                return Some("the version before reads and writes the old type");
            }
            let demands = is("ALTER") && has("SET NOT NULL") || is("ADD") && has("NOT NULL") && !has("DEFAULT");
            if demands {
                return Some("the version before writes rows without it: give it a default, or let it be NULL");
            }
            let constrains = ["CONSTRAINT", "UNIQUE", "CHECK", "FOREIGN", "PRIMARY"].into_iter().any(has);
            (is("ADD") && constrains).then_some("the version before may write what this constraint refuses")
        })
    }

    /// As SQLite would have it.
    fn for_sqlite(&self) -> String {
        let plain = self.text.replace(" COLLATE \"C\"", "");
        let words = plain.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ')']);
            let sqlite = TYPES.iter().find(|(postgres, _)| *postgres == bare);
            sqlite.map_or_else(|| word.to_owned(), |(_, sqlite)| word.replace(bare, sqlite))
        });
        let text = words.collect::<Vec<_>>().join(" ");
        if self.makes_table().is_some() { format!("{text} STRICT") } else { text }
    }
}

fn split_outside_parentheses(body: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = body.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).collect()
}

/// The folders of migrations, each with one folder for each engine.
fn folders() -> Vec<String> {
    let services = checkout::names("services").into_iter().map(|service| format!("services/{service}/migrations"));
    services.filter(|folder| checkout::root().join(folder).is_dir()).collect()
}

/// Those of services, and the one that `outbox` is tested with.
fn folders_with_shared_tables() -> Vec<String> {
    let mut folders = folders();
    folders.push("crates/outbox/tests/migrations".to_owned());
    folders
}

fn statements_of(folder: &str, engine: &str) -> Vec<Statement> {
    let folder = format!("{folder}/{engine}");
    checkout::names(&folder).iter().flat_map(|name| Statement::all_of(&format!("{folder}/{name}"))).collect()
}

#[test]
fn migrations_are_twins_numbered_without_gaps() {
    let mut broken = Broken::default();
    assert!(!folders().is_empty(), "the services have lost their migrations");
    for folder in folders_with_shared_tables() {
        let postgres = checkout::names(&format!("{folder}/postgres"));
        let sqlite = checkout::names(&format!("{folder}/sqlite"));
        let both: BTreeSet<&String> = postgres.iter().chain(&sqlite).collect();
        for (index, name) in both.iter().enumerate() {
            for (engine, names) in [("postgres", &postgres), ("sqlite", &sqlite)] {
                if !names.contains(name) {
                    let sentence = format!("write it for {engine} too: a schema is the same on both engines");
                    broken.at(&format!("{folder}/{engine}/{name}"), 1, sentence);
                }
            }
            let number = format!("{:04}_", index + 1);
            if !name.starts_with(&number) || !name.ends_with(".sql") {
                let sentence = format!("name it {number}<what it brings>.sql: migrations are numbered without gaps");
                broken.at(&format!("{folder}/postgres/{name}"), 1, sentence);
            }
        }
    }
    broken.none();
}

#[test]
fn both_engines_get_the_same_schema() {
    let mut broken = Broken::default();
    for folder in folders_with_shared_tables() {
        let (postgres, sqlite) = (statements_of(&folder, "postgres"), statements_of(&folder, "sqlite"));
        for (ours, twin) in postgres.iter().zip(&sqlite) {
            let expected = ours.for_sqlite();
            if expected != twin.text {
                let (want, have) = first_difference(&expected, &twin.text);
                let sentence =
                    format!("{}:{} says {want:?} where this says {have:?}: make them the same", ours.path, ours.line);
                broken.at(&twin.path, twin.line, sentence);
            }
        }
        for odd in postgres.iter().skip(sqlite.len()).chain(sqlite.iter().skip(postgres.len())) {
            broken.at(&odd.path, odd.line, "the other engine lacks this statement: write it there too");
        }
    }
    broken.none();
}

/// The first part, between commas, in which two statements differ.
fn first_difference<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let pairs = one.split(", ").map(Some).chain([None]).zip(other.split(", ").map(Some).chain([None]));
    let differing = pairs.into_iter().find(|(one, other)| one != other);
    differing.map_or((one, other), |(one, other)| (one.unwrap_or_default(), other.unwrap_or_default()))
}

#[test]
fn sqlite_holds_values_to_the_type_of_their_column() {
    let mut broken = Broken::default();
    for statement in folders_with_shared_tables().iter().flat_map(|folder| statements_of(folder, "sqlite")) {
        if statement.makes_table().is_some() && !statement.text.ends_with(") STRICT") {
            broken.at(&statement.path, statement.line, "end the table with STRICT: SQLite takes any value otherwise");
        }
    }
    broken.none();
}

/// A column of a table, with all that its line says.
struct Column<'a> {
    name: &'a str,
    rest: &'a str,
}

fn columns<'a>(parts: &[&'a str]) -> Vec<Column<'a>> {
    let constraints = ["PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "CONSTRAINT"];
    let named = parts.iter().filter_map(|part| part.split_once(' '));
    named.filter(|(name, _)| !constraints.contains(name)).map(|(name, rest)| Column { name, rest }).collect()
}

/// The columns by which a table's rows are found or told apart.
fn keys(table: &str, parts: &[&str], indexes: &[Statement]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for part in parts {
        if let Some(list) = ["PRIMARY KEY (", "UNIQUE (", "FOREIGN KEY ("].iter().find_map(|key| part.strip_prefix(key))
        {
            let list = list.split(')').next().unwrap_or_default();
            keys.extend(list.split(", ").map(str::to_owned));
        }
    }
    for column in columns(parts) {
        if ["PRIMARY KEY", "UNIQUE", "REFERENCES"].iter().any(|key| column.rest.contains(key)) {
            keys.insert(column.name.to_owned());
        }
    }
    let indexed = indexes.iter().filter_map(Statement::makes_index).filter(|(indexed, _)| *indexed == table);
    keys.extend(indexed.flat_map(|(_, columns)| columns.into_iter().map(first_word)));
    keys
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn keys_of_text_sort_the_same_in_both_engines() {
    let mut broken = Broken::default();
    for folder in folders_with_shared_tables() {
        let statements = statements_of(&folder, "postgres");
        for statement in &statements {
            let Some((table, parts)) = statement.makes_table() else { continue };
            let keys = keys(table, &parts, &statements);
            for column in columns(&parts).iter().filter(|column| keys.contains(column.name)) {
                if column.rest.starts_with("TEXT") && !column.rest.starts_with("TEXT COLLATE \"C\"") {
                    let line = line_of_column(statement, column.name);
                    let sentence = format!("{table}.{} is a key: make it TEXT COLLATE \"C\"", column.name);
                    broken.at(&statement.path, line, sentence);
                }
            }
        }
    }
    broken.none();
}

fn line_of_column(statement: &Statement, column: &str) -> usize {
    let text = checkout::text(&statement.path);
    let mut lines = text.lines().enumerate().skip(statement.line);
    let found = lines.find(|(_, line)| line.trim().starts_with(&format!("{column} ")));
    found.map_or(statement.line, |(index, _)| index + 1)
}

#[test]
fn the_tables_of_outbox_are_the_same_in_every_service() {
    let mut broken = Broken::default();
    for engine in ["postgres", "sqlite"] {
        let model = shared("crates/outbox/tests/migrations", engine);
        for folder in folders() {
            let own = shared(&folder, engine);
            let Some(first) = own.first() else { continue };
            let is_timers = |statement: &&Statement| statement.table() == Some(TIMERS);
            let has_timers = own.iter().any(|statement| is_timers(&statement));
            let model: Vec<&Statement> = model.iter().filter(|model| has_timers || !is_timers(model)).collect();
            for (model, own) in model.iter().zip(&own) {
                if model.text != own.text {
                    let sentence =
                        format!("outbox works on what {}:{} says: make this the same", model.path, model.line);
                    broken.at(&own.path, own.line, sentence);
                }
            }
            if own.len() != model.len() {
                let sentence = format!("outbox needs all of {}, with their indexes", SHARED_TABLES.join(", "));
                broken.at(&first.path, first.line, sentence);
            }
        }
    }
    broken.none();
}

fn shared(folder: &str, engine: &str) -> Vec<Statement> {
    let about_shared = |statement: &Statement| statement.table().is_some_and(|table| SHARED_TABLES.contains(&table));
    statements_of(folder, engine).into_iter().filter(about_shared).collect()
}

#[test]
fn a_migration_is_one_that_the_version_before_can_live_with() {
    let mut broken = Broken::default();
    for folder in folders_with_shared_tables() {
        for engine in ["postgres", "sqlite"] {
            let mut older = BTreeSet::new();
            for name in checkout::names(&format!("{folder}/{engine}")) {
                let path = format!("{folder}/{engine}/{name}");
                let text = checkout::text(&path);
                let since = text.lines().next().and_then(|line| line.strip_prefix(CONTRACT));
                let statements = Statement::all_of(&path);
                // The first has no version before it.
                if !name.starts_with("0001_") && since.is_none_or(|since| since.trim().is_empty()) {
                    for (statement, problem) in statements.iter().filter_map(|each| Some((each, each.breaks(&older)?)))
                    {
                        let sentence =
                            format!("{problem}. If it does not, begin the file with `{CONTRACT}<since which version>`");
                        broken.at(&path, statement.line, sentence);
                    }
                }
                older.extend(statements.iter().filter_map(Statement::makes_table).map(|(table, _)| table.to_owned()));
            }
        }
    }
    broken.none();
}

#[test]
fn what_the_version_before_cannot_live_with_is_recognized() {
    let older = BTreeSet::from(["t".to_owned()]);
    let breaks = |text: &str| {
        let statement = Statement { path: "x.sql".to_owned(), line: 1, text: text.to_owned() };
        statement.breaks(&older).is_some()
    };
    for text in [
        "DROP TABLE t",
        "DROP INDEX t_by_a",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t RENAME COLUMN a TO b",
        "ALTER INDEX t_by_a RENAME TO t_by_b",
        "ALTER TABLE t ALTER COLUMN a TYPE BIGINT",
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        "ALTER TABLE t ALTER COLUMN a DROP DEFAULT",
        "ALTER TABLE t ADD COLUMN b BIGINT, ADD COLUMN c BIGINT NOT NULL",
        "ALTER TABLE t ADD CONSTRAINT one UNIQUE (a)",
        "CREATE UNIQUE INDEX t_by_a ON t (a)",
    ] {
        assert!(breaks(text), "{text}");
    }
    for text in [
        "CREATE TABLE u ( a BIGINT NOT NULL )",
        "CREATE UNIQUE INDEX u_by_a ON u (a)",
        "CREATE INDEX t_by_a ON t (a)",
        "ALTER TABLE t ADD COLUMN type TEXT",
        "ALTER TABLE t ADD COLUMN b BIGINT NOT NULL DEFAULT 0",
    ] {
        assert!(!breaks(text), "{text}");
    }
}

#[test]
fn statements_are_read_as_they_are_meant() {
    let statement = |text: &str| Statement { path: "x.sql".to_owned(), line: 1, text: text.to_owned() };
    let table = statement("CREATE TABLE t ( a TEXT COLLATE \"C\" NOT NULL, b UUID, PRIMARY KEY (a, b) )");
    assert_eq!(table.for_sqlite(), "CREATE TABLE t ( a TEXT NOT NULL, b BLOB, PRIMARY KEY (a, b) ) STRICT");
    let index = statement("CREATE UNIQUE INDEX i ON t (a, c DESC) WHERE b = 'X'");
    let (name, parts) = table.makes_table().expect("it makes one");
    let keys = keys(name, &parts, std::slice::from_ref(&index));
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    let column = statement("ALTER TABLE t ADD COLUMN d BIGINT");
    assert_eq!(column.for_sqlite(), "ALTER TABLE t ADD COLUMN d INTEGER");
    assert_eq!((table.table(), index.table(), column.table()), (Some("t"), Some("t"), Some("t")));
}
