//! The made-up companies and people that every cloud of an embedded start comes with.
//!
//! It is a table and nothing more: `seed` registers what stands here, `--as NAME` signs in as a person of it, and the panel
//! says who is who. No company or person of it is real.

use crate::issuer::{Identity, Kind};

/// One cloud's companies. Every cloud has the same people; their companies differ.
#[derive(Debug)]
pub(crate) struct Demo {
    /// The cloud.
    pub(crate) cloud: &'static str,
    /// The partners. The first two have signed the contract, the third has not; a fourth is of another market.
    pub(crate) partners: &'static [Company],
    /// The customers.
    pub(crate) customers: [Company; 3],
    /// What the first customers have bought.
    pub(crate) subscriptions: &'static [Bought],
    /// A country whose partners may not meet these customers, and the rule that says so.
    pub(crate) abroad: (&'static str, &'static str),
}

/// A company.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Company {
    /// Its tenant id.
    pub(crate) id: &'static str,
    /// Its registered name.
    pub(crate) name: &'static str,
    /// Its country.
    pub(crate) country: &'static str,
}

/// A subscription of a customer. Companies are told by their place in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bought {
    /// Whose it is.
    pub(crate) customer: usize,
    /// Its id.
    pub(crate) id: &'static str,
    /// The service.
    pub(crate) service: &'static str,
    /// The partner that sold it; bought elsewhere when none did.
    pub(crate) original_reseller: Option<usize>,
    /// The partner that provisioned it, when one did.
    pub(crate) provisioned_by: Option<usize>,
}

/// A person, or a service, that one can sign in as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// The name to sign in with, and the `sub` of the tokens.
    pub(crate) id: &'static str,
    /// The name people call it by.
    pub(crate) name: &'static str,
    /// The role it holds; none when empty.
    pub(crate) role: &'static str,
    /// Whom it works for.
    pub(crate) employer: Employer,
}

/// Whom somebody works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Employer {
    /// The partner at this place of the table.
    Partner(usize),
    /// The customer at this place of the table.
    Customer(usize),
    /// The operator of the cloud.
    Operator,
    /// Nobody: it is a service of the cloud.
    Cloud,
}

/// The tenant of operators and of the cloud's own services.
pub(crate) const PLATFORM: &str = "platform";

const PEOPLE: [Person; 12] = [
    person("ada", "Ada Sample", "admin_agent", Employer::Partner(0)),
    person("sam", "Sam Sample", "sales_agent", Employer::Partner(0)),
    person("hal", "Hal Sample", "helpdesk_agent", Employer::Partner(0)),
    person("bob", "Bob Sample", "admin_agent", Employer::Partner(1)),
    person("cleo", "Cleo Sample", "admin_agent", Employer::Partner(2)),
    person("dan", "Dan Sample", "admin_agent", Employer::Partner(3)),
    person("gwen", "Gwen Sample", "global_admin", Employer::Customer(0)),
    person("uma", "Uma Sample", "", Employer::Customer(0)),
    person("gus", "Gus Sample", "global_admin", Employer::Customer(1)),
    person("gil", "Gil Sample", "global_admin", Employer::Customer(2)),
    person("otto", "Otto Sample", "operator", Employer::Operator),
    person("billing", "The billing service", "access_checker", Employer::Cloud),
];

const fn person(id: &'static str, name: &'static str, role: &'static str, employer: Employer) -> Person {
    Person { id, name, role, employer }
}

const fn company(id: &'static str, name: &'static str, country: &'static str) -> Company {
    Company { id, name, country }
}

const fn bought(
    customer: usize,
    id: &'static str,
    service: &'static str,
    (original_reseller, provisioned_by): (Option<usize>, Option<usize>),
) -> Bought {
    Bought { customer, id, service, original_reseller, provisioned_by }
}

/// Where Azure subscriptions can be sold.
const WITH_AZURE: &[Bought] = &[
    bought(0, "office-seats", "office-365", (Some(0), Some(0))),
    bought(0, "test-lab", "azure", (None, Some(1))),
    bought(0, "directory-premium", "azure-ad", (None, None)),
    bought(1, "office-seats", "office-365", (Some(1), Some(1))),
];

const WITHOUT_AZURE: &[Bought] = &[
    bought(0, "office-seats", "office-365", (Some(0), Some(0))),
    bought(0, "warehouse-seats", "office-365", (None, Some(1))),
    bought(0, "directory-premium", "azure-ad", (None, None)),
    bought(1, "office-seats", "office-365", (Some(1), Some(1))),
];

/// All clouds, ordered by name.
pub(crate) const DEMOS: [Demo; 4] = [
    Demo {
        cloud: "china",
        partners: &[
            company("lantern-river-it", "Lantern River IT", "CN"),
            company("jade-ferry-systems", "Jade Ferry Systems", "CN"),
            company("bamboo-loft-tech", "Bamboo Loft Tech", "CN"),
        ],
        customers: [
            company("misty-ridge-tea", "Misty Ridge Tea", "CN"),
            company("silver-carp-freight", "Silver Carp Freight", "CN"),
            company("nine-arches-textiles", "Nine Arches Textiles", "CN"),
        ],
        subscriptions: WITHOUT_AZURE,
        abroad: ("IT", "N25"),
    },
    Demo {
        cloud: "germany",
        partners: &[
            company("eichenblatt-it", "Eichenblatt IT", "DE"),
            company("donaukiesel-systeme", "Donaukiesel Systeme", "AT"),
            company("moorhof-digital", "Moorhof Digital", "DE"),
        ],
        customers: [
            company("sternwarte-optik", "Sternwarte Optik", "DE"),
            company("hafenlicht-werft", "Hafenlicht Werft", "DE"),
            company("zirbenholz-moebel", "Zirbenholz Möbel", "AT"),
        ],
        subscriptions: WITH_AZURE,
        abroad: ("US", "N29"),
    },
    Demo {
        cloud: "public",
        partners: &[
            company("alpenglow-it", "Alpenglow IT", "IT"),
            company("fjordline-cloud", "Fjordline Cloud", "NO"),
            company("quayside-systems", "Quayside Systems", "IE"),
            company("redwood-harbor", "Redwood Harbor Consulting", "US"),
        ],
        customers: [
            company("tessera-ceramics", "Tessera Ceramics", "IT"),
            company("birkental-clinic", "Birkental Clinic", "DE"),
            company("polar-orchard", "Polar Orchard Foods", "FI"),
        ],
        subscriptions: WITH_AZURE,
        abroad: ("US", "R35"),
    },
    Demo {
        cloud: "usgov",
        partners: &[
            company("blue-mesa-federal", "Blue Mesa Federal Services", "US"),
            company("prairie-signal", "Prairie Signal Systems", "US"),
            company("tidewater-civic", "Tidewater Civic IT", "US"),
        ],
        customers: [
            company("larkspur-records", "Larkspur Records Office", "US"),
            company("gull-point-port", "Gull Point Port Authority", "US"),
            company("saltmarsh-transit", "Saltmarsh Transit District", "US"),
        ],
        subscriptions: WITH_AZURE,
        abroad: ("IT", "N74"),
    },
];

impl Demo {
    /// The companies of this cloud, if it has any.
    pub(crate) fn of(cloud: &str) -> Option<&'static Demo> {
        DEMOS.iter().find(|demo| demo.cloud == cloud)
    }

    /// The people of this cloud, in the order of the table.
    pub(crate) fn people(&self) -> impl Iterator<Item = &'static Person> {
        let partners = self.partners.len();
        PEOPLE.iter().filter(move |person| match person.employer {
            Employer::Partner(place) => place < partners,
            Employer::Customer(_) | Employer::Operator | Employer::Cloud => true,
        })
    }

    /// The person with this name.
    pub(crate) fn person(&self, id: &str) -> Option<&'static Person> {
        self.people().find(|person| person.id == id)
    }

    /// Whom a token of this person speaks for.
    pub(crate) fn identity(&self, person: &Person) -> Identity {
        let roles = Some(person.role).filter(|role| !role.is_empty());
        Identity {
            subject: person.id.to_owned(),
            tenant: self.tenant(person).to_owned(),
            kind: person.employer.kind(),
            roles: roles.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The tenant this person belongs to.
    pub(crate) fn tenant(&self, person: &Person) -> &'static str {
        match person.employer {
            Employer::Partner(place) => self.partners[place].id,
            Employer::Customer(place) => self.customers[place].id,
            Employer::Operator | Employer::Cloud => PLATFORM,
        }
    }

    /// Whether this partner has signed the contract of the cloud.
    pub(crate) fn has_signed(partner: usize) -> bool {
        partner != 2
    }
}

impl Employer {
    /// Which side people of this employer stand on.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Employer::Partner(_) => Kind::Partner,
            Employer::Customer(_) => Kind::Customer,
            Employer::Operator => Kind::Operator,
            Employer::Cloud => Kind::Workload,
        }
    }
}

impl Company {
    /// A domain that nobody can own.
    pub(crate) fn domain(&self) -> String {
        format!("{}.example", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{DEMOS, Demo, Employer};
    use crate::private_file::is_name;

    #[test]
    fn every_cloud_has_a_person_for_every_part() {
        for demo in &DEMOS {
            let people: Vec<_> = demo.people().collect();
            let names: BTreeSet<_> = people.iter().map(|person| person.id).collect();
            assert_eq!(names.len(), people.len(), "names are unique in {}", demo.cloud);
            for name in ["ada", "sam", "bob", "gwen", "uma", "gus", "otto", "billing"] {
                assert!(demo.person(name).is_some(), "{name} in {}", demo.cloud);
            }
            let has_dan = demo.person("dan").is_some();
            assert_eq!(has_dan, demo.partners.len() == 4, "{}", demo.cloud);
        }
    }

    #[test]
    fn ids_are_readable_and_unique() {
        for demo in &DEMOS {
            let companies = demo.partners.iter().chain(&demo.customers);
            let ids: Vec<_> = companies.map(|company| company.id).collect();
            assert!(ids.iter().all(|id| is_name(id)), "{ids:?}");
            let unique: BTreeSet<_> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len());
        }
    }

    #[test]
    fn every_subscription_is_of_companies_in_the_table() {
        for demo in &DEMOS {
            for bought in demo.subscriptions {
                assert!(bought.customer < demo.customers.len());
                for partner in [bought.original_reseller, bought.provisioned_by] {
                    assert!(partner.is_none_or(|place| place < demo.partners.len()));
                }
            }
        }
    }

    #[test]
    fn a_cloud_is_found_by_its_name() {
        assert_eq!(Demo::of("china").unwrap().cloud, "china");
        assert!(Demo::of("moon").is_none());
        assert_eq!(Employer::Partner(0).kind().as_str(), "partner");
    }
}
