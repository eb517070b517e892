//! Every statement, on both engines.

use std::sync::Arc;

use clock::Time;
use cloud::TenantId;
use invitation::domain::key::KeyId;
use invitation::domain::link::{Link, Options, State};
use invitation::store::link::{self, Keep};
use store::{Failure, Pool, Tx, Work, on};
use testkit::Database;

use crate::world::store_settings;

testkit::on_both!(
    a_link_is_kept_once_and_read_as_it_was_written,
    of_a_hundred_first_reads_at_once_all_get_the_same_link,
    a_changed_link_is_written_back,
    links_are_listed_by_partner_in_the_order_of_their_bytes,
    a_row_that_makes_no_sense_is_reported_not_believed,
);

async fn pool(database: &Database) -> Pool {
    Pool::migrate(&store_settings(database), &invitation::store::schema()).await.unwrap()
}

fn partner(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

fn options(slug: &str) -> Options {
    Options::parse(slug).unwrap()
}

fn first(of: &str, slug: &str, key: &str) -> Link {
    Link::first(partner(of), options(slug), KeyId::parse(key).unwrap(), Time::from_micros(1_234_567))
}

struct Update(Link);

impl Work for Update {
    const NAME: &'static str = "update";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        link::update(tx, &self.0).await
    }
}

struct Spoil;

impl Work for Spoil {
    const NAME: &'static str = "spoil";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        on!(tx, tx => {
            sqlx::query("UPDATE links SET state = 'PAUSED'").execute(&mut **tx).await?;
        });
        Ok(())
    }
}

async fn a_link_is_kept_once_and_read_as_it_was_written(database: Database) {
    let pool = pool(&database).await;
    let link = first("p", "reseller.azure-ad", "k1");
    assert_eq!(store::transaction(&pool, &Keep(link.clone())).await.unwrap(), link);
    let later = Link { create_time: Time::from_seconds(9), ..first("p", "reseller.azure-ad", "k2") };
    assert_eq!(store::transaction(&pool, &Keep(later)).await.unwrap(), link);
    let mut tx = store::read(&pool).await.unwrap();
    assert_eq!(link::find(&mut tx, &partner("p"), &link.options).await.unwrap(), Some(link.clone()));
    assert_eq!(link::find(&mut tx, &partner("q"), &link.options).await.unwrap(), None);
    assert_eq!(link::find(&mut tx, &partner("p"), &options("reseller")).await.unwrap(), None);
}

async fn of_a_hundred_first_reads_at_once_all_get_the_same_link(database: Database) {
    let pool = Arc::new(pool(&database).await);
    let mut reads = tokio::task::JoinSet::new();
    for index in 0..100 {
        let pool = Arc::clone(&pool);
        reads.spawn(async move {
            let link = first("p", "reseller", &format!("k{index}"));
            store::transaction(&pool, &Keep(link)).await.unwrap()
        });
    }
    let links = reads.join_all().await;
    assert_eq!(links.len(), 100);
    assert!(links.iter().all(|link| *link == links[0]), "{links:?}");
}

async fn a_changed_link_is_written_back(database: Database) {
    let pool = pool(&database).await;
    let link = first("p", "reseller", "k1");
    store::transaction(&pool, &Keep(link.clone())).await.unwrap();
    store::transaction(&pool, &Keep(first("q", "reseller", "k1"))).await.unwrap();
    let rotated = Link { generation: u32::MAX, ..link.rotated(&KeyId::parse("k2").unwrap(), Time::from_seconds(5)) };
    for changed in [rotated.clone(), rotated.disabled(Time::from_seconds(6)).unwrap()] {
        store::transaction(&pool, &Update(changed.clone())).await.unwrap();
        let mut tx = store::read(&pool).await.unwrap();
        assert_eq!(link::find(&mut tx, &partner("p"), &link.options).await.unwrap(), Some(changed));
        let other = link::find(&mut tx, &partner("q"), &link.options).await.unwrap().unwrap();
        assert_eq!((other.generation, other.state), (1, State::Active));
    }
}

async fn links_are_listed_by_partner_in_the_order_of_their_bytes(database: Database) {
    let pool = pool(&database).await;
    let slugs = ["reseller", "reseller.a", "reseller.a-b", "reseller.a.b", "reseller.a0", "reseller.b"];
    for slug in slugs.iter().rev() {
        store::transaction(&pool, &Keep(first("p", slug, "k1"))).await.unwrap();
    }
    store::transaction(&pool, &Keep(first("p-2", "reseller.c", "k1"))).await.unwrap();
    let mut tx = store::read(&pool).await.unwrap();
    let mut list = async |after: &str, limit| {
        let links = link::list(&mut tx, &partner("p"), after, limit).await.unwrap();
        links.iter().map(|link| link.options.slug()).collect::<Vec<_>>()
    };
    assert_eq!(list("", 100).await, slugs);
    assert_eq!(list("", 2).await, slugs[..2]);
    assert_eq!(list("reseller.a-b", 2).await, slugs[3..5]);
    assert_eq!(list("reseller.b", 2).await, [""; 0]);
}

async fn a_row_that_makes_no_sense_is_reported_not_believed(database: Database) {
    let pool = pool(&database).await;
    let link = first("p", "reseller", "k1");
    store::transaction(&pool, &Keep(link.clone())).await.unwrap();
    store::transaction(&pool, &Spoil).await.unwrap();
    let mut tx = store::read(&pool).await.unwrap();
    let found = link::find(&mut tx, &partner("p"), &link.options).await;
    assert!(matches!(found, Err(Failure::Inconsistent { table: "links", .. })), "{found:?}");
}
