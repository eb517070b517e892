//! The policy of a cloud: everything its partners and customers may and must do that another cloud may settle otherwise.
//!
//! [`Rules`] mirrors `policy.toml` key by key. Every key is required (but for the maps of [`IdentityRule`]) and no other is
//! taken, because a rule lost by a typing error is a rule broken: where there is nothing to say, the file says `"none"` or
//! `"any"`. Only rules that hold together get inside a [`Policy`], and nothing can change them there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::Path;

use serde::Deserialize;

use crate::{CloudId, CountryCode, LoadError, Role, RuleNumber, ServiceId};

mod absent;
mod check;
mod outline;

/// The kinds of principal a token can speak for; [`IdentityRule::kinds`] maps an issuer's own names to these.
pub const PRINCIPAL_KINDS: [&str; 4] = ["partner", "customer", "operator", "workload"];

/// The checked rules of one cloud. Its fields are those of [`Rules`], to be read and not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy(Rules);

impl Deref for Policy {
    type Target = Rules;

    fn deref(&self) -> &Rules {
        &self.0
    }
}

impl Policy {
    /// Reads and checks a policy file.
    ///
    /// # Errors
    /// As [`Policy::parse`], and when the file cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let file = path.as_ref().display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(source) => Err(LoadError::Unreadable { file, source }),
        }
    }

    /// Reads and checks the text of a policy file; `origin` names it in errors.
    ///
    /// # Errors
    /// When the text is not TOML, a key is missing, unknown or of the wrong form, or two keys contradict each other. The
    /// first problem is reported, with its line and key.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LoadError> {
        let rules: Rules = toml::from_str(text).map_err(|error| outline::locate(text, origin, &error))?;
        check::all(&rules).map_err(|fault| {
            let line = outline::line_of(text, &fault.key);
            LoadError::invalid(origin, line, &fault.key, fault.problem)
        })?;
        Ok(Self(rules))
    }

    /// The roles that hold a permission; none for a permission that the policy does not know.
    #[must_use]
    pub fn roles_of(&self, permission: &str) -> &[Role] {
        self.permissions.get(permission).map_or(&[], Vec::as_slice)
    }

    /// True when one of the caller's roles holds the permission, or any caller does. A permission that the policy does not
    /// know is held by nobody.
    #[must_use]
    pub fn permits(&self, permission: &str, roles: &BTreeSet<String>) -> bool {
        let holds = |role: &Role| role.is_any() || roles.contains(role.as_str());
        self.roles_of(permission).iter().any(holds)
    }

    /// The delegable service with this id, if the cloud has it.
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&DelegableService> {
        self.services.iter().find(|service| service.id == *id)
    }

    /// The services that a link asks for unless the partner chooses others (R36).
    pub fn services_by_default(&self) -> impl Iterator<Item = &DelegableService> {
        self.services.iter().filter(|service| service.requested_by_default)
    }
}

/// What stands in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The cloud these rules are of.
    pub cloud: CloudId,
    /// The name people know the cloud by.
    pub title: String,
    /// What of an invitation text the partner may edit (R14, R15, R40).
    pub text_edit_rule: TextEditRule,
    /// The rule that a text violates when it was edited beyond that.
    pub text_edit_rule_number: RuleNumber,
    /// Where customers accept invitations (R20, R49-R52).
    pub acceptance_portal: Portal,
    /// Whether delegated admin privileges must be asked for, and by how many they can be held.
    pub delegation: DelegationRule,
    /// The agreement a customer must have accepted (R31, R43). `None`, in the file `"none"`: the cloud asks for none.
    #[serde(deserialize_with = "absent::none_or")]
    pub required_agreement: Option<Document>,
    /// The contract a partner must have signed (R30, R47).
    pub partner_contract: Document,
    /// The services whose administration can be delegated, in the order people see them.
    pub services: Vec<DelegableService>,
    /// Which countries the cloud serves.
    pub region: RegionRule,
    /// What the answers of access checks depend on.
    pub access: AccessRule,
    /// What binds a partner from acceptance until the agreement with the customer is renegotiated (R29, R30, R47).
    pub obligations: Vec<Obligation>,
    /// How relationships end.
    pub termination: TerminationRule,
    /// How the tokens of the cloud's issuer are read.
    pub identity: IdentityRule,
    /// Which roles hold which permission.
    pub permissions: BTreeMap<String, Vec<Role>>,
}

/// A place on the web where customers accept invitations.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// The name people know it by.
    pub title: String,
    /// Where it is: an `https` URI in which `{token}` stands, once, for the invitation's token.
    pub uri: String,
}

impl Portal {
    /// What stands for the token in [`Portal::uri`].
    pub const PLACEHOLDER: &'static str = "{token}";

    /// Where a customer with this token goes. Whatever the token holds, it cannot leave its place in the URI.
    #[must_use]
    pub fn location(&self, token: &str) -> String {
        self.uri.replace(Self::PLACEHOLDER, &percent_encoded(token))
    }
}

/// Everything but the unreserved characters of RFC 3986 encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Whether delegated admin privileges must be asked for, and by how many they can be held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationRule {
    /// True where a relationship without admin privileges can be asked for (R37).
    pub optional: bool,
    /// The rule that makes them mandatory (R5, R33, R34): set exactly where they are not optional.
    #[serde(deserialize_with = "absent::none_or")]
    pub mandatory_rule: Option<RuleNumber>,
    /// True where each service of a customer has at most one holder of admin privileges (R24).
    pub exclusive_holder: bool,
    /// The rule that says so: set exactly where the holder is exclusive.
    #[serde(deserialize_with = "absent::none_or")]
    pub exclusive_rule: Option<RuleNumber>,
}

/// What of an invitation text the partner may edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextEditRule {
    /// Anything, as long as the link stays (R40).
    KeepLink,
    /// The first two paragraphs; all else, the link first, stays as issued (R14, R15).
    FirstTwoParagraphs,
}

/// A text somebody agrees to: the agreement of customers, the contract of partners.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// A stable id, such as `microsoft-customer-agreement`.
    pub id: String,
    /// The name people know it by.
    pub title: String,
    /// Where it can be read.
    pub uri: String,
    /// The version in force: who accepts an invitation is asked for it, also after accepting an earlier one. What partners may
    /// do meanwhile rests on the earlier one.
    pub version: String,
}

/// A service whose administration a customer can delegate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegableService {
    /// A stable id, such as `azure-ad`.
    pub id: ServiceId,
    /// The name people know it by.
    pub title: String,
    /// True for the services asked for unless the partner chooses others (R36).
    pub requested_by_default: bool,
    /// True where the partner that provisioned a subscription manages it without any delegation (R32, N14, N15).
    pub provisioner_manages: bool,
}

/// Which countries the cloud serves. Sharing a market (R35) is asked for everywhere and needs no key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRule {
    /// Partners and customers must be of these countries. `None`, in the file `"any"`: of any.
    #[serde(deserialize_with = "absent::any_or")]
    pub countries: Option<BTreeSet<CountryCode>>,
    /// The rule that says so.
    pub rule: RuleNumber,
}

/// What the answers of access checks depend on, where clouds or sources differ (table D6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// True where a transition of a subscription needs admin privileges for its service (N18).
    pub transition_needs_delegation: bool,
    /// True where the original reseller of a subscription may change its partner of record (R11).
    pub original_reseller_may_change_partner_of_record: bool,
    /// True where a partner without admin privileges may open support requests on behalf of the customer (R48).
    pub support_on_behalf_after_removal: bool,
    /// The rule that says whether it may.
    pub support_on_behalf_rule: RuleNumber,
    /// True where a partner without admin privileges may be the designated support contact (N50).
    pub support_contact_without_delegation: bool,
    /// True where ordering waits for the customer's agreement (N31). Without a required agreement there is none to wait for.
    pub agreement_needed_to_order: bool,
    /// True where managing waits for the customer's agreement (R31). Without a required agreement there is none to wait for.
    pub agreement_needed_to_manage: bool,
}

/// A duty of the partner that outlives its admin privileges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// A stable id, such as `customer-support`.
    pub id: String,
    /// What the duty is.
    pub title: String,
    /// Where its terms can be read. May be empty.
    pub uri: String,
    /// The rule it comes from.
    pub rule: RuleNumber,
}

/// How relationships end, where sources differ (N40-N45).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerminationRule {
    /// Subscriptions of the partner in these statuses block the end: one at least, each once (N41, N44).
    pub blocking_statuses: Vec<BlockingStatus>,
    /// The rule that says so.
    pub blocking_rule: RuleNumber,
    /// True where a customer may end the relationship with a partner that sells to it. Otherwise it asks the partner to.
    pub customer_may_request: bool,
    /// The rule that forbids it (N45): set exactly where it may not.
    #[serde(deserialize_with = "absent::none_or")]
    pub customer_rule: Option<RuleNumber>,
    /// A notice is of so many days at least. Ending at once is no notice.
    pub notice_days_min: u16,
    /// A notice is of so many days at most: not fewer than at least.
    pub notice_days_max: u16,
}

/// The status of a subscription that can block the end of a relationship. One that is over never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockingStatus {
    /// It runs.
    Active,
    /// It is suspended, and can be resumed.
    Suspended,
}

impl BlockingStatus {
    /// Its name, in policy files and in the contract.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            BlockingStatus::Active => "active",
            BlockingStatus::Suspended => "suspended",
        }
    }
}

/// How the tokens of the cloud's issuer are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRule {
    /// The audience a token must be issued for.
    pub audience: String,
    /// The claims in which the issuer puts what we need. Keys left out have their default.
    #[serde(default)]
    pub claims: Claims,
    /// The issuer's names of the kinds of principal, mapped to [`PRINCIPAL_KINDS`]. Empty: the issuer uses ours.
    #[serde(default)]
    pub kinds: BTreeMap<String, String>,
    /// The issuer's names of roles, mapped to ours. Empty: the issuer uses ours.
    #[serde(default)]
    pub roles: BTreeMap<String, Role>,
}

impl IdentityRule {
    /// Our name of a kind of principal that the issuer calls `name`. `None`: the name means nothing here.
    #[must_use]
    pub fn kind_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.kinds.is_empty() {
            return PRINCIPAL_KINDS.contains(&name).then_some(name);
        }
        self.kinds.get(name).map(String::as_str)
    }

    /// Our name of a role that the issuer calls `name`. `None`: the name means nothing here.
    #[must_use]
    pub fn role_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if self.roles.is_empty() {
            return Some(name);
        }
        self.roles.get(name).map(Role::as_str)
    }
}

/// The claims in which an issuer puts what we need.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// The tenant; `tid` by default.
    pub tenant: String,
    /// The kind of principal; `kind` by default.
    pub kind: String,
    /// The roles; `roles` by default.
    pub roles: String,
}

impl Default for Claims {
    fn default() -> Self {
        Self { tenant: "tid".to_owned(), kind: "kind".to_owned(), roles: "roles".to_owned() }
    }
}
