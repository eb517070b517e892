//! What a policy must fulfil as a whole, beyond each value having the right form.

use std::collections::BTreeSet;

use super::{Document, IdentityRule, PRINCIPAL_KINDS, Portal, Rules, TerminationRule};
use crate::id::is_slug;
use crate::{CountryCode, MarketTable, Role, RuleNumber};

/// A key at fault, and what is wrong with it.
pub(super) struct Fault {
    pub(super) key: String,
    pub(super) problem: String,
}

fn demand(holds: bool, key: impl Into<String>, problem: impl Into<String>) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault { key: key.into(), problem: problem.into() }) }
}

/// Returns the first fault, in the order of the file.
pub(super) fn all(rules: &Rules) -> Result<(), Fault> {
    title("title", &rules.title)?;
    portal(&rules.acceptance_portal)?;
    delegation(rules)?;
    if let Some(agreement) = &rules.required_agreement {
        document("required_agreement", agreement)?;
    }
    document("partner_contract", &rules.partner_contract)?;
    services(rules)?;
    if let Some(countries) = &rules.region.countries {
        region(countries)?;
    }
    obligations(rules)?;
    termination(&rules.termination)?;
    identity(&rules.identity)?;
    permissions(rules)
}

fn title(key: impl Into<String>, text: &str) -> Result<(), Fault> {
    let holds = !text.trim().is_empty() && !text.contains(char::is_control);
    demand(holds, key, "expected a name on one line")
}

fn uri(key: impl Into<String>, text: &str) -> Result<(), Fault> {
    let host = text.strip_prefix("https://").unwrap_or_default();
    let named = host.starts_with(|c: char| c.is_ascii_alphanumeric());
    let holds = named && text.chars().all(|c| c.is_ascii_graphic());
    demand(holds, key, "expected a URI that begins with https:// and holds no spaces")
}

fn portal(portal: &Portal) -> Result<(), Fault> {
    title("acceptance_portal.title", &portal.title)?;
    uri("acceptance_portal.uri", &portal.uri)?;
    let mut parts = portal.uri.split(Portal::PLACEHOLDER);
    // A token in the host would send customers to places that the policy does not name.
    let after_host = parts.next().unwrap_or_default().trim_start_matches("https://").contains('/');
    let once = parts.count() == 1;
    let problem = "expected {token} exactly once, behind the host name";
    demand(once && after_host, "acceptance_portal.uri", problem)
}

fn delegation(rules: &Rules) -> Result<(), Fault> {
    let rule = &rules.delegation;
    cited("delegation.mandatory_rule", !rule.optional, rule.mandatory_rule.as_ref())?;
    cited("delegation.exclusive_rule", rule.exclusive_holder, rule.exclusive_rule.as_ref())
}

/// A rule is cited exactly where it is in force.
fn cited(key: &str, in_force: bool, rule: Option<&RuleNumber>) -> Result<(), Fault> {
    let problem = if in_force {
        "expected the number of the rule, as the key before says that it is in force"
    } else {
        "expected \"none\", as the key before says that there is no such rule"
    };
    demand(in_force == rule.is_some(), key, problem)
}

fn slug(key: impl Into<String>, text: &str) -> Result<(), Fault> {
    demand(is_slug(text), key, "expected an id of the form [a-z0-9][a-z0-9-]{0,62}")
}

fn document(key: &str, document: &Document) -> Result<(), Fault> {
    slug(format!("{key}.id"), &document.id)?;
    title(format!("{key}.title"), &document.title)?;
    uri(format!("{key}.uri"), &document.uri)?;
    title(format!("{key}.version"), &document.version)
}

fn services(rules: &Rules) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for (index, service) in rules.services.iter().enumerate() {
        let new = seen.insert(&service.id);
        demand(new, format!("services[{index}].id"), "expected an id that no other service has")?;
        title(format!("services[{index}].title"), &service.title)?;
    }
    let by_default = rules.services.iter().any(|service| service.requested_by_default);
    let problem = "expected at least one service with requested_by_default = true";
    demand(by_default, "services", problem)
}

fn region(countries: &BTreeSet<CountryCode>) -> Result<(), Fault> {
    let key = "region.countries";
    demand(!countries.is_empty(), key, "expected at least one country, or \"any\"")?;
    let markets = MarketTable::embedded();
    for country in countries {
        let problem = format!("{country} is in no market; expected codes of the market tables");
        demand(markets.holds(*country), key, problem)?;
    }
    Ok(())
}

fn obligations(rules: &Rules) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for (index, obligation) in rules.obligations.iter().enumerate() {
        let key = format!("obligations[{index}]");
        slug(format!("{key}.id"), &obligation.id)?;
        let new = seen.insert(&obligation.id);
        demand(new, format!("{key}.id"), "expected an id that no other obligation has")?;
        title(format!("{key}.title"), &obligation.title)?;
        if !obligation.uri.is_empty() {
            uri(format!("{key}.uri"), &obligation.uri)?;
        }
    }
    Ok(())
}

fn termination(rule: &TerminationRule) -> Result<(), Fault> {
    let statuses: BTreeSet<_> = rule.blocking_statuses.iter().collect();
    let once = !statuses.is_empty() && statuses.len() == rule.blocking_statuses.len();
    demand(once, "termination.blocking_statuses", "expected active, suspended or both, each once")?;
    cited("termination.customer_rule", !rule.customer_may_request, rule.customer_rule.as_ref())?;
    let problem = "expected at least as many days as notice_days_min";
    demand(rule.notice_days_min <= rule.notice_days_max, "termination.notice_days_max", problem)
}

fn identity(rule: &IdentityRule) -> Result<(), Fault> {
    title("identity.audience", &rule.audience)?;
    let claims = &rule.claims;
    for (key, claim) in [("tenant", &claims.tenant), ("kind", &claims.kind), ("roles", &claims.roles)] {
        title(format!("identity.claims.{key}"), claim)?;
    }
    for (name, kind) in &rule.kinds {
        let problem = format!("expected one of {}", PRINCIPAL_KINDS.join(", "));
        demand(PRINCIPAL_KINDS.contains(&kind.as_str()), format!("identity.kinds.{name}"), problem)?;
    }
    for (name, role) in &rule.roles {
        let problem = "expected one role; * is for permissions";
        demand(!role.is_any(), format!("identity.roles.{name}"), problem)?;
    }
    Ok(())
}

fn permissions(rules: &Rules) -> Result<(), Fault> {
    for (permission, roles) in &rules.permissions {
        let key = format!("permissions.{permission}");
        let problem = "unknown key, expected a permission of the form [a-z_]+(\\.[a-z_]+)+";
        demand(is_permission(permission), &key, problem)?;
        let distinct = roles.iter().collect::<BTreeSet<_>>().len() == roles.len();
        demand(distinct, &key, "expected each role once")?;
        let alone = roles.len() == 1 || !roles.iter().any(Role::is_any);
        demand(alone, &key, "expected * alone, or names of roles without it")?;
    }
    Ok(())
}

fn is_permission(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.contains('.') && text.split('.').all(part)
}
