//! Lists and records, from both sides.

use api::relationship as wire;
use testkit::Database;
use tonic::Code;

use crate::world::{World, admin, agent, told};

testkit::on_both!(
    r22_a_customer_sees_all_its_partners_page_by_page,
    a_partner_lists_its_relationships_by_state_page_by_page,
    i12_a_partner_sees_its_own_alone,
    r25_the_record_of_a_customer_exists_while_the_relationship_does,
    lists_are_ordered_by_bytes_on_both_engines,
    malformed_requests_name_the_field,
);

async fn r22_a_customer_sees_all_its_partners_page_by_page(database: Database) {
    let world = World::start("public", database).await;
    for partner in ["alpenglow", "birchwood"] {
        world.accept("cedar", partner, &["azure-ad"]).await.expect("accepted");
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let list = wire::ListRelationshipsRequest {
            parent: "customers/cedar".to_owned(),
            page_size: 1,
            page_token: page_token.clone(),
            filter: "state = ACTIVE".to_owned(),
        };
        let page = world
            .relationships()
            .list_relationships(world.by(admin("cedar"), list))
            .await
            .expect("its own")
            .into_inner();
        seen.extend(page.relationships.into_iter().map(|it| (it.partner_display_name, it.partner_verified_domain)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    seen.sort();
    let both = [("alpenglow IT", "alpenglow.example"), ("birchwood IT", "birchwood.example")];
    assert_eq!(seen, both.map(|(name, domain)| (name.to_owned(), domain.to_owned())));
}

async fn a_partner_lists_its_relationships_by_state_page_by_page(database: Database) {
    let world = World::start("public", database).await;
    let states = [("a", "TERMINATED"), ("b", "TERMINATING"), ("c", "ACTIVE"), ("d", "TERMINATED"), ("e", "ACTIVE")];
    for (customer, state) in states {
        world.register_customer(customer, "IT").await;
        world.accept(customer, "birchwood", &["azure-ad"]).await.expect("accepted");
        world.accept(customer, "alpenglow", &["office-365"]).await.expect("accepted");
        world.bring(customer, state).await;
    }
    for (filter, expected) in [
        ("", "abcde"),
        ("state = ACTIVE", "ce"),
        ("state = TERMINATING", "b"),
        ("state = TERMINATED", "ad"),
        ("partner = \"partners/alpenglow\" AND state = TERMINATED", "ad"),
    ] {
        let (mut seen, mut page_token) = (String::new(), String::new());
        loop {
            let list = wire::ListRelationshipsRequest {
                parent: "customers/-".to_owned(),
                page_size: 1,
                page_token,
                filter: filter.to_owned(),
            };
            let page = world.relationships().list_relationships(world.by(agent("alpenglow"), list)).await;
            let page = page.expect("its own").into_inner();
            for listed in page.relationships {
                assert_eq!(listed.delegated_services, ["office-365"], "those of this relationship alone");
                seen.push_str(listed.name.split('/').nth(1).expect("below a customer"));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter}");
    }
}

async fn i12_a_partner_sees_its_own_alone(database: Database) {
    let world = World::start("public", database).await;
    for customer in ["cedar", "dunes"] {
        for partner in ["alpenglow", "birchwood"] {
            world.accept(customer, partner, &[]).await.expect("accepted");
        }
    }
    let list = |parent: &str, filter: &str| wire::ListRelationshipsRequest {
        parent: parent.to_owned(),
        filter: filter.to_owned(),
        ..Default::default()
    };
    for (parent, filter, count) in [
        ("customers/-", "", 2),
        ("customers/cedar", "", 1),
        ("customers/-", "partner = \"partners/alpenglow\"", 2),
        ("customers/cedar", "partner = \"partners/birchwood\"", 0),
        ("customers/nobody", "", 0),
    ] {
        let answer = world.relationships().list_relationships(world.by(agent("alpenglow"), list(parent, filter))).await;
        let listed = answer.expect("an empty list tells nothing").into_inner().relationships;
        assert_eq!(listed.len(), count, "{parent} {filter}");
        assert!(listed.iter().all(|it| it.partner == "partners/alpenglow"), "{listed:?}");
    }
    let other = list("customers/-", "partner = \"partners/birchwood\"");
    let refused = world.relationships().list_relationships(world.by(agent("alpenglow"), other)).await.expect_err("I12");
    assert_eq!(told(&refused).0, Code::NotFound);
    let own = world.relationships().list_relationships(world.by(admin("cedar"), list("customers/dunes", ""))).await;
    assert_eq!(told(&own.expect_err("I12")).0, Code::NotFound);
}

async fn r25_the_record_of_a_customer_exists_while_the_relationship_does(database: Database) {
    let world = World::start("public", database).await;
    let get = || wire::GetPartnerCustomerRequest { name: "partners/alpenglow/customers/cedar".to_owned() };
    let before =
        world.relationships().get_partner_customer(world.by(agent("alpenglow"), get())).await.expect_err("not yet");
    assert_eq!(told(&before).1, "RESOURCE_NOT_FOUND");
    world.accept("cedar", "alpenglow", &["office-365"]).await.expect("accepted");
    let record = world
        .relationships()
        .get_partner_customer(world.by(agent("alpenglow"), get()))
        .await
        .expect("R25")
        .into_inner();
    assert_eq!((record.display_name.as_str(), record.country.as_str()), ("cedar AG", "IT"));
    assert_eq!(record.delegated_services, ["office-365"]);
    let other = world.relationships().get_partner_customer(world.by(agent("birchwood"), get())).await.expect_err("I12");
    assert_eq!(told(&other).1, "RESOURCE_NOT_FOUND");
}

async fn lists_are_ordered_by_bytes_on_both_engines(database: Database) {
    let world = World::start("public", database).await;
    for customer in ["a", "a-b", "a0", "ab", "b"] {
        world.register_customer(customer, "IT").await;
        world.accept(customer, "alpenglow", &[]).await.expect("accepted");
    }
    let list = wire::ListPartnerCustomersRequest { parent: "partners/alpenglow".to_owned(), ..Default::default() };
    let listed =
        world.relationships().list_partner_customers(world.by(agent("alpenglow"), list)).await.expect("its own");
    let names: Vec<String> = listed.into_inner().partner_customers.into_iter().map(|it| it.customer).collect();
    assert_eq!(names, ["customers/a", "customers/a-b", "customers/a0", "customers/ab", "customers/b"]);
}

async fn malformed_requests_name_the_field(database: Database) {
    let world = World::start("public", database).await;
    let list = |parent: &str, size: i32, token: &str, filter: &str| wire::ListRelationshipsRequest {
        parent: parent.to_owned(),
        page_size: size,
        page_token: token.to_owned(),
        filter: filter.to_owned(),
    };
    for (field, request) in [
        ("parent", list("customers", 0, "", "")),
        ("parent", list("customers/Cedar", 0, "", "")),
        ("page_size", list("customers/cedar", -1, "", "")),
        ("page_token", list("customers/cedar", 0, "nonsense", "")),
        ("filter", list("customers/cedar", 0, "", "color = red")),
        ("filter", list("customers/cedar", 0, "", "state = GREEN")),
    ] {
        let refused =
            world.relationships().list_relationships(world.by(admin("cedar"), request)).await.expect_err(field);
        let (code, reason, rule, _) = told(&refused);
        assert_eq!((code, reason.as_str(), rule.as_str()), (Code::InvalidArgument, "FIELD_INVALID", "AIP-203"));
        let bad = tonic_types::StatusExt::get_details_bad_request(&refused).expect("the field is named");
        assert_eq!(bad.field_violations[0].field, field);
    }
}
