//! Bounds: time, size, load, panics, silence; and the end of a process.

use std::collections::BTreeSet;
use std::time::Duration;

use api::notification::WatchEventsRequest;
use api::notification::event_service_client::EventServiceClient;
use api::relationship::access_service_client::AccessServiceClient;
use api::relationship::{CheckAccessRequest, ExplainAccessRequest};
use server::config::Seconds;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt as _;

use crate::system::{System, assert_refused, eventually, told};

fn check(partner: &str) -> CheckAccessRequest {
    CheckAccessRequest { partner: partner.to_owned(), ..CheckAccessRequest::default() }
}

/// That the time is really kept shows where our clock alone runs: at the clamp, below.
#[tokio::test]
async fn a_call_may_take_as_long_as_its_caller_allows_and_a_little_less() {
    let system = System::start().await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let token = system.token("partner", &[]);
    let mut request = system.with_token(check("partners/contoso"), &token);
    request.set_timeout(Duration::from_millis(1500));
    let left = client.check_access(request).await.unwrap().into_inner().rule;
    let left: u64 = left.parse().unwrap();
    assert!((500..=1490).contains(&left), "{left} ms of 1.5 s");
}

#[tokio::test]
async fn what_a_caller_allows_is_clamped() {
    let system = System::start().await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let token = system.token("partner", &[]);
    let mut request = system.with_token(check("partners/contoso"), &token);
    request.set_timeout(Duration::from_secs(3600));
    let left = client.check_access(request).await.unwrap().into_inner().rule;
    assert!((1000..=2000).contains(&left.parse::<u64>().unwrap()), "{left} ms of 2 s");

    let request = system.with_token(ExplainAccessRequest::default(), &token);
    let left = client.explain_access(request).await.unwrap().into_inner().next_page_token;
    assert!((14_000..=15_000).contains(&left.parse::<u64>().unwrap()), "{left} ms of 15 s");
}

#[tokio::test]
async fn a_call_ends_at_the_clamp_though_its_caller_would_wait() {
    let system = System::start_with(|common| {
        common.limits.check_access_max_seconds = Seconds(Duration::from_millis(200));
    })
    .await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let request = system.with_token(check("partners/slow"), &system.token("partner", &[]));
    let status = client.check_access(request).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let system = System::start().await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let token = system.token("partner", &[]);
    let fits = system.with_token(check(&"x".repeat(65_000)), &token);
    assert!(client.check_access(fits).await.is_ok());
    let large = system.with_token(check(&"x".repeat(66_000)), &token);
    let status = client.check_access(large).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);

    let explain = |size| ExplainAccessRequest { partner: "x".repeat(size), ..ExplainAccessRequest::default() };
    assert!(client.explain_access(system.with_token(explain(66_000), &token)).await.is_ok());
    let large = system.with_token(explain(1_100_000), &token);
    let status = client.explain_access(large).await.unwrap_err();
    assert_refused(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);
}

#[tokio::test]
async fn more_calls_than_fit_are_refused_at_once() {
    let system = System::start_with(|common| common.limits.calls_max = 1).await;
    let client = AccessServiceClient::new(system.gateway().await);
    let token = system.token("partner", &[]);
    let slow = system.with_token(check("partners/slow"), &token);
    let mut first = client.clone();
    let held = async move { first.check_access(slow).await };
    let refused = async {
        let mut client = client.clone();
        let mut status = None;
        eventually("a call is refused", async || {
            let request = system.with_token(check("partners/contoso"), &token);
            status = client.check_access(request).await.err();
            status.is_some()
        })
        .await;
        status.unwrap()
    };
    let (held, status) = tokio::join!(held, refused);
    assert_eq!(held.unwrap_err().code(), Code::DeadlineExceeded);
    assert_refused(&status, Code::ResourceExhausted, "OVERLOADED", &[]);
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_server_goes_on() {
    let system = System::start().await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let token = system.token("partner", &[]);
    for partner in ["partners/panic", "partners/broken"] {
        let request = system.with_token(check(partner), &token);
        let status = client.check_access(request).await.unwrap_err();
        let (code, reason, metadata) = told(&status);
        assert_eq!((code, reason.as_str()), (Code::Internal, "INTERNAL"));
        assert_eq!(status.message(), "internal error");
        assert_eq!(metadata["trace_id"].len(), 32, "{metadata:?}");
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");
    }
    let request = system.with_token(check("partners/contoso"), &token);
    assert!(client.check_access(request).await.is_ok());
}

#[tokio::test]
async fn headers_that_are_too_large_do_not_reach_us() {
    let system = System::start().await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let mut request = system.with_token(check("partners/contoso"), &system.token("partner", &[]));
    request.metadata_mut().insert("x-large", "x".repeat(20_000).parse().unwrap());
    assert!(client.check_access(request).await.is_err());
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_opened_again_when_needed() {
    let system = System::start_with(|common| {
        common.limits.connection_idle_max_seconds = Seconds(Duration::from_millis(50));
        common.limits.connections_max = 1;
    })
    .await;
    let token = system.token("partner", &[]);
    // There is room for one connection, and nobody gives one up: the second can only come when the first was closed.
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = AccessServiceClient::new(system.gateway().await);
        eventually("a call is answered", async || {
            let request = system.with_token(check(""), &token);
            client.check_access(request).await.is_ok()
        })
        .await;
        held.push(client);
    }
}

#[tokio::test]
async fn health_is_answered_with_and_without_tls() {
    let system = System::start().await;
    let probes = format!("http://{}", system.running.probe_address.unwrap());
    let plain = tonic::transport::Endpoint::from_shared(probes).unwrap().connect().await.unwrap();
    for channel in [system.gateway().await, plain] {
        let mut client = HealthClient::new(channel);
        for service in ["", "mandate.relationship.v1.AccessService", "mandate.cloud.v1.CloudService"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = client.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
        }
        let service = "mandate.invitation.v1.InvitationService".to_owned();
        let unknown = client.check(HealthCheckRequest { service }).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn reflection_tells_what_is_mounted_and_nothing_else() {
    let system = System::start().await;
    let mut client = ServerReflectionClient::new(system.gateway().await);
    let ask = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { message_request: Some(ask), ..ServerReflectionRequest::default() };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("no list: {answer:?}");
    };
    let listed: BTreeSet<String> = listed.service.into_iter().map(|service| service.name).collect();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "mandate.cloud.v1.CloudService",
        "mandate.notification.v1.EventService",
        "mandate.notification.v1.IngestService",
        "mandate.relationship.v1.AccessService",
        "mandate.relationship.v1.DelegationService",
        "mandate.relationship.v1.EstablishmentService",
    ];
    assert_eq!(listed, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn probes_reach_nothing_but_health() {
    let system = System::start().await;
    let probes = format!("http://{}", system.running.probe_address.unwrap());
    let plain = tonic::transport::Endpoint::from_shared(probes).unwrap().connect().await.unwrap();
    let mut client = AccessServiceClient::new(plain);
    let request = system.with_token(check("partners/contoso"), &system.token("partner", &[]));
    assert_eq!(client.check_access(request).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn calls_in_flight_end_before_the_process_does() {
    let system = System::start_with(|common| {
        common.limits.check_access_max_seconds = Seconds(Duration::from_millis(500));
    })
    .await;
    let probes = format!("http://{}", system.running.probe_address.unwrap());
    let plain = tonic::transport::Endpoint::from_shared(probes).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(plain).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    let mut client = AccessServiceClient::new(system.gateway().await);
    let slow = system.with_token(check("partners/slow"), &system.token("partner", &[]));
    let ending = async {
        // The stream's head has come, so the slow call before it has begun on the same connection.
        let mut events = EventServiceClient::new(system.gateway().await);
        let token = system.token("partner", &[]);
        let watch = system.with_token(WatchEventsRequest::default(), &token);
        drop(events.watch_events(watch).await.unwrap());
        system.shutdown.begin();
        health.message().await.unwrap().unwrap().status()
    };
    let (answer, status) = tokio::join!(client.check_access(slow), ending);
    assert_refused(&answer.unwrap_err(), Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
    assert_eq!(status, ServingStatus::NotServing);
    drop(client);
    assert!(system.shutdown.drained(Duration::from_secs(5)).await);
    assert!(!system.shutdown.has_failed());
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_cut_off_with_the_process() {
    let system = System::start_with(|common| {
        common.limits.drain_max_seconds = Seconds(Duration::from_millis(200));
    })
    .await;
    let mut client = EventServiceClient::new(system.gateway().await);
    let token = system.token("partner", &[]);
    let watch = system.with_token(WatchEventsRequest::default(), &token);
    let mut events = client.watch_events(watch).await.unwrap().into_inner();
    assert!(events.message().await.unwrap().is_some());
    system.shutdown.begin();
    assert!(system.shutdown.drained(Duration::from_secs(5)).await);
    assert!(events.message().await.is_err());
}

#[tokio::test]
async fn a_task_that_panics_ends_the_process() {
    let shutdown = server::Shutdown::new();
    shutdown.spawn("doomed", async { panic!("as the test asks") });
    shutdown.begun().await;
    assert!(shutdown.has_failed());
}
