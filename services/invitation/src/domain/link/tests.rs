//! Slugs, the guards of a policy, and every state under every command.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{Kind, Link, NotASlug, NotOffered, Options, State};
use crate::domain::key::{KeyId, Keys};
use clock::Time;
use cloud::{Policy, TenantId};

const KEYS: &str = "current = \"b\"\n[keys]\na = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n\
                    b = \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"";

fn key(id: &str) -> KeyId {
    KeyId::parse(id).unwrap()
}

fn link(state: State) -> Link {
    let options = Options::parse("reseller.azure-ad").unwrap();
    let first = Link::first(TenantId::parse("p").unwrap(), options, key("a"), Time::from_seconds(1));
    Link { state, generation: 7, version: 9, ..first }
}

fn policy(cloud: &str) -> Policy {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/clouds");
    Policy::load(format!("{root}/{cloud}/policy/policy.toml")).unwrap()
}

#[test]
fn a_slug_spells_its_options() {
    let plain = Options::parse("reseller").unwrap();
    assert_eq!((plain.kind(), plain.services().len()), (Kind::Reseller, 0));
    let both = Options::parse("reseller.azure-ad.office-365").unwrap();
    assert_eq!(both.kind(), Kind::ResellerWithDelegation);
    let services: Vec<&str> = both.services().iter().map(|service| service.as_str()).collect();
    assert_eq!(services, ["azure-ad", "office-365"]);
    assert_eq!(both.slug(), "reseller.azure-ad.office-365");
}

#[test]
fn a_slug_in_another_order_or_with_repetitions_tells_the_right_one() {
    for slug in ["reseller.b.a", "reseller.a.b.a", "reseller.a.b.b"] {
        let refused = Options::parse(slug).unwrap_err();
        assert_eq!(refused, NotASlug::Unordered { canonical: "reseller.a.b".to_owned() }, "{slug}");
        assert!(refused.to_string().contains("`reseller.a.b`"));
    }
}

#[test]
fn other_texts_are_no_slugs() {
    for slug in
        ["", "advisor", "reseller.", "Reseller", "reseller.A", "reseller..a", " reseller", "reseller.a/b", "a.reseller"]
    {
        assert_eq!(Options::parse(slug).unwrap_err(), NotASlug::Malformed, "{slug}");
    }
    let long = format!("reseller.{}", "a".repeat(192));
    assert_eq!(Options::parse(&long).unwrap_err(), NotASlug::TooLong);
}

proptest! {
    #[test]
    fn whatever_is_taken_is_its_own_slug(slug in "reseller(\\.[a-c0-1-]{1,3}){0,5}") {
        match Options::parse(&slug) {
            Ok(options) => prop_assert_eq!(options.slug(), slug),
            Err(NotASlug::Unordered { canonical }) => {
                prop_assert!(canonical != slug);
                prop_assert!(Options::parse(&canonical).is_ok());
            }
            Err(NotASlug::Malformed | NotASlug::TooLong) => prop_assert!(slug.contains(".-")),
        }
    }
}

#[test]
fn a_cloud_offers_what_its_policy_says() {
    let check = |cloud: &str, slug: &str| Options::parse(slug).unwrap().check(&policy(cloud));
    for cloud in ["public", "china", "germany", "usgov"] {
        assert_eq!(check(cloud, "reseller.azure-ad"), Ok(()), "{cloud}");
        let unknown = check(cloud, "reseller.azure-ad.nothing");
        assert!(matches!(unknown, Err(NotOffered::ServiceUnknown(id)) if id.as_str() == "nothing"), "{cloud}");
    }
    assert_eq!(check("public", "reseller"), Ok(()));
    for (cloud, number) in [("germany", "R34"), ("usgov", "R33")] {
        let refused = check(cloud, "reseller");
        assert!(matches!(refused, Err(NotOffered::DelegationMandatory(rule)) if rule.as_str() == number), "{cloud}");
    }
}

#[test]
fn rotation_makes_a_live_link_of_any() {
    for state in [State::Active, State::Disabled] {
        let now = Time::from_seconds(5);
        let rotated = link(state).rotated(&key("b"), now);
        assert_eq!((rotated.state, rotated.generation, rotated.version), (State::Active, 8, 10));
        assert_eq!((rotated.key_id.as_str(), rotated.update_time), ("b", now));
        assert_eq!(rotated.create_time, link(state).create_time);
        assert_eq!(rotated.name(), "partners/p/invitationLinks/reseller.azure-ad");
    }
}

#[test]
fn disabling_changes_a_link_once() {
    let now = Time::from_seconds(5);
    let disabled = link(State::Active).disabled(now).unwrap();
    assert_eq!((disabled.state, disabled.generation, disabled.version), (State::Disabled, 7, 10));
    assert_eq!(disabled.update_time, now);
    assert_eq!(disabled.disabled(now), None);
}

#[test]
fn a_link_is_live_while_active_and_its_key_is_there() {
    let keys = Keys::parse(KEYS).unwrap();
    assert!(link(State::Active).is_live(&keys));
    assert!(!link(State::Disabled).is_live(&keys));
    assert!(!Link { key_id: key("gone"), ..link(State::Active) }.is_live(&keys));
}
