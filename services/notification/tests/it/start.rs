//! What keeps the service from starting, in one sentence each, and the command that mends the schema.

use clock::{Clock, Time};
use notification::{Config, Notification};
use server::config::Settings as _;
use server::{Service as _, Shutdown};
use testkit::Database;
use testkit::certificates::Authority;
use testkit::provider::NOW_SECONDS;

use crate::world::{config, configuration};

testkit::on_both!(a_database_is_served_once_it_is_migrated);

const ISSUER: &str = "http://127.0.0.1:1";

async fn start(config: Config) -> Result<(), String> {
    let shutdown = Shutdown::new();
    let started = Notification::start(config, Clock::manual(Time::from_seconds(NOW_SECONDS)), shutdown.clone()).await;
    shutdown.begin();
    shutdown.drained(std::time::Duration::from_secs(20)).await;
    started.map(|_| ()).map_err(|error| error.to_string())
}

async fn a_database_is_served_once_it_is_migrated(database: Database) {
    let authority = Authority::new();
    let config = config(&configuration(&authority, ISSUER, &database, ""));
    if database.is_postgres() {
        let refused = start(config.clone()).await.unwrap_err();
        assert_eq!(refused, "database: the database lacks migration 1: run the migrate command first");
        Notification::migrate(config.clone()).await.unwrap();
        Notification::migrate(config.clone()).await.unwrap();
    }
    start(config).await.unwrap();
}

#[tokio::test]
async fn a_policy_of_another_cloud_is_refused() {
    let database = testkit::database::sqlite().unwrap();
    let text = configuration(&Authority::new(), ISSUER, &database, "").replace("clouds/public", "clouds/china");
    let refused = start(config(&text)).await.unwrap_err();
    assert!(refused.contains("china/policy/policy.toml: cloud: the policy is of cloud \"china\""), "{refused}");
}

#[tokio::test]
async fn a_value_out_of_range_is_named_with_its_range() {
    let database = testkit::database::sqlite().unwrap();
    let text = |watch| configuration(&Authority::new(), ISSUER, &database, watch);
    let fault = |watch| config(&text(watch)).check().unwrap_err();
    assert_eq!(fault("streams_max = 0").key, "watch.streams_max");
    assert_eq!(fault("streams_max = 0").problem, "0 is out of range; expected 1 to 1000000");
    assert_eq!(fault("heartbeat_seconds = 61").key, "watch.heartbeat_seconds");
    assert_eq!(fault("poll_seconds = 0").problem, "0 is out of range; expected 0.01 to 60");
    let connections = text("").replace("[database]", "[database]\nconnections_max = 0");
    assert_eq!(config(&connections).check().unwrap_err().key, "database.connections_max");
    assert_eq!(config(&text("")).check(), Ok(()));
}

#[tokio::test]
async fn what_is_printed_can_be_read_again() {
    let database = testkit::database::sqlite().unwrap();
    let text = configuration(&Authority::new(), ISSUER, &database, "streams_max = 7");
    let printed = toml::to_string_pretty(&config(&text)).unwrap();
    assert_eq!(config(&printed).watch.streams_max, 7);
    assert!(toml::from_str::<Config>(&format!("{printed}\nunknown = 1")).is_err());
}
