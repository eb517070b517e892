//! What stands in the way of a change and is told in no feed of its customer: links that lead nowhere, partners that may not act.

use anyhow::Result;
use api::invitation as links;
use api::relationship as wire;
use api::relationship::PartnerStatus;
use prost::Message as _;

use super::answers::{Told, message};
use crate::history::{Call, Outcome};
use crate::kind::Kind;

/// What was accepted or reassigned although it could not, and refused although it could.
///
/// # Errors
/// When a request or an answer is no message of its method.
pub(super) fn check(calls: &[Call], told: &Told) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for call in calls {
        let problem = match call.kind {
            Kind::Accept => accepted(call, told)?,
            Kind::Reassign => {
                let request = wire::ReassignDelegationRequest::decode(call.request.clone())?;
                of_partner(&request.to_partner, call, told)
            }
            Kind::Remove
            | Kind::Terminate
            | Kind::CancelTermination
            | Kind::RotateLink
            | Kind::DisableLink
            | Kind::UpdateSubscription
            | Kind::CreatePartner
            | Kind::CreateCustomer
            | Kind::CreateUser
            | Kind::UpdatePartner
            | Kind::UpdateCustomer
            | Kind::CheckAccess
            | Kind::Read
            | Kind::Repeat => None,
        };
        broken.extend(problem.map(|it| format!("{it} ({:?} from {} to {} µs)", call.kind, call.begin_us, call.end_us)));
    }
    Ok(broken)
}

fn accepted(call: &Call, told: &Told) -> Result<Option<String>> {
    let request = links::AcceptInvitationRequest::decode(call.request.clone())?;
    let Some(link) = told.links.get(&request.token) else {
        return Ok(Some(format!("nobody was told the token {:?}", request.token)));
    };
    let name = &link.name;
    if let Some(answer) = message::<links::AcceptInvitationResponse>(call)? {
        if !told.can_be_live(link, call) {
            return Ok(Some(format!("{name} was accepted after its token was no longer valid")));
        }
        let partner = answer.relationship.map(|relationship| relationship.partner).unwrap_or_default();
        let mut services: Vec<String> = answer.delegations.into_iter().map(|held| held.service).collect();
        services.sort();
        if partner != link.partner() || services != link.services {
            return Ok(Some(format!("{name} asks for {:?}, and {partner} was given {services:?}", link.services)));
        }
    }
    if is_refused_for(call, "LINK_DISABLED") && !told.can_be_dead(link, call) {
        return Ok(Some(format!("{name} was refused, and was neither rotated nor disabled by then")));
    }
    Ok(of_partner(link.partner(), call, told))
}

/// Only a partner that is active is given anything, and only one that is not is refused for that.
fn of_partner(partner: &str, call: &Call, told: &Told) -> Option<String> {
    if matches!(call.outcome, Outcome::Answered(_)) && !told.can_be(partner, PartnerStatus::Active, call) {
        return Some(format!("{partner} was given something and was not active"));
    }
    if is_refused_for(call, "PARTNER_NOT_ACTIVE") && !told.can_be(partner, PartnerStatus::Suspended, call) {
        return Some(format!("{partner} was refused, and was not suspended"));
    }
    None
}

fn is_refused_for(call: &Call, reason: &str) -> bool {
    match &call.outcome {
        Outcome::Refused(refusal) => refusal.reasons.iter().any(|it| it == reason),
        Outcome::Answered(_) | Outcome::Unknown(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use api::invitation as links;
    use prost::Message as _;

    use crate::check::sample::{acceptance, accepted, answered, call, found, link, refused};
    use crate::kind::Kind;

    #[test]
    fn a_link_is_accepted_after_it_was_rotated() {
        let found = found(|it| it.calls.push(call(Kind::Accept, 65, &acceptance("p1"), accepted("p"))));
        assert!(found.contains("office-365 was accepted after its token was no longer valid"), "{found}");
    }

    #[test]
    fn a_link_is_accepted_after_it_was_disabled() {
        let mut disabled = link("q", 2, "q1");
        disabled.set_state(links::InvitationLinkState::Disabled);
        let found = found(|it| {
            let request = links::DisableInvitationLinkRequest::default();
            it.calls.push(call(Kind::DisableLink, 70, &request, answered(&disabled)));
        });
        assert!(found.contains("partners/q/invitationLinks/reseller.office-365 was accepted after"), "{found}");
    }

    #[test]
    fn a_link_is_refused_before_anybody_changed_it() {
        let found = found(|it| it.calls.push(call(Kind::Accept, 55, &acceptance("p1"), refused("LINK_DISABLED"))));
        assert!(found.contains("was refused, and was neither rotated nor disabled by then"), "{found}");
        let under_way = self::found(|it| {
            it.calls.push(call(Kind::Accept, 58, &acceptance("p1"), refused("LINK_DISABLED")));
        });
        assert_eq!(under_way, "", "it can have been rotated by then");
    }

    #[test]
    fn a_link_gives_what_it_does_not_ask_for() {
        let found = found(|it| it.at(80).request = acceptance("p2").encode_to_vec().into());
        assert!(found.contains("asks for [\"office-365\"], and partners/q was given [\"office-365\"]"), "{found}");
    }

    #[test]
    fn a_token_is_accepted_that_nobody_was_told() {
        let found = found(|it| it.at(80).request = acceptance("forged").encode_to_vec().into());
        assert!(found.contains("nobody was told the token \"forged\""), "{found}");
    }

    #[test]
    fn a_partner_that_is_suspended_is_given_something() {
        let found = found(|it| it.suspend("q", 70));
        assert!(found.contains("partners/q was given something and was not active"), "{found}");
        assert_eq!(self::found(|it| it.suspend("q", 82)), "", "it can have been active still");
    }

    #[test]
    fn a_partner_that_is_active_is_refused() {
        let refusal = || call(Kind::Accept, 90, &acceptance("q1"), refused("PARTNER_NOT_ACTIVE"));
        let found = found(|it| it.calls.push(refusal()));
        assert!(found.contains("partners/q was refused, and was not suspended"), "{found}");
        let suspended = self::found(|it| {
            it.suspend("q", 85);
            it.calls.push(refusal());
        });
        assert_eq!(suspended, "");
    }
}
