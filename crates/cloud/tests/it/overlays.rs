//! What the clouds have in common and where they differ: tables A2 and D2 of the domain, cloud by cloud.

use std::collections::BTreeSet;

use cloud::{DelegableService, MarketTable, ServiceId, TextEditRule};
use proptest::prelude::*;

use crate::{CLOUDS, overlays, policy};

fn roles(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_folder_of_a_cloud_holds_a_policy_of_that_cloud() {
    let mut folders: Vec<String> =
        std::fs::read_dir(overlays()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(folders, CLOUDS);
    for cloud in CLOUDS {
        assert_eq!(policy(cloud).cloud.as_str(), cloud);
    }
}

#[test]
fn each_cloud_has_its_own_acceptance_portal() {
    for (cloud, title, host) in [
        ("public", "Microsoft 365 admin center", "https://admin.microsoft.com/"),
        ("china", "Office 365 admin center operated by 21Vianet", "https://portal.partner.microsoftonline.cn/"),
        ("germany", "Microsoft Office admin portal", "https://portal.office.de/"),
        ("usgov", "Microsoft Office admin portal", "https://portal.office365.us/"),
    ] {
        let portal = &policy(cloud).acceptance_portal;
        assert_eq!(portal.title, title, "{cloud}");
        assert!(portal.uri.starts_with(host), "{cloud}");
    }
}

#[test]
fn delegation_is_optional_in_public_only_and_each_other_cloud_names_its_rule() {
    for (cloud, rule) in [("public", None), ("china", Some("R5")), ("germany", Some("R34")), ("usgov", Some("R33"))] {
        let policy = policy(cloud);
        assert_eq!(policy.delegation.optional, rule.is_none(), "{cloud}");
        let stated = policy.delegation.mandatory_rule.as_ref().map(cloud::RuleNumber::as_str);
        assert_eq!(stated, rule, "{cloud}");
    }
}

#[test]
fn one_holder_per_service_is_enforced_in_china_only() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let in_china = cloud == "china";
        assert_eq!(policy.delegation.exclusive_holder, in_china, "{cloud}");
        let rule = policy.delegation.exclusive_rule.as_ref().map(cloud::RuleNumber::as_str);
        assert_eq!(rule, in_china.then_some("R24"), "{cloud}");
    }
}

#[test]
fn china_frees_two_paragraphs_and_the_others_the_whole_text() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let (rule, number) =
            if cloud == "china" { (TextEditRule::FirstTwoParagraphs, "R14") } else { (TextEditRule::KeepLink, "R40") };
        assert_eq!(policy.text_edit_rule, rule, "{cloud}");
        assert_eq!(policy.text_edit_rule_number.as_str(), number, "{cloud}");
    }
}

#[test]
fn customers_need_an_agreement_everywhere_but_in_china() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let agreement = policy.required_agreement.as_ref().map(|agreement| agreement.id.as_str());
        let expected = (cloud != "china").then_some("microsoft-customer-agreement");
        assert_eq!(agreement, expected, "{cloud}");
        assert!(policy.access.agreement_needed_to_order, "{cloud}: N31");
        assert!(policy.access.agreement_needed_to_manage, "{cloud}: R31");
    }
}

#[test]
fn partners_sign_the_contract_of_their_cloud_and_stay_bound_by_it() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let (contract, uri, rule) = if cloud == "china" {
            ("china-csp-reseller-agreement", "https://www.21vbluecloud.com/office365/ResellerAgr/", "R30")
        } else {
            (
                "microsoft-partner-agreement",
                "https://learn.microsoft.com/partner-center/microsoft-partner-agreement",
                "R47",
            )
        };
        assert_eq!(policy.partner_contract.id, contract, "{cloud}");
        assert_eq!(policy.partner_contract.uri, uri, "{cloud}");
        let rules: Vec<&str> = policy.obligations.iter().map(|obligation| obligation.rule.as_str()).collect();
        assert_eq!(rules, ["R29", rule], "{cloud}");
    }
}

#[test]
fn two_services_are_asked_for_by_default_and_azure_can_be_added_outside_china() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        let id = |service: &DelegableService| service.id.to_string();
        let by_default: Vec<String> = policy.services_by_default().map(id).collect();
        assert_eq!(by_default, ["azure-ad", "office-365"], "{cloud}: R36");
        let azure = policy.service(&ServiceId::parse("azure").unwrap());
        assert_eq!(azure.is_some(), cloud != "china", "{cloud}: N71");
        assert!(azure.is_none_or(|azure| azure.provisioner_manages), "{cloud}: R32");
        let others = policy.services.iter().filter(|service| service.id.as_str() != "azure");
        assert!(others.into_iter().all(|service| !service.provisioner_manages), "{cloud}");
    }
}

#[test]
fn access_switches_are_as_the_sources_say() {
    for cloud in CLOUDS {
        let access = &policy(cloud).access;
        assert_eq!(access.transition_needs_delegation, cloud == "china", "{cloud}: N18");
        assert!(access.original_reseller_may_change_partner_of_record, "{cloud}: R11");
        assert!(access.support_on_behalf_after_removal, "{cloud}: R48, R29");
        let rule = if cloud == "china" { "R29" } else { "R48" };
        assert_eq!(access.support_on_behalf_rule.as_str(), rule, "{cloud}");
        assert!(!access.support_contact_without_delegation, "{cloud}: N50");
    }
}

#[test]
fn every_cloud_maps_the_same_permissions() {
    let names = |cloud: &str| policy(cloud).permissions.keys().cloned().collect::<Vec<_>>();
    let expected = [
        "access.check",
        "access.check_any",
        "access.explain",
        "agreements.read",
        "delegations.manage",
        "delegations.read",
        "directory.read",
        "directory.write",
        "events.read",
        "invitation_links.manage",
        "invitation_links.read",
        "invitation_links.request",
        "invitation_links.request_delegation",
        "invitations.accept",
        "invitations.resolve",
        "partner_customers.read",
        "relationships.read",
        "relationships.terminate",
        "subscriptions.read",
        "subscriptions.write",
    ];
    for cloud in CLOUDS {
        assert_eq!(names(cloud), expected, "{cloud}");
    }
}

#[test]
fn roles_hold_the_permissions_they_should_and_no_others() {
    for cloud in CLOUDS {
        let policy = policy(cloud);
        for (permission, role, held) in [
            ("invitation_links.request", "admin_agent", true),
            ("invitation_links.request", "sales_agent", true),
            ("invitation_links.request", "global_admin", true),
            ("invitation_links.request", "helpdesk_agent", false),
            ("invitation_links.request", "billing_admin", false),
            ("invitation_links.request", "user_admin", false),
            ("invitation_links.request_delegation", "admin_agent", true),
            ("invitation_links.request_delegation", "sales_agent", cloud != "china"),
            ("invitation_links.request_delegation", "global_admin", true),
            ("invitation_links.manage", "sales_agent", false),
            ("invitations.accept", "global_admin", true),
            ("invitations.accept", "billing_admin", false),
            ("invitations.accept", "reader", false),
            ("partner_customers.read", "helpdesk_agent", true),
            ("partner_customers.read", "user_admin", false),
            ("delegations.manage", "global_admin", true),
            ("delegations.manage", "user_admin", false),
            ("access.check", "reader", true),
            ("access.check_any", "access_checker", true),
            ("access.check_any", "global_admin", false),
            ("directory.write", "operator", true),
            ("directory.write", "directory_writer", true),
            ("directory.write", "global_admin", false),
            ("subscriptions.write", "admin_agent", false),
        ] {
            let permitted = policy.permits(permission, &roles(&["reader", role]));
            assert_eq!(permitted, held, "{cloud}: {permission} by {role}");
        }
    }
}

#[test]
fn a_starred_permission_needs_no_role_and_an_unmapped_one_is_held_by_nobody() {
    let policy = policy("public");
    assert!(policy.permits("relationships.read", &roles(&[])));
    assert!(!policy.permits("invitations.accept", &roles(&[])));
    assert!(!policy.permits("relationships.end", &roles(&["global_admin", "operator", "*"])));
    assert!(policy.roles_of("relationships.end").is_empty());
    // A token cannot pass by claiming the star as a role.
    assert!(!policy.permits("invitations.accept", &roles(&["*"])));
}

#[test]
fn issuers_that_use_our_names_need_no_mapping() {
    for cloud in CLOUDS {
        let identity = &policy(cloud).identity;
        assert_eq!(identity.audience, "mandate", "{cloud}");
        let claims = &identity.claims;
        assert_eq!([&claims.tenant, &claims.kind, &claims.roles], ["tid", "kind", "roles"]);
        assert_eq!(identity.role_of("global_admin"), Some("global_admin"));
        assert_eq!(identity.kind_of("partner"), Some("partner"));
        assert_eq!(identity.kind_of("employee"), None);
    }
}

#[test]
fn a_country_list_holds_countries_of_one_market() {
    let markets = MarketTable::embedded();
    for (cloud, market, count) in [("china", "china", 1), ("germany", "europe", 31), ("usgov", "united-states", 5)] {
        let policy = policy(cloud);
        let countries = policy.region.countries.as_ref().unwrap();
        assert_eq!(countries.len(), count, "{cloud}");
        assert!(countries.is_subset(&markets.markets()[market]), "{cloud}");
    }
    assert_eq!(policy("public").region.countries, None);
}

proptest! {
    #[test]
    fn whatever_a_token_holds_it_stays_in_its_place(token in any::<String>()) {
        for cloud in CLOUDS {
            let portal = &policy(cloud).acceptance_portal;
            let (before, after) = portal.uri.split_once("{token}").unwrap();
            let location = portal.location(&token);
            let inside = location.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
            prop_assert!(inside.chars().all(plain), "{}", location);
        }
    }
}

#[test]
fn an_ordinary_token_travels_unchanged_and_others_encoded() {
    let portal = &policy("germany").acceptance_portal;
    assert!(portal.location("v1.germany_AZaz09-.~").ends_with("&invitation=v1.germany_AZaz09-.~"));
    assert!(portal.location("a&b=c#é").ends_with("&invitation=a%26b%3Dc%23%C3%A9"));
}

#[test]
fn relationships_end_alike_in_every_cloud_by_the_reading_that_is_older() {
    for cloud in CLOUDS {
        let rule = &policy(cloud).termination;
        assert_eq!(rule.blocking_statuses, [cloud::BlockingStatus::Active], "{cloud}: N41");
        assert_eq!(rule.blocking_rule.as_str(), "N41", "{cloud}");
        assert!(rule.customer_may_request && rule.customer_rule.is_none(), "{cloud}: N45 is the other reading");
        assert_eq!((rule.notice_days_min, rule.notice_days_max), (0, 365), "{cloud}");
    }
}
