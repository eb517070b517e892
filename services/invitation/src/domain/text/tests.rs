//! The invitation texts: what they hold, and what an edited one may change. Every table runs in every language we have.

mod catalog;
mod check;
mod properties;
mod render;

use std::sync::LazyLock;

use super::{Catalog, Draft, Edit, EditRule, Facts, Kind, Locale};

const LINK: &str = "https://public.mandate.example/i/v1.public.bm9ydGh3aW5k_4-kQ.Zm9vYmFy-x";
const RULES: [EditRule; 2] = [EditRule::KeepLink, EditRule::FirstTwoParagraphs];

fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load().unwrap());
    &CATALOG
}

fn services() -> Vec<String> {
    ["Azure AD", "Office 365"].map(str::to_owned).to_vec()
}

fn facts(services: &[String]) -> Facts<'_> {
    Facts {
        partner: "Northwind Cloud",
        services,
        agreement: Some("Microsoft Customer Agreement"),
        portal: "Microsoft 365 admin center",
        link: LINK,
    }
}

fn draft(locale: &Locale, rule: EditRule) -> Draft {
    Draft::render(locale, &facts(&services()), rule, &[]).unwrap()
}

fn english(rule: EditRule) -> Draft {
    draft(catalog().find("en").unwrap(), rule)
}

fn edit(paragraph: usize, text: &str) -> Edit {
    Edit { paragraph, text: text.to_owned() }
}

/// Where, in bytes of the plain text, the link is.
fn link_range(draft: &Draft) -> std::ops::Range<usize> {
    let start = draft.plain_text().find(LINK).unwrap();
    start..start + LINK.len()
}

/// The paragraphs from the third on, as plain text.
fn fixed_text(draft: &Draft) -> String {
    let texts: Vec<&str> = draft.parts()[2..].iter().map(|part| part.text.as_str()).collect();
    texts.join("\n\n")
}

fn number_of_link(draft: &Draft) -> usize {
    draft.parts().iter().find(|part| part.kind == Kind::Link).unwrap().paragraph
}
