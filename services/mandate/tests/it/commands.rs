//! The everyday commands, one after the other as people use them: partner, customer, both.

use serde_json::json;

use crate::system::System;

const SIGNER: [&str; 2] = ["--sign", "Gwen Sample <gwen@misty-ridge-tea.example>"];

/// One system for all: the commands build on each other.
#[test]
fn a_partner_and_a_customer_do_their_everyday_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path());
    clouds_and_policies(&system);
    let uri = texts(&system, &folder);
    let delegation = acceptance(&system, &uri);
    access(&system, &delegation);
    history(&system);
    termination(&system);
    // A watch that goes on is told to come back, and holds nobody up.
    let watching = system.spawn(&["watch", "customers/misty-ridge-tea", "--cloud", "china", "--as", "gwen"]);
    let (ended, _) = system.stop("-TERM");
    assert_eq!(ended.code(), Some(0));
    let watched = watching.wait_with_output().expect("it ends with the system");
    let complaint = String::from_utf8_lossy(&watched.stderr);
    assert_eq!(watched.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

fn clouds_and_policies(system: &System) {
    let clouds = system.call(&["clouds"]).fine().out;
    assert_eq!(clouds.lines().count(), 5, "{clouds}");
    let policy = system.call(&["policy", "--cloud", "usgov"]).fine().out;
    assert!(policy.contains("refused (rule R33)"), "{policy}");
    let refused = system.call(&["policy", "--cloud", "moon"]);
    assert_eq!(refused.code, 1);
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
    let nobody = system.call(&["customers", "--as", "nobody"]);
    assert_eq!(nobody.code, 64);
    assert!(nobody.err.contains("ada"), "{}", nobody.err);
}

fn texts(system: &System, folder: &tempfile::TempDir) -> String {
    let ada = ["--cloud", "china", "--as", "ada"];
    let uri = system.call(&[&["link"][..], &ada].concat()).fine().out;
    let uri = uri.lines().next().expect("a line").to_owned();
    assert!(uri.contains("/i/china."), "{uri}");
    let bare = system.call(&[&["link", "--no-delegation"][..], &ada].concat());
    assert_eq!(bare.code, 1);
    assert!(bare.err.starts_with("mandate: DELEGATION_MANDATORY_IN_CLOUD (rule R5): "), "{}", bare.err);

    let draft = [&["draft", "--locale", "zh-Hans", "--output", "json"][..], &ada].concat();
    let draft = system.call(&draft).fine().json();
    let text = draft["plainText"].as_str().expect("a text");
    assert!(text.contains(&uri));
    let file = folder.path().join("mail.txt");
    let check = || {
        let file = file.to_str().expect("a path of text");
        system.call(&[&["check-text", file, "--locale", "zh-Hans"][..], &ada].concat())
    };
    std::fs::write(&file, text).expect("a file");
    assert_eq!(check().fine().out, "the text may be sent\n");
    std::fs::write(&file, text.replace(&uri, "https://elsewhere.example")).expect("a file");
    let wrong = check();
    assert_eq!((wrong.code, wrong.err.as_str()), (1, ""));
    assert!(wrong.out.contains("LINK_MISSING"), "{}", wrong.out);
    let links = system.call(&[&["links"][..], &ada].concat()).fine().out;
    assert!(links.contains("reseller.azure-ad.office-365"), "{links}");
    uri
}

fn acceptance(system: &System, uri: &str) -> String {
    let gwen = ["--cloud", "china", "--as", "gwen"];
    let seen = system.call(&[&["resolve", uri][..], &gwen].concat()).fine().out;
    assert!(seen.contains("Lantern River IT (CN)"), "{seen}");
    let uma = system.call(&["accept", uri, "--cloud", "china", "--as", "uma"]);
    assert_eq!(uma.code, 1);
    assert!(uma.err.contains("ACCEPTOR_ROLE_REQUIRED (rule R44)"), "{}", uma.err);
    let asked = [&["accept", uri, "--validate-only"][..], &gwen].concat();
    assert_eq!(system.call(&asked).fine().out, "nothing stands in the way\n");
    let accepted = system.call(&[&["accept", uri][..], &SIGNER, &gwen].concat()).fine().out;
    assert!(accepted.contains("Lantern River IT is your reseller"), "{accepted}");

    let customers = system.call(&["customers", "--cloud", "china", "--as", "ada"]).fine().out;
    assert!(customers.contains("Misty Ridge Tea"), "{customers}");
    let partners = system.call(&[&["partners"][..], &gwen].concat()).fine().out;
    assert!(partners.contains("office-365") && partners.contains("reseller"), "{partners}");
    let all = [&["delegations", "--output", "json"][..], &gwen].concat();
    let all = system.call(&all).fine().json();
    let held = all["delegations"].as_array().expect("a list");
    let held = held.iter().find(|held| held["service"] == "office-365").expect("a delegation");
    held["name"].as_str().expect("a name").to_owned()
}

fn access(system: &System, delegation: &str) {
    let china = ["--cloud", "china"];
    let manage = || {
        let check = ["check", "manage-users", "--customer", "misty-ridge-tea"];
        let on = ["--service", "office-365", "--as", "ada", "--fresh"];
        system.call(&[&check[..], &on, &china].concat())
    };
    assert!(manage().fine().out.starts_with("yes (rule R45)"));
    let bob = ["link", "--services", "azure-ad", "--as", "bob", "--output", "json"];
    let bob = system.call(&[&bob[..], &china].concat()).fine().json();
    let taken = ["accept", bob["uri"].as_str().expect("a URI"), "--as", "gwen"];
    let taken = system.call(&[&taken[..], &china].concat());
    assert!(taken.err.contains("SERVICE_ALREADY_DELEGATED (rule R24)"), "{}", taken.err);

    let remove = ["remove", delegation, "--reason", "done", "--as", "gwen"];
    let removed = system.call(&[&remove[..], &china].concat()).fine().out;
    assert!(removed.contains("removed by customer"), "{removed}");
    let denied = manage();
    assert_eq!((denied.code, denied.err.as_str()), (1, ""));
    assert!(denied.out.starts_with("no (rule N16)"), "{}", denied.out);
    let gone = ["reassign", delegation, "--to", "jade-ferry-systems", "--as", "gwen"];
    let gone = system.call(&[&gone[..], &china].concat());
    assert!(gone.err.contains("DELEGATION_NOT_ACTIVE"), "{}", gone.err);
    let explained = ["explain", "--as", "gwen"];
    let explained = system.call(&[&explained[..], &china].concat()).fine().out;
    assert!(explained.contains("receive invoice"), "{explained}");
}

fn history(system: &System) {
    let watch = ["watch", "customers/misty-ridge-tea", "--count", "4", "--as", "gwen"];
    let options = ["--cloud", "china", "--output", "json"];
    let events = system.call(&[&watch[..], &options].concat()).fine().out;
    let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let types: Vec<_> = events.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types.last(), Some(&json!("delegation.removedByCustomer")), "{types:?}");
    assert_eq!(events[3]["reason"], "done");
}

fn termination(system: &System) {
    let gwen = ["--cloud", "china", "--as", "gwen"];
    let partners = system.call(&[&["partners", "--output", "json"][..], &gwen].concat()).fine().json();
    let name = partners["relationships"][0]["name"].as_str().expect("a name").to_owned();
    let blockers = system.call(&[&["blockers", &name][..], &gwen].concat()).fine().out;
    assert!(blockers.contains("subscriptions/office-seats") && blockers.contains("suspend or cancel"), "{blockers}");
    let none = system.call(&[&["cancel-termination", &name][..], &gwen].concat());
    assert!(none.err.contains("RELATIONSHIP_NOT_TERMINATING (rule I11)"), "{}", none.err);
    let blocked = system.call(&[&["terminate", &name, "--reason", "we part"][..], &gwen].concat());
    assert_eq!((blocked.code, blocked.err.lines().count()), (1, 1), "{}", blocked.err);
    assert!(blocked.err.contains("TERMINATION_BLOCKED (rule N41)"), "{}", blocked.err);
    let late = system.call(&[&["terminate", &name, "--at", "2999-01-01T00:00:00Z"][..], &gwen].concat());
    assert!(late.err.contains("DURATION_OUT_OF_RANGE (rule N47)"), "{}", late.err);
}
