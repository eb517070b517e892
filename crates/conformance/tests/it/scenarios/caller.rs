//! Somebody who calls: a connection, a token, and the cloud that is named with every call.

use api::invitation::invitation_service_client::InvitationServiceClient;
use api::invitation::{
    AcceptInvitationRequest, AcceptInvitationResponse, GetInvitationLinkRequest, InvitationLink,
    ResolveInvitationRequest, ResolveInvitationResponse,
};
use api::notification::event_service_client::EventServiceClient;
use api::relationship::access_service_client::AccessServiceClient;
use api::relationship::agreement_service_client::AgreementServiceClient;
use api::relationship::delegation_service_client::DelegationServiceClient;
use api::relationship::directory_service_client::DirectoryServiceClient;
use api::relationship::relationship_service_client::RelationshipServiceClient;
use api::relationship::subscription_service_client::SubscriptionServiceClient;
use api::relationship::{
    AgreementConsent, CreateCustomerRequest, CreatePartnerRequest, Customer, Delegation, ListDelegationsRequest,
    ListPartnerCustomersRequest, ListRelationshipsRequest, Partner, PartnerCustomer, Relationship, Signer,
};
use clock::Clock;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::cloud::Cloud;

/// A connection that shows credentials with every call.
pub(crate) type Wire = InterceptedService<Channel, Credentials>;

/// What a caller shows.
#[derive(Clone, Default)]
pub(crate) struct Credentials(Vec<(&'static str, MetadataValue<Ascii>)>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in &self.0 {
            request.metadata_mut().append(*key, value.clone());
        }
        Ok(request)
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Calls with the credentials.
    pub(crate) wire: Wire,
    channel: Channel,
    credentials: Credentials,
}

/// A new request id.
pub(crate) fn request_id() -> String {
    Clock::system().id().to_string()
}

impl Caller {
    /// Calls over this connection, naming this cloud and showing this token.
    pub(crate) fn new(channel: &Channel, cloud: Option<&str>, token: Option<&str>) -> Caller {
        let nobody = Caller {
            wire: InterceptedService::new(channel.clone(), Credentials::default()),
            channel: channel.clone(),
            credentials: Credentials::default(),
        };
        let named = match cloud {
            Some(cloud) => nobody.with("x-mandate-cloud", cloud),
            None => nobody,
        };
        match token {
            Some(token) => named.with("authorization", &format!("Bearer {token}")),
            None => named,
        }
    }

    /// The same with one more line of metadata.
    pub(crate) fn with(&self, key: &'static str, value: &str) -> Caller {
        let mut credentials = self.credentials.clone();
        credentials.0.push((key, value.parse().expect("metadata is ASCII")));
        let wire = InterceptedService::new(self.channel.clone(), credentials.clone());
        Caller { wire, channel: self.channel.clone(), credentials }
    }

    pub(crate) fn invitations(&self) -> InvitationServiceClient<Wire> {
        InvitationServiceClient::new(self.wire.clone())
    }

    pub(crate) fn relationships(&self) -> RelationshipServiceClient<Wire> {
        RelationshipServiceClient::new(self.wire.clone())
    }

    pub(crate) fn delegations(&self) -> DelegationServiceClient<Wire> {
        DelegationServiceClient::new(self.wire.clone())
    }

    pub(crate) fn access(&self) -> AccessServiceClient<Wire> {
        AccessServiceClient::new(self.wire.clone())
    }

    pub(crate) fn agreements(&self) -> AgreementServiceClient<Wire> {
        AgreementServiceClient::new(self.wire.clone())
    }

    pub(crate) fn subscriptions(&self) -> SubscriptionServiceClient<Wire> {
        SubscriptionServiceClient::new(self.wire.clone())
    }

    pub(crate) fn directory(&self) -> DirectoryServiceClient<Wire> {
        DirectoryServiceClient::new(self.wire.clone())
    }

    pub(crate) fn events(&self) -> EventServiceClient<Wire> {
        EventServiceClient::new(self.wire.clone())
    }

    /// The link of a partner with these options, as in `reseller.azure-ad`.
    pub(crate) async fn link(&self, partner: &str, options: &str) -> Result<InvitationLink, Status> {
        let name = format!("{partner}/invitationLinks/{options}");
        let found = self.invitations().get_invitation_link(GetInvitationLinkRequest { name }).await?;
        Ok(found.into_inner())
    }

    /// What an invitation means for a customer.
    pub(crate) async fn resolve(&self, token: &str, customer: &str) -> Result<ResolveInvitationResponse, Status> {
        let request = ResolveInvitationRequest { token: token.to_owned(), customer: customer.to_owned() };
        Ok(self.invitations().resolve_invitation(request).await?.into_inner())
    }

    /// Accepts.
    pub(crate) async fn accept(
        &self,
        request: AcceptInvitationRequest,
    ) -> Result<Response<AcceptInvitationResponse>, Status> {
        self.invitations().accept_invitation(request).await
    }

    /// The customers of a partner.
    pub(crate) async fn customers(&self, partner: &str) -> Vec<PartnerCustomer> {
        let request = ListPartnerCustomersRequest { parent: partner.to_owned(), ..Default::default() };
        let page = self.relationships().list_partner_customers(request).await.expect("a list of its own");
        page.into_inner().partner_customers
    }

    /// The relationships of a customer.
    pub(crate) async fn partners(&self, customer: &str) -> Vec<Relationship> {
        let request = ListRelationshipsRequest { parent: customer.to_owned(), ..Default::default() };
        let page = self.relationships().list_relationships(request).await.expect("a list of its own");
        page.into_inner().relationships
    }

    /// The active delegations of a customer.
    pub(crate) async fn holders(&self, customer: &str) -> Vec<Delegation> {
        let parent = format!("{customer}/relationships/-");
        let request = ListDelegationsRequest { parent, filter: "state = ACTIVE".to_owned(), ..Default::default() };
        let page = self.delegations().list_delegations(request).await.expect("a list of its own");
        page.into_inner().delegations
    }

    /// Registers a partner that may act.
    pub(crate) async fn register_partner(&self, id: &str, country: &str, contract: &str) -> Partner {
        let partner = Partner {
            display_name: format!("{id} IT"),
            country: country.to_owned(),
            signed_contract: contract.to_owned(),
            ..Partner::default()
        };
        let request = CreatePartnerRequest { partner_id: id.to_owned(), partner: Some(partner), ..Default::default() };
        self.directory().create_partner(request).await.expect("an operator registers").into_inner()
    }

    /// Registers a customer.
    pub(crate) async fn register_customer(&self, id: &str, country: &str) -> Customer {
        let customer =
            Customer { display_name: format!("{id} AG"), country: country.to_owned(), ..Customer::default() };
        let request =
            CreateCustomerRequest { customer_id: id.to_owned(), customer: Some(customer), ..Default::default() };
        self.directory().create_customer(request).await.expect("an operator registers").into_inner()
    }
}

impl Cloud {
    /// An acceptance that nothing need stand in the way of: with the agreement where one is due.
    pub(crate) fn acceptance(&self, token: &str, customer: &str) -> AcceptInvitationRequest {
        AcceptInvitationRequest {
            token: token.to_owned(),
            customer: customer.to_owned(),
            agreement: self.agreement.map(consent),
            request_id: request_id(),
            ..AcceptInvitationRequest::default()
        }
    }
}

/// Consent to an agreement, dated now.
fn consent(agreement: &str) -> AgreementConsent {
    let signer = Signer {
        first_name: "Gwen".to_owned(),
        last_name: "Sample".to_owned(),
        email: "gwen@customer.example".to_owned(),
        phone: String::new(),
    };
    AgreementConsent {
        agreement: agreement.to_owned(),
        version: "1".to_owned(),
        signer: Some(signer),
        accept_time: None,
    }
}
