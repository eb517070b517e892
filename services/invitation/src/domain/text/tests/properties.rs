//! Properties of the check over texts nobody thought of.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::super::{EditRule, check};
use super::{LINK, RULES, catalog, draft, english, fixed_text};

/// Lines as people write them, with no empty one: one paragraph.
fn paragraph() -> impl Strategy<Value = String> {
    "[^\\s\\p{C}][^\\p{C}\\s]{0,20}( [^\\p{C}\\s]{1,20}){0,6}"
}

/// Pieces that texts go wrong with.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [LINK, "\n", "\n\n", "\r\n", " ", ".", "https://public.mandate.example/i/", "。"];
    let known = select(pieces.map(str::to_owned).to_vec());
    let english = english(EditRule::FirstTwoParagraphs);
    let parts: Vec<String> = english.parts().iter().map(|part| part.text.clone()).collect();
    proptest::prop_oneof![known, select(parts), any::<String>(), paragraph()]
}

proptest! {
    #[test]
    fn any_opening_of_two_paragraphs_is_the_partners(
        opening in proptest::collection::vec(paragraph(), 0..=2),
        language in 0..6_usize,
    ) {
        let catalog = catalog();
        let draft = draft(catalog.locales().nth(language).unwrap(), EditRule::FirstTwoParagraphs);
        let opening: String = opening.iter().map(|text| format!("{text}\n\n")).collect();
        let text = format!("{opening}{}", fixed_text(&draft));
        prop_assert_eq!(check(&text, &draft, EditRule::FirstTwoParagraphs), []);
    }

    #[test]
    fn any_text_around_the_link_on_its_line_is_the_partners_where_all_is_free(
        before in paragraph(),
        after in paragraph(),
    ) {
        let text = format!("{before}\n{LINK}\n{after}");
        prop_assert_eq!(check(&text, &english(EditRule::KeepLink), EditRule::KeepLink), []);
    }

    #[test]
    fn a_text_passes_exactly_when_it_ends_with_the_fixed_text_after_two_paragraphs(
        pieces in proptest::collection::vec(piece(), 0..12),
        is_complete in any::<bool>(),
    ) {
        let rule = EditRule::FirstTwoParagraphs;
        let draft = english(rule);
        let fixed = fixed_text(&draft);
        let mut text = pieces.concat();
        if is_complete {
            text.push_str(&fixed);
        }
        let lines: Vec<&str> = text.lines().flat_map(|line| line.split('\r')).map(str::trim_end).collect();
        let plain = lines.join("\n");
        let free = plain.trim_end().strip_suffix(&fixed);
        let ends = free.is_some_and(|free| {
            let paragraphs = free.split("\n\n").filter(|text| !text.trim_matches('\n').is_empty());
            paragraphs.count() <= 2 && (free.ends_with("\n\n") || free.chars().all(|c| c == '\n'))
        });
        let violations = check(&text, &draft, rule);
        let link_stands = check(&text, &draft, EditRule::KeepLink).is_empty();
        prop_assert_eq!(violations.is_empty(), ends && link_stands, "{:?}", violations);
    }

    #[test]
    fn positions_lie_in_the_text_and_no_paragraph_is_named_twice(
        pieces in proptest::collection::vec(piece(), 0..12),
    ) {
        let text = pieces.concat();
        for rule in RULES {
            let violations = check(&text, &english(rule), rule);
            let length = text.chars().count();
            let is_inside = |at: Option<usize>| at.is_none_or(|at| at <= length);
            prop_assert!(violations.iter().all(|violation| is_inside(violation.position())));
            let mut paragraphs: Vec<_> = violations.iter().filter_map(|v| v.paragraph()).collect();
            paragraphs.dedup();
            let named = violations.iter().filter(|v| v.paragraph().is_some()).count();
            prop_assert_eq!(paragraphs.len(), named);
        }
    }
}
