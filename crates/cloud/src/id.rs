//! Ids that cannot be malformed: parsed once at the edge, never checked again.
//!
//! Whether an id exists is not known here; only that it has the form of one.

use std::fmt;

use serde::Deserialize;

/// A text that does not have the form of the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}; expected {form}")]
pub struct IdError {
    what: &'static str,
    form: &'static str,
    text: String,
}

impl IdError {
    /// What the text should have been, such as `cloud id`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The form that was expected, as a regular expression.
    #[must_use]
    pub fn form(&self) -> &'static str {
        self.form
    }
}

/// How much of a refused text an error repeats: enough to find it, too little to flood a log.
const REPEATED_CHARS_MAX: usize = 64;

fn expect_form(text: &str, holds: bool, what: &'static str, form: &'static str) -> Result<(), IdError> {
    if holds {
        return Ok(());
    }
    let text = text.chars().take(REPEATED_CHARS_MAX).collect();
    Err(IdError { what, form, text })
}

/// True for `[a-z0-9][a-z0-9-]{0,62}`, the form of every id that is neither a cloud nor a rule.
pub(crate) fn is_slug(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(inside)
}

/// One sovereign cloud, such as the one a process serves: `[a-z][a-z0-9-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CloudId(String);

impl CloudId {
    /// Takes a text of the right form.
    ///
    /// # Errors
    /// When the text does not match `[a-z][a-z0-9-]{0,31}`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let holds = is_slug(text) && text.len() <= 32 && text.starts_with(char::is_alphabetic);
        expect_form(text, holds, "cloud id", "[a-z][a-z0-9-]{0,31}")?;
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A service whose administration a customer can delegate: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ServiceId(String);

impl ServiceId {
    /// Takes a text of the right form.
    ///
    /// # Errors
    /// When the text does not match `[a-z0-9][a-z0-9-]{0,62}`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        expect_form(text, is_slug(text), "service id", "[a-z0-9][a-z0-9-]{0,62}")?;
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tenant, partner or customer alike, as the token's tenant claim names it: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TenantId(String);

impl TenantId {
    /// Takes a text of the right form.
    ///
    /// # Errors
    /// When the text does not match `[a-z0-9][a-z0-9-]{0,62}`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        expect_form(text, is_slug(text), "tenant id", "[a-z0-9][a-z0-9-]{0,62}")?;
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A country or region by its ISO 3166-1 alpha-2 code, such as `IT`. That the code is assigned is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Takes a text of the right form.
    ///
    /// # Errors
    /// When the text does not match `[A-Z]{2}`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let holds = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        expect_form(text, holds, "country code", "[A-Z]{2}")?;
        let letters = text.as_bytes();
        Ok(Self([letters[0], letters[1]]))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("two ASCII letters are UTF-8")
    }
}

/// A role of a caller, such as `global_admin`, or [`Role::ANY`]: `[a-z][a-z0-9_]{0,62}` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Role(String);

impl Role {
    /// Stands for every caller of an admitted kind, whatever its roles, and even without one.
    pub const ANY: &'static str = "*";

    /// Takes a text of the right form.
    ///
    /// # Errors
    /// When the text is neither `*` nor matches `[a-z][a-z0-9_]{0,62}`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let named = (1..=63).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(inside);
        let holds = named || text == Self::ANY;
        expect_form(text, holds, "role", "[a-z][a-z0-9_]{0,62} or *")?;
        Ok(Self(text.to_owned()))
    }

    /// The role as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for [`Role::ANY`].
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == Self::ANY
    }
}

/// The number of a rule of the business, such as `R34`: `[RNID][0-9]{1,3}[a-z]?`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct RuleNumber(String);

impl RuleNumber {
    /// Takes a text of the right form.
    ///
    /// # Errors
    /// When the text does not match `[RNID][0-9]{1,3}[a-z]?`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let number = text.strip_prefix(['R', 'N', 'I', 'D']).unwrap_or_default();
        let digits = number.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(number);
        let holds = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        expect_form(text, holds, "rule number", "[RNID][0-9]{1,3}[a-z]?")?;
        Ok(Self(text.to_owned()))
    }

    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CloudId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RuleNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for CloudId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for ServiceId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for TenantId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for CountryCode {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for Role {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for RuleNumber {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloud_ids_take_their_form_and_no_other() {
        for good in ["public", "x", "cloud-2", &"a".repeat(32)] {
            assert_eq!(CloudId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Public", "1st", "-a", "a_b", "a.b", "a/b", "é", &"a".repeat(33)] {
            assert!(CloudId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn service_and_tenant_ids_take_their_form_and_no_other() {
        for good in ["azure-ad", "365", "3b33e682-00c3-41ee-9dd2-a548adf56438", &"a".repeat(63)] {
            assert_eq!(ServiceId::parse(good).unwrap().to_string(), good);
            assert_eq!(TenantId::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "-a", "A", "a_b", "a b", "a/b", "ä", "*", &"a".repeat(64)] {
            assert!(ServiceId::parse(bad).is_err(), "{bad}");
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn country_codes_are_two_capital_letters() {
        assert_eq!(CountryCode::parse("IT").unwrap().as_str(), "IT");
        for bad in ["", "I", "it", "It", "ITA", "I1", "Ä", "日"] {
            assert!(CountryCode::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn roles_are_names_or_the_star() {
        assert!(Role::parse("*").unwrap().is_any());
        assert!(!Role::parse("global_admin").unwrap().is_any());
        for bad in ["", "**", "Global", "_a", "1a", "a-b", "a b", &"a".repeat(64)] {
            assert!(Role::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rule_numbers_take_their_form_and_no_other() {
        for good in ["R1", "R34", "N25", "N8b", "I12", "D6", "R123", "R123a"] {
            assert_eq!(RuleNumber::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "R", "34", "X1", "r34", "R1234", "R1ab", "Ra", "RR1", "R1A", "R-1"] {
            assert!(RuleNumber::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_text_is_repeated_in_part_only() {
        let error = TenantId::parse(&"Z".repeat(10_000)).unwrap_err();
        assert!(error.to_string().len() < 160, "{error}");
        assert_eq!(error.what(), "tenant id");
    }
}
