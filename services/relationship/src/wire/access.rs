//! Questions and answers about access.

use api::relationship as wire;
use api::relationship::check_access_request;
use cloud::{ServiceId, TenantId};

use crate::domain::access::{Action, Decision, Grant, TargetKind};
use crate::domain::delegation::Delegation;
use crate::domain::relationship::Relationship;
use crate::domain::subscription::Subscription;
use crate::error::Error;

/// On what, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A subscription of the customer, by its id.
    Subscription(String),
    /// A service.
    Service(ServiceId),
}

/// A question, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who would do it.
    pub partner: TenantId,
    /// For whom.
    pub customer: TenantId,
    /// What.
    pub action: Action,
    /// On what.
    pub target: Target,
}

/// A question from the wire. An unknown action is refused, never allowed.
pub fn question(request: &wire::CheckAccessRequest) -> Result<Question, Error> {
    let partner = super::partner("partner", &request.partner)?;
    let customer = super::customer("customer", &request.customer)?;
    let action = action_from(request.action)?;
    let target = match &request.target {
        Some(check_access_request::Target::Subscription(name)) => {
            let (owner, id) = super::subscription::name("subscription", name)?;
            if owner != customer {
                return Err(Error::invalid("subscription", "name a subscription of the customer asked about"));
            }
            Target::Subscription(id)
        }
        Some(check_access_request::Target::Service(id)) => Target::Service(super::service("service", id)?),
        None => return Err(Error::invalid("target", "give a subscription or a service")),
    };
    match (action.target(), &target) {
        (TargetKind::Subscription, Target::Service(_)) => {
            Err(Error::invalid("subscription", "this action needs a subscription"))
        }
        (TargetKind::Service, Target::Subscription(_)) => Err(Error::invalid("service", "this action needs a service")),
        (TargetKind::Either | TargetKind::Subscription, Target::Subscription(_))
        | (TargetKind::Either | TargetKind::Service, Target::Service(_)) => {
            Ok(Question { partner, customer, action, target })
        }
    }
}

fn action_from(number: i32) -> Result<Action, Error> {
    let found = Action::ALL.into_iter().find(|known| i32::from(action(*known)) == number);
    found.ok_or_else(|| Error::invalid("action", "give an action that Action names"))
}

/// An action on the wire.
#[must_use]
pub fn action(action: Action) -> wire::Action {
    match action {
        Action::ReceiveInvoice => wire::Action::ReceiveInvoice,
        Action::RemoveSeats => wire::Action::RemoveSeats,
        Action::OrderAddOn => wire::Action::OrderAddOn,
        Action::TransitionSubscription => wire::Action::TransitionSubscription,
        Action::MigrateSubscription => wire::Action::MigrateSubscription,
        Action::ChangePartnerOfRecord => wire::Action::ChangePartnerOfRecord,
        Action::ProvisionSubscription => wire::Action::ProvisionSubscription,
        Action::ManageSubscription => wire::Action::ManageSubscription,
        Action::ManageService => wire::Action::ManageService,
        Action::ManageUsers => wire::Action::ManageUsers,
        Action::ManageLicenses => wire::Action::ManageLicenses,
        Action::OpenSupportRequest => wire::Action::OpenSupportRequest,
        Action::BeSupportContact => wire::Action::BeSupportContact,
    }
}

/// What could grant an action, to name the grant.
#[derive(Clone, Copy, Debug)]
pub struct Grants<'a> {
    /// The relationship.
    pub relationship: Option<&'a Relationship>,
    /// The delegation on the service.
    pub delegation: Option<&'a Delegation>,
    /// The subscription.
    pub subscription: Option<&'a Subscription>,
}

/// An answer on the wire.
#[must_use]
pub fn decision(decision: &Decision, grants: Grants<'_>) -> wire::CheckAccessResponse {
    let grant = match decision.grant {
        None => None,
        Some(Grant::Relationship) => grants.relationship.map(Relationship::name),
        Some(Grant::Delegation) => grants.delegation.map(Delegation::name),
        Some(Grant::Subscription) => grants.subscription.map(Subscription::name),
    };
    wire::CheckAccessResponse {
        allowed: decision.is_allowed(),
        rule: decision.rule.clone(),
        grant: grant.unwrap_or_default(),
        explanation: decision.explanation.to_owned(),
    }
}
