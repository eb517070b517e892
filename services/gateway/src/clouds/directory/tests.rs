//! The choice of the cloud, as a table over everything a call can say.

use api::ErrorReason;
use tonic_types::StatusExt as _;

use super::{Credential, Directory, Entry, Said};
use cloud::CloudId;

const EAST: &str = "https://issuer.east";
const WEST: &str = "https://issuer.west";

fn entry(id: &str, hosts: &[&str], issuer: &str) -> Entry {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    Entry { id: CloudId::parse(id).expect("an id"), hosts, issuer: issuer.to_owned() }
}

fn directory() -> Directory {
    let entries = vec![
        entry("west", &["west.mandate.example", "old.example"], WEST),
        entry("east", &["east.mandate.example"], EAST),
    ];
    Directory::new(entries).expect("no name stands twice")
}

/// What `choose` said: the id chosen, or the reason with its `clouds`.
fn outcome(said: &Said<'_>) -> Result<&'static str, (ErrorReason, String)> {
    match directory().choose(said) {
        Ok(index) => Ok(["west", "east"][index]),
        Err(refusal) => {
            let reason = refusal.reason();
            let info = refusal.status("").get_details_error_info();
            let mut metadata = info.expect("always there").metadata;
            Err((reason, metadata.remove("clouds").unwrap_or_default()))
        }
    }
}

/// One way to name a cloud, or not to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Names {
    Nothing,
    West,
    East,
    Unknown,
}

const ALL: [Names; 4] = [Names::Nothing, Names::West, Names::East, Names::Unknown];

fn said(host: Names, metadata: Names, credential: Names) -> Said<'static> {
    Said {
        host: match host {
            Names::Nothing => None,
            Names::West => Some("west.mandate.example"),
            Names::East => Some("east.mandate.example"),
            Names::Unknown => Some("localhost"),
        },
        metadata: match metadata {
            Names::Nothing => vec![],
            Names::West => vec!["west"],
            Names::East => vec!["east"],
            Names::Unknown => vec!["north"],
        },
        credential: match credential {
            Names::Nothing => Credential::Absent,
            Names::West => Credential::Of(WEST),
            Names::East => Credential::Of(EAST),
            Names::Unknown => Credential::Of("https://issuer.nobody"),
        },
    }
}

#[test]
fn every_combination_of_host_metadata_and_credential_has_its_answer() {
    for host in ALL {
        for metadata in ALL {
            for credential in ALL {
                let named: Vec<Names> = [host, metadata, credential]
                    .into_iter()
                    .filter(|name| matches!(name, Names::West | Names::East))
                    .collect();
                let expected = if metadata == Names::Unknown {
                    Err((ErrorReason::CloudRequired, "east,west".to_owned()))
                } else if credential == Names::Unknown {
                    Err((ErrorReason::TokenInvalid, String::new()))
                } else if named.is_empty() {
                    Err((ErrorReason::CloudRequired, "east,west".to_owned()))
                } else if named.iter().all(|name| *name == Names::West) {
                    Ok("west")
                } else if named.iter().all(|name| *name == Names::East) {
                    Ok("east")
                } else {
                    Err((ErrorReason::CloudDisagreement, "east,west".to_owned()))
                };
                let said = said(host, metadata, credential);
                assert_eq!(outcome(&said), expected, "{said:?}");
            }
        }
    }
}

#[test]
fn an_unreadable_credential_is_refused_whatever_else_is_said() {
    for host in ALL {
        let said = Said { credential: Credential::Unreadable, ..said(host, Names::Nothing, Names::Nothing) };
        assert_eq!(outcome(&said), Err((ErrorReason::TokenInvalid, String::new())));
    }
}

#[test]
fn host_names_compare_without_case_and_final_dot() {
    for host in ["west.mandate.example", "West.Mandate.EXAMPLE", "west.mandate.example.", "old.example"] {
        let said = Said { host: Some(host), ..Said::default() };
        assert_eq!(outcome(&said), Ok("west"), "{host}");
    }
    for host in ["mandate.example", "a.west.mandate.example", "west", ""] {
        let said = Said { host: Some(host), ..Said::default() };
        assert!(outcome(&said).is_err(), "{host}");
    }
}

#[test]
fn metadata_given_twice_must_agree_with_itself() {
    let said = |metadata| Said { metadata, ..Said::default() };
    assert_eq!(outcome(&said(vec!["west", "west"])), Ok("west"));
    assert_eq!(outcome(&said(vec!["west", "east"])), Err((ErrorReason::CloudDisagreement, "east,west".to_owned())));
    for unknown in ["", "West", "west,east", "west "] {
        let (reason, _) = outcome(&said(vec![unknown])).expect_err("no such cloud");
        assert_eq!(reason, ErrorReason::CloudRequired, "{unknown}");
    }
}

#[test]
fn a_name_that_leads_to_two_clouds_is_refused_at_the_start() {
    let west = || entry("west", &["a.example"], WEST);
    for (other, key) in [
        (entry("west", &[], EAST), "cloud.id"),
        (entry("east", &["a.example"], EAST), "cloud.hosts"),
        (entry("east", &[], WEST), "cloud.issuer"),
    ] {
        let fault = Directory::new(vec![west(), other]).expect_err("a name stands twice");
        assert_eq!(fault.key, key);
    }
    assert!(Directory::new(vec![]).is_err());
}
