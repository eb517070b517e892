//! Changes of one key queue in the process before they queue in the database, so that they wait without a connection.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use store::Pool;
use tokio::sync::{Mutex, MutexGuard};

/// Keys that share a place wait for each other without need. There are more places than a process has connections, mostly.
const PLACES: u64 = 256;

/// Who may change what in this process. Clones are of the same queues.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    places: Arc<[Mutex<()>]>,
}

impl Turns {
    /// A SQLite file takes one change at a time, whatever the keys: in the order in which they came, rather than by who asks first
    /// when the lock is free.
    pub(crate) fn of(pool: &Pool) -> Turns {
        let places = match pool {
            Pool::Postgres(_) => PLACES,
            Pool::Sqlite(_) => 1,
        };
        Turns { places: (0..places).map(|_| Mutex::default()).collect() }
    }

    /// Waits until no other change of the key is being made in this process. Other processes are waited for in the database.
    pub(crate) async fn take(&self, key: &str) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        let count = u64::try_from(self.places.len()).expect("a few hundred fit");
        let place = usize::try_from(hash % count).expect("a place there is");
        self.places[place].lock().await
    }
}
