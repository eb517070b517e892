//! A start that cannot succeed says why, in a sentence with the key, before a port is bound.

use clock::{Clock, Time};
use server::Shutdown;

use testkit::provider::NOW_SECONDS;

use crate::world::{KEYS, Place};

async fn refused(place: &Place) -> String {
    let shutdown = Shutdown::new();
    let started = place.try_start(&Clock::manual(Time::from_seconds(NOW_SECONDS)), &shutdown).await;
    started.unwrap_err().to_string()
}

#[tokio::test]
async fn unusable_link_keys_are_refused_by_file_and_key() {
    let place = Place::new("public", testkit::database::sqlite().unwrap()).await;
    place.write_keys(&KEYS.replace("current = \"k1\"", "current = \"k2\""));
    let sentence = refused(&place).await;
    assert!(
        sentence.starts_with("link_keys: ") && sentence.ends_with("there is no key \"k2\" in [keys]"),
        "{sentence}"
    );
    place.write_keys("current = \"k1\"\n[keys]\nk1 = \"c2hvcnQ=\"\n");
    let sentence = refused(&place).await;
    assert!(sentence.contains("keys.toml: keys.k1: expected 32 to 64 bytes"), "{sentence}");
    assert!(!sentence.contains("c2hvcnQ"), "a secret is never repeated");
    std::fs::remove_file(place.folder.path().join("keys.toml")).unwrap();
    let sentence = refused(&place).await;
    assert!(sentence.starts_with("link_keys: ") && sentence.contains("cannot be read"), "{sentence}");
}

#[tokio::test]
async fn an_unusable_database_is_refused_by_key() {
    let place = Place::new("public", testkit::database::sqlite().unwrap()).await;
    let folder = place.folder.path().join("nowhere");
    let config = place.config().replace(place.database.url(), &format!("sqlite://{}/test.db", folder.display()));
    let path = place.folder.path().join("other.toml");
    std::fs::write(&path, config).unwrap();
    let config: invitation::Config = server::config::merge(&[path], []).unwrap();
    let started = <invitation::Invitation as server::Service>::start(config, Clock::system(), Shutdown::new()).await;
    let sentence = started.unwrap_err().to_string();
    assert!(sentence.starts_with("database: "), "{sentence}");
}
