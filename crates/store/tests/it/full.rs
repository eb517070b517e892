//! A disk that is full refuses changes, keeps what was acknowledged, and takes changes again when there is room.

use store::{Pool, Settings};
use testkit::Database;

use crate::{Note, all, pool_with, schema};

/// Writes long notes until one is refused, and says how many were kept.
async fn fill(pool: &Pool) -> (i64, store::Failure) {
    for id in 1.. {
        let note = Note { id, text: "x".repeat(2000) };
        if let Err(refused) = store::transaction(pool, &note).await {
            return (id - 1, refused);
        }
    }
    unreachable!("there is a limit");
}

async fn a_full_file_refuses_changes_and_keeps_what_it_has(database: Database) {
    let settings = Settings { sqlite_pages_max: Some(40), ..Settings::new(database.url()) };
    let pool = pool_with(&settings).await;
    let (kept, refused) = fill(&pool).await;
    assert_eq!(refused.unavailable(), Some("has no room left, and nothing was changed"), "{refused:?}");
    assert!(kept > 10, "{kept}");
    assert_eq!(all(&pool).await, (1..=kept).collect::<Vec<_>>(), "reads still work");
    let again = Note { id: kept + 1, text: "x".repeat(2000) };
    for _ in 0..5 {
        let refused = store::transaction(&pool, &again).await.expect_err("there is still no room");
        assert!(matches!(refused, store::Failure::Full(_)), "{refused:?}");
        assert_eq!(all(&pool).await.len() as i64, kept);
    }
    pool.close().await;

    let roomy = Settings { sqlite_pages_max: Some(80), ..settings };
    let pool = Pool::open(&roomy, &schema()).await.unwrap();
    assert_eq!(all(&pool).await, (1..=kept).collect::<Vec<_>>(), "nothing more and nothing less");
    store::transaction(&pool, &again).await.expect("the same change, now that there is room");
    assert_eq!(all(&pool).await, (1..=kept + 1).collect::<Vec<_>>());
}

#[test]
fn a_full_sqlite_file_refuses_changes_and_keeps_what_it_has() {
    testkit::database::on_sqlite(a_full_file_refuses_changes_and_keeps_what_it_has);
}
