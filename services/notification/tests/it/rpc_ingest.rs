//! Taking events in, over the wire.

use api::notification::{IngestEventsRequest, ListEventsRequest};
use testkit::Database;
use tonic::Code;

use crate::world::{PARTNER, World, bring, envelope, refused};

testkit::on_both!(
    events_brought_again_count_for_nothing,
    one_bad_envelope_keeps_the_whole_call_out,
    strangers_bring_nothing
);

async fn events_brought_again_count_for_nothing(database: Database) {
    let world = World::start(&database).await;
    let mut relationship = world.relationship();
    let event = |number| envelope(number, "relationship.established", &["partners/p", "customers/c"]);
    assert_eq!(bring(&mut relationship, vec![event(1), event(2)]).await, 2);
    assert_eq!(bring(&mut relationship, vec![event(1), event(2)]).await, 0);
    let mut invitation = world.ingest_as("public", "invitation");
    assert_eq!(bring(&mut invitation, vec![event(2), event(3)]).await, 1);
    assert_eq!(bring(&mut invitation, vec![]).await, 0);
}

async fn one_bad_envelope_keeps_the_whole_call_out(database: Database) {
    let world = World::start(&database).await;
    let good = envelope(1, "relationship.established", &["partners/p"]);
    let bad = envelope(2, "relationship.established", &["partners/P"]);
    let answer = world.relationship().ingest_events(IngestEventsRequest { envelopes: vec![good, bad] }).await;
    refused(answer).expect_field("envelopes[1].feeds");
    let request = ListEventsRequest { parent: "partners/p".to_owned(), ..ListEventsRequest::default() };
    let list = world.events(PARTNER).list_events(request).await.unwrap().into_inner();
    assert_eq!(list.events, []);
}

async fn strangers_bring_nothing(database: Database) {
    let world = World::start(&database).await;
    let strangers = [
        world.ingest_as("public", "notification"),
        world.ingest_as("china", "relationship"),
        world.ingest_as_gateway(),
    ];
    for mut stranger in strangers {
        let refused = refused(stranger.ingest_events(IngestEventsRequest::default()).await);
        assert_eq!(refused.code, Code::Unauthenticated);
        assert_eq!(refused.reason, "WORKLOAD_IDENTITY_REQUIRED");
    }
}
