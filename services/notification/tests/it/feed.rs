//! Who reads which feed, where a watch begins, and what becomes of arrivals: pure.

use notification::domain::event::{EventType, by_feed};
use notification::domain::feed::{AheadOfFeed, Feeds, Reader, Start};

use crate::kept::{arrival, customer, partner};

#[test]
fn a_tenant_reads_its_own_feed_and_no_other() {
    let feeds = [partner("a"), partner("b"), customer("a"), customer("b")];
    let readers = [
        (Reader::Partner(cloud::TenantId::parse("a").unwrap()), [true, false, false, false]),
        (Reader::Customer(cloud::TenantId::parse("a").unwrap()), [false, false, true, false]),
        (Reader::Operator, [true; 4]),
        (Reader::Stranger, [false; 4]),
    ];
    for (reader, expected) in readers {
        assert_eq!(feeds.each_ref().map(|feed| reader.may_read(feed)), expected, "{reader:?}");
    }
}

#[test]
fn an_event_goes_to_one_or_two_different_feeds() {
    let feeds = |feeds: &[_]| Feeds::of(feeds.to_vec()).is_some();
    assert!(feeds(&[partner("a")]));
    assert!(feeds(&[partner("a"), customer("a")]));
    assert!(!feeds(&[]));
    assert!(!feeds(&[partner("a"), partner("a")]));
    assert!(!feeds(&[partner("a"), customer("a"), customer("b")]));
}

#[test]
fn a_watch_begins_where_it_is_told_but_never_beyond_the_feed() {
    assert_eq!(Start::Next.position(7), Ok(7));
    assert_eq!(Start::After(0).position(7), Ok(0));
    assert_eq!(Start::After(7).position(7), Ok(7));
    assert_eq!(Start::After(8).position(7), Err(AheadOfFeed { last: 7 }));
    assert_eq!(Start::After(0).position(0), Ok(0));
}

#[test]
fn feeds_are_locked_in_one_order_whatever_arrives() {
    let both = [partner("p"), customer("c")];
    let swapped = [customer("c"), partner("p")];
    let forth = [arrival(1, "a.b", &both[..1]), arrival(2, "a.b", &swapped), arrival(3, "a.b", &both)];
    let back: Vec<_> = forth.iter().rev().cloned().collect();
    let order = |arrivals| by_feed(arrivals).into_keys().cloned().collect::<Vec<_>>();
    assert_eq!(order(&forth), order(&back));
    let of_partner: Vec<u128> = by_feed(&forth)[&partner("p")].iter().map(|arrival| arrival.id.as_u128()).collect();
    assert_eq!(of_partner, [1, 2, 3], "within a feed the order of arrival is kept");
}

#[test]
fn a_type_is_two_words_with_a_dot_between() {
    for good in ["relationship.established", "invitationLink.rotated", "delegation.removedByCustomer"] {
        assert_eq!(EventType::parse(good).map(|good| good.to_string()).as_deref(), Some(good));
    }
    let long = format!("a.{}", "b".repeat(63));
    for bad in ["", ".", "a", "a.", ".b", "a.b.c", "A.b", "a_b.c", "a.b ", "ä.b", &long] {
        assert_eq!(EventType::parse(bad), None, "{bad}");
    }
}
