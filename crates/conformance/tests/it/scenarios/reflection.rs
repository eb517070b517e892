//! What somebody learns who knows nothing but the address: the public services, all they consist of, and nothing else.

use std::collections::BTreeSet;

use api::rule::{MethodRule, RULES};
use prost_reflect::DescriptorPool;
use tokio_stream::once;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::system::System;

async fn ask(system: &System, question: MessageRequest) -> MessageResponse {
    let what = format!("{question:?}");
    try_ask(system, question).await.unwrap_or_else(|status| panic!("{what}: {status:?}"))
}

async fn try_ask(system: &System, question: MessageRequest) -> Result<MessageResponse, Status> {
    let mut client = ServerReflectionClient::new(system.channel.clone());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut answers = client.server_reflection_info(once(request)).await.expect("nobody needs a token").into_inner();
    let answer = answers.message().await?.expect("an answer to the one question");
    Ok(answer.message_response.expect("it says something"))
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_exactly_the_public_services_and_describes_each_of_them() {
    let system = System::start().await;
    let answer = ask(&system, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(listed) = answer else {
        panic!("not a list: {answer:?}");
    };
    let listed: BTreeSet<String> = listed.service.into_iter().map(|service| service.name).collect();
    let public = RULES.iter().filter(|rule| !rule.is_internal()).map(MethodRule::service);
    let mut expected: BTreeSet<String> = public.map(str::to_owned).collect();
    expected.insert("grpc.health.v1.Health".to_owned());
    let reflection = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
    let ours: BTreeSet<String> = listed.iter().filter(|name| !reflection.contains(&name.as_str())).cloned().collect();
    assert_eq!(ours, expected);
    assert!(listed.contains(reflection[0]), "{listed:?}");

    for service in &expected {
        let answer = ask(&system, MessageRequest::FileContainingSymbol(service.clone())).await;
        let MessageResponse::FileDescriptorResponse(files) = answer else {
            panic!("{service}: {answer:?}");
        };
        assert!(!files.file_descriptor_proto.is_empty(), "{service}");
    }
    for hidden in RULES.iter().filter(|rule| rule.is_internal()).map(MethodRule::service) {
        let answer = try_ask(&system, MessageRequest::FileContainingSymbol(hidden.to_owned())).await;
        assert_eq!(answer.map(drop).map_err(|status| status.code()), Err(Code::NotFound), "{hidden} is hidden");
    }
    details(&system).await;
}

/// What stands in the details of refusals can be read, too.
async fn details(system: &System) {
    for message in ["ErrorInfo", "PreconditionFailure", "BadRequest", "RetryInfo"] {
        let symbol = format!("google.rpc.{message}");
        let answer = ask(system, MessageRequest::FileContainingSymbol(symbol.clone())).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_learns_by_reflection_finds_every_method_with_what_it_takes() {
    let system = System::start().await;
    let services: BTreeSet<&str> = RULES.iter().filter(|rule| !rule.is_internal()).map(MethodRule::service).collect();
    let mut pool = DescriptorPool::new();
    let mut wanted: Vec<MessageRequest> =
        services.iter().map(|name| MessageRequest::FileContainingSymbol((*name).to_owned())).collect();
    let mut files = std::collections::BTreeMap::new();
    while let Some(question) = wanted.pop() {
        let MessageResponse::FileDescriptorResponse(answer) = ask(&system, question.clone()).await else {
            panic!("{question:?} is not answered");
        };
        for bytes in answer.file_descriptor_proto {
            let file: prost_types::FileDescriptorProto =
                prost::Message::decode(bytes.as_slice()).expect("a descriptor");
            let name = file.name().to_owned();
            if files.contains_key(&name) {
                continue;
            }
            wanted.extend(file.dependency.iter().map(|import| MessageRequest::FileByFilename(import.clone())));
            files.insert(name, file);
        }
    }
    let set = prost_types::FileDescriptorSet { file: files.into_values().collect() };
    pool.add_file_descriptor_set(set).expect("what is described is whole");
    for rule in RULES.iter().filter(|rule| !rule.is_internal()) {
        let service = pool.get_service_by_name(rule.service()).expect("it is described");
        let (_, method) = rule.path.rsplit_once('/').expect("a path");
        let found = service.methods().find(|found| found.name() == method);
        assert_eq!(found.map(|found| found.is_server_streaming()), Some(rule.streams), "{}", rule.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_anybody() {
    let system = System::start().await;
    let mut client = HealthClient::new(system.channel.clone());
    let request = HealthCheckRequest { service: String::new() };
    let answer = client.check(request).await.expect("nobody needs a token").into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
}
