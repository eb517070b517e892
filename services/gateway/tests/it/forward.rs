//! That a call arrives whole and its answer returns unchanged, or that the caller learns why not.

use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use server::Shutdown;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::call::{Answer, CHECK, Call, RESOLVE, WATCH, connect};
use crate::listener::tls_section;
use crate::world::{AGENT, World, nowhere, parse, section, start};
use testkit::certificates::Authority;
use testkit::provider::Provider;

#[tokio::test]
async fn a_unary_call_passes_unchanged_both_ways() {
    let world = World::start().await;
    let answer = Call::new(RESOLVE)
        .token(&world.public.token(AGENT))
        .header("x-request-own", "kept")
        .header("x-bin-bin", "AAEC")
        .send(&mut world.channel())
        .await;
    assert_eq!(answer.status().code(), Code::Ok);
    assert_eq!(answer.data, [0, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(answer.header("saw-x-request-own"), "kept");
    assert_eq!(answer.header("saw-x-bin-bin"), "AAEC");
    assert_eq!(answer.header("mandate-consistency-token"), "kept");
    assert_eq!(answer.trailers["x-trailer"], "kept");
}

#[tokio::test]
async fn what_a_caller_may_not_say_stays_behind_and_the_trace_goes_on() {
    let world = World::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = Call::new(RESOLVE)
        .token(&world.public.token(AGENT))
        .header("traceparent", trace)
        .header("x-forwarded-for", "10.0.0.1")
        .header("forwarded", "for=10.0.0.1")
        .header("mandate-caller-internal", "operator")
        .send(&mut world.channel())
        .await;
    for name in ["x-forwarded-for", "forwarded", "mandate-caller-internal"] {
        assert_eq!(answer.header(&format!("saw-{name}")), "", "{name}");
    }
    assert_eq!(answer.header("saw-te"), "trailers");
    assert!(answer.header("saw-traceparent").contains(&trace[3..35]), "{answer:?}");
}

#[tokio::test]
async fn a_refusal_of_the_service_arrives_with_all_its_details() {
    let world = World::start().await;
    let call = |what: &str| Call::new(RESOLVE).token(&world.public.token(AGENT)).header("x-do", what);
    let answer = call("refuse").send(&mut world.channel()).await;
    let metadata = [("rule", "AIP-203"), ("cloud", "public")];
    answer.refused().expect(Code::InvalidArgument, "FIELD_INVALID", &metadata, true);
    let status = answer.status();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!((fields[0].field.as_str(), fields[0].description.as_str()), ("name", "is bad"));
    let wait = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(7)));
    assert_eq!(answer.header("x-own"), "kept");

    let late = call("refuse-late").send(&mut world.channel()).await;
    assert_eq!(late.data, b"\0\0\0\0\x04part");
    let metadata = [("rule", "AIP-154"), ("cloud", "public")];
    late.refused().expect(Code::Aborted, "ETAG_MISMATCH", &metadata, false);
}

#[tokio::test]
async fn a_stream_passes_both_ways_as_it_comes() {
    let world = World::start().await;
    let (sender, receiver) = mpsc::channel(1);
    let mut channel = world.channel();
    let call = Call::new(WATCH).token(&world.public.token(AGENT)).body(StreamBody::new(ReceiverStream::new(receiver)));
    let mut body = call.begin(&mut channel).await.into_body();
    for number in 0..20_u8 {
        // The next message is sent only when this one came back: nothing on the way waits for more.
        let message = Bytes::from(vec![0, 0, 0, 0, 1, number]);
        let frame = Frame::data(message.clone());
        sender.send(Ok::<_, std::io::Error>(frame)).await.unwrap();
        let echoed = body.frame().await.unwrap().unwrap();
        assert_eq!(echoed.into_data().unwrap(), message);
    }
    drop(sender);
    let trailers = body.frame().await.unwrap().unwrap().into_trailers();
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn streams_have_no_deadline_unless_the_caller_sets_one() {
    let world = World::start().await;
    let call = || Call::new(WATCH).token(&world.public.token(AGENT));
    let answer = call().send(&mut world.channel()).await;
    assert_eq!(answer.header("saw-grpc-timeout"), "");
    let answer = call().header("grpc-timeout", "1H").send(&mut world.channel()).await;
    assert_eq!(answer.header("saw-grpc-timeout"), "3600000m");
}

#[tokio::test]
async fn a_deadline_is_handed_on_and_capped() {
    let world = World::start().await;
    for (path, asked, sent) in [
        (RESOLVE, None, "15000000u"),
        (RESOLVE, Some("1H"), "15000000u"),
        (RESOLVE, Some("5S"), "5000000u"),
        (CHECK, None, "2000000u"),
        (CHECK, Some("5S"), "2000000u"),
    ] {
        let mut call = Call::new(path).token(&world.public.token(AGENT));
        if let Some(asked) = asked {
            call = call.header("grpc-timeout", asked);
        }
        let answer = call.send(&mut world.channel()).await;
        assert_eq!(answer.header("saw-grpc-timeout"), sent, "{path} {asked:?}");
    }
}

#[tokio::test]
async fn a_service_that_takes_too_long_ends_the_call_before_and_after_its_head() {
    let world = World::with(nowhere().await, "limits.call_max_seconds = 0.2").await;
    for what in ["hang", "hang-late"] {
        let answer =
            Call::new(RESOLVE).token(&world.public.token(AGENT)).header("x-do", what).send(&mut world.channel()).await;
        let metadata = [("rule", "AIP-193"), ("cloud", "public")];
        answer.refused().expect(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &metadata, false);
    }
}

#[tokio::test]
async fn a_cloud_that_is_down_does_not_concern_the_others() {
    let world = World::with(nowhere().await, "").await;
    let mut channel = world.channel();
    for _ in 0..3 {
        let refused = Call::new(RESOLVE).token(&world.china.token(AGENT)).refused(&mut channel).await;
        let metadata = [("rule", "D10"), ("cloud", "china")];
        refused.expect(Code::Unavailable, "CLOUD_INSTANCE_UNREACHABLE", &metadata, true);

        let answer = Call::new(RESOLVE).token(&world.public.token(AGENT)).send(&mut channel).await;
        assert_eq!(answer.status().code(), Code::Ok);
    }
}

#[tokio::test]
async fn a_cloud_that_says_nothing_is_given_up_for_all_waiting_calls_at_once() {
    // It takes connections and never proves itself, so that each try to connect lasts until it is given up. One after the
    // other, the last of the calls would run into their deadlines.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let authority = Authority::new();
    let provider = Provider::start().await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndevelopment = true\nlimits = {{ calls_max = 8, call_max_seconds = 5 }}\n{}{}",
        tls_section(&authority.gateway()),
        section("public", provider.uri(), &uri),
    );
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut channel = connect(running.address, "localhost");
        let call = Call::new(RESOLVE).token(&provider.token(AGENT));
        calls.spawn(async move { call.refused(&mut channel).await });
    }
    while let Some(refused) = calls.join_next().await {
        let metadata = [("rule", "D10"), ("cloud", "public")];
        let refused = refused.unwrap();
        refused.expect(Code::Unavailable, "CLOUD_INSTANCE_UNREACHABLE", &metadata, true);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_a_status() {
    let world = World::start().await;
    let (sender, receiver) = mpsc::channel::<Result<_, std::io::Error>>(1);
    let call = Call::new(RESOLVE)
        .token(&world.public.token(AGENT))
        .header("x-do", "break")
        .body(StreamBody::new(ReceiverStream::new(receiver)));
    let mut channel = world.channel();
    let mut body = call.begin(&mut channel).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, b"\0\0\0\0\x04part".as_slice());
    drop(sender);
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    let answer = Answer::of_trailers(trailers);
    let metadata = [("rule", "D10"), ("cloud", "public")];
    answer.refused().expect(Code::Unavailable, "CLOUD_INSTANCE_UNREACHABLE", &metadata, true);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_announced_or_not() {
    let world = World::start().await;
    const FRAME: usize = 5;
    for (path, most) in [(RESOLVE, 1 << 20), (CHECK, 64 << 10)] {
        for (size, fits) in [(most + FRAME, true), (most + FRAME + 1, false)] {
            let body = vec![0; size];
            let announced = Full::new(Bytes::from(body.clone()));
            let pieces: Vec<_> = body
                .chunks(10_000)
                .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece))))
                .collect();
            let unannounced = StreamBody::new(tokio_stream::iter(pieces));
            let call = || Call::new(path).token(&world.public.token(AGENT));
            for call in [call().body(announced), call().body(unannounced)] {
                let answer = call.send(&mut world.channel()).await;
                if fits {
                    assert_eq!(answer.status().code(), Code::Ok);
                    assert_eq!(answer.data.len(), size);
                    continue;
                }
                let refused = answer.refused();
                assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
            }
        }
    }
}

#[tokio::test]
async fn a_cloud_with_too_much_to_do_refuses_at_once_and_recovers() {
    let world = World::with(nowhere().await, "limits.calls_max = 2").await;
    let mut channel = world.channel();
    let call = || Call::new(RESOLVE).token(&world.public.token(AGENT));
    let mut held = Vec::new();
    for _ in 0..2 {
        let response = call().header("x-do", "hang-late").begin(&mut channel).await;
        assert_eq!(response.status(), 200);
        held.push(response);
    }
    let refused = call().refused(&mut channel).await;
    let metadata = [("rule", "AIP-194"), ("cloud", "public")];
    refused.expect(Code::ResourceExhausted, "OVERLOADED", &metadata, true);
    // Streams have their own room, and a caller that leaves makes room again.
    let stream = Call::new(WATCH).token(&world.public.token(AGENT));
    assert_eq!(stream.send(&mut channel).await.status().code(), Code::Ok);
    drop(held);
    while call().send(&mut channel).await.status().code() != Code::Ok {
        tokio::task::yield_now().await;
    }
}
