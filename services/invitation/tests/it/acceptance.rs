//! Resolving and accepting, up to where the relationship service is asked.

use api::invitation::{AcceptInvitationRequest, GetInvitationLinkRequest, ResolveInvitationRequest};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::call::{expect, fields, metadata};
use crate::world::{Client, World};

async fn link(world: &World) -> api::invitation::InvitationLink {
    let name = "partners/northwind/invitationLinks/reseller.azure-ad".to_owned();
    let answer = world.agent("admin_agent").get_invitation_link(GetInvitationLinkRequest { name }).await;
    answer.unwrap().into_inner()
}

async fn world() -> World {
    World::of("public", testkit::database::sqlite().unwrap()).await
}

fn admin(world: &World) -> Client {
    world.client("customer", "contoso", "ann", "global_admin")
}

fn resolve(token: &str) -> ResolveInvitationRequest {
    ResolveInvitationRequest { token: token.to_owned(), customer: String::new() }
}

fn accept(token: &str) -> AcceptInvitationRequest {
    AcceptInvitationRequest { token: token.to_owned(), customer: "customers/contoso".to_owned(), ..Default::default() }
}

#[tokio::test]
async fn an_altered_link_is_refused_alone_wherever_it_was_altered() {
    let world = world().await;
    let link = link(&world).await;
    let mut client = admin(&world);
    let shorter = &link.token[..link.token.len() - 1];
    let other = link.token.replacen("public.A", "public.B", 1);
    for token in [shorter, &other, &format!("{}x", link.uri), "nothing", "https://elsewhere.example/i/"] {
        let refused = client.resolve_invitation(resolve(token)).await;
        let refused = expect(refused, Code::InvalidArgument, "LINK_TAMPERED", "R15");
        assert_eq!(fields(&refused), ["token"]);
        assert!(!refused.message().contains(token), "a token is never repeated");
        let refused = client.accept_invitation(accept(token)).await;
        expect(refused, Code::InvalidArgument, "LINK_TAMPERED", "R15");
    }
}

#[tokio::test]
async fn a_link_of_another_cloud_says_which() {
    let china = World::of("china", testkit::database::sqlite().unwrap()).await;
    let (world, foreign) = (world().await, link(&china).await);
    let mut client = admin(&world);
    let refused = client.resolve_invitation(resolve(&foreign.uri)).await;
    let refused = expect(refused, Code::FailedPrecondition, "CLOUD_MISMATCH", "R52");
    assert_eq!(metadata(&refused, "link_cloud"), "china");
    let refused = client.accept_invitation(accept(&foreign.token)).await;
    expect(refused, Code::FailedPrecondition, "CLOUD_MISMATCH", "R52");
}

#[tokio::test]
async fn a_customer_answers_for_itself_alone() {
    let world = world().await;
    let token = link(&world).await.token;
    let mut client = admin(&world);
    let theirs = ResolveInvitationRequest { customer: "customers/fabrikam".to_owned(), ..resolve(&token) };
    let refused = client.resolve_invitation(theirs).await;
    let refused = expect(refused, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    assert_eq!(metadata(&refused, "resource"), "customers/fabrikam");
    let theirs = AcceptInvitationRequest { customer: "customers/fabrikam".to_owned(), ..accept(&token) };
    expect(client.accept_invitation(theirs).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    let nobodys = AcceptInvitationRequest { customer: String::new(), ..accept(&token) };
    let refused = expect(client.accept_invitation(nobodys).await, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
    assert_eq!(fields(&refused), ["customer"]);
}

#[tokio::test]
async fn only_who_decides_for_the_customer_may_accept() {
    let world = world().await;
    let token = link(&world).await.token;
    let mut user = world.client("customer", "contoso", "bob", "user");
    let refused = user.accept_invitation(accept(&token)).await;
    let refused = expect(refused, Code::PermissionDenied, "ACCEPTOR_ROLE_REQUIRED", "R44");
    assert_eq!(metadata(&refused, "permission"), "invitations.accept");
    let refused = world.agent("global_admin").accept_invitation(accept(&token)).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn malformed_requests_name_their_field() {
    let world = world().await;
    let token = link(&world).await.token;
    let mut client = admin(&world);
    for text in ["", "  ", &"x".repeat(3000)] {
        let refused = client.resolve_invitation(resolve(text)).await;
        let refused = expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
        assert_eq!(fields(&refused), ["token"]);
    }
    let no_uuid = AcceptInvitationRequest { request_id: "seven".to_owned(), ..accept(&token) };
    let refused = client.accept_invitation(no_uuid).await;
    assert_eq!(fields(&expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203")), ["request_id"]);
}

#[tokio::test]
async fn without_the_relationship_service_a_retry_is_asked_for() {
    let world = world().await;
    let link = link(&world).await;
    let mut client = admin(&world);
    for token in [&link.token, &link.uri] {
        let refused = client.resolve_invitation(resolve(token)).await;
        let refused = expect(refused, Code::Unavailable, "DEPENDENCY_UNAVAILABLE", "AIP-194");
        assert!(refused.get_details_retry_info().is_some());
    }
    let refused = client.accept_invitation(accept(&link.token)).await;
    let refused = expect(refused, Code::Unavailable, "DEPENDENCY_UNAVAILABLE", "AIP-194");
    assert!(refused.get_details_retry_info().is_some());
    // Whatever became of it over there, nothing was written here.
    assert_eq!(world.events().await, []);
}
