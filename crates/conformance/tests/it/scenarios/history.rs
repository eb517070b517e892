//! The history that both sides read: what each change adds to whose feed, listed, watched, and resumed by sequence.

use std::time::Duration;

use api::invitation::RotateInvitationLinkRequest;
use api::notification::resource_snapshot::Resource;
use api::notification::watch_events_response::Response as Watched;
use api::notification::{Event, GetEventRequest, ListEventsRequest, WatchEventsRequest};
use api::relationship::{ReassignDelegationRequest, RemoveDelegationRequest};
use tokio::time::timeout;

use super::Caller;
use super::cloud::{CLOUDS, Cloud};
use super::system::System;

/// How long an event may take from its cause to its reader, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// The next events of a feed after a sequence, as many as these, watched as they come.
pub(crate) async fn watched(caller: &Caller, feed: &str, after_sequence: i64, count: usize) -> Vec<Event> {
    watched_until(caller, feed, after_sequence, |events| events.len() >= count).await
}

/// The next events of a feed after a sequence, watched as they come until there are enough.
pub(crate) async fn watched_until(
    caller: &Caller,
    feed: &str,
    after_sequence: i64,
    is_enough: impl Fn(&[Event]) -> bool,
) -> Vec<Event> {
    let request = WatchEventsRequest { parent: feed.to_owned(), after_sequence };
    let mut events = Vec::new();
    let watching = async {
        let mut stream = caller.events().watch_events(request).await.expect("its own feed").into_inner();
        while !is_enough(&events) {
            let answer = stream.message().await.expect("the stream lives").expect("and goes on");
            match answer.response.expect("an event or a sign of life") {
                Watched::Event(event) => events.push(event),
                Watched::Heartbeat(heartbeat) => assert!(heartbeat.sequence >= after_sequence),
            }
        }
    };
    let ended = timeout(PATIENCE, watching).await;
    assert!(ended.is_ok(), "of the events of {feed} came {:?}", types(&events));
    events
}

pub(crate) fn types(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.r#type.as_str()).collect()
}

/// The whole feed, by small pages.
pub(crate) async fn listed(caller: &Caller, feed: &str) -> Vec<Event> {
    listed_by(caller, feed, 3).await
}

/// The whole feed, by pages of this size.
pub(crate) async fn listed_by(caller: &Caller, feed: &str, page_size: i32) -> Vec<Event> {
    let mut events = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListEventsRequest { parent: feed.to_owned(), page_size, page_token, ..Default::default() };
        let page = caller.events().list_events(request).await.expect("its own feed").into_inner();
        events.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return events;
        }
    }
}

struct Sides {
    cloud: &'static Cloud,
    ada: Caller,
    bob: Caller,
    gwen: Caller,
    customer: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_read_what_was_accepted_removed_reassigned_and_rotated() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let sides = Sides {
            ada: system.person(cloud, "ada").await,
            bob: system.person(cloud, "bob").await,
            gwen: system.person(cloud, "gwen").await,
            customer: cloud.customer(0),
            cloud,
        };
        let seen = sides.changes().await;
        sides.rotation().await;
        sides.reading(&seen).await;
    }
}

impl Sides {
    /// Accepts, removes and reassigns. Returns the customer's feed.
    async fn changes(&self) -> Vec<Event> {
        let (cloud, gwen, customer) = (self.cloud, &self.gwen, self.customer.as_str());
        let link = self.ada.link(&cloud.partner(0), "reseller.azure-ad.office-365").await.expect("a link");
        let answer = gwen.accept(cloud.acceptance(&link.token, customer)).await.expect("accepted").into_inner();
        let mut expected = vec!["relationship.established"];
        expected.extend(cloud.agreement.map(|_| "agreement.accepted"));
        expected.extend(["delegation.granted"; 2]);
        let first = watched(gwen, customer, 0, expected.len()).await;
        let mut happened = types(&first);
        happened.sort_unstable();
        expected.sort_unstable();
        assert_eq!(happened, expected, "{}", cloud.id);
        assert!(first.iter().all(|event| event.actor == format!("{customer}/users/gwen")));

        let theirs = self.bob.link(&cloud.partner(1), "reseller.azure-ad").await.expect("a link");
        let held = |service: &str| {
            let found = answer.delegations.iter().find(|held| held.service == service);
            found.expect("it was granted").name.clone()
        };
        let remove = RemoveDelegationRequest {
            name: held("azure-ad"),
            reason: "we look after it".to_owned(),
            ..Default::default()
        };
        gwen.delegations().remove_delegation(remove).await.expect("R27");
        gwen.accept(cloud.acceptance(&theirs.token, customer)).await.expect("accepted");
        let reassign =
            ReassignDelegationRequest { name: held("office-365"), to_partner: cloud.partner(1), ..Default::default() };
        gwen.delegations().reassign_delegation(reassign).await.expect("R46");
        let last = first.last().expect("there are some").sequence;
        let rest = watched(gwen, customer, last, 5).await;
        let mut happened = types(&rest);
        assert_eq!(happened.first(), Some(&"delegation.removedByCustomer"));
        assert_eq!(rest[0].reason, "we look after it");
        assert!(matches!(
            rest[0].after.as_ref().and_then(|after| after.resource.as_ref()),
            Some(Resource::Delegation(_))
        ));
        happened.sort_unstable();
        let expected = [
            "delegation.granted",
            "delegation.granted",
            "delegation.reassigned",
            "delegation.removedByCustomer",
            "relationship.established",
        ];
        assert_eq!(happened, expected, "{}", cloud.id);
        [first, rest].concat()
    }

    async fn rotation(&self) {
        let request = WatchEventsRequest { parent: self.cloud.partner(0), after_sequence: -1 };
        let mut news = self.ada.events().watch_events(request).await.expect("its own feed").into_inner();
        let first = news.message().await.expect("the stream lives").and_then(|answer| answer.response);
        let Some(Watched::Heartbeat(place)) = first else {
            panic!("a sign of life comes first: {first:?}");
        };
        let (feed, name) =
            (self.cloud.partner(0), format!("{}/invitationLinks/reseller.office-365", self.cloud.partner(0)));
        self.ada.link(&feed, "reseller.office-365").await.expect("a link");
        let request = RotateInvitationLinkRequest { name: name.clone(), ..Default::default() };
        self.ada.invitations().rotate_invitation_link(request).await.expect("rotated");
        // Whoever watches for what is to come gets that, and nothing of what was.
        let next = timeout(PATIENCE, news.message()).await.expect("it comes").expect("the stream lives");
        let Some(Watched::Event(rotated)) = next.and_then(|answer| answer.response) else {
            panic!("an event comes next");
        };
        assert_eq!((rotated.r#type.as_str(), rotated.sequence), ("invitationLink.rotated", place.sequence + 1));
        assert_eq!((rotated.resource, rotated.actor), (name, format!("{feed}/users/ada")));
        let Some(Resource::InvitationLink(after)) = rotated.after.and_then(|after| after.resource) else {
            panic!("a link was rotated");
        };
        assert!(after.uri.is_empty() && after.token.is_empty(), "no link and no token in the history");
    }

    /// The feed of the customer by other ways, and what of it stands in those of the partners.
    async fn reading(&self, seen: &[Event]) {
        let (gwen, customer) = (&self.gwen, self.customer.as_str());
        assert_eq!(listed(gwen, customer).await, seen, "listed as watched");
        let sequences: Vec<i64> = seen.iter().map(|event| event.sequence).collect();
        let gapless: Vec<i64> = (1..).take(sequences.len()).collect();
        assert_eq!(sequences, gapless, "from 1 without gaps");
        for place in [1, 3, seen.len() - 1] {
            let rest = watched(gwen, customer, sequences[place - 1], seen.len() - place).await;
            assert_eq!(rest, seen[place..], "resumed, nothing is missed and nothing comes twice");
        }
        let one = GetEventRequest { name: seen[0].name.clone() };
        assert_eq!(gwen.events().get_event(one).await.expect("its own").into_inner(), seen[0]);
        let filter = "type = \"delegation.granted\"".to_owned();
        let request = ListEventsRequest { parent: customer.to_owned(), filter, ..Default::default() };
        let granted = gwen.events().list_events(request).await.expect("its own").into_inner().events;
        assert_eq!(granted.len(), 4);

        for (place, agent, expected) in
            [(0, &self.ada, "delegation.removedByCustomer"), (1, &self.bob, "delegation.granted")]
        {
            let feed = self.cloud.partner(place);
            let events = listed(agent, &feed).await;
            assert!(types(&events).contains(&expected), "{feed}: {:?}", types(&events));
            // The same event, under the name of the other feed.
            let id = |name: &str| name.rsplit('/').next().map(str::to_owned);
            for event in events.iter().filter(|event| event.resource.starts_with("customers/")) {
                assert!(seen.iter().any(|ours| id(&ours.name) == id(&event.name)), "{event:?}");
            }
        }
    }
}
