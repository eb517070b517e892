//! What a request is about, as the history tells it.

use api::invitation as links;
use api::relationship as wire;
use prost::{DecodeError, Message};

use crate::kind::Kind;

/// The resource of a request and the id by which it is repeated; empty for what has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its name, or that of its parent for lists.
    pub resource: String,
    /// As the caller chose it.
    pub request_id: String,
}

impl Subject {
    /// Of an encoded request; empty when it is no message of its kind.
    #[must_use]
    pub fn of(kind: Kind, request: &[u8]) -> Subject {
        let subject = match kind {
            Kind::Accept => read(request, |it: links::AcceptInvitationRequest| Some((it.customer, it.request_id))),
            Kind::Remove => read(request, |it: wire::RemoveDelegationRequest| Some((it.name, it.request_id))),
            Kind::Reassign => read(request, |it: wire::ReassignDelegationRequest| Some((it.name, it.request_id))),
            Kind::Terminate => read(request, |it: wire::RequestTerminationRequest| Some((it.name, it.request_id))),
            Kind::CancelTermination => {
                read(request, |it: wire::CancelTerminationRequest| Some((it.name, it.request_id)))
            }
            Kind::RotateLink => read(request, |it: links::RotateInvitationLinkRequest| Some((it.name, it.request_id))),
            Kind::DisableLink => {
                read(request, |it: links::DisableInvitationLinkRequest| Some((it.name, it.request_id)))
            }
            Kind::UpdateSubscription => {
                read(request, |it: wire::UpdateSubscriptionRequest| Some((it.subscription?.name, it.request_id)))
            }
            Kind::CreatePartner => read(request, |it: wire::CreatePartnerRequest| {
                Some((format!("partners/{}", it.partner_id), it.request_id))
            }),
            Kind::CreateCustomer => read(request, |it: wire::CreateCustomerRequest| {
                Some((format!("customers/{}", it.customer_id), it.request_id))
            }),
            Kind::CreateUser => read(request, |it: wire::CreateUserRequest| {
                Some((format!("{}/users/{}", it.parent, it.user_id), it.request_id))
            }),
            Kind::UpdatePartner => {
                read(request, |it: wire::UpdatePartnerRequest| Some((it.partner?.name, it.request_id)))
            }
            Kind::UpdateCustomer => {
                read(request, |it: wire::UpdateCustomerRequest| Some((it.customer?.name, it.request_id)))
            }
            Kind::CheckAccess => read(request, |it: wire::CheckAccessRequest| Some((it.customer, String::new()))),
            // Reads and lists have the name or the parent first.
            Kind::Read | Kind::Repeat => read(request, |it: wire::GetUserRequest| Some((it.name, String::new()))),
        };
        let subject = subject.ok().flatten();
        subject.map(|(resource, request_id)| Subject { resource, request_id }).unwrap_or_default()
    }
}

fn read<M: Message + Default>(
    request: &[u8],
    take: impl FnOnce(M) -> Option<(String, String)>,
) -> Result<Option<(String, String)>, DecodeError> {
    M::decode(request).map(take)
}
