//! What the demonstration of each cloud holds, and what is known of the rules of the cloud.

/// One cloud.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// Its id.
    pub(crate) id: &'static str,
    /// The country of everybody the tests register there.
    pub(crate) country: &'static str,
    /// The contract that partners sign.
    pub(crate) contract: &'static str,
    /// The agreement that customers accept, where there is one.
    pub(crate) agreement: Option<&'static str>,
    /// The rule that forbids relationships without delegation, where there is one.
    pub(crate) mandatory_rule: Option<&'static str>,
    /// A country whose partners may not meet the customers, the rule that says so.
    pub(crate) abroad: (&'static str, &'static str),
    /// The rule by which support on behalf of the customer outlives the delegation.
    pub(crate) support_rule: &'static str,
    /// What the address of the acceptance portal begins with.
    pub(crate) portal: &'static str,
    /// Tenants of the partners: of ada, bob, cleo (who has signed no contract).
    pub(crate) partners: [&'static str; 3],
    /// Tenants of the customers: of gwen, gus, gil.
    pub(crate) customers: [&'static str; 3],
}

const MCA: Option<&str> = Some("microsoft-customer-agreement");
const MPA: &str = "microsoft-partner-agreement";

/// All clouds, ordered by id.
pub(crate) const CLOUDS: [Cloud; 4] = [
    Cloud {
        id: "china",
        country: "CN",
        contract: "china-csp-reseller-agreement",
        agreement: None,
        mandatory_rule: Some("R5"),
        abroad: ("IT", "N25"),
        support_rule: "R29",
        portal: "https://portal.partner.microsoftonline.cn/",
        partners: ["lantern-river-it", "jade-ferry-systems", "bamboo-loft-tech"],
        customers: ["misty-ridge-tea", "silver-carp-freight", "nine-arches-textiles"],
    },
    Cloud {
        id: "germany",
        country: "DE",
        contract: MPA,
        agreement: MCA,
        mandatory_rule: Some("R34"),
        abroad: ("US", "N29"),
        support_rule: "R48",
        portal: "https://portal.office.de/",
        partners: ["eichenblatt-it", "donaukiesel-systeme", "moorhof-digital"],
        customers: ["sternwarte-optik", "hafenlicht-werft", "zirbenholz-moebel"],
    },
    Cloud {
        id: "public",
        country: "IT",
        contract: MPA,
        agreement: MCA,
        mandatory_rule: None,
        abroad: ("US", "R35"),
        support_rule: "R48",
        portal: "https://admin.microsoft.com/",
        partners: ["alpenglow-it", "fjordline-cloud", "quayside-systems"],
        customers: ["tessera-ceramics", "birkental-clinic", "polar-orchard"],
    },
    Cloud {
        id: "usgov",
        country: "US",
        contract: MPA,
        agreement: MCA,
        mandatory_rule: Some("R33"),
        abroad: ("IT", "N74"),
        support_rule: "R48",
        portal: "https://portal.office365.us/",
        partners: ["blue-mesa-federal", "prairie-signal", "tidewater-civic"],
        customers: ["larkspur-records", "gull-point-port", "saltmarsh-transit"],
    },
];

impl Cloud {
    /// The cloud of this id.
    pub(crate) fn of(id: &str) -> &'static Cloud {
        CLOUDS.iter().find(|cloud| cloud.id == id).expect("there are four")
    }

    /// `partners/…` of ada, bob or cleo, by place.
    pub(crate) fn partner(&self, place: usize) -> String {
        format!("partners/{}", self.partners[place])
    }

    /// `customers/…` of gwen, gus or gil, by place.
    pub(crate) fn customer(&self, place: usize) -> String {
        format!("customers/{}", self.customers[place])
    }

    /// Kind, tenant and role of a person of the demonstration.
    pub(crate) fn person(&self, name: &str) -> (&'static str, &'static str, &'static str) {
        match name {
            "ada" => ("partner", self.partners[0], "admin_agent"),
            "sam" => ("partner", self.partners[0], "sales_agent"),
            "hal" => ("partner", self.partners[0], "helpdesk_agent"),
            "bob" => ("partner", self.partners[1], "admin_agent"),
            "cleo" => ("partner", self.partners[2], "admin_agent"),
            "gwen" => ("customer", self.customers[0], "global_admin"),
            "uma" => ("customer", self.customers[0], ""),
            "gus" => ("customer", self.customers[1], "global_admin"),
            "gil" => ("customer", self.customers[2], "global_admin"),
            "otto" => ("operator", "platform", "operator"),
            "billing" => ("workload", "platform", "access_checker"),
            _ => panic!("nobody is called {name}"),
        }
    }
}
