//! The main job in every cloud, and what stays of it.

use crate::system::System;

#[test]
fn the_tour_finds_every_step_as_the_rules_say_also_twice_and_ctrl_c_ends_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path());
    for _ in 0..2 {
        let tour = system.call(&["tour"]);
        let deviating: Vec<&str> = tour.out.lines().filter(|line| line.contains("DEVIATES")).collect();
        assert_eq!(tour.code, 0, "{deviating:#?} {}", tour.err);
        assert!(tour.out.contains("every one as the rules say"));
        for cloud in ["china", "germany", "public", "usgov"] {
            assert!(tour.out.contains(&format!("=== {cloud}: ")), "{cloud} was played");
        }
    }
    let (ended, panel) = system.stop("-INT");
    assert_eq!(ended.code(), Some(0));
    assert!(panel.contains("mandate tour --gateway"), "the panel says how to go on: {panel}");
    assert_eq!(panel.matches("\ngrpcurl ").count(), 6);
}

#[test]
fn a_restart_keeps_links_relationships_and_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path());
    let link = system.call(&["link", "--as", "ada", "--output", "json"]).fine().json();
    let uri = link["uri"].as_str().unwrap().to_owned();
    let sign = ["--sign", "Gwen Sample <gwen@tessera-ceramics.example>"];
    system.call(&[&["accept", &uri, "--as", "gwen"][..], &sign].concat()).fine();
    let token = system.call(&["token", "--as", "ada"]).fine().out;
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, token).unwrap();

    let ports = [System::port_of(&system.gateway).to_owned(), system.issuer_port()];
    let (ended, _) = system.stop("-TERM");
    assert_eq!(ended.code(), Some(0));

    let same = ["--port", &ports[0], "--issuer-port", &ports[1]];
    let system = System::start_with(folder.path(), &same);
    let again = system.call(&["link", "--as", "ada", "--output", "json"]).fine().json();
    assert_eq!(again["uri"], uri.as_str());
    let token_file = token_file.to_str().unwrap();
    let customers = ["customers", "--token-file", token_file, "--output", "json"];
    let customers = system.call(&customers).fine().json();
    assert_eq!(customers["partnerCustomers"][0]["displayName"], "Tessera Ceramics");
}

#[test]
fn a_policy_folder_brings_another_cloud_and_the_tour_plays_there() {
    let folder = tempfile::tempdir().unwrap();
    let policy = include_str!("../../../../deploy/clouds/germany/policy/policy.toml");
    let policies = folder.path().join("policies");
    std::fs::create_dir_all(policies.join("moon")).unwrap();
    let moon = policy.replace("cloud = \"germany\"", "cloud = \"moon\"");
    std::fs::write(policies.join("moon/policy.toml"), moon).unwrap();
    let options = ["--port", "0", "--policy-dir", policies.to_str().unwrap()];
    let system = System::start_with(&folder.path().join("data"), &options);
    let tour = system.call(&["tour"]);
    let deviating: Vec<&str> = tour.out.lines().filter(|line| line.contains("DEVIATES")).collect();
    assert_eq!(tour.code, 0, "{deviating:#?} {}", tour.err);
    assert!(tour.out.contains("=== moon: "));
}

#[test]
fn a_cloud_with_other_rules_than_it_is_known_for_makes_the_tour_deviate() {
    let folder = tempfile::tempdir().unwrap();
    let policy = include_str!("../../../../deploy/clouds/public/policy/policy.toml");
    let other = policy.replace("text_edit_rule = \"keep_link\"", "text_edit_rule = \"first_two_paragraphs\"");
    let other = other.replace("text_edit_rule_number = \"R40\"", "text_edit_rule_number = \"R14\"");
    assert_ne!(other, policy);
    std::fs::create_dir_all(folder.path().join("policies/public")).unwrap();
    std::fs::write(folder.path().join("policies/public/policy.toml"), other).unwrap();
    let policies = folder.path().join("policies");
    let options = ["--port", "0", "--policy-dir", policies.to_str().unwrap()];
    let system = System::start_with(&folder.path().join("data"), &options);
    let tour = system.call(&["tour", "--cloud", "public"]);
    assert_eq!(tour.code, 1, "{}", tour.err);
    let deviating: Vec<&str> = tour.out.lines().filter(|line| line.contains("DEVIATES")).collect();
    assert_eq!(deviating.len(), 1, "{deviating:#?}");
    assert!(deviating[0].contains("TEXT_EDIT_RULE_KEEP_LINK"), "{deviating:#?}");
}
