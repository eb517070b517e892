//! Databases of PostgreSQL as an operator backs them up and restores them: with the programs that come with the server.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use testkit::{Database, postgres};

/// Writes a database to a file, as it is at one moment, while services use it.
pub(crate) fn dump(database: &Database, file: &Path) {
    let target = [OsStr::new("--format=custom"), OsStr::new("--file"), file.as_os_str()];
    run("pg_dump", &[&target[..], &[OsStr::new("--dbname"), OsStr::new(database.url())]].concat());
}

/// A new database from such a file.
pub(crate) async fn restore(file: &Path) -> Database {
    let database = testkit::database::postgres().await.expect("every test needs its database");
    let whole = ["--exit-on-error", "--single-transaction", "--dbname", database.url()].map(OsStr::new);
    run("pg_restore", &[&whole[..], &[file.as_os_str()]].concat());
    database
}

/// The migrations that a database has had, a line each.
pub(crate) fn schema(database: &Database) -> String {
    ask(database, "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
}

/// Notes in a database that it has had this migration, as a version would that knows it.
pub(crate) fn pretend_migrated(database: &Database, version: i64) {
    let columns = "version, description, success, checksum, execution_time";
    let row = format!("{version}, 'of a version to come', TRUE, '', 0");
    ask(database, &format!("INSERT INTO _sqlx_migrations ({columns}) VALUES ({row})"));
}

fn ask(database: &Database, statement: &str) -> String {
    let asked = ["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, database.url()];
    run("psql", &asked.map(OsStr::new))
}

fn run(program: &str, arguments: &[&OsStr]) -> String {
    let folder = postgres::programs().expect("cargo xtask test names the folder");
    let output = Command::new(folder.join(program)).args(arguments).output().expect("PostgreSQL brings it");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it talks UTF-8")
}
