//! Who takes part in the tour: partners and customers registered anew in each run, and the people who act for them.

use clock::Clock;
use serde_json::{Value, json};

use super::TOKEN_LIFETIME;
use super::stage::{Player, Stage, answered, refused};
use crate::client::requested_by_default;
use crate::contract::{Gateway, list, text};
use crate::demo::{Demo, PLATFORM};
use crate::failure::Failure;
use crate::issuer::{Identity, Kind};
use crate::token::Mint;

/// Everybody, and what they need to know of the cloud they are in.
pub(super) struct Cast {
    /// The cloud.
    pub(super) cloud: String,
    /// The gateway.
    pub(super) gateway: Gateway,
    /// The policy of the cloud.
    pub(super) policy: Value,
    /// The services asked for by default.
    pub(super) services: Vec<String>,
    /// What makes this run's names new.
    pub(super) suffix: String,
    /// Mints ids.
    pub(super) clock: Clock,
    /// The country of most, the one that is not served, and the rule that says so (empty when not known).
    pub(super) countries: (String, String, String),
    /// Nobody.
    pub(super) nobody: Player,
    /// An operator.
    pub(super) operator: Player,
    /// A service that checks access.
    pub(super) checker: Player,
    /// An agent of the first partner.
    pub(super) agent: Player,
    /// A sales agent of the first partner.
    pub(super) seller: Player,
    /// A helpdesk agent of the first partner.
    pub(super) helper: Player,
    /// An agent of the second partner.
    pub(super) rival: Player,
    /// An agent of a partner that has signed no contract.
    pub(super) unsigned: Player,
    /// An agent of a partner from abroad.
    pub(super) stranger: Player,
    /// A global administrator of the first customer.
    pub(super) admin: Player,
    /// A user of the first customer.
    pub(super) clerk: Player,
    /// A global administrator of the second customer.
    pub(super) second: Player,
    /// A global administrator of the third customer, which accepts nothing.
    pub(super) third: Player,
}

impl Cast {
    /// Signs everybody in.
    pub(super) async fn gather(gateway: &Gateway, cloud: &str, mint: Mint, clock: &Clock) -> Result<Cast, Failure> {
        let policy = json!({ "name": format!("clouds/{cloud}/policy") });
        let policy = gateway.anonymous().call("CloudService/GetCloudPolicy", &policy).await?;
        let policy = policy.message;
        let mut services = requested_by_default(&policy);
        services.sort();
        // The last digits of an id are the random ones.
        let id = clock.id().simple().to_string();
        let suffix = id[id.len() - 8..].to_owned();
        let desk = Desk { gateway, cloud, mint, suffix: &suffix };
        let player = async |who: &str, kind, tenant: &str, role: &str| desk.player(who, kind, tenant, role).await;
        Ok(Cast {
            nobody: Player { label: "nobody".to_owned(), session: gateway.session(cloud, None) },
            operator: player("operator", Kind::Operator, PLATFORM, "operator").await?,
            checker: player("checker", Kind::Workload, PLATFORM, "access_checker").await?,
            agent: player("agent", Kind::Partner, "partner", "admin_agent").await?,
            seller: player("seller", Kind::Partner, "partner", "sales_agent").await?,
            helper: player("helper", Kind::Partner, "partner", "helpdesk_agent").await?,
            rival: player("rival", Kind::Partner, "rival", "admin_agent").await?,
            unsigned: player("unsigned", Kind::Partner, "unsigned", "admin_agent").await?,
            stranger: player("stranger", Kind::Partner, "abroad", "admin_agent").await?,
            admin: player("admin", Kind::Customer, "first", "global_admin").await?,
            clerk: player("clerk", Kind::Customer, "first", "").await?,
            second: player("second", Kind::Customer, "second", "global_admin").await?,
            third: player("third", Kind::Customer, "third", "global_admin").await?,
            countries: countries(cloud, &policy),
            services,
            cloud: cloud.to_owned(),
            gateway: gateway.clone(),
            clock: clock.clone(),
            policy,
            suffix,
        })
    }

    /// The name of a partner of this run.
    pub(super) fn partner(&self, which: &str) -> String {
        format!("partners/tour-{which}-{}", self.suffix)
    }

    /// The name of a customer of this run.
    pub(super) fn customer(&self, which: &str) -> String {
        format!("customers/tour-{which}-{}", self.suffix)
    }

    /// The name of a link of a partner of this run.
    pub(super) fn link(&self, which: &str, services: &[String]) -> String {
        let mut slug = vec!["reseller".to_owned()];
        slug.extend_from_slice(services);
        slug[1..].sort();
        format!("{}/invitationLinks/{}", self.partner(which), slug.join("."))
    }

    /// A new request id.
    pub(super) fn request_id(&self) -> String {
        self.clock.id().to_string()
    }

    /// The consent to the agreement of the cloud; none where it asks for none.
    pub(super) fn consent(&self) -> Option<Value> {
        let agreement = self.policy.get("requiredAgreement").filter(|found| !found.is_null())?;
        Some(json!({
            "agreement": text(agreement, "/id"),
            "version": text(agreement, "/version"),
            "signer": {
                "firstName": "Gwen",
                "lastName": "Sample",
                "email": "gwen@tour.example",
            },
        }))
    }

    /// Whether the cloud lets each service have one holder only.
    pub(super) fn is_exclusive(&self) -> bool {
        self.policy["singleDelegatePerService"] == json!(true)
    }

    /// Whether one of these roles holds the permission.
    pub(super) fn permits(&self, permission: &str, role: &str) -> bool {
        let grants = list(&self.policy, "/permissions").iter();
        let mut grants = grants.filter(|grant| text(grant, "/permission") == permission);
        grants.any(|grant| {
            let mut roles = list(grant, "/roles").iter().filter_map(Value::as_str);
            roles.any(|held| held == role || held == "*")
        })
    }

    /// Whether the cloud has this service.
    pub(super) fn has_service(&self, id: &str) -> bool {
        list(&self.policy, "/services").iter().any(|service| text(service, "/id") == id)
    }
}

/// Signs players in.
struct Desk<'a> {
    gateway: &'a Gateway,
    cloud: &'a str,
    mint: Mint,
    suffix: &'a str,
}

impl Desk<'_> {
    async fn player(&self, who: &str, kind: Kind, tenant: &str, role: &str) -> Result<Player, Failure> {
        let tenant = match kind {
            Kind::Partner | Kind::Customer => format!("tour-{tenant}-{}", self.suffix),
            Kind::Operator | Kind::Workload => tenant.to_owned(),
        };
        let identity = Identity {
            subject: format!("tour-{who}"),
            tenant,
            kind,
            roles: Some(role.to_owned()).filter(|role| !role.is_empty()).into_iter().collect(),
        };
        let token = self.mint.token(&identity, TOKEN_LIFETIME).await?;
        let rank = match role {
            "" => "no role".to_owned(),
            role => role.replace('_', " "),
        };
        Ok(Player {
            label: format!("{who} ({} of {}, {rank})", kind.as_str(), identity.tenant),
            session: self.gateway.session(self.cloud, Some(&token)),
        })
    }
}

/// The country of most, the one that is not served, and the rule that says so.
fn countries(cloud: &str, policy: &Value) -> (String, String, String) {
    let (abroad, rule) = Demo::of(cloud).map_or(("AQ", ""), |demo| demo.abroad);
    let home = match Demo::of(cloud) {
        Some(demo) => demo.partners[0].country,
        None => list(policy, "/countries").first().and_then(Value::as_str).unwrap_or("DE"),
    };
    (home.to_owned(), abroad.to_owned(), rule.to_owned())
}

/// Registers this run's partners, customers and subscriptions, as an operator.
pub(super) async fn register(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let contract = cast.policy["partnerContract"]["id"].clone();
    let (home, abroad) = (cast.countries.0.as_str(), cast.countries.1.as_str());
    let none = json!("");
    for (which, title, country, contract) in [
        ("partner", "Alpenglow IT", home, &contract),
        ("rival", "Fjordline Cloud", home, &contract),
        ("unsigned", "Quayside Systems", home, &none),
        ("abroad", "Farshore Computing", abroad, &contract),
    ] {
        let name = cast.partner(which);
        let request = json!({
            "partnerId": name.trim_start_matches("partners/"),
            "partner": {
                "displayName": title,
                "country": country,
                "verifiedDomain": format!("{which}.tour.example"),
                "tier": "PARTNER_TIER_DIRECT",
                "signedContract": contract,
            },
            "requestId": cast.request_id(),
        });
        let expected = answered().is("/name", name).is("/country", country);
        let title = format!("an operator registers the partner {title} of {country}");
        let call = ("DirectoryService/CreatePartner", request);
        stage.step(&title, &cast.operator, call, expected).await?;
    }
    customers(stage, cast).await?;
    subscriptions(stage, cast).await
}

async fn customers(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let request = |which: &str, title: &str| {
        json!({
            "customerId": cast.customer(which).trim_start_matches("customers/"),
            "customer": { "displayName": title, "country": cast.countries.0 },
            "requestId": cast.request_id(),
        })
    };
    let method = "DirectoryService/CreateCustomer";
    for (which, title) in
        [("first", "Tessera Ceramics"), ("second", "Birkental Clinic"), ("third", "Polar Orchard Foods")]
    {
        let expected = answered().is("/name", cast.customer(which));
        let step = format!("an operator registers the customer {title}");
        stage.step(&step, &cast.operator, (method, request(which, title)), expected).await?;
    }
    let call = (method, request("first", "Tessera Ceramics"));
    let expected = refused("RESOURCE_EXISTS", "");
    stage.step("registering it twice is refused", &cast.operator, call, expected).await?;
    let call = (method, request("fourth", "Unasked"));
    let expected = refused("PRINCIPAL_KIND_NOT_ALLOWED", "");
    stage.step("a partner registers nobody", &cast.agent, call, expected).await?;
    let call = (
        "DirectoryService/CreateUser",
        json!({
            "parent": cast.customer("first"),
            "userId": "tour-admin",
            "user": { "displayName": "Gwen Sample", "email": "gwen@tour.example" },
            "requestId": cast.request_id(),
        }),
    );
    let title = "an operator registers a user of the customer";
    stage.step(title, &cast.operator, call, answered()).await?;
    Ok(())
}

/// `seats` was sold by the partner, `elsewhere` by nobody here, and `lab` was provisioned by the rival.
async fn subscriptions(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let customer = cast.customer("first");
    let lab = if cast.has_service("azure") { "azure" } else { "office-365" };
    for (id, service, seller, provisioner) in [
        ("seats", "office-365", cast.partner("partner"), cast.partner("partner")),
        ("elsewhere", "azure-ad", String::new(), String::new()),
        ("lab", lab, String::new(), cast.partner("rival")),
    ] {
        let name = format!("{customer}/subscriptions/{id}");
        let request = json!({
            "subscription": {
                "name": name,
                "service": service,
                "status": "SUBSCRIPTION_STATUS_ACTIVE",
                "originalReseller": seller,
                "partnerOfRecord": seller,
                "provisionedBy": provisioner,
            },
            "allowMissing": true,
            "requestId": cast.request_id(),
        });
        let title = format!("an operator feeds the subscription {id} of {service}");
        let expected = answered().is("/name", name).is("/originalReseller", seller);
        let call = ("SubscriptionService/UpdateSubscription", request);
        stage.step(&title, &cast.operator, call, expected).await?;
    }
    Ok(())
}
