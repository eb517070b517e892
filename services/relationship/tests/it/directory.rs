//! Registering tenants, and the facts of subscriptions.

use api::relationship as wire;
use testkit::Database;
use tonic::Code;

use crate::world::{OPERATOR, World, admin, agent, told};

testkit::on_both!(
    tenants_are_registered_once,
    tenants_are_changed_field_by_field,
    users_belong_to_a_tenant,
    i12_tenants_read_themselves_alone,
    subscriptions_are_fed_and_read_by_the_parties,
);

async fn tenants_are_registered_once(database: Database) {
    let world = World::start("public", database).await;
    let request = wire::CreatePartnerRequest {
        partner_id: "alpenglow".to_owned(),
        partner: Some(wire::Partner { display_name: "x".to_owned(), country: "IT".to_owned(), ..Default::default() }),
        request_id: String::new(),
    };
    let refused = world.directory().create_partner(world.by(OPERATOR, request)).await.expect_err("it exists");
    let (code, reason, rule, resource) = told(&refused);
    assert_eq!((code, reason.as_str(), rule.as_str()), (Code::AlreadyExists, "RESOURCE_EXISTS", "AIP-133"));
    assert_eq!(resource, "partners/alpenglow");
    for (id, country) in [("Upper", "IT"), ("", "IT"), ("fine", "Italy")] {
        let request = wire::CreateCustomerRequest {
            customer_id: id.to_owned(),
            customer: Some(wire::Customer {
                display_name: "x".to_owned(),
                country: country.to_owned(),
                ..Default::default()
            }),
            request_id: String::new(),
        };
        let refused = world.directory().create_customer(world.by(OPERATOR, request)).await.expect_err(id);
        assert_eq!(told(&refused).1, "FIELD_INVALID", "{id} {country}");
    }
}

async fn tenants_are_changed_field_by_field(database: Database) {
    let world = World::start("public", database).await;
    let update = |etag: &str, paths: &[&str]| wire::UpdatePartnerRequest {
        partner: Some(wire::Partner {
            name: "partners/alpenglow".to_owned(),
            display_name: "Alpenglow".to_owned(),
            status: wire::PartnerStatus::Suspended.into(),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        request_id: String::new(),
    };
    let renamed =
        world.directory().update_partner(world.by(OPERATOR, update("v1", &["display_name"]))).await.expect("current");
    let renamed = renamed.into_inner();
    assert_eq!((renamed.display_name.as_str(), renamed.country.as_str()), ("Alpenglow", "IT"));
    assert_eq!(renamed.status(), wire::PartnerStatus::Active, "only the masked field is written");
    let stale =
        world.directory().update_partner(world.by(OPERATOR, update("v1", &["status"]))).await.expect_err("stale");
    assert_eq!(told(&stale).1, "ETAG_MISMATCH");
    let unknown =
        world.directory().update_partner(world.by(OPERATOR, update("", &["etag"]))).await.expect_err("not written");
    assert_eq!(told(&unknown).1, "FIELD_INVALID");

    let mut everything = update("", &[]);
    everything.partner.as_mut().expect("set").status = 0;
    let unsaid =
        world.directory().update_partner(world.by(OPERATOR, everything)).await.expect_err("no status is no status");
    assert_eq!(told(&unsaid).1, "FIELD_INVALID", "an update meant for a name lifts no suspension");

    world.directory().update_partner(world.by(OPERATOR, update("", &["status"]))).await.expect("suspended");
    let refused = world.accept("cedar", "alpenglow", &[]).await.expect_err("a suspended partner wins nobody");
    assert_eq!(told(&refused).1, "PARTNER_NOT_ACTIVE");

    let customer =
        wire::Customer { name: "customers/cedar".to_owned(), country: "US".to_owned(), ..Default::default() };
    let mask = prost_types::FieldMask { paths: vec!["country".to_owned()] };
    let moved =
        wire::UpdateCustomerRequest { customer: Some(customer), update_mask: Some(mask), request_id: String::new() };
    world.directory().update_customer(world.by(OPERATOR, moved)).await.expect("moved");
    let refused =
        world.accept("cedar", "birchwood", &[]).await.expect_err("R35, N26: the country of the tenant decides");
    let (_, reason, rule, _) = told(&refused);
    assert_eq!((reason.as_str(), rule.as_str()), ("MARKET_MISMATCH", "R35"));
}

async fn users_belong_to_a_tenant(database: Database) {
    let world = World::start("public", database).await;
    let create = |parent: &str| wire::CreateUserRequest {
        parent: parent.to_owned(),
        user_id: "admin-1".to_owned(),
        user: Some(wire::User { display_name: "First Admin".to_owned(), ..Default::default() }),
        request_id: String::new(),
    };
    let user = world.directory().create_user(world.by(OPERATOR, create("customers/cedar"))).await.expect("registered");
    assert_eq!(user.into_inner().name, "customers/cedar/users/admin-1");
    let nowhere =
        world.directory().create_user(world.by(OPERATOR, create("customers/nobody"))).await.expect_err("no tenant");
    assert_eq!(told(&nowhere).1, "RESOURCE_NOT_FOUND");
    let list = wire::ListUsersRequest { parent: "customers/cedar".to_owned(), ..Default::default() };
    let listed = world.directory().list_users(world.by(admin("cedar"), list)).await.expect("its own").into_inner();
    assert_eq!(listed.users.len(), 1);
    let get = wire::GetUserRequest { name: "customers/cedar/users/admin-1".to_owned() };
    world.directory().get_user(world.by(admin("cedar"), get.clone())).await.expect("its own");
    let stranger = world.directory().get_user(world.by(admin("dunes"), get)).await.expect_err("I12");
    assert_eq!(told(&stranger).1, "RESOURCE_NOT_FOUND");
}

async fn i12_tenants_read_themselves_alone(database: Database) {
    let world = World::start("public", database).await;
    let get = |name: &str| wire::GetPartnerRequest { name: name.to_owned() };
    let own =
        world.directory().get_partner(world.by(agent("alpenglow"), get("partners/alpenglow"))).await.expect("its own");
    assert_eq!(own.into_inner().display_name, "alpenglow IT");
    for name in ["partners/birchwood", "partners/nobody"] {
        let refused = world.directory().get_partner(world.by(agent("alpenglow"), get(name))).await.expect_err("I12");
        assert_eq!(told(&refused).1, "RESOURCE_NOT_FOUND", "{name}");
    }
    let list =
        world.directory().list_partners(world.by(agent("alpenglow"), wire::ListPartnersRequest::default())).await;
    assert_eq!(told(&list.expect_err("for operators")).1, "PRINCIPAL_KIND_NOT_ALLOWED");
    let customers = world.directory().list_customers(world.by(OPERATOR, wire::ListCustomersRequest::default())).await;
    let names: Vec<String> =
        customers.expect("an operator").into_inner().customers.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["customers/cedar", "customers/dunes"]);
}

async fn subscriptions_are_fed_and_read_by_the_parties(database: Database) {
    let world = World::start("public", database).await;
    let update = |allow_missing: bool, service: &str| wire::UpdateSubscriptionRequest {
        subscription: Some(wire::Subscription {
            name: "customers/cedar/subscriptions/mail".to_owned(),
            service: service.to_owned(),
            status: wire::SubscriptionStatus::Active.into(),
            original_reseller: "partners/alpenglow".to_owned(),
            ..Default::default()
        }),
        allow_missing,
        ..Default::default()
    };
    let missing = world.subscriptions().update_subscription(world.by(OPERATOR, update(false, "office-365"))).await;
    assert_eq!(told(&missing.expect_err("not there")).1, "RESOURCE_NOT_FOUND");
    let unknown = world.subscriptions().update_subscription(world.by(OPERATOR, update(true, "telegraph"))).await;
    assert_eq!(told(&unknown.expect_err("no such service")).1, "SERVICE_UNKNOWN");
    let mut seen_before = update(true, "office-365");
    seen_before.subscription.iter_mut().for_each(|subscription| subscription.etag = "v1".to_owned());
    let gone = world.subscriptions().update_subscription(world.by(OPERATOR, seen_before)).await;
    assert_eq!(told(&gone.expect_err("what was read is not what would be made")).1, "ETAG_MISMATCH", "AIP-154");
    let written =
        world.subscriptions().update_subscription(world.by(OPERATOR, update(true, "office-365"))).await.expect("fed");
    assert_eq!(written.into_inner().etag, "v1");

    let list = || wire::ListSubscriptionsRequest { parent: "customers/cedar".to_owned(), ..Default::default() };
    let stranger =
        world.subscriptions().list_subscriptions(world.by(agent("alpenglow"), list())).await.expect_err("I12");
    assert_eq!(told(&stranger).1, "RESOURCE_NOT_FOUND");
    world.accept("cedar", "alpenglow", &["office-365"]).await.expect("accepted");
    let listed =
        world.subscriptions().list_subscriptions(world.by(agent("alpenglow"), list())).await.expect("a party now");
    let subscriptions = listed.into_inner().subscriptions;
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(subscriptions[0].etag, "v1", "I3: accepting changes no subscription");
    assert_eq!(subscriptions[0].original_reseller, "partners/alpenglow");
    world.accept("cedar", "birchwood", &[]).await.expect("accepted");
    let listed = world.subscriptions().list_subscriptions(world.by(agent("birchwood"), list())).await.expect("a party");
    assert_eq!(listed.into_inner().subscriptions[0].original_reseller, "", "I12: not what is another partner's");
}
