//! Who may meet in which cloud, by the country of both tenants (R35, N25-N29).

use cloud::MarketTable;
use cloud::RegionRefusalCause::{CustomerNotServed, NoSharedMarket, PartnerNotServed};

use crate::{CLOUDS, country, policy};

#[test]
fn every_market_has_the_entries_of_n25() {
    let table = MarketTable::embedded();
    let entries = |market: &str| table.rows().iter().filter(|r| r.market == market).count();
    for (market, count) in [
        ("africa", 47),
        ("asia-pacific", 18),
        ("australia", 21),
        ("brazil", 2), // one country, once per currency
        ("canada", 2),
        ("china", 1),
        ("europe", 45),
        ("india", 1),
        ("japan", 1),
        ("korea", 1),
        ("latin-america-and-caribbean", 53),
        ("middle-east-central-and-eastern-europe", 44),
        ("new-zealand", 3),
        ("taiwan", 1),
        ("united-states", 5),
    ] {
        assert_eq!(entries(market), count, "{market}");
    }
}

#[test]
fn partners_and_customers_meet_within_a_market_and_the_countries_of_the_cloud() {
    let markets = MarketTable::embedded();
    for (cloud, partner, customer, refusal) in [
        ("public", "IT", "IT", None),
        ("public", "IT", "DE", None),
        ("public", "GB", "CH", None),
        ("public", "US", "GU", None),
        ("public", "CN", "CN", None),
        ("public", "IT", "US", Some(("R35", NoSharedMarket))),
        ("public", "US", "CA", Some(("R35", NoSharedMarket))),
        ("public", "CN", "HK", Some(("R35", NoSharedMarket))),
        // The tables put Puerto Rico into Latin America and the Caribbean, not with the United States.
        ("public", "US", "PR", Some(("R35", NoSharedMarket))),
        ("public", "PR", "MX", None),
        // In no market: nobody sells there, not even its own partners.
        ("public", "KP", "KP", Some(("R35", NoSharedMarket))),
        ("china", "CN", "CN", None),
        ("china", "CN", "HK", Some(("N25", CustomerNotServed))),
        ("china", "HK", "CN", Some(("N25", PartnerNotServed))),
        ("china", "HK", "HK", Some(("N25", PartnerNotServed))),
        ("germany", "DE", "IT", None),
        ("germany", "CH", "NO", None),
        ("germany", "DE", "GB", Some(("N29", CustomerNotServed))),
        ("germany", "GB", "DE", Some(("N29", PartnerNotServed))),
        ("germany", "DE", "US", Some(("N29", CustomerNotServed))),
        ("usgov", "US", "US", None),
        ("usgov", "US", "GU", None),
        ("usgov", "US", "PR", Some(("N74", CustomerNotServed))),
        ("usgov", "CA", "US", Some(("N74", PartnerNotServed))),
    ] {
        let answer = policy(cloud).same_region(&markets, &country(partner), &country(customer));
        let found = answer.as_ref().err().map(|found| (found.rule.as_str(), found.cause));
        assert_eq!(found, refusal, "{cloud}: {partner} to {customer}");
    }
}

#[test]
fn a_refusal_says_who_cannot_meet_and_why() {
    let markets = MarketTable::embedded();
    let say = |cloud: &str, partner: &str, customer: &str| {
        let answer = policy(cloud).same_region(&markets, &country(partner), &country(customer));
        answer.unwrap_err().to_string()
    };
    assert_eq!(say("public", "IT", "US"), "a partner of IT cannot sell to a customer of US: they share no market");
    assert_eq!(say("germany", "GB", "DE"), "this cloud does not serve partners of GB");
    assert_eq!(say("germany", "DE", "GB"), "this cloud does not serve customers of GB");
}

#[test]
fn roles_of_partner_and_customer_do_not_change_whether_two_countries_may_meet() {
    let markets = MarketTable::embedded();
    let codes: Vec<_> = markets.rows().iter().map(|row| row.code).collect();
    for cloud in CLOUDS {
        let policy = policy(cloud);
        for a in &codes {
            for b in &codes {
                let there = policy.same_region(&markets, a, b).is_ok();
                let back = policy.same_region(&markets, b, a).is_ok();
                assert_eq!(there, back, "{cloud}: {a} and {b}");
            }
        }
    }
}
