//! The question asked on every later call: may this partner do this for this customer?
//!
//! One decision, used for answering and for acting. The rule named is the decisive one; the grant is what allows it.

use cloud::{DelegableService, Policy, TenantId};

use super::delegation::{Delegation, State};
use super::relationship::Relationship;
use super::subscription::Subscription;

/// What a partner may want to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Receive the invoice of a subscription.
    ReceiveInvoice,
    /// Remove seats of a subscription.
    RemoveSeats,
    /// Order add-ons for a subscription.
    OrderAddOn,
    /// Upgrade or convert a subscription.
    TransitionSubscription,
    /// Migrate a subscription.
    MigrateSubscription,
    /// Change the partner of record of a subscription.
    ChangePartnerOfRecord,
    /// Provision a new subscription of a service.
    ProvisionSubscription,
    /// Manage a subscription.
    ManageSubscription,
    /// Administer a service.
    ManageService,
    /// Manage the users of a service.
    ManageUsers,
    /// Manage the licenses of a service.
    ManageLicenses,
    /// Open a support request on behalf of the customer.
    OpenSupportRequest,
    /// Be the designated support contact of a subscription.
    BeSupportContact,
}

/// On what an action can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A subscription only.
    Subscription,
    /// A service only.
    Service,
    /// Either.
    Either,
}

impl Action {
    /// All actions.
    pub const ALL: [Action; 13] = [
        Action::ReceiveInvoice,
        Action::RemoveSeats,
        Action::OrderAddOn,
        Action::TransitionSubscription,
        Action::MigrateSubscription,
        Action::ChangePartnerOfRecord,
        Action::ProvisionSubscription,
        Action::ManageSubscription,
        Action::ManageService,
        Action::ManageUsers,
        Action::ManageLicenses,
        Action::OpenSupportRequest,
        Action::BeSupportContact,
    ];

    /// On what it can be done.
    #[must_use]
    pub fn target(self) -> TargetKind {
        match self {
            Action::ReceiveInvoice
            | Action::RemoveSeats
            | Action::OrderAddOn
            | Action::TransitionSubscription
            | Action::MigrateSubscription
            | Action::ChangePartnerOfRecord
            | Action::ManageSubscription
            | Action::BeSupportContact => TargetKind::Subscription,
            Action::ProvisionSubscription => TargetKind::Service,
            Action::ManageService | Action::ManageUsers | Action::ManageLicenses | Action::OpenSupportRequest => {
                TargetKind::Either
            }
        }
    }
}

/// What is known when the question is asked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The partner asked about.
    pub partner: &'a TenantId,
    /// Its relationship in force with the customer.
    pub relationship: Option<&'a Relationship>,
    /// Its active delegation on the service of the target.
    pub delegation: Option<&'a Delegation>,
    /// The service of the target.
    pub service: &'a DelegableService,
    /// The subscription, when the target is one.
    pub subscription: Option<&'a Subscription>,
    /// The customer has accepted the agreement of the cloud.
    pub agreement_accepted: bool,
}

/// What allows an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The relationship.
    Relationship,
    /// The delegation on the service.
    Delegation,
    /// The part the partner has in the subscription.
    Subscription,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What allows it. `None`: it is denied.
    pub grant: Option<Grant>,
    /// The decisive rule.
    pub rule: String,
    /// The answer in a sentence.
    pub explanation: &'static str,
}

impl Decision {
    /// True when the partner may.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.grant.is_some()
    }
}

fn allow(grant: Grant, rule: &str, explanation: &'static str) -> Decision {
    Decision { grant: Some(grant), rule: rule.to_owned(), explanation }
}

fn deny(rule: &str, explanation: &'static str) -> Decision {
    Decision { grant: None, rule: rule.to_owned(), explanation }
}

/// Decides. Without a relationship in force every answer is no (R21, R25).
#[must_use]
pub fn decide(action: Action, facts: &Facts<'_>, policy: &Policy) -> Decision {
    if !facts.relationship.is_some_and(|relationship| relationship.state.is_in_force()) {
        return deny("R21", "the partner has no relationship with the customer");
    }
    match action {
        Action::ReceiveInvoice => original_reseller_only(facts, "R6", "invoices go to the original reseller"),
        Action::RemoveSeats => original_reseller_only(facts, "R7", "only the original reseller removes seats"),
        Action::OrderAddOn => {
            ordering(facts, policy, original_reseller_only(facts, "R8", "only the original reseller orders add-ons"))
        }
        Action::TransitionSubscription => ordering(facts, policy, transition(facts, policy)),
        Action::MigrateSubscription => ordering(
            facts,
            policy,
            original_reseller_only(facts, "R10", "only the original reseller migrates the subscription"),
        ),
        Action::ChangePartnerOfRecord => partner_of_record(facts, policy),
        Action::ProvisionSubscription => ordering(
            facts,
            policy,
            allow(Grant::Relationship, "R26", "with a relationship a partner provisions subscriptions of its own"),
        ),
        Action::ManageSubscription => manage_subscription(facts, policy),
        Action::ManageService => manage(facts, policy, "R31"),
        Action::ManageUsers | Action::ManageLicenses => manage(facts, policy, "R45"),
        Action::OpenSupportRequest => support_request(facts, policy),
        Action::BeSupportContact => support_contact(facts, policy),
    }
}

fn is_original_reseller(facts: &Facts<'_>) -> bool {
    facts.subscription.is_some_and(|subscription| subscription.original_reseller.as_ref() == Some(facts.partner))
}

/// Whoever looked it up: a delegation that has ended, on another service or of another partner gives nothing.
fn holds_privileges(facts: &Facts<'_>) -> bool {
    facts.delegation.is_some_and(|held| {
        held.state == State::Active && held.service == facts.service.id && held.partner == *facts.partner
    })
}

/// R6-R10: delegated admin privileges alone give no commercial right over a subscription somebody else sold.
fn original_reseller_only(facts: &Facts<'_>, rule: &str, explanation: &'static str) -> Decision {
    if is_original_reseller(facts) { allow(Grant::Subscription, rule, explanation) } else { deny(rule, explanation) }
}

/// N31: nothing is ordered for a customer that has not accepted the agreement of its cloud.
fn ordering(facts: &Facts<'_>, policy: &Policy, decision: Decision) -> Decision {
    let due = policy.required_agreement.is_some() && policy.access.agreement_needed_to_order;
    if decision.is_allowed() && due && !facts.agreement_accepted {
        return deny("N31", "the customer has not accepted the agreement that ordering needs");
    }
    decision
}

fn transition(facts: &Facts<'_>, policy: &Policy) -> Decision {
    let decision = original_reseller_only(facts, "R9", "only the original reseller transitions the subscription");
    // N18: some clouds ask for admin privileges on the service as well.
    if decision.is_allowed() && policy.access.transition_needs_delegation && !holds_privileges(facts) {
        return deny("N18", "transitioning also needs admin privileges for the service in this cloud");
    }
    decision
}

fn partner_of_record(facts: &Facts<'_>, policy: &Policy) -> Decision {
    if policy.access.original_reseller_may_change_partner_of_record {
        return original_reseller_only(facts, "R11", "only the original reseller changes the partner of record");
    }
    deny("R11", "a partner cannot change the partner of record in this cloud")
}

fn manage_subscription(facts: &Facts<'_>, policy: &Policy) -> Decision {
    let provisioned = facts.subscription.is_some_and(|held| held.provisioned_by.as_ref() == Some(facts.partner));
    // R32, N14, N15: the partner owns what it provisioned, at the level of the subscription and without delegation.
    if provisioned && facts.service.provisioner_manages {
        let owned = allow(Grant::Subscription, "R32", "the partner manages the subscriptions it provisioned itself");
        return with_agreement(facts, policy, owned);
    }
    manage(facts, policy, "R31")
}

/// R31: both are needed, the customer's grant for the service and its signature under the agreement.
fn manage(facts: &Facts<'_>, policy: &Policy, rule: &str) -> Decision {
    if !holds_privileges(facts) {
        return deny("N16", "managing needs admin privileges for the service, which the partner does not hold");
    }
    let granted = allow(Grant::Delegation, rule, "the customer has granted admin privileges for the service");
    with_agreement(facts, policy, granted)
}

fn with_agreement(facts: &Facts<'_>, policy: &Policy, decision: Decision) -> Decision {
    let due = policy.required_agreement.is_some() && policy.access.agreement_needed_to_manage;
    if due && !facts.agreement_accepted {
        return deny("R31", "the customer has not accepted the agreement that managing needs");
    }
    decision
}

/// R48: in clouds that follow the sources, support on behalf survives the loss of admin privileges.
fn support_request(facts: &Facts<'_>, policy: &Policy) -> Decision {
    let rule = policy.access.support_on_behalf_rule.as_str();
    if holds_privileges(facts) {
        return allow(Grant::Delegation, rule, "the partner holds admin privileges for the service");
    }
    if is_original_reseller(facts) {
        return allow(Grant::Subscription, rule, "the partner sold the subscription");
    }
    if policy.access.support_on_behalf_after_removal {
        return allow(
            Grant::Relationship,
            rule,
            "the partner stays responsible for support while the relationship lasts",
        );
    }
    deny(rule, "support requests on behalf need admin privileges for the service in this cloud")
}

/// N50: the designated contact of a subscription holds admin privileges, unless the cloud does not ask for them.
fn support_contact(facts: &Facts<'_>, policy: &Policy) -> Decision {
    if holds_privileges(facts) {
        return allow(Grant::Delegation, "N50", "the partner holds admin privileges for the service");
    }
    if is_original_reseller(facts) {
        return allow(Grant::Subscription, "N50", "the partner sold the subscription");
    }
    if policy.access.support_contact_without_delegation {
        return allow(Grant::Relationship, "N50", "the partner has the relationship that a support contact needs");
    }
    deny("N50", "a support contact needs admin privileges for the service")
}

#[cfg(test)]
mod tests;
