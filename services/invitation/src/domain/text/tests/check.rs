//! Checks: what of an edited text is refused, where, and under which rule.

use super::super::{EditRule, Kind, TEXT_BYTES_MAX, Violation, check};
use super::{LINK, RULES, catalog, draft, english, fixed_text, link_range, number_of_link};

fn changed(paragraph: usize, position: usize) -> Violation {
    Violation::FixedTextChanged { paragraph, position }
}

fn characters(text: &str, offset: usize) -> usize {
    text[..offset].chars().count()
}

fn first_two(text: &str) -> Vec<Violation> {
    check(text, &english(EditRule::FirstTwoParagraphs), EditRule::FirstTwoParagraphs)
}

fn keep_link(text: &str) -> Vec<Violation> {
    check(text, &english(EditRule::KeepLink), EditRule::KeepLink)
}

#[test]
fn the_first_two_paragraphs_may_be_edited_or_deleted() {
    for locale in catalog().locales() {
        let draft = draft(locale, EditRule::FirstTwoParagraphs);
        let fixed = fixed_text(&draft);
        for opening in ["", "Hi!\n\n", "Hi!\n\nIt's us.\nAgain.\n\n", "\n\n", "\n", "\n\n\n\nHi!\n\n\n\n\n"] {
            let text = format!("{opening}{fixed}");
            assert_eq!(check(&text, &draft, EditRule::FirstTwoParagraphs), [], "{text}");
        }
    }
}

#[test]
fn a_third_paragraph_before_the_fixed_text_is_refused() {
    let fixed = fixed_text(&english(EditRule::FirstTwoParagraphs));
    assert_eq!(first_two(&format!("a\n\nb\n\nc\n\nd\n\n{fixed}")), [changed(3, 6)]);
    assert_eq!(first_two(&format!("a\n\nb\nc\n{fixed}")), [changed(3, 3)], "not apart");
    assert_eq!(first_two(&format!("a {fixed}")), [changed(3, 0)], "not apart");
}

#[test]
fn any_byte_of_the_link_matters_under_both_rules() {
    for locale in catalog().locales() {
        for rule in RULES {
            let draft = draft(locale, rule);
            let text = draft.plain_text();
            for at in link_range(&draft) {
                for replacement in ["", "x", "X", ".", "/", " ", "\n", "%41", "é", "界"] {
                    if text[at..=at] == *replacement {
                        continue;
                    }
                    let edited = format!("{}{replacement}{}", &text[..at], &text[at + 1..]);
                    let violations = check(&edited, &draft, rule);
                    assert_eq!(violations.len(), 1, "{violations:?} in {edited}");
                    let reason = violations[0].reason();
                    assert!(["LINK_MISSING", "LINK_CHANGED"].contains(&reason), "{edited}");
                }
            }
        }
    }
}

#[test]
fn any_character_of_the_fixed_part_matters_where_the_text_is_fixed() {
    for locale in catalog().locales() {
        let draft = draft(locale, EditRule::FirstTwoParagraphs);
        let text = draft.plain_text();
        let link = link_range(&draft);
        let start = text.len() - fixed_text(&draft).len();
        for (offset, c) in text[start..].char_indices() {
            let at = start + offset;
            let after = &text[at + c.len_utf8()..];
            for edited in [
                format!("{}{}{after}", &text[..at], if c == '#' { '+' } else { '#' }),
                format!("{}{after}", &text[..at]),
            ] {
                let violations = check(&edited, &draft, EditRule::FirstTwoParagraphs);
                assert!(!violations.is_empty(), "{edited}");
                // A line break between two paragraphs concerns both; anything else is one violation, at its place.
                if c != '\n' && !link.contains(&at) {
                    assert_eq!(violations.len(), 1, "{violations:?} in {edited}");
                    assert_eq!(violations[0].reason(), "FIXED_TEXT_CHANGED");
                    let position = violations[0].position().unwrap();
                    let exact = characters(&text, at);
                    // Of two equal letters in a row it cannot be told which was deleted.
                    assert!(position == exact || edited.chars().nth(exact) == Some(c), "{edited}");
                }
            }
        }
    }
}

#[test]
fn the_whole_body_may_be_replaced_where_only_the_link_is_kept() {
    for text in [
        LINK.to_owned(),
        format!("Ciao! {LINK}"),
        format!("Come and see (it is {LINK})."),
        format!("Open <{LINK}>, please"),
        format!("Your link: \"{LINK}\"!"),
        format!("({LINK}), [{LINK}]; '{LINK}'? {LINK}..."),
        format!("请打开{LINK}。谢谢"),
        format!("链接：{LINK}，谢谢"),
        format!("（{LINK}）と「{LINK}」"),
        format!("« {LINK} », „{LINK}“"),
        format!("first line\r\n{LINK}\r\nlast line\r\n\r\n"),
        format!("{LINK} \t\r{LINK}"),
    ] {
        assert_eq!(keep_link(&text), [], "{text}");
    }
}

#[test]
fn a_link_that_became_another_is_refused_at_its_place() {
    let upper = LINK.replace("https", "HTTPS");
    for (text, position) in [
        (format!("See {LINK}x"), 4),
        (format!("See {LINK}/"), 4),
        (format!("See {LINK}?a=b"), 4),
        (format!("See {LINK}#top"), 4),
        (format!("See {LINK}.x"), 4),
        (format!("See {LINK},then"), 4),
        (format!("See {LINK}%20"), 4),
        (format!("See {LINK}-"), 4),
        (format!("See {LINK}_"), 4),
        (format!("See {LINK}é"), 4),
        (format!("See {LINK}\u{200b}"), 4),
        (format!("请打开{LINK}谢谢"), 3),
        (format!("See {upper}"), 4),
        (format!("See {}", &LINK[..LINK.len() - 1]), 4),
        (format!("See {}.", &LINK[..LINK.len() - 1]), 4),
        (format!("x{LINK}"), 1),
        (format!("view-source:{LINK}"), 12),
        (format!("https://elsewhere.example/?to={LINK}"), 30),
        (format!("https://elsewhere.example/({LINK})"), 27),
        (format!("https://elsewhere.example/é{LINK}"), 27),
        ("界 https://public.mandate.example/i/ 界".to_owned(), 2),
    ] {
        assert_eq!(keep_link(&text), [Violation::LinkChanged { position }], "{text}");
    }
}

#[test]
fn a_text_without_the_link_lacks_it_under_both_rules() {
    for text in ["", "Hello", "https://public.mandate.example/", "http://elsewhere.example/i/x"] {
        assert_eq!(keep_link(text), [Violation::LinkMissing]);
    }
    let draft = english(EditRule::FirstTwoParagraphs);
    let text = draft.plain_text();
    for replacement in ["", "https://elsewhere.example/i/v1", "the link", "the\n\nlink"] {
        let violations = first_two(&text.replace(LINK, replacement));
        assert_eq!(violations[0], Violation::LinkMissing, "{replacement}");
    }
    assert_eq!(first_two(&text.replace(LINK, "")), [Violation::LinkMissing]);
    assert_eq!(first_two(&text.replace(&format!("{LINK}\n\n"), "")), [Violation::LinkMissing]);
    let elsewhere = text.replace(LINK, "https://elsewhere.example/i/v1");
    assert_eq!(first_two(&elsewhere), [Violation::LinkMissing]);
}

#[test]
fn a_second_link_that_differs_is_refused_beside_the_right_one() {
    let other = LINK.replace("bm9y", "Zm9v");
    for rule in RULES {
        let draft = english(rule);
        let fixed = fixed_text(&draft);
        let text = format!("Hi\n\nor {other}\n\n{fixed}");
        assert_eq!(check(&text, &draft, rule), [Violation::LinkChanged { position: 7 }]);
        let text = format!("Hi\n\nor {LINK}\n\n{fixed}");
        assert_eq!(check(&text, &draft, rule), [], "the same link twice");
    }
}

#[test]
fn the_right_link_in_the_wrong_place_is_a_change_of_the_fixed_text() {
    let draft = english(EditRule::FirstTwoParagraphs);
    let text = draft.plain_text().replace(&format!("{LINK}\n\n"), "");
    let moved = text.replacen("Hello,", LINK, 1);
    let violations = first_two(&moved);
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].paragraph(), Some(number_of_link(&draft)));
    let position = characters(&moved, moved.find("You can review").unwrap());
    assert_eq!(violations[0].position(), Some(position));
}

#[test]
fn white_space_at_line_ends_does_not_count_and_elsewhere_it_does() {
    for locale in catalog().locales() {
        let draft = draft(locale, EditRule::FirstTwoParagraphs);
        let text = draft.plain_text();
        for same in [
            text.replace('\n', "\r\n"),
            text.replace('\n', "\r"),
            text.replace('\n', "  \t\n"),
            format!("{text}\r\n\r\n \u{3000}"),
        ] {
            assert_eq!(check(&same, &draft, EditRule::FirstTwoParagraphs), []);
        }
        let fixed = fixed_text(&draft);
        for other in [
            fixed.replacen("\n\n", "\n\n\n", 1),
            fixed.replacen("\n\n", "\n", 1),
            fixed.replacen("\n\n", "\n\n ", 1),
            format!(" {fixed}"),
        ] {
            let violations = check(&other, &draft, EditRule::FirstTwoParagraphs);
            assert!(!violations.is_empty(), "{other}");
        }
    }
    let fixed = fixed_text(&english(EditRule::FirstTwoParagraphs));
    let apart = fixed.replacen("\n\n", "\n\n\n", 1);
    assert_eq!(first_two(&apart), [changed(4, fixed.find("\n\n").unwrap() + 2)]);
}

#[test]
fn all_changes_come_back_together_each_at_its_place() {
    let text = english(EditRule::FirstTwoParagraphs).plain_text();
    let other = LINK.replace("bm9y", "Zm9v");
    let edited = text
        .replace("includes admin privileges", "includes few privileges")
        .replace("Only a global administrator", "Anybody")
        .replace(LINK, &other)
        .replace("until you and", "until they and")
        + "\n\nP.S. Hurry!";
    let at = |passage: &str| edited.find(passage).unwrap();
    assert_eq!(
        first_two(&edited),
        [
            Violation::LinkChanged { position: at(&other) },
            changed(3, at("few privileges")),
            changed(4, at("nybody of") - 1),
            changed(8, at("they and")),
        ]
    );
    let closing = format!("{text}\n\nP.S. Hurry!");
    assert_eq!(first_two(&closing), [changed(8, closing.find("P.S.").unwrap())]);
    let between = text.replace(LINK, &format!("Quick!\n\n{LINK}"));
    assert_eq!(first_two(&between), [changed(7, between.find("Quick!").unwrap())]);
}

#[test]
fn a_deleted_paragraph_is_reported_where_it_stood() {
    let draft = english(EditRule::FirstTwoParagraphs);
    let text = draft.plain_text();
    for part in draft.parts().iter().filter(|part| part.kind == Kind::Fixed) {
        let edited = text.replace(&part.text, "").replace("\n\n\n\n", "\n\n");
        let position = text.find(&part.text).unwrap().min(edited.trim_end().len());
        assert_eq!(first_two(&edited), [changed(part.paragraph, position)], "{edited}");
    }
}

#[test]
fn a_rule_can_be_asked_about_a_draft_of_another() {
    let free = english(EditRule::KeepLink);
    let text = free.plain_text().replace("Only a global administrator", "Anybody");
    assert_eq!(check(&text, &free, EditRule::KeepLink), []);
    assert_eq!(check(&text, &free, EditRule::FirstTwoParagraphs), first_two(&text));
    assert!(!first_two(&text).is_empty());
}

#[test]
fn an_oversized_text_is_refused_unread() {
    for rule in RULES {
        let draft = english(rule);
        let text = draft.plain_text();
        let opening = "x".repeat(TEXT_BYTES_MAX - fixed_text(&draft).len() - 2);
        let longest = format!("{opening}\n\n{}", fixed_text(&draft));
        assert_eq!(check(&longest, &draft, rule), []);
        let length_bytes = TEXT_BYTES_MAX + 1;
        let longer = format!("{text}{}", " ".repeat(length_bytes - text.len()));
        assert_eq!(check(&longer, &draft, rule), [Violation::TextTooLong { length_bytes }]);
    }
}

#[test]
fn a_text_full_of_wrong_links_gets_a_bounded_answer() {
    let base = "https://public.mandate.example/i/";
    let text = base.repeat(TEXT_BYTES_MAX / base.len());
    assert_eq!(keep_link(&text).len(), 100);
}

#[test]
fn every_violation_names_its_reason_its_rule_and_what_to_do() {
    let (keep, first) = (EditRule::KeepLink, EditRule::FirstTwoParagraphs);
    let position = Some(5);
    let fixed = Violation::FixedTextChanged { paragraph: 3, position: 5 };
    let table = [
        (Violation::LinkMissing, "LINK_MISSING", None, Some("R40"), Some("R15")),
        (Violation::LinkChanged { position: 5 }, "LINK_CHANGED", position, Some("R40"), Some("R15")),
        (fixed, "FIXED_TEXT_CHANGED", position, Some("R40"), Some("R14")),
        (Violation::ParagraphNotFound { paragraph: 9 }, "PARAGRAPH_NOT_FOUND", None, None, None),
        (Violation::ParagraphRepeated { paragraph: 1 }, "PARAGRAPH_REPEATED", None, None, None),
    ];
    for (violation, reason, position, rule_keep, rule_first) in table {
        assert_eq!(violation.reason(), reason);
        assert_eq!(violation.position(), position);
        assert_eq!(violation.rule(keep), rule_keep);
        assert_eq!(violation.rule(first), rule_first);
    }
    assert_eq!(
        Violation::ParagraphTooLong { paragraph: 2, length: 4001 }.to_string(),
        "shorten paragraph 2 to at most 4000 characters: it has 4001"
    );
    assert_eq!((keep.number(), first.number()), ("R40", "R14"));
}
