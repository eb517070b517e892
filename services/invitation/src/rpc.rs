//! The calls of this service, one line a method; the steps of each stand in the file of its noun.

mod acceptance;
mod link;
mod text;

use std::sync::Arc;

use api::event::{Change, Occasion};
use api::invitation as wire;
use api::invitation::invitation_service_server::InvitationService;
use cloud::TenantId;
use outbox::{Outbox, Scope};
use server::{Answer, Answers, Caller, Peer, Process};
use store::{Failure, Pool};
use tonic::{Request, Status};

use crate::domain::key::Keys;
use crate::domain::link::Link;
use crate::domain::text::Catalog;
use crate::domain::token::{self, Token};
use crate::error::Error;
use crate::wire::link::Signed;

/// What the calls of this service work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) process: Arc<Process>,
    pub(crate) pool: Pool,
    pub(crate) outbox: Outbox,
    pub(crate) relationship: Peer,
    pub(crate) issue: Arc<Issue>,
}

/// What links and their texts are made of.
pub(crate) struct Issue {
    pub(crate) keys: Keys,
    pub(crate) public_uri: String,
    pub(crate) catalog: Catalog,
}

impl Answers for Calls {
    type Error = Error;

    fn process(&self) -> &Process {
        &self.process
    }

    fn status(&self, error: Error) -> Status {
        error.status(&self.process.cloud)
    }
}

impl Calls {
    /// Keeps an event of this change for delivery.
    async fn emit(&self, scope: &mut Scope<'_>, change: Change<'_>) -> Result<(), Failure> {
        let (cloud, traceparent) = (self.process.cloud.as_str(), server::telemetry::traceparent());
        scope.emit(|id, time| change.envelope(Occasion { id, time_us: time.micros(), cloud, traceparent })).await
    }

    /// The live half of a link. `None` when the key it was signed with has been withdrawn.
    fn sign(&self, link: &Link) -> Option<Signed> {
        let token = Token::of(link).sign(&self.process.cloud, &self.issue.keys)?;
        Some(Signed { uri: token::uri(&self.issue.public_uri, &token), token })
    }

    /// A link as its partner sees it.
    fn show(&self, link: &Link) -> wire::InvitationLink {
        crate::wire::link::link(link, self.sign(link))
    }
}

/// Refuses everyone but users of this customer.
fn expect_customer(caller: &Caller, customer: &TenantId, name: &str) -> Result<(), Error> {
    if caller.is_customer(customer) { Ok(()) } else { Err(Error::NotFound(name.to_owned())) }
}

/// Refuses everyone but users of this partner.
fn expect_partner(caller: &Caller, partner: &TenantId, name: &str) -> Result<(), Error> {
    if caller.is_partner(partner) { Ok(()) } else { Err(Error::NotFound(name.to_owned())) }
}

#[tonic::async_trait]
impl InvitationService for Calls {
    async fn get_invitation_link(
        &self,
        request: Request<wire::GetInvitationLinkRequest>,
    ) -> Answer<wire::InvitationLink> {
        self.answer(request, link::get_invitation_link).await
    }

    async fn list_invitation_links(
        &self,
        request: Request<wire::ListInvitationLinksRequest>,
    ) -> Answer<wire::ListInvitationLinksResponse> {
        self.answer(request, link::list_invitation_links).await
    }

    async fn rotate_invitation_link(
        &self,
        request: Request<wire::RotateInvitationLinkRequest>,
    ) -> Answer<wire::InvitationLink> {
        self.change(request, link::rotate_invitation_link).await
    }

    async fn disable_invitation_link(
        &self,
        request: Request<wire::DisableInvitationLinkRequest>,
    ) -> Answer<wire::InvitationLink> {
        self.change(request, link::disable_invitation_link).await
    }

    async fn render_invitation_text(
        &self,
        request: Request<wire::RenderInvitationTextRequest>,
    ) -> Answer<wire::InvitationText> {
        self.answer(request, text::render_invitation_text).await
    }

    async fn check_invitation_text(
        &self,
        request: Request<wire::CheckInvitationTextRequest>,
    ) -> Answer<wire::CheckInvitationTextResponse> {
        self.answer(request, text::check_invitation_text).await
    }

    async fn resolve_invitation(
        &self,
        request: Request<wire::ResolveInvitationRequest>,
    ) -> Answer<wire::ResolveInvitationResponse> {
        self.answer(request, acceptance::resolve_invitation).await
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Answer<wire::AcceptInvitationResponse> {
        self.answer(request, acceptance::accept_invitation).await
    }
}
