//! Reads on a server that follows, and when they go to the one that is followed.

use std::time::Instant;

use sqlx::{Connection as _, PgConnection};
use store::{Failure, Freshness, Pool, Reads, Settings, Tx};
use testkit::Database;
use testkit::postgres::{Durability, Server, programs};

use crate::measure::value;
use crate::{Note, notes, pool_with};

/// A database, the server that follows it, and reads of both.
struct Followed {
    pool: Pool,
    reads: Reads,
    database: Database,
    standby: Server,
    _primary: Server,
}

impl Followed {
    async fn start() -> Followed {
        let primary = Server::start(&programs().unwrap(), Durability::None).unwrap();
        let database = testkit::database::postgres_of(&primary).await.unwrap();
        let pool = pool_with(&Settings::new(database.url())).await;
        let standby = primary.standby().unwrap();
        let settings = Settings { replica_url: Some(database.url_on(&standby)), ..Settings::new(database.url()) };
        let reads = Reads::open(&settings, &pool).await.unwrap();
        Followed { pool, reads, database, standby, _primary: primary }
    }

    /// Writes a note, and says at which position it can be seen.
    async fn write(&self, id: i64) -> i64 {
        store::transaction(&self.pool, &Note::new(id)).await.unwrap();
        let Pool::Postgres(pool) = &self.pool else { panic!("it is PostgreSQL") };
        let position = "SELECT CAST(pg_current_wal_lsn() - '0/0' AS BIGINT)";
        sqlx::query_scalar(position).fetch_one(pool).await.unwrap()
    }

    async fn tell_standby(&self, statement: &'static str) {
        let mut standby = PgConnection::connect(&self.database.url_on(&self.standby)).await.unwrap();
        sqlx::query(statement).execute(&mut standby).await.unwrap();
        standby.close().await.unwrap();
    }

    /// What a read sees, and whether the server that follows gave it.
    async fn seen(&self, freshness: Freshness) -> (Vec<i64>, bool) {
        let mut tx = self.reads.begin(freshness).await.unwrap();
        let Tx::Postgres(inner) = &mut tx else { panic!("it is PostgreSQL") };
        let follows = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut **inner).await.unwrap();
        (notes(tx).await.unwrap(), follows)
    }

    /// A machine with much to do may give the replica too little time; the primary answers then.
    async fn until_replica_answers(&self, freshness: Freshness) -> Vec<i64> {
        loop {
            let (notes, follows) = self.seen(freshness).await;
            if follows {
                return notes;
            }
        }
    }
}

#[test]
fn a_read_is_as_fresh_as_it_must_be_and_no_fresher_server_is_bothered() {
    runtime().block_on(async {
        let followed = Followed::start().await;
        let before = followed.write(1).await;
        assert_eq!(followed.until_replica_answers(Freshness::AtLeast(before)).await, [1]);

        followed.tell_standby("SELECT pg_wal_replay_pause()").await;
        let after = followed.write(2).await;
        assert_eq!(followed.until_replica_answers(Freshness::Any).await, [1], "old, and allowed to be");
        assert_eq!(followed.until_replica_answers(Freshness::AtLeast(before)).await, [1]);
        let begun = Instant::now();
        assert_eq!(followed.seen(Freshness::AtLeast(after)).await, (vec![1, 2], false), "never without the change");
        assert!(begun.elapsed().as_millis() >= 50, "it is given a moment");
        assert_eq!(followed.seen(Freshness::Latest).await, (vec![1, 2], false));
        assert!(value("mandate.replica.reads outcome=behind") > 0);

        // A process that starts now has no use for what was before it.
        let settings = Settings {
            replica_url: Some(followed.database.url_on(&followed.standby)),
            ..Settings::new(followed.database.url())
        };
        let later = Reads::open(&settings, &followed.pool).await.unwrap();
        assert_eq!(notes(later.begin(Freshness::Any).await.unwrap()).await.unwrap(), [1, 2]);

        followed.tell_standby("SELECT pg_wal_replay_resume()").await;
        assert_eq!(followed.until_replica_answers(Freshness::AtLeast(after)).await, [1, 2]);
        assert!(value("mandate.replica.reads outcome=served") > 0);
    });
}

#[test]
fn a_position_beyond_the_log_is_refused() {
    runtime().block_on(async {
        let followed = Followed::start().await;
        let position = followed.write(1).await + (1 << 40);
        let refused = followed.reads.begin(Freshness::AtLeast(position)).await.unwrap_err();
        assert!(matches!(refused, Failure::BeyondLog(at) if at == position), "{refused:?}");
    });
}

testkit::on_both!(without_a_replica_the_database_answers_whatever_it_has_reached);

async fn without_a_replica_the_database_answers_whatever_it_has_reached(database: Database) {
    let settings = Settings::new(database.url());
    let pool = pool_with(&settings).await;
    let reads = Reads::open(&settings, &pool).await.unwrap();
    store::transaction(&pool, &Note::new(1)).await.unwrap();
    for freshness in [Freshness::Latest, Freshness::AtLeast(0), Freshness::Any] {
        assert_eq!(notes(reads.begin(freshness).await.unwrap()).await.unwrap(), [1]);
    }
    let refused = reads.begin(Freshness::AtLeast(1 << 60)).await.unwrap_err();
    assert!(matches!(refused, Failure::BeyondLog(_)), "{refused:?}");
}

#[test]
fn a_replica_that_is_gone_or_follows_nobody_is_done_without() {
    runtime().block_on(async {
        let mut followed = Followed::start().await;
        let position = followed.write(1).await;
        followed.until_replica_answers(Freshness::AtLeast(position)).await;

        followed.standby.crash().unwrap();
        assert_eq!(followed.seen(Freshness::Any).await, (vec![1], false));
        assert_eq!(followed.seen(Freshness::AtLeast(position)).await, (vec![1], false));
        assert!(value("mandate.replica.reads outcome=unreachable") > 0);
        followed.standby.start_again().unwrap();
        assert_eq!(followed.until_replica_answers(Freshness::Any).await, [1]);

        followed.tell_standby("SELECT pg_promote()").await;
        let position = followed.write(2).await;
        assert_eq!(followed.seen(Freshness::AtLeast(position)).await, (vec![1, 2], false));
        assert_eq!(followed.seen(Freshness::Any).await, (vec![1, 2], false));
        assert!(value("mandate.replica.reads outcome=promoted") > 0);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    crate::measure::start();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
