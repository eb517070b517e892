//! Copies against a real file: what a hold keeps out, what it lets through, and what is never overwritten.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::{Held, copy};

/// Somebody who does not wait for a lock.
async fn impatient(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::ZERO);
    options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap()
}

async fn write(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO kept VALUES (1)").execute(connection).await.map(drop)
}

async fn count(file: &Path) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut impatient(file).await).await.unwrap()
}

#[tokio::test]
async fn a_held_file_is_read_and_copied_and_changed_only_once_it_is_released() {
    let (database, others) = (testkit::database::sqlite().unwrap(), testkit::database::sqlite().unwrap());
    let file = PathBuf::from(database.url().trim_start_matches("sqlite://"));
    let target = PathBuf::from(others.url().trim_start_matches("sqlite://"));
    let mut writer = impatient(&file).await;
    sqlx::query("CREATE TABLE kept (id INTEGER)").execute(&mut writer).await.unwrap();
    write(&mut writer).await.unwrap();

    let held = Held::take(&file).await.unwrap();
    let refused = write(&mut writer).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("5"), "busy: {refused}");
    assert_eq!(count(&file).await, 1);
    copy(&file, &target).await.unwrap();
    held.release().await.unwrap();
    write(&mut writer).await.unwrap();
    assert_eq!(
        (count(&file).await, count(&target).await),
        (2, 1),
        "a copy is of its moment, and empty targets are taken"
    );

    copy(&file, &target).await.expect_err("a copy overwrites nothing");
    assert_eq!(count(&target).await, 1);
    let absent = target.with_file_name("absent.db");
    copy(&absent, &target.with_file_name("copy.db")).await.expect_err("there is nothing to copy");
    assert!(!absent.exists(), "and asking for it makes nothing");
}
