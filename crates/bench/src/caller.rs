//! Who calls, and the calls that are measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use api::invitation::invitation_service_client::InvitationServiceClient;
use api::invitation::{AcceptInvitationRequest, GetInvitationLinkRequest};
use api::relationship::access_service_client::AccessServiceClient;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use api::relationship::directory_service_client::DirectoryServiceClient;
use api::relationship::establishment_service_client::EstablishmentServiceClient;
use api::relationship::relationship_service_client::RelationshipServiceClient;
use api::relationship::{
    Action, AgreementConsent, CheckAccessRequest, Consistency, CreateCustomerRequest, CreatePartnerRequest, Customer,
    EstablishRequest, ListPartnerCustomersRequest, ListRelationshipsRequest, Partner, RelationshipType, Signer,
    VerifiedInvitation,
};
use clock::Clock;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response};

use crate::site::{self, Site};

/// The partner with the most customers, whose link everybody accepts.
const PARTNER: &str = "partners/partner-00";
const LINK: &str = "reseller.azure-ad.office-365";
const CONSISTENCY: &str = "mandate-consistency-token";
/// How many partners there are.
const PARTNERS: u64 = 100;

/// Somebody who calls, over connections that others share.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    channels: Arc<[Channel]>,
    authorization: MetadataValue<Ascii>,
    cloud: MetadataValue<Ascii>,
}

impl Caller {
    /// Shows this token over these connections, in turn.
    ///
    /// # Errors
    /// When the token is none.
    pub(crate) fn new(site: &Site, channels: &[Channel], token: &str) -> Result<Caller> {
        let (authorization, cloud) = (format!("Bearer {token}").parse()?, site.cloud.parse()?);
        Ok(Caller { channels: channels.into(), authorization, cloud })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request.metadata_mut().insert("x-mandate-cloud", self.cloud.clone());
        request
    }

    fn channel(&self, place: usize) -> Channel {
        self.channels[place % self.channels.len()].clone()
    }

    /// Asks whether a partner may manage the users of one of its customers; both are those of relationship `number`. Returns
    /// whether it may.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn check(&self, place: usize, number: u64, token: Option<&str>) -> Result<bool> {
        let requirement = token.map(|token| Requirement::AtLeastAsFresh(token.to_owned()));
        let request = CheckAccessRequest {
            partner: format!("partners/{}", partner_of(number)),
            customer: format!("customers/{}", customer_of(number)),
            action: Action::ManageUsers.into(),
            target: Some(Target::Service("office-365".to_owned())),
            consistency: requirement.map(|requirement| Consistency { requirement: Some(requirement) }),
        };
        let mut client = AccessServiceClient::new(self.channel(place));
        Ok(client.check_access(self.request(request)).await?.into_inner().allowed)
    }

    /// A page of the customers of the partner with the most; returns how many it holds and the token of the next.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn customers(&self, place: usize, page_size: i32, page_token: &str) -> Result<(usize, String)> {
        let page_token = page_token.to_owned();
        let request = ListPartnerCustomersRequest { parent: PARTNER.to_owned(), page_size, page_token };
        let mut client = RelationshipServiceClient::new(self.channel(place));
        let page = client.list_partner_customers(self.request(request)).await?.into_inner();
        Ok((page.partner_customers.len(), page.next_page_token))
    }

    /// A page of the relationships of the partner that calls; returns how many it holds and the token of the next.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn relationships(
        &self,
        place: usize,
        page_size: i32,
        page_token: &str,
    ) -> Result<(usize, String)> {
        let (parent, page_token) = ("customers/-".to_owned(), page_token.to_owned());
        let request = ListRelationshipsRequest { parent, page_size, page_token, ..Default::default() };
        let mut client = RelationshipServiceClient::new(self.channel(place));
        let page = client.list_relationships(self.request(request)).await?.into_inner();
        Ok((page.relationships.len(), page.next_page_token))
    }
}

/// The customer of a seeded relationship, as `seed.sql` has it.
#[must_use]
pub(crate) fn customer_of(number: u64) -> String {
    format!("c{:08x}", spread(number))
}

/// The partner of a seeded relationship, as `seed.sql` has it.
#[must_use]
pub(crate) fn partner_of(number: u64) -> String {
    if number.is_multiple_of(10) {
        "partner-00".to_owned()
    } else {
        format!("partner-{:02}", 1 + number % (PARTNERS - 1))
    }
}

/// Spreads numbers over 32 bits; different ones stay different.
fn spread(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761) & 0xffff_ffff
}

/// Registers the partners and the customer `template`, and lets it accept: what it leaves is what seeds are copied from.
/// Returns the link that customers accept, and the token from which on that acceptance can be seen.
///
/// # Errors
/// When a call is refused.
pub(crate) async fn prepare(site: &Site) -> Result<(String, String)> {
    let channel = site.through("gateway").await?;
    let otto = Caller::new(site, std::slice::from_ref(&channel), &site.token(site::OPERATOR))?;
    let mut directory = DirectoryServiceClient::new(channel.clone());
    for number in 0..PARTNERS {
        let partner = Partner {
            display_name: format!("Partner {number} IT"),
            country: "IT".to_owned(),
            signed_contract: "microsoft-partner-agreement".to_owned(),
            ..Partner::default()
        };
        let partner_id = format!("partner-{number:02}");
        let request = CreatePartnerRequest { partner_id, partner: Some(partner), ..Default::default() };
        directory.create_partner(otto.request(request)).await?;
    }
    let customer = Customer {
        display_name: "Tessera Ceramics".to_owned(),
        country: "IT".to_owned(),
        domain: "tessera-ceramics.example".to_owned(),
        ..Customer::default()
    };
    let customer_id = "template".to_owned();
    let request = CreateCustomerRequest { customer_id, customer: Some(customer), ..Default::default() };
    directory.create_customer(otto.request(request)).await?;
    let ada = Caller::new(site, std::slice::from_ref(&channel), &site.token(site::AGENT))?;
    let name = format!("{PARTNER}/invitationLinks/{LINK}");
    let mut invitations = InvitationServiceClient::new(channel.clone());
    let link = invitations.get_invitation_link(ada.request(GetInvitationLinkRequest { name })).await?.into_inner();
    let customers = Customers { link: link.token.clone(), channels: vec![channel].into(), next: Arc::default() };
    let token = customers.accept_as(site, 0, "template").await?;
    Ok((link.token, token))
}

/// Customers who accept, each once.
#[derive(Clone, Debug)]
pub(crate) struct Customers {
    /// What they accept.
    pub(crate) link: String,
    /// How they call.
    pub(crate) channels: Arc<[Channel]>,
    /// Whose turn it is.
    pub(crate) next: Arc<AtomicU64>,
}

impl Customers {
    /// The id of the next, whom `candidates.sql` has registered.
    #[must_use]
    pub(crate) fn next(&self) -> String {
        format!("a{:08x}", spread(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Accepts for the next customer.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn accept(&self, site: &Site, place: usize) -> Result<String> {
        self.accept_as(site, place, &self.next()).await
    }

    /// Accepts for this customer.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn accept_as(&self, site: &Site, place: usize, customer: &str) -> Result<String> {
        let caller = Caller::new(site, &self.channels, &site.token(site::admin(customer)))?;
        let request = AcceptInvitationRequest {
            token: self.link.clone(),
            customer: format!("customers/{customer}"),
            agreement: Some(consent()),
            request_id: Clock::system().id().to_string(),
            ..Default::default()
        };
        let mut client = InvitationServiceClient::new(caller.channel(place));
        consistency(&client.accept_invitation(caller.request(request)).await?)
    }

    /// Accepts for the next customer as the invitation service does, at the relationship service itself.
    ///
    /// # Errors
    /// When the call is refused.
    pub(crate) async fn establish(&self, site: &Site, place: usize) -> Result<String> {
        let customer = self.next();
        let caller = Caller::new(site, &self.channels, &site.token(site::admin(&customer)))?;
        let invitation = VerifiedInvitation {
            link: format!("{PARTNER}/invitationLinks/{LINK}"),
            link_active: true,
            r#type: RelationshipType::Reseller.into(),
            services: vec!["azure-ad".to_owned(), "office-365".to_owned()],
        };
        let request = EstablishRequest {
            invitation: Some(invitation),
            customer: format!("customers/{customer}"),
            agreement: Some(consent()),
            request_id: Clock::system().id().to_string(),
            ..Default::default()
        };
        let mut client = EstablishmentServiceClient::new(caller.channel(place));
        consistency(&client.establish(caller.request(request)).await?)
    }
}

fn consent() -> AgreementConsent {
    AgreementConsent {
        agreement: "microsoft-customer-agreement".to_owned(),
        version: "1".to_owned(),
        signer: Some(Signer {
            first_name: "Gwen".to_owned(),
            last_name: "Sample".to_owned(),
            email: "gwen@customer.example".to_owned(),
            phone: String::new(),
        }),
        accept_time: None,
    }
}

/// The token from which on a change can be seen. An accept without one has changed nothing.
fn consistency<T>(answer: &Response<T>) -> Result<String> {
    let token = answer.metadata().get(CONSISTENCY).context("every change has a token")?.to_str()?;
    ensure!(!token.is_empty(), "a token says something");
    Ok(token.to_owned())
}
