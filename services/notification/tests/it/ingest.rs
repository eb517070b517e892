//! What is taken off the wire, and what is refused: pure.

use api::ErrorReason;
use api::notification::{Event, EventEnvelope};
use notification::error::Error;
use notification::wire::ingest::arrivals;
use prost::Message as _;
use tonic::Code;
use tonic_types::StatusExt as _;

fn envelope() -> EventEnvelope {
    EventEnvelope {
        event_id: "0193b0c4-0000-7000-8000-000000000001".to_owned(),
        feeds: vec!["customers/c".to_owned(), "partners/p".to_owned()],
        event: Some(Event {
            r#type: "relationship.established".to_owned(),
            event_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 1000 }),
            cloud: "public".to_owned(),
            ..Event::default()
        }),
        traceparent: String::new(),
    }
}

/// The fields that are refused in this envelope, which is the second of a call.
fn refused(change: impl FnOnce(&mut EventEnvelope)) -> Vec<String> {
    let mut changed = envelope();
    change(&mut changed);
    let status = arrivals(&[envelope(), changed], "public").unwrap_err().status("public");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_error_info().unwrap().reason, ErrorReason::FieldInvalid.wire());
    let fields = status.get_details_bad_request().unwrap().field_violations;
    fields.into_iter().map(|violation| violation.field).collect()
}

fn event(envelope: &mut EventEnvelope) -> &mut Event {
    envelope.event.as_mut().unwrap()
}

#[test]
fn a_good_envelope_is_kept_without_name_and_sequence() {
    let mut named = envelope();
    event(&mut named).name = "customers/x/events/y".to_owned();
    event(&mut named).sequence = 99;
    let arrivals = arrivals(&[named], "public").unwrap();
    assert_eq!(arrivals[0].event_time.micros(), 1_800_000_000_000_001);
    assert_eq!(Event::decode(arrivals[0].payload.as_slice()), Ok(envelope().event.unwrap()));
}

#[test]
fn an_id_or_a_feed_that_can_never_be_taken_is_named() {
    for id in ["", "x", "{0193b0c4-0000-7000-8000-000000000001}", "0193B0C4-0000-7000-8000-000000000001"] {
        let fields = refused(|envelope| envelope.event_id = id.to_owned());
        assert_eq!(fields, ["envelopes[1].event_id"], "{id}");
    }
    for name in ["", "customers/", "customers/C", "customers/c/relationships/r", "operators/o"] {
        let fields = refused(|envelope| envelope.feeds[1] = name.to_owned());
        assert_eq!(fields, ["envelopes[1].feeds"], "{name}");
    }
    let changes: [fn(&mut EventEnvelope); 3] = [
        |envelope| envelope.feeds.clear(),
        |envelope| envelope.feeds.push("partners/q".to_owned()),
        |envelope| envelope.feeds[1] = "customers/c".to_owned(),
    ];
    for change in changes {
        assert_eq!(refused(change), ["envelopes[1].feeds"]);
    }
}

#[test]
fn an_event_that_can_never_be_taken_is_named_with_its_field() {
    const OVERFLOW: prost_types::Timestamp = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
    type Change = fn(&mut EventEnvelope);
    let changes: [(&str, Change); 5] = [
        ("event", |envelope| envelope.event = None),
        ("event.type", |envelope| event(envelope).r#type = "established".to_owned()),
        ("event.event_time", |envelope| event(envelope).event_time = None),
        ("event.event_time", |envelope| event(envelope).event_time = Some(OVERFLOW)),
        ("event.cloud", |envelope| event(envelope).cloud = "china".to_owned()),
    ];
    for (field, change) in changes {
        assert_eq!(refused(change), [format!("envelopes[1].{field}")]);
    }
}

#[test]
fn all_bad_envelopes_are_named_up_to_a_bound() {
    let mut bad = envelope();
    bad.event_id.clear();
    let status = arrivals(&vec![bad; 500], "public").unwrap_err().status("public");
    let fields = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(fields.len(), 10);
    assert_eq!(fields[9].field, "envelopes[9].event_id");
}

#[test]
fn more_than_500_are_refused_and_none_is_fine() {
    assert!(arrivals(&vec![envelope(); 500], "public").is_ok());
    let Err(Error::Invalid(violation, _)) = arrivals(&vec![envelope(); 501], "public") else {
        panic!("501 were taken")
    };
    assert_eq!(violation.field, "envelopes");
    assert_eq!(arrivals(&[], "public").unwrap(), []);
}
