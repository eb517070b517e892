//! What users of a customer do: look at an invitation, accept it, review their partners, take privileges back.

use clap::Args;
use serde_json::{Value, json};

use super::{Desk, Own, joined, qualified};
use crate::cli::Connection;
use crate::contract::{list, text};
use crate::failure::Failure;
use crate::screen;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The invitation link, or the token at its end.
    token: String,
    /// The id of the customer; the caller's own when left out.
    #[arg(long)]
    customer: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// What to accept.
#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// The invitation link, or the token at its end.
    token: String,
    /// Who signs the agreement, where one is due: `First Last <mail@example.org>`.
    #[arg(long, value_name = "SIGNER")]
    sign: Option<String>,
    /// A delegation of another partner that ends in favor of this one.
    #[arg(long, value_name = "DELEGATION")]
    replace: Vec<String>,
    /// Check everything and change nothing.
    #[arg(long)]
    validate_only: bool,
    /// A UUID; a repeat of the request returns the first answer.
    #[arg(long, default_value = "")]
    request_id: String,
    /// The id of the customer; the caller's own when left out.
    #[arg(long)]
    customer: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Which delegations to list.
#[derive(Debug, Args)]
pub(crate) struct Delegations {
    /// The id of the customer; the caller's own when left out.
    customer: Option<String>,
    /// Pairs joined by AND, such as `state = ACTIVE`.
    #[arg(long, default_value = "")]
    filter: String,
    #[command(flatten)]
    connection: Connection,
}

/// What to take away.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The name of the delegation, as `mandate delegations` shows it.
    delegation: String,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// What to hand over.
#[derive(Debug, Args)]
pub(crate) struct Reassign {
    /// The name of the delegation, as `mandate delegations` shows it.
    delegation: String,
    /// The id of the partner that gets it.
    #[arg(long, value_name = "PARTNER")]
    to: String,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn resolve(task: Resolve) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let customer = desk.tenant("customers", task.customer.as_deref())?;
    let request = json!({ "token": task.token, "customer": customer });
    let found = desk.call("InvitationService/ResolveInvitation", &request).await?;
    desk.show(&found, |found| {
        let partner = |field: &str| text(found, &format!("/partner/{field}")).to_owned();
        let domain = match partner("verifiedDomain") {
            domain if domain.is_empty() => "no verified domain".to_owned(),
            domain => format!("verified domain {domain}"),
        };
        let (name, country) = (partner("displayName"), partner("country"));
        screen::line(format_args!("{name} ({country}), {domain}, asks for"))?;
        screen::line("  - a reseller relationship")?;
        for service in list(found, "/services") {
            let held = match service["alreadyDelegated"] == json!(true) {
                true => ", which it holds already",
                false => "",
            };
            let title = text(service, "/title");
            screen::line(format_args!("  - admin privileges for {title}{held}"))?;
        }
        match text(found, "/agreement/title") {
            "" => {}
            title => screen::line(format_args!("You will be asked to accept the {title}."))?,
        }
        let portal = (text(found, "/portalTitle"), text(found, "/portalUri"));
        screen::line(format_args!("Accept in the {}: {}", portal.0, portal.1))?;
        obstacles(found)
    })
}

fn obstacles(found: &Value) -> Result<(), Failure> {
    for obstacle in list(found, "/obstacles") {
        let told = |field: &str| text(obstacle, field).to_owned();
        let (reason, rule, what) = (told("/reason"), told("/rule"), told("/description"));
        screen::line(format_args!("In the way: {reason} (rule {rule}): {what}"))?;
    }
    Ok(())
}

pub(super) async fn accept(task: Accept) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let customer = desk.tenant("customers", task.customer.as_deref())?;
    let mut request = json!({
        "token": task.token,
        "customer": customer,
        "replace": task.replace,
        "validateOnly": task.validate_only,
        "requestId": task.request_id,
    });
    if let Some(signer) = &task.sign {
        let looked = json!({ "token": task.token, "customer": customer });
        let found = desk.call("InvitationService/ResolveInvitation", &looked).await?;
        // Signing what is not due would be refused by nobody and confuse everybody.
        if let Some(agreement) = found.get("agreement").filter(|offer| !offer.is_null()) {
            request["agreement"] = consent(agreement, signer)?;
        }
    }
    let accepted = desk.call("InvitationService/AcceptInvitation", &request).await?;
    desk.show(&accepted, |accepted| {
        let partner = text(accepted, "/relationship/partnerDisplayName");
        if task.validate_only {
            return screen::line("nothing stands in the way");
        }
        let name = text(accepted, "/relationship/name");
        screen::line(format_args!("{partner} is your reseller: {name}"))?;
        for delegation in list(accepted, "/delegations") {
            let (service, name) = (text(delegation, "/service"), text(delegation, "/name"));
            screen::line(format_args!("  administers {service}: {name}"))?;
        }
        for delegation in list(accepted, "/replaced") {
            let (service, from) = (text(delegation, "/service"), text(delegation, "/partner"));
            screen::line(format_args!("  {service} was taken from {from}"))?;
        }
        Ok(())
    })
}

/// The consent to an agreement on offer.
pub(crate) fn consent(offer: &Value, signer: &str) -> Result<Value, Failure> {
    let parsed = signer.trim().strip_suffix('>').and_then(|signer| {
        let (name, email) = signer.split_once('<')?;
        let (first, last) = name.trim().rsplit_once(' ')?;
        Some(json!({ "firstName": first.trim(), "lastName": last, "email": email }))
    });
    let signer = parsed.ok_or_else(|| {
        Failure::usage(format!("--sign: {signer:?} names no signer; expected `First Last <mail@example.org>`"))
    })?;
    Ok(json!({
        "agreement": text(offer, "/agreement"),
        "version": text(offer, "/version"),
        "signer": signer,
    }))
}

/// The customer's page: who administers which service (R23), and which partners there are (R22).
pub(super) async fn partners(task: Own) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let customer = desk.tenant("customers", task.tenant.as_deref())?;
    let all = json!({ "parent": customer });
    let method = "RelationshipService/ListRelationships";
    let relationships = desk.pages(method, &all, "relationships").await?;
    let active = json!({
        "parent": format!("{customer}/relationships/-"),
        "filter": "state = ACTIVE",
    });
    let method = "DelegationService/ListDelegations";
    let delegations = desk.pages(method, &active, "delegations").await?;
    let page = json!({
        "relationships": relationships["relationships"],
        "delegations": delegations["delegations"],
    });
    desk.show(&page, |page| {
        let holders = list(page, "/delegations").iter().map(|delegation| {
            vec![
                text(delegation, "/service").to_owned(),
                text(delegation, "/partnerDisplayName").to_owned(),
                screen::moment(text(delegation, "/createTime")),
                text(delegation, "/name").to_owned(),
            ]
        });
        let holders: Vec<_> = holders.collect();
        let heading = ["service", "administered by", "since", "delegation"];
        screen::table(&heading, &holders, "no partner has admin privileges")?;
        screen::line("")?;
        let partners = list(page, "/relationships").iter().map(|relationship| {
            vec![
                screen::id(text(relationship, "/partner")).to_owned(),
                text(relationship, "/partnerDisplayName").to_owned(),
                screen::word(text(relationship, "/type"), "RELATIONSHIP_TYPE_"),
                screen::word(text(relationship, "/state"), "RELATIONSHIP_STATE_"),
                joined(relationship, "/delegatedServices"),
                screen::moment(text(relationship, "/acceptTime")),
            ]
        });
        let partners: Vec<_> = partners.collect();
        let heading = ["partner", "name", "is your", "state", "admin privileges", "since"];
        screen::table(&heading, &partners, "no partner yet")
    })
}

pub(super) async fn delegations(task: Delegations) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let customer = desk.tenant("customers", task.customer.as_deref())?;
    let request = json!({
        "parent": format!("{customer}/relationships/-"),
        "filter": task.filter,
    });
    let method = "DelegationService/ListDelegations";
    let delegations = desk.pages(method, &request, "delegations").await?;
    desk.show(&delegations, |delegations| table(list(delegations, "/delegations")))
}

fn table(delegations: &[Value]) -> Result<(), Failure> {
    let rows = delegations.iter().map(|delegation| {
        vec![
            text(delegation, "/service").to_owned(),
            text(delegation, "/partnerDisplayName").to_owned(),
            screen::word(text(delegation, "/state"), "DELEGATION_STATE_"),
            screen::moment(text(delegation, "/createTime")),
            screen::moment(text(delegation, "/endTime")),
            text(delegation, "/name").to_owned(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let heading = ["service", "partner", "state", "since", "until", "delegation"];
    screen::table(&heading, &rows, "no delegation")
}

pub(super) async fn remove(task: Remove) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({ "name": task.delegation, "reason": task.reason });
    let ended = desk.call("DelegationService/RemoveDelegation", &request).await?;
    desk.show(&ended, |ended| table(std::slice::from_ref(ended)))
}

pub(super) async fn reassign(task: Reassign) -> Result<(), Failure> {
    let desk = Desk::open(&task.connection).await?;
    let request = json!({
        "name": task.delegation,
        "toPartner": qualified("partners", &task.to),
        "reason": task.reason,
    });
    let answer = desk.call("DelegationService/ReassignDelegation", &request).await?;
    desk.show(&answer, |answer| table(&[answer["ended"].clone(), answer["granted"].clone()]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::consent;

    #[test]
    fn a_signer_is_a_name_with_an_address() {
        let offer = json!({"agreement": "a", "version": "1"});
        let consent = |signer: &str| consent(&offer, signer);
        let signed = consent("Gwen van Sample <gwen@tessera-ceramics.example>").unwrap();
        assert_eq!(signed["signer"]["firstName"], "Gwen van");
        assert_eq!(signed["signer"]["lastName"], "Sample");
        assert_eq!(signed["signer"]["email"], "gwen@tessera-ceramics.example");
        for broken in ["", "Gwen", "Gwen Sample", "Gwen <g@example.org>", "<g@example.org>"] {
            assert!(consent(broken).is_err(), "{broken}");
        }
    }
}
