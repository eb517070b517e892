//! Reads on a server that follows, and when they go to the one that is followed.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use store::{Failure, Freshness, Pool, Position, Reads, Settings, Tx};
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
    primary: Server,
}

impl Followed {
    async fn start() -> Followed {
        let primary = Server::start(&programs().unwrap(), Durability::None).unwrap();
        let database = testkit::database::postgres_of(&primary).await.unwrap();
        let pool = pool_with(&Settings::new(database.url())).await;
        let standby = primary.standby().unwrap();
        let settings = Settings { replica_url: Some(database.url_on(&standby)), ..Settings::new(database.url()) };
        let reads = Reads::open(&settings, &pool).await.unwrap();
        Followed { pool, reads, database, standby, primary }
    }

    /// Writes a note, and says at which position it can be seen.
    async fn write(&self, id: i64) -> Position {
        store::transaction(&self.pool, &Note::new(id)).await.unwrap();
        store::position(&self.pool).await.unwrap()
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
        let reached: i64 = followed.write(1).await.to_string().parse().unwrap();
        let position = (reached + (1 << 40)).to_string().parse().unwrap();
        let refused = followed.reads.begin(Freshness::AtLeast(position)).await.unwrap_err();
        assert!(matches!(refused, Failure::BeyondLog(at) if at == position), "{refused:?}");
    });
}

/// The timeline and the place in it.
fn parts(position: Position) -> (i64, i64) {
    let number: i64 = position.to_string().parse().unwrap();
    (number >> 51, number & ((1 << 51) - 1))
}

#[test]
fn a_replica_that_was_left_behind_on_another_timeline_is_not_taken_for_one_that_is_ahead() {
    runtime().block_on(async {
        let followed = Followed::start().await;
        followed.write(1).await;
        // One follower takes over, the other goes on following the server that was replaced, and comes further in its log.
        let successor = followed.primary.standby().unwrap();
        let mut told = PgConnection::connect(&followed.database.url_on(&successor)).await.unwrap();
        sqlx::query("SELECT pg_promote()").execute(&mut told).await.unwrap();
        let Pool::Postgres(replaced) = &followed.pool else { panic!("it is PostgreSQL") };
        for id in 2..4 {
            followed.write(id).await;
            sqlx::query("SELECT pg_switch_wal()").execute(replaced).await.unwrap();
        }
        let far = followed.write(4).await;
        assert_eq!(followed.until_replica_answers(Freshness::AtLeast(far)).await, [1, 2, 3, 4]);

        let settings = Settings {
            replica_url: Some(followed.database.url_on(&followed.standby)),
            ..Settings::new(followed.database.url_on(&successor))
        };
        let pool = Pool::open(&settings, &crate::schema()).await.unwrap();
        let reads = Reads::open(&settings, &pool).await.unwrap();
        store::transaction(&pool, &Note::new(1000)).await.unwrap();
        let position = store::position(&pool).await.unwrap();
        assert!(parts(position).0 > parts(far).0 && parts(position).1 < parts(far).1, "{position} and {far}");
        for freshness in [Freshness::AtLeast(position), Freshness::Any] {
            let seen = notes(reads.begin(freshness).await.unwrap()).await.unwrap();
            assert_eq!(seen.last(), Some(&1000), "the change is there");
        }
    });
}

#[test]
fn a_position_that_was_given_without_its_timeline_is_good_and_asked_of_the_primary() {
    runtime().block_on(async {
        let followed = Followed::start().await;
        let (_, place) = parts(followed.write(1).await);
        let seen = followed.seen(Freshness::AtLeast(place.to_string().parse().unwrap())).await;
        assert_eq!(seen, (vec![1], false));
    });
}

#[test]
fn a_server_that_follows_another_is_not_served_as_the_one_that_takes_changes() {
    runtime().block_on(async {
        let followed = Followed::start().await;
        let settings = Settings { wait_max_ms: 300, ..Settings::new(followed.database.url_on(&followed.standby)) };
        let refused = Pool::open(&settings, &crate::schema()).await.unwrap_err();
        assert!(refused.unavailable().is_some(), "{refused:?}");
    });
}

#[test]
fn a_read_that_is_given_up_while_it_begins_leaves_no_old_moment_behind() {
    runtime().block_on(async {
        let database = testkit::database::postgres().await.unwrap();
        let settings = Settings { connections_max: 1, ..Settings::new(database.url()) };
        let pool = pool_with(&settings).await;
        for id in 1..50 {
            // Given up at another moment of its beginning each time.
            let begin =
                tokio::time::timeout(Duration::from_micros(20 * u64::try_from(id).unwrap()), store::read(&pool));
            drop(begin.await);
            store::position(&pool).await.unwrap();
            store::transaction(&pool, &Note::new(id)).await.unwrap();
            assert_eq!(notes(store::read(&pool).await.unwrap()).await.unwrap().len(), usize::try_from(id).unwrap());
        }
    });
}

testkit::on_both!(without_a_replica_the_database_answers_whatever_it_has_reached);

async fn without_a_replica_the_database_answers_whatever_it_has_reached(database: Database) {
    let settings = Settings::new(database.url());
    let pool = pool_with(&settings).await;
    let reads = Reads::open(&settings, &pool).await.unwrap();
    store::transaction(&pool, &Note::new(1)).await.unwrap();
    for freshness in [Freshness::Latest, Freshness::AtLeast(Position::ANYWHERE), Freshness::Any] {
        assert_eq!(notes(reads.begin(freshness).await.unwrap()).await.unwrap(), [1]);
    }
    let refused = reads.begin(Freshness::AtLeast("1125899906842624".parse().unwrap())).await.unwrap_err();
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
