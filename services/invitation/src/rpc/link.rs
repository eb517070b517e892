//! Getting, listing, rotating and disabling links.

use std::sync::Arc;

use api::event::Change;
use api::field;
use api::invitation as wire;
use api::notification::resource_snapshot::Resource;
use api::page::Page;
use outbox::{Done, Scope};
use server::Caller;

use super::{Calls, expect_partner};
use crate::domain::link::{Link, NotOffered};
use crate::error::Error;
use crate::store::link as table;
use crate::wire::link::{self as convert, LinkName};

/// What asking for a link with services needs beside the permission that asking for any link does.
const DELEGATION_PERMISSION: &str = "invitation_links.request_delegation";

pub(super) async fn get_invitation_link(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::GetInvitationLinkRequest,
) -> Result<wire::InvitationLink, Error> {
    let name = convert::name("name", &request.name)?;
    expect_partner(&caller, &name.partner, &request.name)?;
    expect_offered(&calls, &caller, &name)?;
    let mut tx = store::read(&calls.pool).await?;
    let found = table::find(&mut tx, &name.partner, &name.options).await?;
    drop(tx);
    let link = match found {
        Some(link) => link,
        None => {
            let first =
                Link::first(name.partner, name.options, calls.issue.keys.current().clone(), calls.process.clock.now());
            store::transaction(&calls.pool, &table::Keep(first)).await?
        }
    };
    Ok(calls.show(&link))
}

/// Lets through what this cloud has and this caller may ask for.
fn expect_offered(calls: &Calls, caller: &Caller, name: &LinkName) -> Result<(), Error> {
    let policy = &calls.process.policy;
    // N61, N62: who may ask for a relationship may not everywhere ask for privileges.
    if !name.options.services().is_empty() && !policy.permits(DELEGATION_PERMISSION, &caller.roles) {
        let roles = policy.roles_of(DELEGATION_PERMISSION).iter().map(ToString::to_string).collect();
        return Err(Error::RequesterRoleRequired { link: name.text(), permission: DELEGATION_PERMISSION, roles });
    }
    name.options.check(policy).map_err(|not_offered| match not_offered {
        NotOffered::ServiceUnknown(service) => Error::ServiceUnknown {
            service: service.to_string(),
            known: policy.services.iter().map(|service| service.id.to_string()).collect(),
        },
        NotOffered::DelegationMandatory(rule) => Error::DelegationMandatory { link: name.text(), rule },
    })
}

pub(super) async fn list_invitation_links(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::ListInvitationLinksRequest,
) -> Result<wire::ListInvitationLinksResponse, Error> {
    let partner = crate::wire::partner("parent", &request.parent)?;
    expect_partner(&caller, &partner, &request.parent)?;
    let page = Page::parse(format!("links {partner}"), request.page_size, &request.page_token)?;
    let mut tx = store::read(&calls.pool).await?;
    let rows = table::list(&mut tx, &partner, &page.after, page.limit()).await?;
    let (rows, next_page_token) = page.cut(rows, |link| link.options.slug());
    let invitation_links = rows.iter().map(|link| calls.show(link)).collect();
    Ok(wire::ListInvitationLinksResponse { invitation_links, next_page_token })
}

pub(super) async fn rotate_invitation_link(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::RotateInvitationLinkRequest,
) -> Result<Done<wire::InvitationLink>, Error> {
    let digest = field::digest(&request);
    let wire::RotateInvitationLinkRequest { name, request_id, reason, etag } = request;
    change_link(&calls, &caller, Verb::Rotate, Asked { name, request_id, reason, etag, digest }).await
}

pub(super) async fn disable_invitation_link(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::DisableInvitationLinkRequest,
) -> Result<Done<wire::InvitationLink>, Error> {
    let digest = field::digest(&request);
    let wire::DisableInvitationLinkRequest { name, request_id, reason, etag } = request;
    change_link(&calls, &caller, Verb::Disable, Asked { name, request_id, reason, etag, digest }).await
}

#[derive(Clone, Copy)]
enum Verb {
    Rotate,
    Disable,
}

impl Verb {
    fn method(self) -> &'static str {
        match self {
            Verb::Rotate => "RotateInvitationLink",
            Verb::Disable => "DisableInvitationLink",
        }
    }
}

/// What both requests to change a link hold.
struct Asked {
    name: String,
    request_id: String,
    reason: String,
    etag: String,
    digest: [u8; 32],
}

async fn change_link(
    calls: &Calls,
    caller: &Caller,
    verb: Verb,
    asked: Asked,
) -> Result<Done<wire::InvitationLink>, Error> {
    let (name, actor) = (convert::name("name", &asked.name)?, caller.user_name());
    expect_partner(caller, &name.partner, &asked.name)?;
    let id = field::request_id(&asked.request_id)?;
    let request = outbox::Request { caller: &actor, method: verb.method(), id, digest: asked.digest };
    let change = ChangeLink {
        calls,
        verb,
        key: format!("partners/{}", name.partner),
        name,
        actor: &actor,
        reason: field::reason(&asked.reason)?,
        etag: &asked.etag,
    };
    calls.outbox.change(&request, &change).await
}

struct ChangeLink<'a> {
    calls: &'a Calls,
    verb: Verb,
    name: LinkName,
    key: String,
    actor: &'a str,
    reason: &'a str,
    etag: &'a str,
}

impl outbox::Change for ChangeLink<'_> {
    const NAME: &'static str = "change_link";
    type Answer = wire::InvitationLink;
    type Error = Error;

    fn key(&self) -> &str {
        &self.key
    }

    async fn apply(&self, scope: &mut Scope<'_>) -> Result<wire::InvitationLink, Error> {
        let found = table::find(scope.tx, &self.name.partner, &self.name.options).await?;
        let before = found.ok_or_else(|| Error::NotFound(self.name.text()))?;
        field::check_etag(&before.name(), self.etag, before.version)?;
        let (kind, after) = match self.verb {
            Verb::Rotate => {
                ("invitationLink.rotated", Some(before.rotated(self.calls.issue.keys.current(), scope.now)))
            }
            Verb::Disable => ("invitationLink.disabled", before.disabled(scope.now)),
        };
        // Disabled before: nothing happens twice, so nothing is told twice.
        let Some(after) = after else {
            return Ok(self.calls.show(&before));
        };
        table::update(scope.tx, &after).await?;
        // To the partner alone: links concern no customer (R17). A feed is no place for a live link.
        let change = Change {
            kind,
            resource: after.name(),
            feeds: vec![self.key.clone()],
            actor: self.actor,
            reason: self.reason,
            before: Some(Resource::InvitationLink(convert::record(&before))),
            after: Some(Resource::InvitationLink(convert::record(&after))),
        };
        self.calls.emit(scope, change).await?;
        Ok(self.calls.show(&after))
    }
}
