//! Invitation texts.

use api::invitation as wire;
use cloud::{Policy, TextEditRule};

use crate::domain::text::{Draft, Edit, EditRule, Kind, Part, TEXT_BYTES_MAX, Violation};
use crate::error::Error;

/// The most edits of one text; texts have far fewer paragraphs.
const EDITS_MAX: usize = 100;

/// What a partner may edit in this cloud.
#[must_use]
pub fn edit_rule(policy: &Policy) -> EditRule {
    match policy.text_edit_rule {
        TextEditRule::KeepLink => EditRule::KeepLink,
        TextEditRule::FirstTwoParagraphs => EditRule::FirstTwoParagraphs,
    }
}

/// Edits from the wire.
pub fn edits(edits: Vec<wire::ParagraphEdit>) -> Result<Vec<Edit>, Error> {
    if edits.len() > EDITS_MAX {
        return Err(Error::invalid("edits", format!("send at most {EDITS_MAX} edits, one for each paragraph")));
    }
    let edits = edits.into_iter().enumerate().map(|(index, edit)| {
        let paragraph = usize::try_from(edit.paragraph).ok().filter(|paragraph| *paragraph > 0);
        let field = || format!("edits[{index}].paragraph");
        let paragraph = paragraph.ok_or_else(|| Error::invalid(field(), "paragraphs count from 1"))?;
        Ok(Edit { paragraph, text: edit.text })
    });
    edits.collect()
}

/// A whole text to check, from the wire.
pub fn whole(text: &str) -> Result<&str, Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::invalid("text", format!("shorten it to at most {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// A draft on the wire.
#[must_use]
pub fn draft(draft: &Draft, locale: &str, policy: &Policy) -> wire::InvitationText {
    wire::InvitationText {
        locale: locale.to_owned(),
        subject: draft.subject().to_owned(),
        parts: draft.parts().iter().map(part).collect(),
        plain_text: draft.plain_text(),
        mailto_uri: draft.mailto(),
        rule: Some(wire::TextPartRule {
            rule: policy.text_edit_rule_number.to_string(),
            description: edit_rule(policy).description().to_owned(),
        }),
    }
}

fn part(part: &Part) -> wire::TextPart {
    let kind = match part.kind {
        Kind::Editable => wire::TextPartKind::Editable,
        Kind::Fixed => wire::TextPartKind::Fixed,
        Kind::Link => wire::TextPartKind::Link,
    };
    wire::TextPart { paragraph: count(part.paragraph), text: part.text.clone(), kind: kind.into() }
}

/// What is wrong with a text, as data.
#[must_use]
pub fn violations(violations: &[Violation], rule: EditRule) -> wire::CheckInvitationTextResponse {
    let violations: Vec<wire::TextViolation> = violations
        .iter()
        .map(|violation| wire::TextViolation {
            reason: violation.reason().to_owned(),
            rule: violation.rule(rule).unwrap_or_default().to_owned(),
            position: violation.position().map(count),
            paragraph: violation.paragraph().map(count),
            description: violation.to_string(),
        })
        .collect();
    wire::CheckInvitationTextResponse { acceptable: violations.is_empty(), violations }
}

/// Paragraphs and characters, of texts no longer than [`TEXT_BYTES_MAX`].
fn count(count: usize) -> i32 {
    i32::try_from(count).expect("texts are bounded far below two thousand million characters")
}
