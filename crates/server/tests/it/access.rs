//! Who may call what: every refusal on the wire, with its code, reason and metadata.

use api::cloud::cloud_service_client::CloudServiceClient;
use api::cloud::{GetCloudPolicyRequest, ListCloudsRequest, ListMarketsRequest};
use api::invitation::invitation_service_client::InvitationServiceClient;
use api::notification::IngestEventsRequest;
use api::notification::ingest_service_client::IngestServiceClient;
use api::relationship::access_service_client::AccessServiceClient;
use api::relationship::delegation_service_client::DelegationServiceClient;
use api::relationship::establishment_service_client::EstablishmentServiceClient;
use api::relationship::{CheckAccessRequest, EstablishRequest, RemoveDelegationRequest};
use tonic::Code;

use crate::system::{self, System, assert_refused, with_bearer};
use testkit::certificates::Authority;

#[tokio::test]
async fn a_caller_with_the_permission_reaches_the_handler() {
    let system = System::start().await;
    let mut client = DelegationServiceClient::new(system.gateway().await);
    let token = system.token("customer", &["global_admin"]);
    for _ in 0..2 {
        let request = system.with_token(RemoveDelegationRequest::default(), &token);
        let delegation = client.remove_delegation(request).await.unwrap().into_inner();
        assert_eq!(delegation.name, "customers/contoso/users/ann");
    }
}

#[tokio::test]
async fn a_caller_without_the_role_is_told_who_has_it() {
    let system = System::start().await;
    let mut client = DelegationServiceClient::new(system.gateway().await);
    let token = system.token("customer", &["billing_admin"]);
    let request = system.with_token(RemoveDelegationRequest::default(), &token);
    let status = client.remove_delegation(request).await.unwrap_err();
    assert_refused(
        &status,
        Code::PermissionDenied,
        "ACCEPTOR_ROLE_REQUIRED",
        &[("permission", "delegations.manage"), ("roles", "global_admin"), ("rule", "R27")],
    );
}

#[tokio::test]
async fn a_caller_of_the_wrong_kind_is_told_which_is_right() {
    let system = System::start().await;
    let mut client = DelegationServiceClient::new(system.gateway().await);
    let token = system.token("partner", &["global_admin"]);
    let request = system.with_token(RemoveDelegationRequest::default(), &token);
    let status = client.remove_delegation(request).await.unwrap_err();
    let metadata = [("kind", "partner"), ("allowed_kinds", "customer"), ("rule", "AIP-211")];
    assert_refused(&status, Code::PermissionDenied, "PRINCIPAL_KIND_NOT_ALLOWED", &metadata);
}

#[tokio::test]
async fn a_call_without_a_good_token_is_unauthenticated() {
    let system = System::start().await;
    let mut client = AccessServiceClient::new(system.gateway().await);
    let mut refused = async |request, reason: &str| {
        let status = client.check_access(request).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, reason, &[]);
    };
    let check = CheckAccessRequest::default;
    refused(tonic::Request::new(check()), "TOKEN_REQUIRED").await;
    refused(with_bearer(check(), "abc"), "TOKEN_INVALID").await;
    let token = system.token("partner", &[]);
    let expired = token.clone().with("exp", system::NOW - 100);
    refused(system.with_token(check(), &expired), "TOKEN_EXPIRED").await;
    let stranger = token.with("iss", "https://issuer.elsewhere");
    refused(system.with_token(check(), &stranger), "TOKEN_OF_ANOTHER_CLOUD").await;
}

#[tokio::test]
async fn internal_methods_take_the_services_they_name() {
    let system = System::start().await;
    for (name, allowed) in [
        ("spiffe://mandate.internal/public/invitation", true),
        ("spiffe://mandate.internal/public/relationship", true),
        ("spiffe://mandate.internal/public/notification", false),
        ("spiffe://mandate.internal/china/invitation", false),
        ("spiffe://mandate.internal/gateway", false),
        ("spiffe://mandate.elsewhere/public/invitation", false),
    ] {
        let mut client = IngestServiceClient::new(system.connect(name).await);
        let answer = client.ingest_events(IngestEventsRequest::default()).await;
        assert_eq!(answer.is_ok(), allowed, "{name}");
        if let Err(status) = answer {
            let metadata = [("rule", "N69")];
            assert_refused(&status, Code::Unauthenticated, "WORKLOAD_IDENTITY_REQUIRED", &metadata);
        }
    }
}

#[tokio::test]
async fn a_method_can_ask_for_a_service_and_a_person_at_once() {
    let system = System::start().await;
    let name = "spiffe://mandate.internal/public/invitation";
    let mut client = EstablishmentServiceClient::new(system.connect(name).await);
    let status = client.establish(EstablishRequest::default()).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "TOKEN_REQUIRED", &[]);

    let admin = system.token("customer", &["global_admin"]);
    let request = system.with_token(EstablishRequest::default(), &admin);
    assert!(client.establish(request).await.is_ok());

    let mut client = EstablishmentServiceClient::new(system.gateway().await);
    let request = system.with_token(EstablishRequest::default(), &admin);
    let status = client.establish(request).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "WORKLOAD_IDENTITY_REQUIRED", &[]);
}

#[tokio::test]
async fn a_service_of_another_cloud_brings_no_calls() {
    let system = System::start().await;
    let name = "spiffe://mandate.internal/china/invitation";
    let mut client = AccessServiceClient::new(system.connect(name).await);
    let token = system.token("partner", &[]);
    let request = system.with_token(CheckAccessRequest::default(), &token);
    let status = client.check_access(request).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "WORKLOAD_IDENTITY_REQUIRED", &[("rule", "N69")]);
}

#[tokio::test]
async fn nobody_connects_without_a_certificate_of_the_authority() {
    let system = System::start().await;
    let ours = system::certify(&system.authority, "spiffe://mandate.internal/gateway");
    let fails = async |tls: &server::config::Tls, prove: bool| {
        // With TLS 1.3 the refusal can come with the first call instead of the handshake.
        match system::connect(system.running, tls, prove).await {
            Err(_) => true,
            Ok(channel) => {
                let answer = CloudServiceClient::new(channel).list_clouds(ListCloudsRequest {}).await;
                answer.is_err_and(|status| status.code() != Code::Unauthenticated)
            }
        }
    };
    assert!(fails(&ours, false).await, "no certificate");
    let foreigners = Authority::new();
    let mut foreign = system::certify(&foreigners, "spiffe://mandate.internal/gateway");
    foreign.authority.clone_from(&ours.authority);
    assert!(fails(&foreign, true).await, "a certificate of another authority");
    assert!(!fails(&ours, true).await, "the same call with the right one");
}

#[tokio::test]
async fn methods_that_are_not_here_are_unknown() {
    let system = System::start().await;
    let admin = system.token("customer", &["global_admin"]);
    // In the contract, but of another process.
    let mut client = InvitationServiceClient::new(system.gateway().await);
    let request = api::invitation::ResolveInvitationRequest::default();
    let status = client.resolve_invitation(system.with_token(request, &admin)).await.unwrap_err();
    assert_refused(&status, Code::Unimplemented, "METHOD_UNKNOWN", &[]);
    // In no contract.
    let mut grpc = tonic::client::Grpc::new(system.gateway().await);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/mandate.relationship.v1.AccessService/Grant");
    let codec = tonic_prost::ProstCodec::<ListCloudsRequest, ListCloudsRequest>::default();
    let request = tonic::Request::new(ListCloudsRequest {});
    let status = grpc.unary(request, path, codec).await.unwrap_err();
    assert_refused(&status, Code::Unimplemented, "METHOD_UNKNOWN", &[]);
}

#[tokio::test]
async fn the_cloud_describes_itself_without_a_token() {
    let system = System::start().await;
    let mut client = CloudServiceClient::new(system.gateway().await);
    let clouds = client.list_clouds(ListCloudsRequest {}).await.unwrap().into_inner().clouds;
    assert_eq!(clouds.len(), 1);
    assert_eq!((clouds[0].name.as_str(), &clouds[0].issuer), ("clouds/public", &system.issuer.uri));

    let name = "clouds/public/policy".to_owned();
    let policy = client.get_cloud_policy(GetCloudPolicyRequest { name: name.clone() }).await;
    let policy = policy.unwrap().into_inner();
    assert_eq!(policy.name, name);
    assert!(policy.delegation_optional && policy.delegation_mandatory_rule.is_empty());
    assert!(policy.services.iter().any(|service| service.id == "azure-ad"));

    let parent = "clouds/public".to_owned();
    let markets = client.list_markets(ListMarketsRequest { parent }).await.unwrap().into_inner().markets;
    assert_eq!(markets.len(), 15);
    assert!(markets.is_sorted_by_key(|market| market.name.clone()));

    let name = "clouds/china/policy".to_owned();
    let status = client.get_cloud_policy(GetCloudPolicyRequest { name }).await.unwrap_err();
    let metadata = [("resource", "clouds/china/policy")];
    assert_refused(&status, Code::NotFound, "RESOURCE_NOT_FOUND", &metadata);
    let parent = "public".to_owned();
    let status = client.list_markets(ListMarketsRequest { parent }).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "FIELD_INVALID", &[]);
}
