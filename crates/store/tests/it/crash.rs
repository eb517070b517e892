//! PostgreSQL goes away and comes back; the pool finds its way without a restart of the process.

use std::sync::Mutex;

use store::{Failure, Pool, Settings, Tx, Work, on};
use testkit::postgres::{Durability, Server, programs};

use crate::{Note, all, pool_with};

fn server() -> Server {
    Server::start(&programs().unwrap(), Durability::None).unwrap()
}

/// Every failure on the way says that it passes.
async fn until_it_works(pool: &Pool, id: i64) -> u32 {
    for refusals in 0..1000 {
        match store::transaction(pool, &Note::new(id)).await {
            Ok(()) => return refusals,
            Err(refused) => assert_eq!(refused.unavailable(), Some("does not answer"), "{refused:?}"),
        }
    }
    panic!("it does not come back");
}

/// Takes as many connections as the pool may have, and lets them rest.
async fn warm(pool: &Pool, connections: usize) {
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(store::read(pool).await.unwrap());
    }
}

#[test]
fn a_crash_of_the_server_is_unavailability_and_passes() {
    let mut server = server();
    runtime().block_on(async {
        let database = testkit::database::postgres_of(&server).await.unwrap();
        let connections = 4;
        let settings = Settings { connections_max: connections, wait_max_ms: 300, ..Settings::new(database.url()) };
        let pool = pool_with(&settings).await;
        let connections = usize::try_from(connections).unwrap();
        for (round, crash) in [true, false, true].into_iter().enumerate() {
            warm(&pool, connections).await;
            if crash {
                server.crash().unwrap()
            } else {
                server.stop().unwrap()
            }
            let gone = store::transaction(&pool, &Note::new(0)).await.unwrap_err();
            assert_eq!(gone.unavailable(), Some("does not answer"), "{gone:?}");
            server.start_again().unwrap();
            let id = i64::try_from(round).unwrap() + 1;
            let refusals = until_it_works(&pool, id).await;
            assert!(usize::try_from(refusals).unwrap() <= connections, "one for each broken connection: {refusals}");
        }
        assert_eq!(all(&pool).await, [1, 2, 3]);
    });
}

/// Writes, and lets the server die before the commit.
struct Interrupted<'a>(&'a Mutex<Server>);

impl Work for Interrupted<'_> {
    const NAME: &'static str = "interrupted";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        Note::new(7).run(tx).await?;
        self.0.lock().unwrap().crash().unwrap();
        on!(tx, tx => {
            sqlx::query("SELECT 1").execute(&mut **tx).await?;
        });
        Ok(())
    }
}

#[test]
fn a_transaction_in_flight_at_a_crash_leaves_nothing() {
    let server = server();
    let runtime = runtime();
    let database = runtime.block_on(testkit::database::postgres_of(&server)).unwrap();
    let server = Mutex::new(server);
    runtime.block_on(async {
        let pool = pool_with(&Settings { wait_max_ms: 300, ..Settings::new(database.url()) }).await;
        let broken = store::transaction(&pool, &Interrupted(&server)).await.unwrap_err();
        assert_eq!(broken.unavailable(), Some("does not answer"), "{broken:?}");
        server.lock().unwrap().start_again().unwrap();
        until_it_works(&pool, 8).await;
        assert_eq!(all(&pool).await, [8]);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
