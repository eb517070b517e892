//! A file that is not quite a policy is refused, naming the file, the line, the key and what was expected.

use cloud::{LoadError, Policy};
use toml::{Table, Value};

use crate::{CLOUDS, overlays, text};

const FOUND: &str = "the path was found in the same table";

/// Where a table or key stands in a file: names of keys, and positions in lists of tables.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Item(usize),
}

fn refusal(text: &str) -> LoadError {
    match Policy::parse(text, "policy.toml") {
        Ok(_) => panic!("this was taken:\n{text}"),
        Err(error) => error,
    }
}

/// The public policy with one passage replaced.
fn with(passage: &str, replacement: &str) -> String {
    let text = text("public");
    assert_eq!(text.matches(passage).count(), 1, "{passage}");
    text.replace(passage, replacement)
}

fn tables(value: &Value, at: &[Step], found: &mut Vec<Vec<Step>>) {
    if let Value::Table(table) = value {
        found.push(at.to_vec());
        for (key, inner) in table {
            tables(inner, &[at, &[Step::Key(key.clone())]].concat(), found);
        }
    }
    if let Value::Array(items) = value {
        for (index, inner) in items.iter().enumerate() {
            tables(inner, &[at, &[Step::Item(index)]].concat(), found);
        }
    }
}

fn all_tables(root: &Table) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    tables(&Value::Table(root.clone()), &[], &mut found);
    found
}

fn table_at<'a>(root: &'a mut Table, at: &[Step]) -> &'a mut Table {
    let Some((Step::Key(first), rest)) = at.split_first() else {
        return root;
    };
    let mut value = root.get_mut(first).expect(FOUND);
    for step in rest {
        value = match step {
            Step::Key(key) => value.get_mut(key.as_str()).expect(FOUND),
            Step::Item(index) => value.get_mut(*index).expect(FOUND),
        };
    }
    value.as_table_mut().expect(FOUND)
}

fn written(at: &[Step], key: &str) -> String {
    let mut path = String::new();
    for step in at {
        match step {
            Step::Key(name) if path.is_empty() => path.push_str(name),
            Step::Key(name) => path.push_str(&format!(".{name}")),
            Step::Item(index) => path.push_str(&format!("[{index}]")),
        }
    }
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The text of a file, with the heading that the writer leaves out for a table without keys of its own.
fn file(root: &Table) -> String {
    let text = toml::to_string(root).expect("it was read from such a file");
    if text.contains("[identity]\n") {
        return text;
    }
    text.replacen("[identity.claims]", "[identity]\n[identity.claims]", 1)
}

#[test]
fn an_unknown_key_at_any_level_is_refused_with_its_name() {
    for cloud in CLOUDS {
        let root: Table = text(cloud).parse().unwrap();
        for at in all_tables(&root) {
            let mut changed = root.clone();
            table_at(&mut changed, &at).insert("surprise".to_owned(), "x".into());
            let path = written(&at, "surprise");
            let outcome = Policy::parse(&file(&changed), "policy.toml");
            // The map of roles is the operator's own: any name of an issuer may stand there.
            if path == "identity.roles.surprise" {
                outcome.unwrap();
                continue;
            }
            let error = outcome.unwrap_err();
            assert_eq!(error.key(), path, "{cloud}: {error}");
            assert!(error.line().is_some(), "{cloud}: {error}");
        }
    }
}

#[test]
fn an_unknown_table_is_refused_with_its_name() {
    let error = refusal(&(text("public") + "\n[indirect]\nreseller_may_invite = true\n"));
    assert_eq!(error.key(), "indirect", "{error}");
    let error = refusal(&(text("public") + "\n[access.surprise]\nx = 1\n"));
    assert_eq!(error.key(), "access.surprise", "{error}");
}

#[test]
fn each_missing_key_is_refused_with_its_name() {
    let with_default = ["identity.claims", "identity.kinds", "identity.roles"];
    for cloud in CLOUDS {
        let root: Table = text(cloud).parse().unwrap();
        let mut refused = 0;
        for at in all_tables(&root) {
            let keys: Vec<String> = table_at(&mut root.clone(), &at).keys().cloned().collect();
            for key in keys {
                let mut changed = root.clone();
                table_at(&mut changed, &at).remove(&key);
                let path = written(&at, &key);
                let outcome = Policy::parse(&file(&changed), "policy.toml");
                if with_default.iter().any(|known| path.starts_with(known)) || path.starts_with("permissions.") {
                    outcome.unwrap();
                    continue;
                }
                let error = outcome.unwrap_err();
                assert_eq!(error.key(), path, "{cloud}: {error}");
                assert!(error.to_string().contains("is missing"), "{cloud}: {error}");
                refused += 1;
            }
        }
        assert!(refused > 40, "{cloud}: {refused}");
    }
}

#[test]
fn each_value_of_another_type_is_refused_with_its_key() {
    for cloud in CLOUDS {
        let root: Table = text(cloud).parse().unwrap();
        for at in all_tables(&root) {
            let keys: Vec<String> = table_at(&mut root.clone(), &at).keys().cloned().collect();
            for key in keys {
                let mut changed = root.clone();
                table_at(&mut changed, &at).insert(key.clone(), Value::Float(0.5));
                let error = refusal(&file(&changed));
                assert_eq!(error.key(), written(&at, &key), "{cloud}: {error}");
            }
        }
    }
}

#[test]
fn a_misspelt_key_is_refused_where_it_stands() {
    let text = with("exclusive_holder = false", "exclusive_holdr = false");
    let error = refusal(&text);
    let line = text.lines().position(|line| line.starts_with("exclusive_holdr")).unwrap() + 1;
    assert_eq!((error.key(), error.line()), ("delegation.exclusive_holdr", Some(line)));
    assert_eq!(
        error.to_string(),
        format!(
            "policy.toml:{line}: delegation.exclusive_holdr: unknown key, expected one of `optional`, \
             `mandatory_rule`, `exclusive_holder`, `exclusive_rule`"
        )
    );
}

/// Each passage of the public policy, what stands there instead, and the key that is then refused, on the line of that key.
fn refused(cases: &[(&str, &str, &str)]) {
    for (passage, replacement, key) in cases {
        let text = with(passage, replacement);
        let error = refusal(&text);
        assert_eq!(error.key(), *key, "{error}");
        let name = key.rsplit(['.', ']']).next().unwrap_or_default();
        let pointed = error.line().and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
        assert!(pointed.contains(name), "`{pointed}`: {error}");
    }
}

#[test]
fn malformed_names_and_ids_are_refused() {
    refused(&[
        ("cloud = \"public\"", "cloud = \"Public\"", "cloud"),
        ("title = \"Microsoft public cloud\"", "title = \" \"", "title"),
        ("\"keep_link\" # R40", "\"keep\"", "text_edit_rule"),
        ("_number = \"R40\"", "_number = \"40\"", "text_edit_rule_number"),
        ("https://aka.ms/", "ftp://aka.ms/", "required_agreement.uri"),
        ("id = \"microsoft-customer-agreement\"", "id = \"MCA\"", "required_agreement.id"),
        ("id = \"azure\"", "id = \"Azure\"", "services[2].id"),
        ("audience = \"mandate\"", "audience = \"\"", "identity.audience"),
        ("tenant = \"tid\"", "tenant = \"\"", "identity.claims.tenant"),
    ]);
}

#[test]
fn ids_that_stand_twice_are_refused() {
    refused(&[
        ("id = \"azure\"", "id = \"azure-ad\"", "services[2].id"),
        ("id = \"partner-agreement\"", "id = \"customer-support\"", "obligations[1].id"),
    ]);
}

#[test]
fn a_portal_without_one_token_behind_a_secure_host_is_refused() {
    let token = "&invitation={token}#";
    refused(&[
        ("https://admin.microsoft.com", "http://admin.microsoft.com", "acceptance_portal.uri"),
        ("https://admin.microsoft.com", "https://", "acceptance_portal.uri"),
        ("https://admin.microsoft.com", "https://{token}.example", "acceptance_portal.uri"),
        ("https://admin.microsoft.com", "https://x{token}.example", "acceptance_portal.uri"),
        (token, "&invitation=#", "acceptance_portal.uri"),
        (token, "&invitation={token}{token}#", "acceptance_portal.uri"),
        (token, "&invitation={token} #", "acceptance_portal.uri"),
    ]);
}

#[test]
fn a_rule_is_cited_exactly_where_it_is_in_force() {
    refused(&[
        ("optional = true", "optional = false", "delegation.mandatory_rule"),
        ("mandatory_rule = \"none\"", "mandatory_rule = \"R5\"", "delegation.mandatory_rule"),
        ("mandatory_rule = \"none\"", "mandatory_rule = \"no\"", "delegation.mandatory_rule"),
        ("exclusive_holder = false", "exclusive_holder = true", "delegation.exclusive_rule"),
    ]);
}

#[test]
fn a_termination_that_cannot_be_meant_is_refused() {
    refused(&[
        ("blocking_statuses = [\"active\"] #", "blocking_statuses = [] #", "termination.blocking_statuses"),
        ("= [\"active\"] #", "= [\"active\", \"active\"] #", "termination.blocking_statuses"),
        ("= [\"active\"] #", "= [\"cancelled\"] #", "termination.blocking_statuses"),
        ("customer_may_request = true", "customer_may_request = false", "termination.customer_rule"),
        ("customer_rule = \"none\"", "customer_rule = \"N45\"", "termination.customer_rule"),
        ("notice_days_min = 0", "notice_days_min = 366", "termination.notice_days_max"),
        ("notice_days_min = 0", "notice_days_min = -1", "termination.notice_days_min"),
    ]);
}

#[test]
fn countries_that_no_market_knows_are_refused() {
    refused(&[
        ("countries = \"any\"", "countries = \"all\"", "region.countries"),
        ("countries = \"any\"", "countries = []", "region.countries"),
        ("countries = \"any\"", "countries = [\"it\"]", "region.countries"),
        ("countries = \"any\"", "countries = [\n  \"IT\",\n  \"XX\",\n]", "region.countries"),
    ]);
}

#[test]
fn permissions_and_mapped_names_that_cannot_be_meant_are_refused() {
    refused(&[
        ("[identity.kinds]", "[identity.kinds]\nstaff = \"partners\"", "identity.kinds.staff"),
        ("[identity.roles]", "[identity.roles]\n\"All Staff\" = \"*\"", "identity.roles.All Staff"),
        ("\"events.read\"", "\"events\"", "permissions.events"),
        ("\"events.read\"", "\"events.Read\"", "permissions.events.Read"),
        ("\"events.read\"", "\"events..read\"", "permissions.events..read"),
        ("[\"access_checker\"]", "[\"access checker\"]", "permissions.access.check_any"),
        ("[\"access_checker\"]", "[\"*\", \"reader\"]", "permissions.access.check_any"),
        ("[\"access_checker\"]", "[\"reader\", \"reader\"]", "permissions.access.check_any"),
    ]);
}

#[test]
fn services_without_a_default_are_refused() {
    let error = refusal(&text("public").replace("requested_by_default = true", "requested_by_default = false"));
    assert_eq!(error.key(), "services");
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let error = refusal("cloud = \"public\"\ntitle = Microsoft\n");
    assert_eq!((error.line(), error.key()), (Some(2), "title"));
    let error = refusal("");
    assert_eq!(error.key(), "cloud", "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let path = overlays().join("atlantis/policy/policy.toml");
    let error = Policy::load(&path).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert_eq!(error.file(), path.display().to_string());
    assert!(error.to_string().contains("expected a readable policy file"), "{error}");
}

#[test]
fn an_agreement_can_be_switched_off_and_a_role_mapped() {
    let whole = text("public");
    let (before, after) = whole.split_once("[required_agreement]").unwrap();
    let (_, after) = after.split_once("\n\n").unwrap();
    let (first, rest) = before.split_once("\n\n").unwrap();
    let changed = format!("{first}\n\nrequired_agreement = \"none\"\n{rest}{after}")
        .replace("[identity.roles]", "[identity.roles]\n\"Company Administrator\" = \"global_admin\"")
        .replace("[identity.kinds]", "[identity.kinds]\nstaff = \"partner\"");
    let policy = Policy::parse(&changed, "policy.toml").unwrap();
    assert_eq!(policy.required_agreement, None);
    let identity = &policy.identity;
    assert_eq!(identity.role_of("Company Administrator"), Some("global_admin"));
    assert_eq!(identity.role_of("global_admin"), None, "once one is mapped, others mean nothing");
    assert_eq!(identity.kind_of("staff"), Some("partner"));
    assert_eq!(identity.kind_of("partner"), None);
}
