//! Feeds: what each tenant reads of its history, and where in it a reader stands.

use std::collections::BTreeSet;
use std::fmt;

use cloud::TenantId;

/// The history of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feed {
    /// What concerns a partner.
    Partner(TenantId),
    /// What concerns a customer.
    Customer(TenantId),
}

/// Its name: `partners/{partner}` or `customers/{customer}`.
impl fmt::Display for Feed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Feed::Partner(partner) => write!(formatter, "partners/{partner}"),
            Feed::Customer(customer) => write!(formatter, "customers/{customer}"),
        }
    }
}

/// The feeds an event goes to: one or two, not the same twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feeds(BTreeSet<Feed>);

impl Feeds {
    /// How many feeds an event goes to at most: one of the partner, one of the customer.
    pub const COUNT_MAX: usize = 2;

    /// These feeds, unless they are none, too many or not distinct.
    #[must_use]
    pub fn of(feeds: Vec<Feed>) -> Option<Feeds> {
        let count = feeds.len();
        let distinct: BTreeSet<Feed> = feeds.into_iter().collect();
        let fits = (1..=Feeds::COUNT_MAX).contains(&count) && distinct.len() == count;
        fits.then_some(Feeds(distinct))
    }

    /// Each of them, in the order that all writers keep to.
    pub fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.0.iter()
    }
}

/// Who wants to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A user of a partner.
    Partner(TenantId),
    /// A user of a customer.
    Customer(TenantId),
    /// An operator of the cloud.
    Operator,
    /// Anybody else.
    Stranger,
}

impl Reader {
    /// I12: tenants read their own feed, operators every feed.
    #[must_use]
    pub fn may_read(&self, feed: &Feed) -> bool {
        match (self, feed) {
            (Reader::Operator, Feed::Partner(_) | Feed::Customer(_)) => true,
            (Reader::Partner(own), Feed::Partner(partner)) => own == partner,
            (Reader::Customer(own), Feed::Customer(customer)) => own == customer,
            (Reader::Partner(_), Feed::Customer(_))
            | (Reader::Customer(_), Feed::Partner(_))
            | (Reader::Stranger, _) => false,
        }
    }
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the event with this sequence; after 0 stands the first.
    After(i64),
    /// With the next event to come.
    Next,
}

/// A watch that wants to begin after an event that the feed does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AheadOfFeed {
    /// The sequence of the last event there is.
    pub last: i64,
}

impl Start {
    /// The sequence after which to read a feed that has come to `last`.
    ///
    /// # Errors
    /// [`AheadOfFeed`]: to wait for the feed to catch up would be to miss events without a word.
    pub fn position(self, last: i64) -> Result<i64, AheadOfFeed> {
        match self {
            Start::Next => Ok(last),
            Start::After(after) if after <= last => Ok(after),
            Start::After(_) => Err(AheadOfFeed { last }),
        }
    }
}
