//! The statements that an accept really sends, as the server logged them, turned into a script for pgbench.
//!
//! What belongs to one customer or is new in each accept is made new in each round of the script: the customer, and every id.
//! Times, texts and payloads stay as they were logged, so rows have the size of real ones. Statements by which events are
//! delivered afterwards are left out: they are no part of what the caller waits for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, ensure};

/// A transaction, or a statement outside of one, is part of an accept when it holds one of these.
const OF_AN_ACCEPT: [&str; 3] = ["INSERT INTO relationships", "FROM links", "pg_current_wal_lsn"];

/// Counts the rounds of each client, and makes of them a customer of its own and the beginning of ids that follow time.
const HEAD: &str = "\\set i :i + 1\n\\set n :first + :i * :clients + :client_id\n\
    \\set customer 100000000 + :n\n\\set time 100000000000 + :n\n";

/// A statement as it was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Statement {
    /// With `$1` for parameters.
    text: String,
    /// The values of the parameters, in order; `None` for NULL.
    values: Vec<Option<String>>,
}

/// The script of an accept by this customer, from what the server logged of one: `:first` is the number before the first customer,
/// `:clients` how many clients run it.
///
/// # Errors
/// When the log holds no accept.
pub(crate) fn script(log: &str, customer: &str) -> Result<String> {
    let units: Vec<Vec<Statement>> = units(log);
    let belongs = |unit: &&Vec<Statement>| {
        unit.iter().any(|statement| OF_AN_ACCEPT.iter().any(|words| statement.text.contains(words)))
    };
    let mut script = HEAD.to_owned();
    let mut ids = BTreeMap::new();
    let chosen: Vec<&Vec<Statement>> = units.iter().filter(belongs).collect();
    for statement in chosen.iter().copied().flatten() {
        let _ = writeln!(script, "{};", filled(statement, customer, &mut ids));
    }
    for words in OF_AN_ACCEPT {
        ensure!(
            script.contains(words),
            "the log of an accept has no {words}: the measurement must learn what it sends"
        );
    }
    Ok(script)
}

/// How many statements a script sends.
#[must_use]
pub(crate) fn count(script: &str) -> usize {
    script.lines().filter(|line| !line.starts_with('\\')).count()
}

/// What the log holds, by transaction: in the order in which they began.
fn units(log: &str) -> Vec<Vec<Statement>> {
    let mut units: Vec<Vec<Statement>> = Vec::new();
    // By session: the unit its transaction is in.
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for (session, statement) in statements(log) {
        let word = statement.text.split_whitespace().next().unwrap_or_default().to_uppercase();
        if let Some(place) = open.get(&session).copied() {
            units[place].push(statement);
            if matches!(word.as_str(), "COMMIT" | "ROLLBACK") {
                open.remove(&session);
            }
            continue;
        }
        if word == "BEGIN" {
            open.insert(session, units.len());
        }
        units.push(vec![statement]);
    }
    // sqlx rolls a reader back when its connection is used next, which may not have been logged any more.
    for place in open.into_values() {
        units[place].push(Statement { text: "ROLLBACK".to_owned(), values: Vec::new() });
    }
    units
}

/// The statements of a log whose lines begin with `session|`, each with its session.
fn statements(log: &str) -> Vec<(String, Statement)> {
    let mut found: Vec<(String, Statement)> = Vec::new();
    for entry in entries(log) {
        let Some((session, rest)) = entry.split_once('|') else { continue };
        if let Some(told) = rest.strip_prefix("LOG:  ") {
            let text = match (told.strip_prefix("execute "), told.strip_prefix("statement: ")) {
                (Some(named), _) => named.split_once(": ").map(|(_, text)| text),
                (None, simple) => simple,
            };
            if let Some(text) = text {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let text = text.trim_end_matches(';').to_owned();
                found.push((session.to_owned(), Statement { text, values: Vec::new() }));
            }
        } else if let Some(told) = rest.strip_prefix("DETAIL:  ")
            && let Some((_, listed)) = told.split_once("arameters: ")
            && let Some((_, statement)) = found.iter_mut().rfind(|(of, _)| of == session)
        {
            statement.values = values(listed);
        }
    }
    found
}

/// The entries of a log: a line, and those after it that begin with a tab.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.push('\n');
                entry.push_str(more);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

/// `$1 = 'it''s', $2 = NULL`
fn values(listed: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = listed;
    while let Some((_, value)) = rest.split_once(" = ") {
        let Some(quoted) = value.strip_prefix('\'') else {
            values.push(None);
            rest = value.strip_prefix("NULL").unwrap_or_default();
            continue;
        };
        let mut text = String::new();
        let mut characters = quoted.char_indices().peekable();
        let mut end = quoted.len();
        while let Some((index, character)) = characters.next() {
            if character != '\'' {
                text.push(character);
            } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
                text.push('\'');
            } else {
                end = index + 1;
                break;
            }
        }
        values.push(Some(text));
        rest = &quoted[end..];
    }
    values
}

/// The statement with an expression in the place of each parameter.
fn filled(statement: &Statement, customer: &str, ids: &mut BTreeMap<String, usize>) -> String {
    let mut parts = statement.text.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let number: Option<usize> = part[..end].parse().ok();
        match number.and_then(|number| statement.values.get(number.checked_sub(1)?)) {
            Some(value) => text.push_str(&expression(value.as_deref(), customer, ids)),
            None => {
                text.push('$');
                text.push_str(&part[..end]);
            }
        }
        text.push_str(&part[end..]);
    }
    text
}

fn expression(value: Option<&str>, customer: &str, ids: &mut BTreeMap<String, usize>) -> String {
    let Some(value) = value else {
        return "NULL".to_owned();
    };
    if is_new_id(value) {
        let next = ids.len();
        let place = ids.entry(value.to_owned()).or_insert(next);
        // Twelve digits of time, as in an id of version 7, and a different end for each id of the accept.
        return format!("CAST(CAST(:time AS TEXT) || '70008000{place:012}' AS UUID)");
    }
    let quoted = format!("'{}'", value.replace('\'', "''"));
    let with_customer = quoted.replace(customer, "' || CAST(:customer AS TEXT) || '");
    if with_customer == quoted { quoted } else { format!("({with_customer})") }
}

/// The nil id marks the beginning of a list, and stays.
fn is_new_id(value: &str) -> bool {
    let is_id = value.len() == 36
        && value.chars().enumerate().all(|(place, character)| match place {
            8 | 13 | 18 | 23 => character == '-',
            _ => character.is_ascii_hexdigit(),
        });
    is_id && value.chars().any(|character| character != '0' && character != '-')
}

#[cfg(test)]
mod tests {
    use super::{count, script, values};

    const LOG: &str = "7|LOG:  statement: BEGIN ISOLATION LEVEL READ COMMITTED\n\
        8|LOG:  statement: BEGIN\n\
        7|LOG:  execute sqlx_s_1: INSERT INTO relationships (id, customer, note)\n\t     VALUES ($1, $2, $3)\n\
        7|DETAIL:  parameters: $1 = '019f0000-0000-7000-8000-00000000000a', $2 = 'customers/ann/users/x', $3 = NULL\n\
        8|LOG:  execute sqlx_s_2: DELETE FROM outbox WHERE id = $1\n\
        8|DETAIL:  parameters: $1 = '019f0000-0000-7000-8000-00000000000b'\n\
        9|LOG:  execute sqlx_s_9: SELECT slug FROM links WHERE partner = $1\n\
        9|DETAIL:  parameters: $1 = 'it''s, $2 = me'\n\
        7|LOG:  statement: COMMIT\n\
        7|LOG:  execute sqlx_s_3: SELECT CAST(pg_current_wal_lsn() - '0/0' AS BIGINT)\n";

    #[test]
    fn a_script_sends_what_the_accept_sent_for_customers_and_ids_of_its_own() {
        let script = script(LOG, "ann").unwrap();
        let lines: Vec<&str> = script.lines().skip(4).collect();
        assert_eq!(
            lines,
            [
                "BEGIN ISOLATION LEVEL READ COMMITTED;",
                "INSERT INTO relationships (id, customer, note) VALUES \
                 (CAST(CAST(:time AS TEXT) || '70008000000000000000' AS UUID), \
                 ('customers/' || CAST(:customer AS TEXT) || '/users/x'), NULL);",
                "COMMIT;",
                "SELECT slug FROM links WHERE partner = 'it''s, $2 = me';",
                "SELECT CAST(pg_current_wal_lsn() - '0/0' AS BIGINT);",
            ]
        );
        assert_eq!(count(&script), 5);
    }

    #[test]
    fn a_log_without_an_accept_is_no_script() {
        let refused = script("7|LOG:  statement: SELECT 1\n", "ann").unwrap_err();
        assert!(refused.to_string().contains("INSERT INTO relationships"), "{refused}");
    }

    #[test]
    fn values_are_read_whatever_they_hold() {
        let read = values("$1 = 'a''b', $2 = NULL, $3 = '', $4 = 'x = ''y'''");
        assert_eq!(read, [Some("a'b".to_owned()), None, Some(String::new()), Some("x = 'y'".to_owned())]);
    }
}
