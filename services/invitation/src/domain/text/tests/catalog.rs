//! Languages: which we have, which one a tag gets, and which files are refused.

use super::super::{Catalog, Draft, EditRule, Problem};
use super::{catalog, facts, services};

const EN: &str = include_str!("../../../../texts/en.toml");
const IT: &str = include_str!("../../../../texts/it.toml");

const SENTENCE: &str = "To review the request and accept or decline it, open this link:";

fn problem_of(source: &str) -> Problem {
    Catalog::parse(&[("en", source)]).unwrap_err().problem
}

/// The English file with one passage replaced.
fn with(passage: &str, replacement: &str) -> String {
    assert!(EN.contains(passage), "{passage} is no passage of the file");
    EN.replace(passage, replacement)
}

#[test]
fn all_six_languages_are_there() {
    let catalog = catalog();
    let tags: Vec<&str> = catalog.locales().map(super::super::Locale::tag).collect();
    assert_eq!(tags, ["en", "de", "fr", "it", "ja", "zh-Hans"]);
}

#[test]
fn a_tag_gets_the_nearest_language_or_none() {
    let table = [
        ("en", Some("en")),
        ("EN-us", Some("en")),
        ("it-IT", Some("it")),
        ("it-CH", Some("it")),
        ("de-AT-1996", Some("de")),
        ("de-DE-u-co-phonebk", Some("de")),
        ("fr-CA", Some("fr")),
        ("ja-JP", Some("ja")),
        ("zh", Some("zh-Hans")),
        ("zh-CN", Some("zh-Hans")),
        ("zh-sg", Some("zh-Hans")),
        ("ZH-HANS-CN", Some("zh-Hans")),
        ("zh-Hans-HK", Some("zh-Hans")),
        ("zh-CN-x-Hant", Some("zh-Hans")),
        ("zh-Hant", None),
        ("zh-hant-CN", None),
        ("zh-TW", None),
        ("zh-HK", None),
        ("zh-MO", None),
        ("es", None),
        ("ita", None),
        ("x-it", None),
        ("", None),
        ("it-", None),
        ("it_IT", None),
        ("-it", None),
        ("it-ninechars", None),
        ("ït", None),
    ];
    let catalog = catalog();
    for (requested, expected) in table {
        let found = catalog.find(requested).map(super::super::Locale::tag);
        assert_eq!(found, expected, "{requested}");
    }
    assert!(catalog.find(&"en-abcdefgh".repeat(10)).is_none(), "an endless tag");
}

#[test]
fn lists_are_joined_as_each_language_does() {
    let catalog = catalog();
    let titles = ["A", "B", "C"].map(str::to_owned);
    let table = [
        ("en", ["", "A", "A and B", "A, B and C"]),
        ("it", ["", "A", "A e B", "A, B e C"]),
        ("de", ["", "A", "A und B", "A, B und C"]),
        ("fr", ["", "A", "A et B", "A, B et C"]),
        ("zh", ["", "A", "A和B", "A、B和C"]),
        ("ja", ["", "A", "AおよびB", "A、BおよびC"]),
    ];
    for (tag, expected) in table {
        let locale = catalog.find(tag).unwrap();
        let lists: Vec<String> = (0..=3).map(|count| locale.join(&titles[..count])).collect();
        assert_eq!(lists, expected, "{tag}");
    }
}

#[test]
fn consent_says_whether_admin_privileges_are_included() {
    let table = [
        ("en", "includes admin privileges", "without admin privileges"),
        ("it", "include privilegi di amministrazione", "senza privilegi di amministrazione"),
        ("de", "mit Administratorrechten", "ohne Administratorrechte"),
        ("fr", "avec privilèges d’administration", "sans privilèges d’administration"),
        ("zh", "包含管理员权限", "不含管理员权限"),
        ("ja", "管理者特権を含むリセラー関係", "管理者特権を含まないリセラー関係"),
    ];
    let catalog = catalog();
    for (tag, with, without) in table {
        let locale = catalog.find(tag).unwrap();
        let rule = EditRule::FirstTwoParagraphs;
        let text = |facts| Draft::render(locale, &facts, rule, &[]).unwrap().parts()[2].text.clone();
        let (asked, not_asked) = (text(facts(&services())), text(facts(&[])));
        assert!(asked.contains(with) && !asked.contains(without), "{asked}");
        assert!(not_asked.contains(without) && !not_asked.contains(with), "{not_asked}");
        assert!(asked.contains("Azure AD") && asked.contains("Office 365"), "{asked}");
        assert!(!not_asked.contains("Office 365"), "{not_asked}");
    }
}

#[test]
fn no_text_holds_a_character_that_mail_programs_replace() {
    let catalog = catalog();
    for locale in catalog.locales() {
        for services in [services(), Vec::new()] {
            let facts = facts(&services);
            let text = Draft::render(locale, &facts, EditRule::KeepLink, &[]).unwrap().plain_text();
            let refused = |c: char| matches!(c, '\u{a0}' | '\u{202f}' | '\u{200b}' | '\u{ad}');
            assert!(!text.contains(refused), "{}: {text}", locale.tag());
            assert!(!text.contains(['{', '}']) && !text.contains("  "), "{text}");
        }
    }
}

#[test]
fn a_placeholder_nobody_knows_is_refused() {
    for (passage, found) in [("{vendor}", "{vendor}"), ("{", "{. It"), ("}", "}"), ("{ portal}", "{ portal}")] {
        let source = with("portal: {portal}.", &format!("portal: {{portal}} {passage}. It"));
        let Problem::UnknownPlaceholder { place, found: actual } = problem_of(&source) else {
            panic!("{passage} was not refused");
        };
        assert_eq!((place.as_str(), actual.as_str()), ("acceptance", found));
    }
}

#[test]
fn a_text_that_does_not_tell_everything_is_refused() {
    let missing = |place: &str, placeholder| Problem::MissingPlaceholder { place: place.to_owned(), placeholder };
    let table = [
        ("this portal: {portal}", "a portal", missing("the text with delegation", "portal")),
        ("for {services} and", "and", missing("the text with delegation", "services")),
        ("\"{link}\"", "\"below\"", missing("the text with delegation", "link")),
        ("to the {agreement}", "to it", missing("agreement", "agreement")),
        ("subject = \"{partner} asks", "subject = \"We ask", missing("subject", "partner")),
    ];
    for (passage, replacement, expected) in table {
        assert_eq!(problem_of(&with(passage, replacement)), expected);
    }
}

#[test]
fn a_placeholder_whose_value_may_be_absent_is_refused() {
    let misplaced = |place: &str, placeholder| Problem::MisplacedPlaceholder { place: place.to_owned(), placeholder };
    let table = [
        ("Hello,", "Hello {link},", misplaced("greeting", "link")),
        ("Hello,", "{link}", misplaced("greeting", "link")),
        ("open this link:", "open {link}:", misplaced("link_introduction", "link")),
        (SENTENCE, "{link}", misplaced("the text with delegation", "link")),
        ("a global administrator", "{services}", misplaced("acceptance", "services")),
        ("a global administrator", "{agreement}", misplaced("acceptance", "agreement")),
        ("your reseller\"", "your {portal}\"", misplaced("subject", "portal")),
    ];
    for (passage, replacement, expected) in table {
        assert_eq!(problem_of(&with(passage, replacement)), expected);
    }
}

#[test]
fn a_file_of_another_shape_is_refused() {
    for (passage, replacement) in [
        ("subject =", "title ="),
        ("when = \"delegation\"", "when = \"sometimes\""),
        ("needs = \"agreement\"", "requires = \"agreement\""),
        ("list = {", "lists = {"),
    ] {
        let problem = problem_of(&with(passage, replacement));
        assert!(matches!(problem, Problem::Malformed(_)), "{passage}: {problem}");
    }
    for text in ["", " Hello,", "Hello,\\n\\nwe", "Hello,\\n"] {
        let problem = problem_of(&with("Hello,", text));
        assert_eq!(problem, Problem::NotOneParagraph("greeting".to_owned()));
    }
    let source = EN.replacen("when = \"always\"", "when = \"delegation\"", 1);
    assert_eq!(problem_of(&source), Problem::OpeningNotAlways("greeting".to_owned()));
}

#[test]
fn a_language_that_tells_less_than_the_first_is_refused() {
    let swapped = IT.replace("id = \"acceptance\"", "id = \"consent\"");
    let silent = IT.replace("la responsabilità di {partner}", "la sua responsabilità");
    for source in [swapped, silent.replace("voi e {partner} non", "non")] {
        let error = Catalog::parse(&[("en", EN), ("it", &source)]).unwrap_err();
        assert_eq!(error.locale, "it");
        assert!(error.to_string().contains("the paragraphs must be those of en"), "{error}");
    }
    assert!(Catalog::parse(&[("en", EN), ("it", IT)]).is_ok());
}
