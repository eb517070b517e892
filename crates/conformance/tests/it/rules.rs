//! The numbers of rules: whoever meets one, in an error, an answer, a policy or the contract, finds it explained in
//! `docs/rules.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkout::{self, Broken};
use crate::source::Source;

const DOCUMENT: &str = "docs/rules.md";

/// The rules of the source documents, all of which are explained, met or not: they are the business.
const RULES_OF_THE_SOURCE: u32 = 53;

/// How a section says that it holds in all clouds.
const EVERYWHERE: &str = "every cloud";

/// A number, and where it was met.
type Met = BTreeMap<String, (String, usize)>;

/// True for what is written as rule numbers are: `R43`, `N8b`, `I12`, `D10`, `AIP-155`.
fn is_number(word: &str) -> bool {
    if let Some(proposal) = word.strip_prefix("AIP-") {
        return !proposal.is_empty() && proposal.bytes().all(|byte| byte.is_ascii_digit());
    }
    let Some(rest) = word.strip_prefix(['R', 'N', 'I', 'D']) else { return false };
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_lowercase());
    rest.len() - digits.len() <= 1 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The numbers in a sentence; `R28-R30` stands for all three.
fn numbers_in(sentence: &str) -> Vec<String> {
    let words = sentence.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.flat_map(expanded).collect()
}

fn expanded(word: &str) -> Vec<String> {
    if is_number(word) {
        return vec![word.to_owned()];
    }
    let Some((first, last)) = word.split_once('-').filter(|(first, last)| is_number(first) && is_number(last)) else {
        return Vec::new();
    };
    let number = |rule: &str| rule[1..].parse::<u32>().ok();
    match (number(first), number(last)) {
        (Some(from), Some(to)) if first[..1] == last[..1] => {
            (from..=to).map(|n| format!("{}{n}", &first[..1])).collect()
        }
        _ => vec![first.to_owned(), last.to_owned()],
    }
}

/// What the code can send: literals that are a number and nothing else.
fn met_in_code() -> Met {
    let mut met = Met::new();
    for source in Source::all() {
        for text in source.texts.iter().filter(|text| !text.in_tests && is_number(&text.text)) {
            met.entry(text.text.clone()).or_insert_with(|| (source.path.clone(), text.line));
        }
    }
    met
}

/// What policies and the contract send or refer to.
fn met_in_policies_and_contract() -> Met {
    let mut met = Met::new();
    let mut paths = checkout::files(&["proto"], ".proto");
    paths.extend(checkout::clouds().iter().map(|cloud| format!("deploy/clouds/{cloud}/policy/policy.toml")));
    for path in paths {
        for (index, line) in checkout::text(&path).lines().enumerate() {
            for number in numbers_in(line) {
                met.entry(number).or_insert_with(|| (path.clone(), index + 1));
            }
        }
    }
    met
}

/// A section of the document.
struct Section {
    number: String,
    line: usize,
    /// Where the rule holds: the line in italics under the heading.
    clouds: String,
    text: String,
}

fn sections() -> Vec<Section> {
    let document = checkout::text(DOCUMENT);
    let mut sections: Vec<Section> = Vec::new();
    let mut inside = false;
    for (index, line) in document.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("### ") {
            let (number, line) = (heading.trim().to_owned(), index + 1);
            sections.push(Section { number, line, clouds: String::new(), text: String::new() });
            inside = true;
        } else if line.starts_with('#') {
            inside = false;
        } else if let Some(section) = sections.last_mut().filter(|_| inside) {
            let italics =
                line.strip_prefix('*').and_then(|rest| rest.strip_suffix('*')).filter(|_| !line.starts_with("**"));
            match italics {
                Some(clouds) if section.clouds.is_empty() => clouds.clone_into(&mut section.clouds),
                _ => section.text.push_str(&format!("{line}\n")),
            }
        }
    }
    sections
}

#[test]
fn every_number_that_can_be_met_is_explained() {
    let explained: BTreeSet<String> = sections().into_iter().map(|section| section.number).collect();
    let mut broken = Broken::default();
    for (number, (path, line)) in met_in_code().into_iter().chain(met_in_policies_and_contract()) {
        if !explained.contains(&number) {
            broken.at(&path, line, format!("explain {number} in {DOCUMENT}, under the heading `### {number}`"));
        }
    }
    for number in (1..=RULES_OF_THE_SOURCE).map(|number| format!("R{number}")) {
        if !explained.contains(&number) {
            broken.at(DOCUMENT, 1, format!("explain {number}: all rules of the source are explained here"));
        }
    }
    broken.none();
}

#[test]
fn every_section_is_one_number_says_where_it_holds_and_what_to_do() {
    let clouds = checkout::clouds();
    let mut broken = Broken::default();
    let mut seen = BTreeSet::new();
    for section in sections() {
        let (number, line) = (section.number.as_str(), section.line);
        if !is_number(number) {
            broken.at(DOCUMENT, line, "let the heading be one number and nothing else, so that #r43 leads to it");
        } else if !seen.insert(number.to_owned()) {
            broken.at(DOCUMENT, line, format!("{number} is explained twice: keep one section"));
        }
        let known = |named: &str| named == EVERYWHERE || clouds.iter().any(|cloud| cloud == named);
        if !section.clouds.split(", ").all(known) {
            let sentence = format!("say under the heading where {number} holds: *{EVERYWHERE}* or *public, …*");
            broken.at(DOCUMENT, line, sentence);
        }
        if section.text.trim().len() < 80 {
            broken.at(DOCUMENT, line, format!("say what {number} means and what to do about it"));
        }
    }
    broken.none();
}

#[test]
fn sections_stand_in_the_order_of_their_numbers() {
    let mut broken = Broken::default();
    let order = |number: &str| {
        let letters = number.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let digits: String = letters.chars().filter(char::is_ascii_digit).collect();
        (digits.parse::<u32>().unwrap_or_default(), number.to_owned())
    };
    for pair in sections().windows(2) {
        let same_kind = pair[0].number[..1] == pair[1].number[..1];
        if same_kind && order(&pair[0].number) > order(&pair[1].number) {
            broken.at(DOCUMENT, pair[1].line, format!("move {} before {}", pair[1].number, pair[0].number));
        }
    }
    broken.none();
}

#[test]
fn a_rule_that_a_policy_sends_is_said_to_hold_in_that_cloud() {
    let sections = sections();
    let mut broken = Broken::default();
    for cloud in checkout::clouds() {
        let path = format!("deploy/clouds/{cloud}/policy/policy.toml");
        for (index, line) in checkout::text(&path).lines().enumerate() {
            let code = line.split('#').next().unwrap_or_default();
            let sent = code.split('"').nth(1).filter(|value| is_number(value));
            let Some(section) = sent.and_then(|number| sections.iter().find(|section| section.number == number)) else {
                continue;
            };
            if section.clouds != EVERYWHERE && !section.clouds.split(", ").any(|named| named == cloud) {
                let sentence =
                    format!("{} is said to hold in {} only: correct {DOCUMENT}", section.number, section.clouds);
                broken.at(&path, index + 1, sentence);
            }
        }
    }
    broken.none();
}

#[test]
fn numbers_are_recognized_alone_in_ranges_and_nowhere_else() {
    let all = |text: &str| numbers_in(text).join(" ");
    assert_eq!(all("(rules R28-R30, R47; N8b), I12: AIP-155"), "R28 R29 R30 R47 N8b I12 AIP-155");
    assert_eq!(all("R2D2 RFC 3339 D IT HMAC-SHA-256 R43x9 r43 US zh-Hans x-R1"), "");
}
