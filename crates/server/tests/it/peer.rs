//! Calls from service to service: what they carry, how long they last, and when they are made again.

use std::time::{Duration, Instant};

use api::relationship::access_service_client::AccessServiceClient;
use api::relationship::establishment_service_client::EstablishmentServiceClient;
use api::relationship::{CheckAccessRequest, EstablishRequest};
use cloud::CloudId;
use server::config::{Seconds, Tls};
use server::peer::PeerSettings;
use server::{Caller, Peer};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::system::{self, System, assert_refused};

fn public() -> CloudId {
    CloudId::parse("public").unwrap()
}

fn settings(address: std::net::SocketAddr) -> PeerSettings {
    PeerSettings { uri: format!("https://{address}"), server_name: Some("localhost".to_owned()) }
}

fn invitation(system: &System) -> Tls {
    system::certify(&system.authority, "spiffe://mandate.internal/public/invitation")
}

fn caller(system: &System, kind: &str, roles: &[&str]) -> Caller {
    Caller {
        kind: api::rule::PrincipalKind::Unspecified,
        tenant: cloud::TenantId::parse("contoso").unwrap(),
        subject: "ann".to_owned(),
        roles: std::collections::BTreeSet::new(),
        token: system.issuer.sign(&system.token(kind, roles)),
    }
}

#[tokio::test]
async fn a_call_shows_the_service_and_the_caller_it_is_made_for() {
    let system = System::start().await;
    let peer =
        Peer::connect("notification", &settings(system.running.address), &invitation(&system), &public()).unwrap();
    let admin = caller(&system, "customer", &["global_admin"]);
    let mut client = EstablishmentServiceClient::new(peer.calls_for(&admin));
    assert!(client.establish(EstablishRequest::default()).await.is_ok());
    let mut client = EstablishmentServiceClient::new(peer.calls());
    let status = client.establish(EstablishRequest::default()).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "TOKEN_REQUIRED", &[]);
}

#[tokio::test]
async fn a_refusal_passes_unchanged() {
    let system = System::start().await;
    let peer =
        Peer::connect("notification", &settings(system.running.address), &invitation(&system), &public()).unwrap();
    let nobody = caller(&system, "customer", &["billing_admin"]);
    let mut client = EstablishmentServiceClient::new(peer.calls_for(&nobody).repeatable());
    let status = client.establish(EstablishRequest::default()).await.unwrap_err();
    let metadata = [("rule", "R44"), ("roles", "global_admin")];
    assert_refused(&status, Code::PermissionDenied, "ACCEPTOR_ROLE_REQUIRED", &metadata);
}

#[tokio::test]
async fn a_call_lasts_no_longer_than_asked() {
    let system = System::start().await;
    let peer =
        Peer::connect("notification", &settings(system.running.address), &invitation(&system), &public()).unwrap();
    let partner = caller(&system, "partner", &[]);
    let mut client = AccessServiceClient::new(peer.calls_for(&partner));
    let slow = CheckAccessRequest { partner: "partners/slow".to_owned(), ..CheckAccessRequest::default() };
    let mut request = tonic::Request::new(slow);
    request.set_timeout(Duration::from_millis(200));
    let began = Instant::now();
    let status = client.check_access(request).await.unwrap_err();
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_dependency_that_is_unavailable() {
    let system = System::start().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let peer = Peer::connect("notification", &settings(address), &invitation(&system), &public()).unwrap();
    for calls in [peer.calls(), peer.calls().repeatable()] {
        let mut client = EstablishmentServiceClient::new(calls);
        let status = client.establish(EstablishRequest::default()).await.unwrap_err();
        assert_refused(&status, Code::Unavailable, "DEPENDENCY_UNAVAILABLE", &[]);
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
}

#[tokio::test]
async fn reads_and_repeatable_changes_are_made_again_and_others_are_not() {
    let system = System::start().await;
    // Takes connections and closes them: every try is one more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tries = async |change: bool, repeatable: bool| {
        let peer = Peer::connect("notification", &settings(address), &invitation(&system), &public()).unwrap();
        let calls = if repeatable { peer.calls().repeatable() } else { peer.calls() };
        let count = std::cell::Cell::new(0);
        let accept = async {
            loop {
                drop(listener.accept().await.unwrap());
                count.set(count.get() + 1);
            }
        };
        let call = async {
            if change {
                let mut client = EstablishmentServiceClient::new(calls);
                client.establish(EstablishRequest::default()).await.is_ok()
            } else {
                let mut client = AccessServiceClient::new(calls);
                client.check_access(CheckAccessRequest::default()).await.is_ok()
            }
        };
        tokio::select! {
            () = accept => unreachable!("it accepts for ever"),
            made = call => assert!(!made, "nobody answers"),
        }
        count.get()
    };
    assert_eq!(tries(true, false).await, 1, "a change");
    assert_eq!(tries(true, true).await, 3, "a change with a request id");
    assert_eq!(tries(false, false).await, 3, "a read");
}

/// Each call is a change that may not be made twice, so one that fails shows.
#[tokio::test]
async fn a_connection_that_grows_old_is_replaced_unnoticed() {
    let system = System::start_with(|common| {
        common.limits.connection_age_max_seconds = Seconds(Duration::from_millis(50));
    })
    .await;
    let peer =
        Peer::connect("notification", &settings(system.running.address), &invitation(&system), &public()).unwrap();
    let admin = caller(&system, "customer", &["global_admin"]);
    let mut client = EstablishmentServiceClient::new(peer.calls_for(&admin));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        let answer = client.establish(EstablishRequest::default()).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_place_that_is_none_is_refused_before_anything_starts() {
    let system = System::start().await;
    for uri in ["", "relationship:8443", "http://relationship:8443", "https://"] {
        let settings = PeerSettings { uri: uri.to_owned(), server_name: None };
        let error = Peer::connect("notification", &settings, &invitation(&system), &public()).unwrap_err();
        assert!(error.to_string().contains("https://relationship:8443"), "{uri}: {error}");
    }
}
