//! What is public, and what the gateway answers itself.

use api::cloud::cloud_service_client::CloudServiceClient;
use api::cloud::{GetCloudPolicyRequest, ListCloudsRequest, ListMarketsRequest};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt as _;

use crate::call::{Call, RESOLVE, connect};
use crate::world::{AGENT, World};

#[tokio::test]
async fn internal_and_unknown_methods_are_refused_alike() {
    let world = World::start().await;
    let token = world.public.token(AGENT);
    let mut answers = Vec::new();
    for path in [
        "/mandate.relationship.v1.EstablishmentService/Establish",
        "/mandate.notification.v1.IngestService/IngestEvents",
        "/mandate.nowhere.v1.NoService/NoMethod",
        "/mandate.relationship.v1.EstablishmentService/NoMethod",
        "/",
    ] {
        let answer = Call::new(path).token(&token).send(&mut world.channel()).await;
        let metadata = [("rule", "AIP-193"), ("cloud", "")];
        answer.refused().expect(Code::Unimplemented, "METHOD_UNKNOWN", &metadata, false);
        let status = answer.status();
        let details = status.get_error_details();
        answers.push((answer.http, status.message().to_owned(), format!("{:?}", details.retry_info())));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "a stranger could tell them apart: {answers:#?}");
}

#[tokio::test]
async fn every_upstream_is_reached_by_its_services() {
    let world = World::start().await;
    for path in [
        RESOLVE,
        "/mandate.relationship.v1.AccessService/CheckAccess",
        "/mandate.notification.v1.EventService/ListEvents",
        "/mandate.invitation.v1.InvitationService/FromTheFuture",
    ] {
        let answer = Call::new(path).token(&world.public.token(AGENT)).send(&mut world.channel()).await;
        assert_eq!(answer.header("x-path"), path);
    }
}

#[tokio::test]
async fn clouds_are_described_without_credential() {
    let world = World::start().await;
    let mut client = CloudServiceClient::new(world.channel());
    let clouds = client.list_clouds(ListCloudsRequest {}).await.unwrap().into_inner().clouds;
    let names: Vec<&str> = clouds.iter().map(|cloud| cloud.name.as_str()).collect();
    assert_eq!(names, ["clouds/china", "clouds/public"]);
    assert_eq!(clouds[0].issuer, world.china.uri());
    assert_eq!(clouds[0].hosts, ["china.mandate.example"]);
    assert!(!clouds[0].title.is_empty());

    for cloud in ["china", "public"] {
        let name = format!("clouds/{cloud}/policy");
        let request = GetCloudPolicyRequest { name: name.clone() };
        let policy = client.get_cloud_policy(request).await.unwrap().into_inner();
        assert_eq!(policy.name, name);
        assert!(policy.acceptance_portal.is_some());
        let parent = format!("clouds/{cloud}");
        let request = ListMarketsRequest { parent };
        let markets = client.list_markets(request).await.unwrap().into_inner();
        assert_eq!(markets.markets.len(), 15);
        let prefix = format!("clouds/{cloud}/markets/");
        assert!(markets.markets.iter().all(|market| market.name.starts_with(&prefix)));
    }
}

#[tokio::test]
async fn an_unknown_cloud_is_not_found_and_a_malformed_name_is_refused() {
    let world = World::start().await;
    let mut client = CloudServiceClient::new(world.channel());
    for (name, code, reason) in [
        ("clouds/mars/policy", Code::NotFound, "RESOURCE_NOT_FOUND"),
        ("clouds/policy", Code::InvalidArgument, "FIELD_INVALID"),
        ("clouds/a/b/policy", Code::InvalidArgument, "FIELD_INVALID"),
        ("", Code::InvalidArgument, "FIELD_INVALID"),
    ] {
        let request = GetCloudPolicyRequest { name: name.to_owned() };
        let status = client.get_cloud_policy(request).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{name}");
    }
}

#[tokio::test]
async fn health_speaks_for_the_gateway_and_every_routed_service() {
    let world = World::start().await;
    for (service, _) in gateway::routes::ROUTES.iter().chain([&("", gateway::routes::Destination::Here)]) {
        for channel in [world.channel(), connect(world.probe, "localhost")] {
            let request = HealthCheckRequest { service: (*service).to_owned() };
            let answer: HealthCheckResponse = HealthClient::new(channel).check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
        }
    }
    let request = HealthCheckRequest { service: "mandate.relationship.v1.EstablishmentService".to_owned() };
    let unknown = HealthClient::new(world.channel()).check(request).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_probe_port_answers_health_and_nothing_else() {
    let world = World::start().await;
    let mut probe = connect(world.probe, "localhost");
    let answer = Call::new(RESOLVE).token(&world.public.token(AGENT)).send(&mut probe).await;
    assert_eq!(answer.status().code(), Code::Unimplemented);
}

#[tokio::test]
async fn reflection_shows_the_public_contract_and_nothing_internal() {
    let world = World::start().await;
    let listed = reflect(&world, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(services)) = listed else {
        panic!("{listed:?}");
    };
    let services: Vec<String> = services.service.into_iter().map(|service| service.name).collect();
    for (service, _) in gateway::routes::ROUTES {
        assert!(services.iter().any(|name| name == service), "{service} is missing");
    }
    for hidden in ["EstablishmentService", "IngestService"] {
        assert!(!services.iter().any(|name| name.contains(hidden)), "{hidden} shows");
    }

    for hidden in ["mandate.relationship.v1.EstablishmentService", "mandate.relationship.v1.EstablishRequest"] {
        let symbol = MessageRequest::FileContainingSymbol(hidden.to_owned());
        let status = reflect_status(&world, symbol).await;
        assert_eq!(status, Some(Code::NotFound), "{hidden}");
    }
    let shown = MessageRequest::FileContainingSymbol(RESOLVE[1..].replace('/', "."));
    let file = reflect(&world, shown).await;
    assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))));
}

async fn ask(world: &World, question: MessageRequest) -> Result<ServerReflectionResponse, tonic::Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(world.channel());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await?;
    answers.into_inner().next().await.expect("one answer")
}

async fn reflect(world: &World, question: MessageRequest) -> Option<MessageResponse> {
    ask(world, question).await.unwrap().message_response
}

async fn reflect_status(world: &World, question: MessageRequest) -> Option<Code> {
    match ask(world, question).await {
        Err(status) => Some(status.code()),
        Ok(answer) => match answer.message_response {
            Some(MessageResponse::ErrorResponse(error)) => Some(Code::from_i32(error.error_code)),
            Some(_) | None => None,
        },
    }
}
