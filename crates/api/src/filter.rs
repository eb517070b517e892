//! Filters of lists: `field = value` pairs joined by AND, nothing more, so that an index serves each.

use std::collections::BTreeMap;

use crate::field::Invalid;

/// The pairs of a filter, each field once. Values may stand in double quotes.
///
/// # Errors
/// [`Invalid`] that says what is wrong with the filter, and which fields there are.
pub fn parse<'a>(filter: &'a str, fields: &[&'static str]) -> Result<BTreeMap<&'static str, &'a str>, Invalid> {
    let refuse = |problem| Err(Invalid { field: "filter".to_owned(), problem });
    let mut pairs = BTreeMap::new();
    if filter.trim().is_empty() {
        return Ok(pairs);
    }
    for clause in filter.split(" AND ") {
        let Some((field, value)) = clause.split_once('=') else {
            return refuse(format!("write `field = value`, joined by AND; the fields are {}", fields.join(", ")));
        };
        let Some(field) = fields.iter().find(|known| **known == field.trim()) else {
            return refuse(format!("`{}` cannot be filtered by; the fields are {}", field.trim(), fields.join(", ")));
        };
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        if value.is_empty() || value.contains(['"', '=']) {
            return refuse(format!("`{field}` needs one value"));
        }
        if pairs.insert(*field, value).is_some() {
            return refuse(format!("`{field}` is given twice"));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::parse;

    const FIELDS: &[&str] = &["state", "partner"];

    #[test]
    fn pairs_are_read_with_and_without_quotes() {
        assert_eq!(parse("", FIELDS), Ok([].into()));
        assert_eq!(parse("state = ACTIVE", FIELDS), Ok([("state", "ACTIVE")].into()));
        let both = parse("partner=\"partners/p\" AND state = ACTIVE", FIELDS);
        assert_eq!(both, Ok([("partner", "partners/p"), ("state", "ACTIVE")].into()));
    }

    #[test]
    fn anything_else_is_refused() {
        for filter in
            ["state", "color = red", "state =", "state = A AND state = B", "state = A OR partner = B", "state != A"]
        {
            assert!(parse(filter, FIELDS).is_err(), "{filter}");
        }
    }
}
