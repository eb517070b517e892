//! Drafts: their parts, their forms, and the edits that are applied or refused.

use percent_encoding::percent_decode_str;

use super::super::{Draft, EDIT_CHARACTERS_MAX, EditRule, Facts, Kind, Violation, check};
use super::{LINK, RULES, catalog, draft, edit, english, facts, number_of_link, services};

fn rendered(rule: EditRule, edits: &[(usize, &str)]) -> Result<Draft, Vec<Violation>> {
    let edits: Vec<_> = edits.iter().map(|(paragraph, text)| edit(*paragraph, text)).collect();
    let catalog = catalog();
    Draft::render(catalog.find("en").unwrap(), &facts(&services()), rule, &edits)
}

#[test]
fn the_english_text_reads_as_written() {
    let draft = english(EditRule::FirstTwoParagraphs);
    assert_eq!(draft.subject(), "Northwind Cloud asks to become your reseller");
    let expected = format!(
        "Hello,

Northwind Cloud would like to provide your organization with cloud services and support. To make this possible, we invite you to establish a reseller relationship with us.

Northwind Cloud asks your organization for a reseller relationship that includes admin privileges: if you accept, Northwind Cloud receives delegated admin privileges for Azure AD and Office 365 and can administer these services on your behalf. Accepting does not order or change any subscription.

Only a global administrator of your organization can accept this request. It is accepted in this portal: Microsoft 365 admin center.

When accepting, you will also be asked to agree to the Microsoft Customer Agreement, unless your organization has already done so.

To review the request and accept or decline it, open this link:

{LINK}

You can review your partners and their admin privileges in your admin portal at any time, and remove those privileges from any partner there, for each service, without needing the partner's consent. Removing them does not end the relationship: it remains, as does the responsibility of Northwind Cloud for your support, until you and Northwind Cloud agree otherwise."
    );
    assert_eq!(draft.plain_text(), expected);
}

#[test]
fn every_variant_in_every_language_passes_its_own_check() {
    let services = services();
    for locale in catalog().locales() {
        for rule in RULES {
            for services in [&services[..0], &services[..1], &services] {
                for agreement in [None, Some("Microsoft Customer Agreement")] {
                    let facts = Facts { agreement, ..facts(services) };
                    let draft = Draft::render(locale, &facts, rule, &[]).unwrap();
                    assert_eq!(check(&draft.plain_text(), &draft, rule), []);
                    let expected = if agreement.is_some() { 8 } else { 7 };
                    assert_eq!(draft.parts().len(), expected, "{}", locale.tag());
                }
            }
        }
    }
}

#[test]
fn the_rule_decides_which_parts_are_editable() {
    use Kind::{Editable, Fixed, Link};
    let kinds = |rule| english(rule).parts().iter().map(|part| part.kind).collect::<Vec<_>>();
    assert_eq!(kinds(EditRule::KeepLink), [Editable, Editable, Editable, Editable, Editable, Editable, Link, Editable]);
    assert_eq!(kinds(EditRule::FirstTwoParagraphs), [Editable, Editable, Fixed, Fixed, Fixed, Fixed, Link, Fixed]);
}

#[test]
fn the_link_stands_alone_on_its_line() {
    for locale in catalog().locales() {
        let text = draft(locale, EditRule::KeepLink).plain_text();
        assert_eq!(text.lines().filter(|line| *line == LINK).count(), 1, "{}", locale.tag());
        assert_eq!(text.matches(LINK).count(), 1, "{}", locale.tag());
    }
}

#[test]
fn edits_are_applied_and_paragraphs_keep_their_numbers() {
    for rule in RULES {
        let draft = rendered(rule, &[(2, "  We met\r\nlast week. \n"), (1, "")]).unwrap();
        assert_eq!(draft.parts()[0].paragraph, 2);
        assert_eq!(draft.parts()[0].text, "  We met\nlast week.");
        assert_eq!(draft.parts()[1].paragraph, 3);
        assert_eq!(draft.parts().len(), 7);
        assert_eq!(check(&draft.plain_text(), &english(rule), rule), []);
        assert_eq!(check(&draft.plain_text(), &draft, rule), [], "checked against itself");
    }
    let blank = rendered(EditRule::KeepLink, &[(1, " \n\t\n"), (8, "")]).unwrap();
    assert_eq!(blank.parts().len(), 6);
}

/// Where a paragraph starts in the text that a partner would send, in characters.
fn start_of(draft: &Draft, paragraph: usize) -> usize {
    let text = &draft.parts().iter().find(|part| part.paragraph == paragraph).expect("it has one").text;
    let whole = draft.plain_text();
    whole[..whole.find(text.as_str()).expect("it stands in the whole")].chars().count()
}

#[test]
fn everything_but_the_link_can_be_deleted_where_the_text_is_free() {
    let edits: Vec<(usize, &str)> = [1, 2, 3, 4, 5, 6, 8].map(|paragraph| (paragraph, "")).into();
    let draft = rendered(EditRule::KeepLink, &edits).unwrap();
    assert_eq!(draft.plain_text(), LINK);
    let violations = rendered(EditRule::FirstTwoParagraphs, &edits).unwrap_err();
    let issued = rendered(EditRule::FirstTwoParagraphs, &[]).unwrap();
    let changed = |paragraph| Violation::FixedTextChanged { paragraph, position: start_of(&issued, paragraph) };
    assert_eq!(violations, [3, 4, 5, 6, 8].map(changed));
}

#[test]
fn the_link_cannot_be_edited_under_any_rule() {
    for rule in RULES {
        let paragraph = number_of_link(&english(rule));
        for text in ["", "https://elsewhere.example", LINK] {
            let violations = rendered(rule, &[(paragraph, text)]).unwrap_err();
            let position = start_of(&english(rule), paragraph);
            assert_eq!(violations, [Violation::FixedTextChanged { paragraph, position }]);
        }
    }
}

#[test]
fn edits_that_cannot_be_applied_come_back_together() {
    let long = "界".repeat(EDIT_CHARACTERS_MAX + 1);
    let edits = [(0, "a"), (9, "a"), (1, "a\tb\u{7}"), (1, "again"), (2, long.as_str()), (7, "\u{0}")];
    for rule in RULES {
        let violations = rendered(rule, &edits).unwrap_err();
        let expected = [
            Violation::ParagraphNotFound { paragraph: 0 },
            Violation::ParagraphNotFound { paragraph: 9 },
            Violation::ControlCharacter { paragraph: 1, position: 3 },
            Violation::ParagraphRepeated { paragraph: 1 },
            Violation::ParagraphTooLong { paragraph: 2, length: EDIT_CHARACTERS_MAX + 1 },
            Violation::FixedTextChanged { paragraph: 7, position: start_of(&english(rule), 7) },
            Violation::ControlCharacter { paragraph: 7, position: 0 },
        ];
        assert_eq!(violations, expected);
    }
}

#[test]
fn endless_edits_get_a_bounded_answer() {
    let edits = [(1, "again"); 300];
    assert_eq!(rendered(EditRule::KeepLink, &edits).unwrap_err().len(), 100);
}

#[test]
fn an_edit_of_the_longest_size_is_applied() {
    let long = "界".repeat(EDIT_CHARACTERS_MAX);
    assert!(rendered(EditRule::FirstTwoParagraphs, &[(1, &long), (2, &long)]).is_ok());
}

#[test]
fn an_edit_cannot_bring_what_the_check_would_refuse() {
    let other = LINK.replace("v1.public", "v1.china");
    for rule in RULES {
        let violations = rendered(rule, &[(1, &format!("See {other}"))]).unwrap_err();
        assert_eq!(violations, [Violation::LinkChanged { position: 4 }]);
    }
    assert!(rendered(EditRule::KeepLink, &[(1, "one\n\ntwo\n\nthree")]).is_ok());
    let violations = rendered(EditRule::FirstTwoParagraphs, &[(1, "one\n\ntwo")]).unwrap_err();
    assert_eq!(violations[0].reason(), "FIXED_TEXT_CHANGED");
    assert_eq!(violations[0].position(), Some(10));
    let alone = [(1, "one\n\ntwo"), (2, "")];
    assert!(rendered(EditRule::FirstTwoParagraphs, &alone).is_ok(), "still two paragraphs");
}

#[test]
fn names_stay_names() {
    let catalog = catalog();
    let locale = catalog.find("en").unwrap();
    let facts = Facts { partner: "A {link}\r\nBcc: x\u{0}\n\nB", ..facts(&[]) };
    let draft = Draft::render(locale, &facts, EditRule::FirstTwoParagraphs, &[]).unwrap();
    assert_eq!(draft.subject(), "A {link} Bcc: x B asks to become your reseller");
    assert_eq!(draft.plain_text().matches(LINK).count(), 1);
    assert_eq!(draft.plain_text().split("\n\n").count(), 8);
    let other = format!("Northwind {LINK}x");
    let facts = Facts { partner: &other, ..facts };
    let violations = Draft::render(locale, &facts, EditRule::KeepLink, &[]).unwrap_err();
    assert!(violations.iter().all(|violation| violation.reason() == "LINK_CHANGED"));
}

#[test]
fn mailto_decodes_to_the_same_text() {
    for locale in catalog().locales() {
        let draft = draft(locale, EditRule::KeepLink);
        let uri = draft.mailto();
        let bare = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
        let (subject, body) = uri.strip_prefix("mailto:?subject=").and_then(|rest| rest.split_once("&body=")).unwrap();
        assert!(subject.chars().all(bare) && body.chars().all(bare), "{uri}");
        let decoded = |text| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        assert_eq!(decoded(subject), draft.subject());
        assert_eq!(decoded(body).replace("\r\n", "\n"), draft.plain_text());
        assert_eq!(body.matches("%0A").count(), body.matches("%0D%0A").count());
    }
    assert!(english(EditRule::KeepLink).mailto().contains("Northwind%20Cloud%20asks"));
    assert!(english(EditRule::KeepLink).mailto().contains("body=Hello%2C%0D%0A%0D%0ANorthwind"));
}
