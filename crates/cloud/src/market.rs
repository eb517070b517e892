//! The market tables: which countries can do business with each other.
//!
//! The rows are data of the trade, not of one cloud. A country can stand in several markets, and several times in one (once
//! per currency, or once per island that shares a code), so the key of the table is market and code together.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CountryCode, LoadError};

const EMBEDDED: &str = include_str!("../data/markets.csv");
const COLUMNS: [&str; 4] = ["market", "country_or_region", "iso_3166_1_alpha_2", "currency"];

/// One line of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketRow {
    /// The market's id, such as `europe`.
    pub market: String,
    /// The name of the country or region.
    pub country: String,
    /// Its code.
    pub code: CountryCode,
    /// The currency sold in (ISO 4217), where the table names one.
    pub currency: Option<String>,
}

/// All markets with their countries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketTable {
    rows: Vec<MarketRow>,
    markets: BTreeMap<String, BTreeSet<CountryCode>>,
}

impl MarketTable {
    /// The tables this program was built with.
    #[must_use]
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED, "markets.csv").expect("a test of this module parses the same bytes")
    }

    /// Reads tables from comma-separated values with a heading line.
    ///
    /// # Errors
    /// When the heading differs, or a line has a column too few or too many, no market or a malformed code.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LoadError> {
        let mut rows = Vec::new();
        let mut markets: BTreeMap<String, BTreeSet<CountryCode>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let refuse = |key: &str, problem: String| LoadError::invalid(origin, Some(index + 1), key, problem);
            let fields = split(line)
                .ok_or_else(|| refuse("line", "a quote stays open; expected it closed on the same line".to_owned()))?;
            let Ok([market, country, code, currency]) = <[String; 4]>::try_from(fields) else {
                return Err(refuse("line", columns()));
            };
            if index == 0 {
                if [&market, &country, &code, &currency] != COLUMNS.each_ref() {
                    return Err(refuse("heading", columns()));
                }
                continue;
            }
            if market.is_empty() {
                return Err(refuse(COLUMNS[0], "is empty; expected the id of a market".to_owned()));
            }
            let code = CountryCode::parse(&code).map_err(|error| refuse(COLUMNS[2], error.to_string()))?;
            markets.entry(market.clone()).or_default().insert(code);
            let currency = Some(currency).filter(|name| !name.is_empty());
            rows.push(MarketRow { market, country, code, currency });
        }
        Ok(Self { rows, markets })
    }

    /// Every line, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[MarketRow] {
        &self.rows
    }

    /// Every market by its id, with its countries, both in order.
    #[must_use]
    pub fn markets(&self) -> &BTreeMap<String, BTreeSet<CountryCode>> {
        &self.markets
    }

    /// The markets in which both countries stand, in order; none when they cannot do business.
    #[must_use]
    pub fn shared_markets(&self, a: CountryCode, b: CountryCode) -> Vec<&str> {
        let both = |countries: &BTreeSet<CountryCode>| countries.contains(&a) && countries.contains(&b);
        let shared = self.markets.iter().filter(|(_, countries)| both(countries));
        shared.map(|(market, _)| market.as_str()).collect()
    }

    /// True when some market holds the country.
    #[must_use]
    pub fn holds(&self, country: CountryCode) -> bool {
        self.markets.values().any(|countries| countries.contains(&country))
    }
}

fn columns() -> String {
    format!("expected the columns {}", COLUMNS.join(", "))
}

/// The fields of one line; a field in double quotes may hold commas, and `""` for a quote. `None`: a quote stays open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> CountryCode {
        CountryCode::parse(text).unwrap()
    }

    #[test]
    fn the_embedded_tables_hold_15_markets_and_245_rows() {
        let table = MarketTable::parse(EMBEDDED, "markets.csv").unwrap();
        assert_eq!(table.markets().len(), 15);
        assert_eq!(table.rows().len(), 245);
        assert_eq!(table, MarketTable::embedded());
    }

    #[test]
    fn a_code_can_stand_in_several_rows() {
        let table = MarketTable::embedded();
        let rows = |code: &str| table.rows().iter().filter(|r| r.code.as_str() == code).count();
        assert_eq!(rows("BQ"), 3, "Bonaire, Saba and Sint Eustatius");
        assert_eq!(rows("BR"), 2, "two currencies");
        assert_eq!(table.markets()["brazil"].len(), 1);
    }

    #[test]
    fn a_code_can_stand_in_several_markets() {
        let text =
            format!("{}\nwest,A,AA,USD\nwest,B,BB,\neast,A,AA,EUR\neast,B,BB,EUR\nnorth,A,AA,\n", COLUMNS.join(","));
        let table = MarketTable::parse(&text, "test").unwrap();
        assert_eq!(table.shared_markets(code("AA"), code("BB")), ["east", "west"]);
        assert_eq!(table.shared_markets(code("AA"), code("AA")), ["east", "north", "west"]);
        assert!(table.shared_markets(code("AA"), code("CC")).is_empty());
        assert_eq!(table.rows()[1].currency, None);
    }

    #[test]
    fn quoted_fields_hold_commas_and_quotes() {
        assert_eq!(split(r#"a,"b, c",,"d ""e""""#).unwrap(), ["a", "b, c", "", r#"d "e""#]);
        assert_eq!(split(r#"a,"b"#), None);
        let table = MarketTable::embedded();
        let helena = table.rows().iter().find(|r| r.code.as_str() == "SH").unwrap();
        assert_eq!(helena.country, "St Helena, Ascension, Tristan da Cunha");
        assert_eq!(helena.currency.as_deref(), Some("USD"));
    }

    #[test]
    fn a_broken_table_is_refused_with_its_line() {
        let heading = COLUMNS.join(",");
        for (text, line, key) in [
            ("market,country\n".to_owned(), 1, "line"),
            ("a,b,c,d\n".to_owned(), 1, "heading"),
            (format!("{heading}\nx,Italy,it,EUR\n"), 2, "iso_3166_1_alpha_2"),
            (format!("{heading}\nx,Italy,IT,EUR\n,Italy,IT,EUR\n"), 3, "market"),
            (format!("{heading}\nx,\"Italy,IT,EUR\n"), 2, "line"),
        ] {
            let error = MarketTable::parse(&text, "test.csv").unwrap_err();
            assert_eq!((error.line(), error.key()), (Some(line), key), "{error}");
        }
    }
}
