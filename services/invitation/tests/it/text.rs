//! Rendering and checking texts, up to where the partner's name is asked for.

use api::invitation::{
    CheckInvitationTextRequest, DisableInvitationLinkRequest, GetInvitationLinkRequest, ParagraphEdit,
    RenderInvitationTextRequest,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::call::{expect, fields, metadata};
use crate::world::{Client, World};

const LINK: &str = "partners/northwind/invitationLinks/reseller.azure-ad";

fn render(locale: &str) -> RenderInvitationTextRequest {
    RenderInvitationTextRequest { name: LINK.to_owned(), locale: locale.to_owned(), edits: Vec::new() }
}

fn check(text: &str) -> CheckInvitationTextRequest {
    CheckInvitationTextRequest { name: LINK.to_owned(), locale: "en".to_owned(), text: text.to_owned() }
}

async fn world() -> (World, Client) {
    let world = World::of("public", testkit::database::sqlite().unwrap()).await;
    let client = world.agent("admin_agent");
    (world, client)
}

async fn ask(client: &mut Client) {
    client.get_invitation_link(GetInvitationLinkRequest { name: LINK.to_owned() }).await.unwrap();
}

#[tokio::test]
async fn a_language_without_a_text_is_refused_with_those_there_are() {
    let (_world, mut client) = world().await;
    let refused = client.render_invitation_text(render("tlh")).await;
    let refused = expect(refused, Code::InvalidArgument, "LOCALE_UNSUPPORTED", "R13");
    assert_eq!(metadata(&refused, "locales"), "en,de,fr,it,ja,zh-Hans");
    assert_eq!(fields(&refused), ["locale"]);
}

#[tokio::test]
async fn a_link_must_have_been_asked_for_and_be_live() {
    let (world, mut client) = world().await;
    expect(client.render_invitation_text(render("en")).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    expect(client.check_invitation_text(check("")).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    ask(&mut client).await;
    let mut stranger = world.client("partner", "fabrikam", "agent", "admin_agent");
    expect(stranger.render_invitation_text(render("en")).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    let disable = DisableInvitationLinkRequest { name: LINK.to_owned(), ..Default::default() };
    client.disable_invitation_link(disable).await.unwrap();
    expect(client.render_invitation_text(render("en")).await, Code::FailedPrecondition, "LINK_DISABLED", "R15");
    expect(client.check_invitation_text(check("")).await, Code::FailedPrecondition, "LINK_DISABLED", "R15");
}

#[tokio::test]
async fn malformed_edits_and_endless_texts_name_their_field() {
    let (_world, mut client) = world().await;
    ask(&mut client).await;
    let edits =
        vec![ParagraphEdit { paragraph: 1, text: String::new() }, ParagraphEdit { paragraph: 0, text: String::new() }];
    let refused = client.render_invitation_text(RenderInvitationTextRequest { edits, ..render("en") }).await;
    let refused = expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
    assert_eq!(fields(&refused), ["edits[1].paragraph"]);
    let refused = client.check_invitation_text(check(&"x".repeat(64 * 1024 + 1))).await;
    let refused = expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
    assert_eq!(fields(&refused), ["text"]);
}

#[tokio::test]
async fn without_the_relationship_service_a_retry_is_asked_for() {
    let (_world, mut client) = world().await;
    ask(&mut client).await;
    let refused = client.render_invitation_text(render("it-CH")).await;
    let refused = expect(refused, Code::Unavailable, "DEPENDENCY_UNAVAILABLE", "AIP-194");
    assert!(refused.get_details_retry_info().is_some());
}
