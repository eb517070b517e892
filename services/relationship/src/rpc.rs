//! The calls of this service, one line a method; the steps of each stand in the file of its noun.

mod access;
mod agreement;
mod delegation;
mod directory;
mod establishment;
mod relationship;
mod subscription;
pub(crate) mod termination;

use std::sync::Arc;

use api::event::{Change, Occasion};
use api::field;
use api::relationship as wire;
use api::relationship::access_service_server::AccessService;
use api::relationship::agreement_service_server::AgreementService;
use api::relationship::delegation_service_server::DelegationService;
use api::relationship::directory_service_server::DirectoryService;
use api::relationship::establishment_service_server::EstablishmentService;
use api::relationship::relationship_service_server::RelationshipService;
use api::relationship::subscription_service_server::SubscriptionService;
use api::rule::PrincipalKind;
use cloud::TenantId;
use outbox::{Outbox, Scope};
use prost::Message;
use server::{Answer, Answers, Caller, Process};
use store::{Failure, Pool, Reads};
use tonic::{Request, Status};

use crate::error::Error;

/// What the calls of this service work with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) process: Arc<Process>,
    pub(crate) pool: Pool,
    pub(crate) reads: Reads,
    pub(crate) outbox: Outbox,
}

impl Answers for Calls {
    type Error = Error;

    fn process(&self) -> &Process {
        &self.process
    }

    fn status(&self, error: Error) -> Status {
        error.status(&self.process.policy)
    }
}

impl Calls {
    /// Keeps an event of this change for delivery.
    async fn emit(&self, scope: &mut Scope<'_>, change: Change<'_>) -> Result<(), Failure> {
        let (cloud, traceparent) = (self.process.cloud.as_str(), server::telemetry::traceparent());
        scope.emit(|id, time| change.envelope(Occasion { id, time_us: time.micros(), cloud, traceparent })).await
    }
}

/// Who is told of what happens between a customer and a partner.
fn both(customer: &TenantId, partner: &TenantId) -> Vec<String> {
    vec![format!("customers/{customer}"), format!("partners/{partner}")]
}

/// What a caller sees of a customer's data (I12).
#[derive(Clone, Debug, PartialEq, Eq)]
enum View {
    /// All of it.
    All,
    /// What belongs to this partner.
    Partner(TenantId),
}

/// What the caller sees of this customer's data. Customers see their own alone; `name` is what the refusal speaks of.
fn view_of(caller: &Caller, customer: &TenantId, name: &str) -> Result<View, Error> {
    match caller.kind {
        PrincipalKind::Customer if caller.tenant == *customer => Ok(View::All),
        PrincipalKind::Partner => Ok(View::Partner(caller.tenant.clone())),
        PrincipalKind::Operator | PrincipalKind::Workload => Ok(View::All),
        PrincipalKind::Customer | PrincipalKind::Unspecified => Err(Error::NotFound(name.to_owned())),
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

/// How a change is recognized when it is asked for again.
fn change_request<'a>(
    caller: &'a str,
    method: &'static str,
    request_id: &str,
    request: &impl Message,
) -> Result<outbox::Request<'a>, Error> {
    Ok(outbox::Request { caller, method, id: field::request_id(request_id)?, digest: field::digest(request) })
}

#[tonic::async_trait]
impl RelationshipService for Calls {
    async fn get_relationship(&self, request: Request<wire::GetRelationshipRequest>) -> Answer<wire::Relationship> {
        self.answer(request, relationship::get_relationship).await
    }

    async fn list_relationships(
        &self,
        request: Request<wire::ListRelationshipsRequest>,
    ) -> Answer<wire::ListRelationshipsResponse> {
        self.answer(request, relationship::list_relationships).await
    }

    async fn get_partner_customer(
        &self,
        request: Request<wire::GetPartnerCustomerRequest>,
    ) -> Answer<wire::PartnerCustomer> {
        self.answer(request, relationship::get_partner_customer).await
    }

    async fn list_partner_customers(
        &self,
        request: Request<wire::ListPartnerCustomersRequest>,
    ) -> Answer<wire::ListPartnerCustomersResponse> {
        self.answer(request, relationship::list_partner_customers).await
    }

    async fn request_termination(
        &self,
        request: Request<wire::RequestTerminationRequest>,
    ) -> Answer<wire::Relationship> {
        self.change(request, termination::request_termination).await
    }

    async fn cancel_termination(&self, request: Request<wire::CancelTerminationRequest>) -> Answer<wire::Relationship> {
        self.change(request, termination::cancel_termination).await
    }

    async fn list_termination_blockers(
        &self,
        request: Request<wire::ListTerminationBlockersRequest>,
    ) -> Answer<wire::ListTerminationBlockersResponse> {
        self.answer(request, termination::list_termination_blockers).await
    }
}

#[tonic::async_trait]
impl DelegationService for Calls {
    async fn get_delegation(&self, request: Request<wire::GetDelegationRequest>) -> Answer<wire::Delegation> {
        self.answer(request, delegation::get_delegation).await
    }

    async fn list_delegations(
        &self,
        request: Request<wire::ListDelegationsRequest>,
    ) -> Answer<wire::ListDelegationsResponse> {
        self.answer(request, delegation::list_delegations).await
    }

    async fn remove_delegation(&self, request: Request<wire::RemoveDelegationRequest>) -> Answer<wire::Delegation> {
        self.change(request, delegation::remove_delegation).await
    }

    async fn reassign_delegation(
        &self,
        request: Request<wire::ReassignDelegationRequest>,
    ) -> Answer<wire::ReassignDelegationResponse> {
        self.change(request, delegation::reassign_delegation).await
    }
}

#[tonic::async_trait]
impl AccessService for Calls {
    async fn check_access(&self, request: Request<wire::CheckAccessRequest>) -> Answer<wire::CheckAccessResponse> {
        self.answer(request, access::check_access).await
    }

    async fn explain_access(
        &self,
        request: Request<wire::ExplainAccessRequest>,
    ) -> Answer<wire::ExplainAccessResponse> {
        self.answer(request, access::explain_access).await
    }
}

#[tonic::async_trait]
impl AgreementService for Calls {
    async fn get_agreement_status(
        &self,
        request: Request<wire::GetAgreementStatusRequest>,
    ) -> Answer<wire::AgreementStatus> {
        self.answer(request, agreement::get_agreement_status).await
    }

    async fn list_agreement_acceptances(
        &self,
        request: Request<wire::ListAgreementAcceptancesRequest>,
    ) -> Answer<wire::ListAgreementAcceptancesResponse> {
        self.answer(request, agreement::list_agreement_acceptances).await
    }
}

#[tonic::async_trait]
impl SubscriptionService for Calls {
    async fn get_subscription(&self, request: Request<wire::GetSubscriptionRequest>) -> Answer<wire::Subscription> {
        self.answer(request, subscription::get_subscription).await
    }

    async fn list_subscriptions(
        &self,
        request: Request<wire::ListSubscriptionsRequest>,
    ) -> Answer<wire::ListSubscriptionsResponse> {
        self.answer(request, subscription::list_subscriptions).await
    }

    async fn update_subscription(
        &self,
        request: Request<wire::UpdateSubscriptionRequest>,
    ) -> Answer<wire::Subscription> {
        self.change(request, subscription::update_subscription).await
    }
}

#[tonic::async_trait]
impl EstablishmentService for Calls {
    async fn establish(&self, request: Request<wire::EstablishRequest>) -> Answer<wire::EstablishResponse> {
        self.change(request, establishment::establish).await
    }

    async fn preview_establishment(
        &self,
        request: Request<wire::PreviewEstablishmentRequest>,
    ) -> Answer<wire::PreviewEstablishmentResponse> {
        self.answer(request, establishment::preview_establishment).await
    }
}

#[tonic::async_trait]
impl DirectoryService for Calls {
    async fn create_partner(&self, request: Request<wire::CreatePartnerRequest>) -> Answer<wire::Partner> {
        self.change(request, directory::create_partner).await
    }

    async fn get_partner(&self, request: Request<wire::GetPartnerRequest>) -> Answer<wire::Partner> {
        self.answer(request, directory::get_partner).await
    }

    async fn list_partners(&self, request: Request<wire::ListPartnersRequest>) -> Answer<wire::ListPartnersResponse> {
        self.answer(request, directory::list_partners).await
    }

    async fn update_partner(&self, request: Request<wire::UpdatePartnerRequest>) -> Answer<wire::Partner> {
        self.change(request, directory::update_partner).await
    }

    async fn create_customer(&self, request: Request<wire::CreateCustomerRequest>) -> Answer<wire::Customer> {
        self.change(request, directory::create_customer).await
    }

    async fn get_customer(&self, request: Request<wire::GetCustomerRequest>) -> Answer<wire::Customer> {
        self.answer(request, directory::get_customer).await
    }

    async fn list_customers(
        &self,
        request: Request<wire::ListCustomersRequest>,
    ) -> Answer<wire::ListCustomersResponse> {
        self.answer(request, directory::list_customers).await
    }

    async fn update_customer(&self, request: Request<wire::UpdateCustomerRequest>) -> Answer<wire::Customer> {
        self.change(request, directory::update_customer).await
    }

    async fn create_user(&self, request: Request<wire::CreateUserRequest>) -> Answer<wire::User> {
        self.change(request, directory::create_user).await
    }

    async fn get_user(&self, request: Request<wire::GetUserRequest>) -> Answer<wire::User> {
        self.answer(request, directory::get_user).await
    }

    async fn list_users(&self, request: Request<wire::ListUsersRequest>) -> Answer<wire::ListUsersResponse> {
        self.answer(request, directory::list_users).await
    }
}
