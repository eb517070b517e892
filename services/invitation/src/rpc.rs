//! The calls of this service, one line a method; the steps of each stand in the file of its noun.

mod acceptance;
mod link;
mod text;

use std::future::Future;
use std::sync::Arc;

use api::invitation as wire;
use api::invitation::invitation_service_server::InvitationService;
use cloud::TenantId;
use outbox::{Done, Outbox};
use server::{Caller, Peer, Process};
use store::Pool;
use tonic::{Request, Response, Status};

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

type Answer<T> = Result<Response<T>, Status>;

impl Calls {
    /// Answers a call that only reads.
    async fn read<Q, A, F>(&self, request: Request<Q>, handler: impl FnOnce(Calls, Arc<Caller>, Q) -> F) -> Answer<A>
    where
        F: Future<Output = Result<A, Error>> + Send,
    {
        let caller = server::caller(&request)?;
        let answer = handler(self.clone(), caller, request.into_inner()).await;
        answer.map(Response::new).map_err(|error| error.status(&self.process.cloud))
    }

    /// Answers a call that changes state, with the token at which the change can be seen.
    async fn change<Q, A, F>(&self, request: Request<Q>, handler: impl FnOnce(Calls, Arc<Caller>, Q) -> F) -> Answer<A>
    where
        F: Future<Output = Result<Done<A>, Error>> + Send,
    {
        let caller = server::caller(&request)?;
        let done = handler(self.clone(), caller, request.into_inner()).await;
        let done = done.map_err(|error| error.status(&self.process.cloud))?;
        let mut response = Response::new(done.answer);
        server::consistency::attach(&mut response, &self.process, done.position);
        Ok(response)
    }

    /// Answers a call by which another service changes its state, with the token of that one.
    async fn carry<Q, A, F>(&self, request: Request<Q>, handler: impl FnOnce(Calls, Arc<Caller>, Q) -> F) -> Answer<A>
    where
        F: Future<Output = Result<Response<A>, Error>> + Send,
    {
        let caller = server::caller(&request)?;
        let answer = handler(self.clone(), caller, request.into_inner()).await;
        answer.map_err(|error| error.status(&self.process.cloud))
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
        self.read(request, link::get_invitation_link).await
    }

    async fn list_invitation_links(
        &self,
        request: Request<wire::ListInvitationLinksRequest>,
    ) -> Answer<wire::ListInvitationLinksResponse> {
        self.read(request, link::list_invitation_links).await
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
        self.read(request, text::render_invitation_text).await
    }

    async fn check_invitation_text(
        &self,
        request: Request<wire::CheckInvitationTextRequest>,
    ) -> Answer<wire::CheckInvitationTextResponse> {
        self.read(request, text::check_invitation_text).await
    }

    async fn resolve_invitation(
        &self,
        request: Request<wire::ResolveInvitationRequest>,
    ) -> Answer<wire::ResolveInvitationResponse> {
        self.read(request, acceptance::resolve_invitation).await
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Answer<wire::AcceptInvitationResponse> {
        self.carry(request, acceptance::accept_invitation).await
    }
}
