//! A fresh database for one test, on PostgreSQL and on SQLite, and the macro that runs a test on both.
//!
//! It does not start PostgreSQL: `cargo xtask test` does, once for all tests, and names the server in
//! the variable `MANDATE_TEST_POSTGRES`. It opens no pool either; what is tested does that itself.

use std::fs::File;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Names the server on which databases are created.
const SERVER_VARIABLE: &str = "MANDATE_TEST_POSTGRES";

/// Enough for tasks to run at the same time, which is what concurrency tests are about.
const WORKER_THREADS: usize = 2;

/// A database that nobody else uses and that goes away with this value.
///
/// Taking a PostgreSQL database away closes whatever connections are still open. When the last thing
/// a process does is to drop the value, the server may keep the database until the run is over; tests
/// made by [`on_both!`](crate::on_both) wait for it.
#[derive(Debug)]
pub struct Database {
    url: String,
    place: Arc<Place>,
}

#[derive(Debug)]
enum Place {
    Postgres { server: String, name: String, removed: AtomicBool },
    Sqlite { _folder: TempDir },
}

/// Why a test gets no database.
#[derive(thiserror::Error)]
pub enum Error {
    /// Nobody named a server.
    #[error(
        "this test needs PostgreSQL and {SERVER_VARIABLE} is not set: run `cargo xtask test`, \
         which starts a server, in place of `cargo test`"
    )]
    NoServer,
    /// The server refuses us.
    #[error("the server that {SERVER_VARIABLE} names makes no database: {0}")]
    Server(#[from] sqlx::Error),
    /// The disk refuses us.
    #[error("no temporary folder for a SQLite file: {0}")]
    Folder(#[from] std::io::Error),
}

/// The sentence once more, because it is this form that a failed `unwrap` prints.
impl std::fmt::Debug for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl Database {
    /// The address to open it at: `postgres://…` or `sqlite://…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the copy of this database on a server that follows its own.
    #[must_use]
    pub fn url_on(&self, standby: &postgres::Server) -> String {
        let name = self.url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap_or_default();
        with_database(&standby.url(), name)
    }

    /// Whether it is on PostgreSQL, for the few statements that are a pair.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(*self.place, Place::Postgres { .. })
    }
}

/// A fresh database on the server of this run.
///
/// # Errors
/// Without a server, or when it makes no database. A test that needs PostgreSQL fails then; it is
/// never skipped.
pub async fn postgres() -> Result<Database, Error> {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but this variable")]
    let server = std::env::var(SERVER_VARIABLE).map_err(|_| Error::NoServer)?;
    postgres_on(server).await
}

/// A fresh database on a server of the test's own, which may crash, be followed and come back.
///
/// # Errors
/// When the server makes no database.
pub async fn postgres_of(server: &postgres::Server) -> Result<Database, Error> {
    postgres_on(server.url()).await
}

/// A fresh file in a folder of its own; the file exists and is empty.
///
/// # Errors
/// When the disk refuses the folder or the file.
pub fn sqlite() -> Result<Database, Error> {
    let folder = TempDir::with_prefix("mandate-sqlite-")?;
    let file = folder.path().join("test.db");
    File::create_new(&file)?;
    Ok(Database { url: sqlite_url(&file), place: Arc::new(Place::Sqlite { _folder: folder }) })
}

/// Runs a test on a fresh PostgreSQL database, and takes the database away however the test ends.
///
/// # Panics
/// When there is no database, and when the test panics.
pub fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(Database) -> F) {
    run(runtime().block_on(postgres()), test);
}

/// Runs a test on a fresh SQLite file, and takes the file away however the test ends.
///
/// # Panics
/// When there is no file, and when the test panics.
pub fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Database) -> F) {
    run(sqlite(), test);
}

/// Makes of an `async fn name(database: testkit::Database)` the tests `name::postgres` and
/// `name::sqlite`.
///
/// ```ignore
/// testkit::on_both!(a_second_insert_is_refused);
///
/// async fn a_second_insert_is_refused(database: testkit::Database) {
///     assert!(database.url().contains("://"));
/// }
/// ```
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn postgres() {
                $crate::database::on_postgres(super::$name);
            }

            #[test]
            fn sqlite() {
                $crate::database::on_sqlite(super::$name);
            }
        }
    )+};
}

fn run<F: Future<Output = ()>>(database: Result<Database, Error>, test: impl FnOnce(Database) -> F) {
    let database = database.expect("every test needs its database");
    let place = Arc::clone(&database.place);
    let runtime = runtime();
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(database))));
    runtime.block_on(place.remove());
    // Tasks that the test left behind do not keep it from ending.
    runtime.shutdown_background();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .expect("a process that runs tests may start threads")
}

async fn postgres_on(server: String) -> Result<Database, Error> {
    let mut connection = PgConnection::connect(&server).await?;
    // The server finds the name: it alone knows every run that shares it.
    let name: String = sqlx::query_scalar("SELECT 'test_' || replace(gen_random_uuid()::text, '-', '')")
        .fetch_one(&mut connection)
        .await?;
    // Made of `test_` and hexadecimal digits, so there is nothing to quote.
    let create = format!("CREATE DATABASE {name} TEMPLATE template0");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
    connection.close().await?;
    let url = with_database(&server, &name);
    let place = Place::Postgres { server, name, removed: AtomicBool::new(false) };
    Ok(Database { url, place: Arc::new(place) })
}

impl Place {
    /// Takes a PostgreSQL database away, unless that was done. A failure is no failure of the test:
    /// the server itself goes away with the run.
    async fn remove(&self) {
        let Self::Postgres { server, name, removed } = self else {
            return;
        };
        if !removed.swap(true, Ordering::Relaxed) {
            drop_database(server, name).await.ok();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Postgres { server, name, removed } = self else {
            return;
        };
        if std::mem::replace(removed.get_mut(), true) {
            return;
        }
        let (server, name) = (std::mem::take(server), std::mem::take(name));
        // On a thread of its own: whoever drops us may be inside a runtime, which must not be blocked.
        std::thread::spawn(move || {
            if let Ok(runtime) = Builder::new_current_thread().enable_all().build() {
                runtime.block_on(drop_database(&server, &name)).ok();
            }
        });
    }
}

async fn drop_database(server: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
    connection.close().await
}

/// The address of another database on the same server.
pub(crate) fn with_database(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let authority = address.find("://").map_or(0, |scheme| scheme + "://".len());
    let end = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    let separator = if options.is_empty() { "" } else { "?" };
    format!("{}/{name}{separator}{options}", &address[..end])
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

#[cfg(test)]
mod tests;
