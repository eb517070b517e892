//! Establishing relationships from verified invitations.

use std::collections::BTreeSet;

use api::field::Invalid;
use api::relationship as wire;
use api::status::FailedCondition;
use cloud::{ServiceId, TenantId};

use crate::domain::acceptance::{Answer, Invitation};
use crate::domain::relationship::Type;
use crate::error::Error;

/// What a verified invitation asks for, from the wire.
pub fn invitation(from: Option<&wire::VerifiedInvitation>) -> Result<Invitation, Error> {
    let from = from.ok_or_else(|| Error::invalid("invitation", "is required"))?;
    let pattern = || Error::invalid("invitation.link", "give partners/{partner}/invitationLinks/{link}");
    let [partner, _] = api::name::ids(&from.link, ["partners", "invitationLinks"]).ok_or_else(pattern)?;
    let services: Result<BTreeSet<ServiceId>, Invalid> =
        from.services.iter().map(|id| super::service("invitation.services", id)).collect();
    Ok(Invitation {
        partner: TenantId::parse(partner).map_err(|_| pattern())?,
        link: from.link.clone(),
        link_active: from.link_active,
        kind: kind(from.r#type)?,
        services: services?,
    })
}

fn kind(number: i32) -> Result<Type, Error> {
    match wire::RelationshipType::try_from(number) {
        Ok(wire::RelationshipType::Reseller) => Ok(Type::Reseller),
        Ok(wire::RelationshipType::Advisor) => Ok(Type::Advisor),
        Ok(wire::RelationshipType::IndirectProvider) => Ok(Type::IndirectProvider),
        Ok(wire::RelationshipType::IndirectReseller) => Ok(Type::IndirectReseller),
        Ok(wire::RelationshipType::Unspecified) | Err(_) => {
            Err(Error::invalid("invitation.type", "give a type that RelationshipType names"))
        }
    }
}

/// What the customer answers, from the wire.
pub fn answer(request: &wire::EstablishRequest) -> Result<Answer, Error> {
    let customer = super::customer("customer", &request.customer)?;
    let mut replace = BTreeSet::new();
    for (index, name) in request.replace.iter().enumerate() {
        let field = format!("replace[{index}]");
        let name = super::delegation::name(&field, name)?;
        if name.customer != customer {
            return Err(Error::invalid(field, "name delegations of the accepting customer"));
        }
        replace.insert(name.id);
    }
    let consent = request.agreement.as_ref().map(super::agreement::consent).transpose()?;
    Ok(Answer { customer, consent, replace })
}

/// A failed condition as data.
#[must_use]
pub fn obstacle(failed: FailedCondition) -> wire::Obstacle {
    wire::Obstacle {
        reason: failed.reason.wire().to_owned(),
        rule: failed.rule,
        resource: failed.resource,
        description: failed.remedy,
    }
}
