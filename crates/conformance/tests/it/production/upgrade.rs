//! A new version takes over from the one before it, in the order that `docs/operations.md` gives, while customers work.
//!
//! `cargo xtask upgrade` names the programs of the version before. Without that, what is replaced is this version itself: the
//! schema stays then, and the rest is a rolling restart.

use std::path::PathBuf;

use testkit::process::{Process, run};
use testkit::site::SERVICES;

use super::dump;
use super::fleet::{Fleet, Version};
use super::load::{Ledger, Load, confirm, populated};
use super::site::Site;

/// Names the folder with the programs of the version before.
const FROM: &str = "MANDATE_UPGRADE_FROM";

/// How many customers work.
const CUSTOMERS: usize = 6;
/// How many changes are acknowledged between two steps at least, so that each step meets calls in flight.
const BETWEEN: usize = CUSTOMERS;
const MIGRATIONS_AT_ONCE: usize = 3;
/// A migration of a version that will never be.
const UNKNOWN: i64 = 9_999_999;

#[tokio::test(flavor = "multi_thread")]
async fn a_version_takes_over_from_the_one_before_while_customers_work_and_nothing_is_lost() {
    let from = std::env::var_os(FROM).map(PathBuf::from);
    let before = from.clone().map_or_else(Version::ours, Version::of);
    let mut fleet = Fleet::start("public", &before).await;
    let (scene, ada, ledgers) = populated(&fleet.instance, &fleet.channel, CUSTOMERS).await;
    let schemas = SERVICES.map(|service| dump::schema(&fleet.instance.databases[service]));
    let mut load = Load::begin(&scene, ledgers);
    load.more(BETWEEN).await;

    for service in SERVICES {
        let migrated = fleet.run_at_once(service, "migrate", &Version::ours(), MIGRATIONS_AT_ONCE);
        assert!(migrated.iter().all(|ended| ended.code() == 0 && ended.err.is_empty()), "{service}: {migrated:?}");
        let again = fleet.run(service, "migrate", &Version::ours());
        assert_eq!((again.code(), again.err.as_str()), (0, ""), "{service}: {again:?}");
        load.more(BETWEEN).await;
    }
    let is_changed =
        |(service, schema)| (dump::schema(&fleet.instance.databases[service]) != schema).then_some(service);
    let changed: Vec<&str> = SERVICES.into_iter().zip(schemas).filter_map(is_changed).collect();
    for service in &changed {
        // Who runs goes on, and who starts must know the schema.
        let refused = fleet.run(service, "serve", &before);
        assert_eq!((refused.code(), refused.err.lines().count()), (64, 1), "{service}: {refused:?}");
        assert!(refused.err.contains("which this version does not know"), "{service}: {refused:?}");
    }
    assert!(from.is_some() || changed.is_empty(), "this version replaced itself: {changed:?}");
    load.more(BETWEEN).await;
    for program in SERVICES.into_iter().chain(["gateway"]) {
        fleet.roll(program, &Version::ours());
        load.more(BETWEEN).await;
    }
    let ledgers = load.end().await;
    confirm(&scene, &ada, &ledgers).await;
    let acknowledged: usize = ledgers.iter().map(Ledger::len).sum();
    let repeats: usize = ledgers.iter().map(|ledger| ledger.repeats).sum();
    match changed.as_slice() {
        [] => tell("the schema is the same: this was a rolling restart"),
        changed => tell(&format!("the schema changed of {}", changed.join(", "))),
    }
    tell(&format!("{acknowledged} changes were acknowledged, {repeats} calls were repeated, and all is there once"));
}

/// As many jobs as an impatient operator starts.
const JOBS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_made_once_by_four_at_once_and_one_that_is_newer_is_refused_by_whoever_starts() {
    let site = Site::new(None);
    let instance = site.instance("public").await;
    for service in SERVICES {
        let file = site.configure(&instance, service);
        let migrate = site.one_more("migrate", &file);
        let jobs: Vec<Process> = (0..JOBS).map(|_| Process::start(service, &migrate)).collect();
        for ended in jobs.into_iter().map(Process::ended) {
            assert_eq!((ended.code(), ended.err.as_str()), (0, ""), "{service}: {ended:?}");
        }
        let running = site.serve(&instance, service);
        dump::pretend_migrated(&instance.databases[service], UNKNOWN);
        let refused = run(service, site.one_more("serve", &file));
        let sentence = format!(
            "{service}: database: the database has migration {UNKNOWN}, which this version does not know: run a version that does\n"
        );
        assert_eq!((refused.code(), refused.err), (64, sentence));
        let refused = run(service, &migrate);
        assert_eq!((refused.code(), refused.err.lines().count()), (64, 1), "{refused:?}");
        assert!(refused.err.contains(&UNKNOWN.to_string()), "{refused:?}");
        let ended = running.terminated();
        assert_eq!(ended.code(), 0, "who ran went on: {ended:?}");
    }
}

#[expect(clippy::print_stderr, reason = "whoever upgrades by the command sees it, whoever runs all tests does not")]
fn tell(sentence: &str) {
    eprintln!("{sentence}");
}
