//! Pages of lists, as AIP-158 has them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::field::Invalid;

/// How many items a page holds when the caller does not say.
pub const SIZE_DEFAULT: usize = 50;
/// How many items a page holds at most; callers that ask for more get so many.
pub const SIZE_MAX: usize = 1000;

/// A page asked for: at most `size` items after the key `after`, of the list that `scope` describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At least 1, at most [`SIZE_MAX`].
    pub size: usize,
    /// The key of the last item of the page before. Empty for the first page.
    pub after: String,
    scope: String,
}

impl Page {
    /// The page that `page_size` and `page_token` ask for. `scope` says which list it is of (parent, filter, caller): a token
    /// of another list is refused.
    ///
    /// # Errors
    /// [`Invalid`] for a negative size or a token that this list has not given.
    pub fn parse(scope: String, page_size: i32, page_token: &str) -> Result<Page, Invalid> {
        let size = match usize::try_from(page_size) {
            Ok(0) => SIZE_DEFAULT,
            Ok(size) => size.min(SIZE_MAX),
            Err(_) => return Err(Invalid::new("page_size", "must not be negative")),
        };
        if page_token.is_empty() {
            return Ok(Page { size, after: String::new(), scope });
        }
        let token = URL_SAFE_NO_PAD.decode(page_token).map_err(|_| not_ours())?;
        let token = String::from_utf8(token).map_err(|_| not_ours())?;
        match token.split_once('\n') {
            Some((of, after)) if of == scope && !after.is_empty() => Ok(Page { size, after: after.to_owned(), scope }),
            Some(_) | None => Err(not_ours()),
        }
    }

    /// How many rows to read: one more than fit, to know whether another page follows.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size + 1).expect("a page size fits")
    }

    /// Cuts what was read to the page, and gives the token of the next: empty on the last page.
    #[must_use]
    pub fn cut<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, String) {
        if rows.len() <= self.size {
            return (rows, String::new());
        }
        rows.truncate(self.size);
        let last = rows.last().map(key).unwrap_or_default();
        (rows, URL_SAFE_NO_PAD.encode(format!("{}\n{last}", self.scope)))
    }
}

/// The refusal of a `page_token` that does not come from a list with the same parameters.
#[must_use]
pub fn not_ours() -> Invalid {
    Invalid::new("page_token", "use the next_page_token of a list with the same parameters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(size: i32, token: &str) -> Result<Page, Invalid> {
        Page::parse("customers/c state=ACTIVE".to_owned(), size, token)
    }

    #[test]
    fn sizes_are_defaulted_coerced_or_refused() {
        let size = |size| page(size, "").map(|page| page.size);
        assert_eq!(size(0), Ok(SIZE_DEFAULT));
        assert_eq!(size(1), Ok(1));
        assert_eq!(size(i32::MAX), Ok(SIZE_MAX));
        assert_eq!(size(-1), Err(Invalid::new("page_size", "must not be negative")));
    }

    #[test]
    fn pages_follow_each_other_until_the_last() {
        let first = page(2, "").expect("valid");
        let (rows, token) = first.cut(vec!["a", "b", "c"], |row| (*row).to_owned());
        assert_eq!(rows, ["a", "b"]);
        let second = page(2, &token).expect("the token is ours");
        assert_eq!(second.after, "b");
        assert_eq!(second.cut(vec!["c"], |row| (*row).to_owned()), (vec!["c"], String::new()));
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let other = Page::parse("customers/d".to_owned(), 1, "").expect("valid");
        let (_, token) = other.cut(vec!["a", "b"], |row| (*row).to_owned());
        assert_eq!(page(1, &token), Err(not_ours()));
        assert_eq!(page(1, "???"), Err(not_ours()));
    }
}
