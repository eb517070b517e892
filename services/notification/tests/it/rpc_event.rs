//! Reading events, over the wire.

use api::notification::{Event, GetEventRequest, ListEventsRequest, ListEventsResponse};
use testkit::Database;
use testkit::provider::Identity;
use tonic::{Code, Status};

use crate::world::{CUSTOMER, Events, OPERATOR, PARTNER, World, bring, envelope, refused};

testkit::on_both!(
    an_event_is_read_as_it_was_brought,
    a_feed_is_listed_in_pages_and_by_type,
    a_feed_without_events_is_empty,
    feeds_of_others_are_not_there,
    malformed_names_are_refused,
    lists_that_cannot_be_given_name_their_field,
    who_does_not_say_who_it_is_reads_nothing,
);

const BOTH: &[&str] = &["partners/p", "customers/c"];

async fn get(events: &mut Events, name: &str) -> Result<Event, Status> {
    let answer = events.get_event(GetEventRequest { name: name.to_owned() }).await;
    answer.map(tonic::Response::into_inner)
}

async fn list(events: &mut Events, request: ListEventsRequest) -> Result<ListEventsResponse, Status> {
    events.list_events(request).await.map(tonic::Response::into_inner)
}

fn of(parent: &str) -> ListEventsRequest {
    ListEventsRequest { parent: parent.to_owned(), ..ListEventsRequest::default() }
}

async fn an_event_is_read_as_it_was_brought(database: Database) {
    let world = World::start(&database).await;
    let brought = envelope(7, "relationship.established", BOTH);
    bring(&mut world.relationship(), vec![envelope(1, "a.b", &["customers/c"]), brought.clone()]).await;
    for (identity, parent, sequence) in
        [(PARTNER, "partners/p", 1), (CUSTOMER, "customers/c", 2), (OPERATOR, "customers/c", 2)]
    {
        let name = format!("{parent}/events/{}", brought.event_id);
        let event = get(&mut world.events(identity), &name).await.unwrap();
        assert_eq!(event, Event { name, sequence, ..brought.event.clone().unwrap() });
    }
}

async fn a_feed_is_listed_in_pages_and_by_type(database: Database) {
    let world = World::start(&database).await;
    let types = ["delegation.granted", "relationship.established"];
    let envelopes = (0..7).map(|number| envelope(number, types[usize::from(number % 3 == 0)], BOTH)).collect();
    bring(&mut world.relationship(), envelopes).await;
    let mut events = world.events(CUSTOMER);
    for (filter, page_size, expected) in [
        ("", 3, vec![vec![1, 2, 3], vec![4, 5, 6], vec![7]]),
        ("", 0, vec![vec![1, 2, 3, 4, 5, 6, 7]]),
        ("type = \"relationship.established\"", 2, vec![vec![1, 4], vec![7]]),
        ("type = agreement.accepted", 2, vec![vec![]]),
    ] {
        let mut request = ListEventsRequest { page_size, filter: filter.to_owned(), ..of("customers/c") };
        let mut pages = Vec::new();
        loop {
            let page = list(&mut events, request.clone()).await.unwrap();
            pages.push(page.events.iter().map(|event| event.sequence).collect::<Vec<i64>>());
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(pages, expected, "{filter}");
    }
}

async fn a_feed_without_events_is_empty(database: Database) {
    let world = World::start(&database).await;
    for (identity, parent) in [(PARTNER, "partners/p"), (CUSTOMER, "customers/c"), (OPERATOR, "customers/nobody")] {
        let page = list(&mut world.events(identity), of(parent)).await.unwrap();
        assert_eq!(page, ListEventsResponse::default());
    }
}

/// I12: the same answer whether or not there is something to see.
async fn feeds_of_others_are_not_there(database: Database) {
    let world = World::start(&database).await;
    let brought = envelope(1, "a.b", &["partners/c", "customers/p"]);
    bring(&mut world.relationship(), vec![brought.clone(), envelope(2, "a.b", BOTH)]).await;
    let missing = envelope(9, "a.b", BOTH).event_id;
    // Other tenants, of either kind, known or not; one's own id as the other kind.
    let others = [
        (PARTNER, ["partners/c", "partners/x", "customers/p", "customers/c"]),
        (CUSTOMER, ["customers/p", "customers/x", "partners/c", "partners/p"]),
    ];
    for (identity, parents) in others {
        let mut events = world.events(identity);
        for parent in parents {
            let listed = refused(list(&mut events, of(parent)).await);
            listed.expect(Code::NotFound, "RESOURCE_NOT_FOUND", &[("rule", "I12"), ("resource", parent)], false);
            for id in [&brought.event_id, &missing] {
                let name = format!("{parent}/events/{id}");
                let got = refused(get(&mut events, &name).await);
                got.expect(Code::NotFound, "RESOURCE_NOT_FOUND", &[("rule", "I12"), ("resource", &name)], false);
            }
        }
    }
    let name = format!("partners/p/events/{missing}");
    let got = refused(get(&mut world.events(PARTNER), &name).await);
    got.expect(Code::NotFound, "RESOURCE_NOT_FOUND", &[("rule", "I12"), ("resource", &name)], false);
}

async fn malformed_names_are_refused(database: Database) {
    let world = World::start(&database).await;
    let mut events = world.events(PARTNER);
    for name in ["", "partners/p", "partners/p/events/", "partners/p/events/1", "partners/p/events/x/y", "events/x"] {
        refused(get(&mut events, name).await).expect_field("name");
    }
    for parent in ["", "partners/", "partners/-", "partners/P", "operators/o", "partners/p/events"] {
        refused(list(&mut events, of(parent)).await).expect_field("parent");
    }
}

async fn lists_that_cannot_be_given_name_their_field(database: Database) {
    let world = World::start(&database).await;
    let mut events = world.events(PARTNER);
    bring(&mut world.relationship(), vec![envelope(1, "a.b", BOTH), envelope(2, "a.b", BOTH)]).await;
    let page = list(&mut events, ListEventsRequest { page_size: 1, ..of("partners/p") }).await.unwrap();
    let other_list =
        ListEventsRequest { filter: "type = a.b".to_owned(), page_token: page.next_page_token, ..of("partners/p") };
    refused(list(&mut events, other_list).await).expect_field("page_token");
    let token = ListEventsRequest { page_token: "x".to_owned(), ..of("partners/p") };
    refused(list(&mut events, token).await).expect_field("page_token");
    refused(list(&mut events, ListEventsRequest { page_size: -1, ..of("partners/p") }).await).expect_field("page_size");
    for filter in ["actor = x", "type", "type = established"] {
        let filtered = ListEventsRequest { filter: filter.to_owned(), ..of("partners/p") };
        refused(list(&mut events, filtered).await).expect_field("filter");
    }
}

async fn who_does_not_say_who_it_is_reads_nothing(database: Database) {
    let world = World::start(&database).await;
    let nobody = refused(world.nobody().list_events(of("partners/p")).await);
    assert_eq!((nobody.code, nobody.reason.as_str()), (Code::Unauthenticated, "TOKEN_REQUIRED"));
    let workload = Identity { kind: "workload", tenant: "p", subject: "billing", roles: &["access_checker"] };
    let workload = refused(list(&mut world.events(workload), of("partners/p")).await);
    assert_eq!((workload.code, workload.reason.as_str()), (Code::PermissionDenied, "PRINCIPAL_KIND_NOT_ALLOWED"));
    assert_eq!(workload.metadata["kind"], "workload");
}
