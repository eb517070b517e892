//! Rendering and checking the texts that carry links. Nothing is kept, and nothing is sent (R19).

use std::sync::Arc;

use api::invitation as wire;
use server::Caller;

use super::{Calls, acceptance, expect_partner};
use crate::domain::text::{Draft, Edit, Facts, Locale, check};
use crate::error::Error;
use crate::store::link as table;
use crate::wire::text as convert;

pub(super) async fn render_invitation_text(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::RenderInvitationTextRequest,
) -> Result<wire::InvitationText, Error> {
    let locale = find_locale(&calls, &request.locale)?;
    let edits = convert::edits(request.edits)?;
    let draft = draft(&calls, &caller, &request.name, locale, &edits).await?;
    Ok(convert::draft(&draft, locale.tag(), &calls.process.policy))
}

pub(super) async fn check_invitation_text(
    calls: Calls,
    caller: Arc<Caller>,
    request: wire::CheckInvitationTextRequest,
) -> Result<wire::CheckInvitationTextResponse, Error> {
    let locale = find_locale(&calls, &request.locale)?;
    let text = convert::whole(&request.text)?;
    let issued = draft(&calls, &caller, &request.name, locale, &[]).await?;
    let rule = convert::edit_rule(&calls.process.policy);
    Ok(convert::violations(&check(text, &issued, rule), rule))
}

fn find_locale<'a>(calls: &'a Calls, requested: &str) -> Result<&'a Locale, Error> {
    let catalog = &calls.issue.catalog;
    catalog.find(requested).ok_or_else(|| Error::LocaleUnsupported {
        locales: catalog.locales().map(|locale| locale.tag().to_owned()).collect(),
    })
}

/// The text of a link that the caller has asked for before, with what the operator has verified about its partner.
async fn draft(calls: &Calls, caller: &Caller, name: &str, locale: &Locale, edits: &[Edit]) -> Result<Draft, Error> {
    let policy = &calls.process.policy;
    let asked = crate::wire::link::name("name", name)?;
    expect_partner(caller, &asked.partner, name)?;
    let mut tx = store::read(&calls.pool).await?;
    let link = table::find(&mut tx, &asked.partner, &asked.options).await?;
    drop(tx);
    let link = link.ok_or_else(|| Error::NotFound(name.to_owned()))?;
    let signed = calls.sign(&link).filter(|_| link.is_live(&calls.issue.keys));
    let signed = signed.ok_or_else(|| Error::LinkDisabled(name.to_owned()))?;
    let partner = acceptance::partner(calls, caller, &link.partner).await?;
    let services: Vec<String> =
        link.options.services().iter().map(|service| crate::wire::acceptance::title(service, policy)).collect();
    let facts = Facts {
        partner: &partner.display_name,
        services: &services,
        agreement: policy.required_agreement.as_ref().map(|agreement| agreement.title.as_str()),
        portal: &policy.acceptance_portal.title,
        link: &signed.uri,
    };
    let rule = convert::edit_rule(policy);
    let draft = Draft::render(locale, &facts, rule, edits);
    draft.map_err(|violations| Error::Text { link: name.to_owned(), rule, violations })
}
