//! Databases are fresh, separate and gone afterwards.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::{Error, SERVER_VARIABLE, on_postgres, on_sqlite, postgres, sqlite, with_database};
use crate::Database;

crate::on_both!(a_database_is_empty_and_can_be_written);

async fn a_database_is_empty_and_can_be_written(database: Database) {
    const CREATE: &str = "CREATE TABLE fresh (id BIGINT PRIMARY KEY)";
    // That the second test of the pair can create the same table shows that it has its own database.
    if database.is_postgres() {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        sqlx::query(CREATE).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::query(CREATE).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn two_databases_of_one_test_differ() {
    let (first, second) = (postgres().await.unwrap(), postgres().await.unwrap());
    assert_ne!(first.url(), second.url());
    let (first, second) = (sqlite().unwrap(), sqlite().unwrap());
    assert_ne!(first.url(), second.url());
}

#[test]
fn a_postgres_database_is_gone_after_its_test_though_a_connection_is_open() {
    let url = url_seen_by(|test| {
        on_postgres(async |database| {
            let connection = PgConnection::connect(database.url()).await.unwrap();
            test(&database);
            std::mem::forget(connection);
        });
    });
    assert_eq!(connect(&url), Err("3D000".to_owned()), "{url}");
}

#[test]
fn a_postgres_database_is_gone_after_a_test_that_panics() {
    let url = url_seen_by(|test| {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            on_postgres(async |database| {
                test(&database);
                panic!("on purpose");
            });
        }));
        assert!(outcome.is_err(), "the panic is passed on");
    });
    assert_eq!(connect(&url), Err("3D000".to_owned()), "{url}");
}

#[test]
fn a_postgres_database_goes_away_when_it_is_dropped_inside_a_runtime() {
    let url = block_on(async { postgres().await.unwrap().url().to_owned() });
    // Dropping does not wait, so we do.
    while connect(&url).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_sqlite_file_is_gone_after_its_test() {
    let url = url_seen_by(|test| on_sqlite(async |database| test(&database)));
    assert!(!Path::new(url.strip_prefix("sqlite://").unwrap()).exists(), "{url}");
}

#[test]
fn without_a_server_the_sentence_names_the_command() {
    let sentence = format!("{:?}", Error::NoServer);
    assert!(sentence.contains("run `cargo xtask test`"), "{sentence}");
    assert!(sentence.contains(SERVER_VARIABLE), "{sentence}");
}

#[test]
fn the_database_in_an_address_is_replaced_and_the_rest_kept() {
    for (server, expected) in [
        ("postgres://u@h:1/postgres?sslmode=disable", "postgres://u@h:1/mine?sslmode=disable"),
        ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/mine"),
        ("postgres://h", "postgres://h/mine"),
    ] {
        assert_eq!(with_database(server, "mine"), expected);
    }
}

/// Runs something that shows a database to a closure, and returns the address that the closure saw.
fn url_seen_by(run: impl FnOnce(&dyn Fn(&Database))) -> String {
    let url = Mutex::new(String::new());
    run(&|database| database.url().clone_into(&mut url.lock().unwrap()));
    url.into_inner().unwrap()
}

/// Connects to PostgreSQL, or returns its code for the refusal.
fn connect(url: &str) -> Result<(), String> {
    block_on(async {
        let error = match PgConnection::connect(url).await {
            Ok(connection) => return connection.close().await.map_err(|error| error.to_string()),
            Err(error) => error,
        };
        let code = error.as_database_error().and_then(|error| error.code());
        Err(code.map_or_else(|| error.to_string(), std::borrow::Cow::into_owned))
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
