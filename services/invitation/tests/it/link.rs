//! Getting, listing, rotating and disabling links.

use api::invitation::{
    DisableInvitationLinkRequest, GetInvitationLinkRequest, InvitationKind, InvitationLink, InvitationLinkState,
    ListInvitationLinksRequest, RotateInvitationLinkRequest,
};
use api::notification::resource_snapshot::Resource;
use testkit::Database;
use tonic::{Code, Status};

use crate::call::{expect, fields, metadata};
use crate::world::{Client, KEYS, NEW_KEY, PUBLIC_URI, Place, World};

testkit::on_both!(
    the_uri_is_the_same_for_every_agent_and_every_call,
    of_a_hundred_first_calls_at_once_all_get_the_same_uri,
    rotation_replaces_the_uri_and_tells_the_partner_without_showing_it,
    disabling_twice_tells_once,
    a_repeated_request_gets_the_first_answer,
    links_come_in_pages,
    a_new_key_leaves_uris_identical_and_signs_rotated_ones,
);

const PLAIN: &str = "partners/northwind/invitationLinks/reseller";
const BOTH: &str = "partners/northwind/invitationLinks/reseller.azure-ad.office-365";
const REQUEST_ID: &str = "0190a2a0-0000-7000-8000-000000000001";

async fn get(client: &mut Client, name: &str) -> Result<InvitationLink, Status> {
    let request = GetInvitationLinkRequest { name: name.to_owned() };
    client.get_invitation_link(request).await.map(tonic::Response::into_inner)
}

fn rotate(name: &str) -> RotateInvitationLinkRequest {
    RotateInvitationLinkRequest { name: name.to_owned(), ..Default::default() }
}

fn disable(name: &str) -> DisableInvitationLinkRequest {
    DisableInvitationLinkRequest { name: name.to_owned(), ..Default::default() }
}

async fn public() -> World {
    World::of("public", testkit::database::sqlite().unwrap()).await
}

async fn the_uri_is_the_same_for_every_agent_and_every_call(database: Database) {
    let world = World::of("public", database).await;
    let first = get(&mut world.agent("admin_agent"), BOTH).await.unwrap();
    assert_eq!(first.name, BOTH);
    assert_eq!(first.kind(), InvitationKind::ResellerWithDelegation);
    assert_eq!(first.services, ["azure-ad", "office-365"]);
    assert_eq!(first.state(), InvitationLinkState::Active);
    assert_eq!(first.uri, format!("{PUBLIC_URI}/i/{}", first.token));
    assert!(first.token.starts_with("public.") && !first.etag.is_empty());
    assert_eq!(first.create_time, first.update_time);
    let mut other = world.client("partner", "northwind", "another", "sales_agent");
    assert_eq!(get(&mut other, BOTH).await.unwrap(), first);
    // Other options and other partners have links of their own.
    let plain = get(&mut other, PLAIN).await.unwrap();
    assert_eq!(plain.kind(), InvitationKind::Reseller);
    let mut stranger = world.client("partner", "fabrikam", "agent", "admin_agent");
    let theirs = get(&mut stranger, &BOTH.replace("northwind", "fabrikam")).await.unwrap();
    assert!(plain.uri != first.uri && theirs.uri != first.uri);
    // Reading is no change.
    assert_eq!(world.events().await, []);
}

async fn of_a_hundred_first_calls_at_once_all_get_the_same_uri(database: Database) {
    let world = World::of("public", database).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut client = world.agent("admin_agent");
        calls.spawn(async move { get(&mut client, PLAIN).await.unwrap().uri });
    }
    let mut uris = calls.join_all().await;
    uris.dedup();
    assert_eq!(uris.len(), 1, "{uris:?}");
}

async fn rotation_replaces_the_uri_and_tells_the_partner_without_showing_it(database: Database) {
    let world = World::of("public", database).await;
    let mut client = world.agent("admin_agent");
    let first = get(&mut client, PLAIN).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(60));
    let request =
        RotateInvitationLinkRequest { etag: first.etag.clone(), reason: "leaked".to_owned(), ..rotate(PLAIN) };
    let response = client.rotate_invitation_link(request.clone()).await.unwrap();
    assert!(response.metadata().contains_key("mandate-consistency-token"));
    let rotated = response.into_inner();
    assert!(rotated.uri != first.uri && rotated.etag != first.etag);
    assert_eq!(rotated.create_time, first.create_time);
    assert_eq!(rotated.update_time.unwrap().seconds, first.update_time.unwrap().seconds + 60);
    assert_eq!(get(&mut client, PLAIN).await.unwrap(), rotated);

    let stale = client.rotate_invitation_link(request).await;
    let stale = expect(stale, Code::Aborted, "ETAG_MISMATCH", "AIP-154");
    assert_eq!(metadata(&stale, "resource"), PLAIN);

    let events = world.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].feeds, ["partners/northwind"]);
    let event = events[0].event.as_ref().unwrap();
    assert_eq!((event.r#type.as_str(), event.resource.as_str()), ("invitationLink.rotated", PLAIN));
    assert_eq!((event.actor.as_str(), event.reason.as_str()), ("partners/northwind/users/agent", "leaked"));
    assert_eq!((event.cloud.as_str(), event.event_time), ("public", rotated.update_time));
    for (snapshot, shown) in [(&event.before, &first), (&event.after, &rotated)] {
        let Some(Resource::InvitationLink(link)) = snapshot.as_ref().unwrap().resource.as_ref() else {
            panic!("not a link: {snapshot:?}");
        };
        assert_eq!((link.uri.as_str(), link.token.as_str()), ("", ""));
        assert_eq!(link.etag, shown.etag);
    }
}

async fn disabling_twice_tells_once(database: Database) {
    let world = World::of("public", database).await;
    let mut client = world.agent("admin_agent");
    let first = get(&mut client, PLAIN).await.unwrap();
    let disabled = client.disable_invitation_link(disable(PLAIN)).await.unwrap().into_inner();
    assert_eq!(disabled.state(), InvitationLinkState::Disabled);
    assert_eq!(disabled.uri, first.uri);
    let again = client.disable_invitation_link(disable(PLAIN)).await.unwrap().into_inner();
    assert_eq!(again, disabled);
    assert_eq!(world.events().await.len(), 1);
    let rotated = client.rotate_invitation_link(rotate(PLAIN)).await.unwrap().into_inner();
    assert_eq!(rotated.state(), InvitationLinkState::Active);
    let types: Vec<String> = world.events().await.into_iter().map(|sent| sent.event.unwrap().r#type).collect();
    assert_eq!(types, ["invitationLink.disabled", "invitationLink.rotated"]);
}

async fn a_repeated_request_gets_the_first_answer(database: Database) {
    let world = World::of("public", database).await;
    let mut client = world.agent("admin_agent");
    get(&mut client, PLAIN).await.unwrap();
    let request = RotateInvitationLinkRequest { request_id: REQUEST_ID.to_owned(), ..rotate(PLAIN) };
    let first = client.rotate_invitation_link(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.rotate_invitation_link(request.clone()).await.unwrap().into_inner(), first);
    assert_eq!(world.events().await.len(), 1);
    let other = RotateInvitationLinkRequest { reason: "another".to_owned(), ..request };
    let reused =
        expect(client.rotate_invitation_link(other).await, Code::InvalidArgument, "REQUEST_ID_REUSED", "AIP-155");
    assert_eq!(fields(&reused), ["request_id"]);
    let disable = DisableInvitationLinkRequest { request_id: REQUEST_ID.to_owned(), ..disable(PLAIN) };
    expect(client.disable_invitation_link(disable).await, Code::InvalidArgument, "REQUEST_ID_REUSED", "AIP-155");
    // Request ids are each caller's own.
    let mut other = world.client("partner", "northwind", "another", "admin_agent");
    let theirs = RotateInvitationLinkRequest { request_id: REQUEST_ID.to_owned(), ..rotate(PLAIN) };
    assert_ne!(other.rotate_invitation_link(theirs).await.unwrap().into_inner().uri, first.uri);
}

fn list(parent: &str, page_size: i32, page_token: &str) -> ListInvitationLinksRequest {
    let (parent, page_token) = (parent.to_owned(), page_token.to_owned());
    ListInvitationLinksRequest { parent, page_size, page_token }
}

async fn links_come_in_pages(database: Database) {
    let world = World::of("public", database).await;
    let mut client = world.agent("admin_agent");
    let mut links = Vec::new();
    for slug in ["reseller", "reseller.azure", "reseller.azure-ad", "reseller.azure.azure-ad"] {
        let name = format!("partners/northwind/invitationLinks/{slug}");
        links.push(get(&mut client, &name).await.unwrap());
    }
    let first = client.list_invitation_links(list("partners/northwind", 3, "")).await.unwrap().into_inner();
    assert_eq!(first.invitation_links, links[..3]);
    let next = list("partners/northwind", 3, &first.next_page_token);
    let second = client.list_invitation_links(next).await.unwrap().into_inner();
    assert_eq!(second.invitation_links, links[3..]);
    assert_eq!(second.next_page_token, "");
    // A token is good for the list that gave it and no other.
    let mut stranger = world.client("partner", "fabrikam", "agent", "admin_agent");
    let refused = stranger.list_invitation_links(list("partners/fabrikam", 3, &first.next_page_token)).await;
    let refused = expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
    assert_eq!(fields(&refused), ["page_token"]);
    let theirs = stranger.list_invitation_links(list("partners/fabrikam", 0, "")).await.unwrap();
    assert_eq!(theirs.into_inner().invitation_links, []);
}

async fn a_new_key_leaves_uris_identical_and_signs_rotated_ones(database: Database) {
    let world = World::of("public", database).await;
    let mut client = world.agent("admin_agent");
    let (plain, both) = (get(&mut client, PLAIN).await.unwrap(), get(&mut client, BOTH).await.unwrap());
    world.place.write_keys(&format!("{}{NEW_KEY}", KEYS.replace("current = \"k1\"", "current = \"k2\"")));
    let world = world.restarted().await;
    let mut client = world.agent("admin_agent");
    assert_eq!(get(&mut client, PLAIN).await.unwrap(), plain);
    let rotated = client.rotate_invitation_link(rotate(PLAIN)).await.unwrap().into_inner();
    // Without the old key, what it signed is dead, and what the new one signed is not.
    world.place.write_keys(&format!("current = \"k2\"\n[keys]\n{NEW_KEY}"));
    let world = world.restarted().await;
    let mut client = world.agent("admin_agent");
    assert_eq!(get(&mut client, PLAIN).await.unwrap(), rotated);
    let dead = get(&mut client, BOTH).await.unwrap();
    assert_eq!((dead.state(), dead.uri.as_str(), dead.token.as_str()), (InvitationLinkState::Disabled, "", ""));
    let alive = client.rotate_invitation_link(rotate(BOTH)).await.unwrap().into_inner();
    assert!(!alive.uri.is_empty() && alive.uri != both.uri);
}

#[tokio::test]
async fn other_partners_links_are_not_found() {
    let world = public().await;
    let mut stranger = world.client("partner", "fabrikam", "agent", "admin_agent");
    get(&mut world.agent("admin_agent"), PLAIN).await.unwrap();
    for name in [PLAIN, BOTH] {
        let refused = expect(get(&mut stranger, name).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
        assert_eq!(metadata(&refused, "resource"), name);
        let refused = stranger.rotate_invitation_link(rotate(name)).await;
        expect(refused, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
        let refused = stranger.disable_invitation_link(disable(name)).await;
        expect(refused, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    }
    let request = ListInvitationLinksRequest { parent: "partners/northwind".to_owned(), ..Default::default() };
    expect(stranger.list_invitation_links(request).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
}

#[tokio::test]
async fn a_link_never_asked_for_cannot_be_changed() {
    let world = public().await;
    let mut client = world.agent("admin_agent");
    expect(client.rotate_invitation_link(rotate(PLAIN)).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    expect(client.disable_invitation_link(disable(PLAIN)).await, Code::NotFound, "RESOURCE_NOT_FOUND", "I12");
    assert_eq!(world.events().await, []);
}

#[tokio::test]
async fn only_requesters_may_ask_and_only_administrators_may_manage() {
    let world = public().await;
    let refused = get(&mut world.agent("helpdesk_agent"), PLAIN).await;
    let refused = expect(refused, Code::PermissionDenied, "REQUESTER_ROLE_REQUIRED", "N61");
    assert_eq!(metadata(&refused, "permission"), "invitation_links.request");
    let refused = world.agent("sales_agent").rotate_invitation_link(rotate(PLAIN)).await;
    let refused = expect(refused, Code::PermissionDenied, "REQUESTER_ROLE_REQUIRED", "N61");
    assert_eq!(metadata(&refused, "permission"), "invitation_links.manage");
    let refused = get(&mut world.client("customer", "contoso", "ann", "global_admin"), PLAIN).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn asking_for_privileges_needs_a_role_of_its_own_where_the_cloud_says_so() {
    let world = World::of("china", testkit::database::sqlite().unwrap()).await;
    let refused = get(&mut world.agent("sales_agent"), BOTH).await;
    let refused = expect(refused, Code::PermissionDenied, "REQUESTER_ROLE_REQUIRED", "N61");
    assert_eq!(metadata(&refused, "permission"), "invitation_links.request_delegation");
    assert_eq!(metadata(&refused, "roles"), "admin_agent,global_admin");
    assert_eq!(metadata(&refused, "resource"), BOTH);
    get(&mut world.agent("admin_agent"), BOTH).await.unwrap();
}

#[tokio::test]
async fn a_cloud_offers_only_what_its_policy_has() {
    let world = World::of("germany", testkit::database::sqlite().unwrap()).await;
    let mut client = world.agent("admin_agent");
    let refused = get(&mut client, PLAIN).await;
    expect(refused, Code::FailedPrecondition, "DELEGATION_MANDATORY_IN_CLOUD", "R34");
    let unknown = get(&mut client, "partners/northwind/invitationLinks/reseller.azure-ad.teapot").await;
    let unknown = expect(unknown, Code::InvalidArgument, "SERVICE_UNKNOWN", "R36");
    assert_eq!(metadata(&unknown, "services"), "azure-ad,office-365,azure");
    assert_eq!(metadata(&unknown, "resource"), "teapot");
}

#[tokio::test]
async fn malformed_requests_name_their_field() {
    let world = public().await;
    let mut client = world.agent("admin_agent");
    let unordered = get(&mut client, "partners/northwind/invitationLinks/reseller.office-365.azure-ad").await;
    let unordered = expect(unordered, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
    assert!(unordered.message().contains("`reseller.azure-ad.office-365`"), "{}", unordered.message());
    for name in ["", "partners/northwind", "partners/northwind/links/reseller", "partners/N/invitationLinks/reseller"] {
        let refused = expect(get(&mut client, name).await, Code::InvalidArgument, "FIELD_INVALID", "AIP-203");
        assert_eq!(fields(&refused), ["name"], "{name}");
    }
    let long = RotateInvitationLinkRequest { reason: "x".repeat(257), ..rotate(PLAIN) };
    let refused = client.rotate_invitation_link(long).await;
    assert_eq!(fields(&expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203")), ["reason"]);
    let no_uuid = DisableInvitationLinkRequest { request_id: "seven".to_owned(), ..disable(PLAIN) };
    let refused = client.disable_invitation_link(no_uuid).await;
    assert_eq!(fields(&expect(refused, Code::InvalidArgument, "FIELD_INVALID", "AIP-203")), ["request_id"]);
}

#[tokio::test]
async fn a_second_process_on_the_same_keys_gives_the_same_uri() {
    let first = public().await;
    let second = Place::new("public", testkit::database::sqlite().unwrap()).await.start().await;
    let uri = |link: InvitationLink| link.uri;
    let ours = get(&mut first.agent("admin_agent"), BOTH).await.map(uri).unwrap();
    assert_eq!(get(&mut second.agent("admin_agent"), BOTH).await.map(uri).unwrap(), ours);
}
