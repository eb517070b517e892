//! The life of the processes: migrated before they serve, ended by a signal, killed at any moment, and nothing lost.

use std::collections::BTreeSet;

use api::ErrorReason as Reason;
use api::notification::WatchEventsRequest;
use api::relationship::check_access_request::Target;
use api::relationship::consistency::Requirement;
use api::relationship::{Action, CheckAccessRequest, Consistency, RemoveDelegationRequest};
use testkit::site::{LINK_KEY, SERVICES};
use tokio::task::JoinSet;
use tonic::Response;

use super::site::{AGENT, Instance, OPERATOR, Site, admin};
use crate::scenarios::cloud::Cloud;
use crate::scenarios::history::{listed, types, watched};
use crate::scenarios::{Caller, refused};

/// The exit code for what the person who starts a process can mend.
const USAGE: i32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn every_process_starts_alone_once_migrated_and_ends_when_told() {
    let site = Site::new(None);
    let instance = site.instance("public").await;
    let mut processes = Vec::new();
    for service in SERVICES {
        let early = site.run(&instance, service, "serve");
        assert_eq!(early.code(), USAGE, "{early:?}");
        assert_eq!(early.err.lines().count(), 1, "{early:?}");
        assert!(early.err.starts_with(&format!("{service}: ")) && early.err.contains("migrate"), "{early:?}");
        for _ in 0..2 {
            let migrated = site.run(&instance, service, "migrate");
            assert_eq!((migrated.code(), migrated.err.as_str()), (0, ""), "{migrated:?}");
        }
        let printed = site.run(&instance, service, "print-config");
        assert_eq!(printed.code(), 0, "{printed:?}");
        assert!(printed.out.contains("calls_max") && !printed.out.contains(LINK_KEY), "{printed:?}");
        assert!(!printed.out.contains("PRIVATE KEY"), "files are named, not shown");
        processes.push((service, site.serve(&instance, service)));
    }
    let (gateway, channel) = site.gateway(&[&instance]);
    let cloud = Cloud::of("public");
    let (otto, ada) = (instance.caller(&channel, OPERATOR), instance.caller(&channel, AGENT));
    otto.register_partner("alpenglow", cloud.country, cloud.contract).await;
    otto.register_customer("tessera", cloud.country).await;
    let gwen = instance.caller(&channel, admin("tessera"));
    let link = ada.link("partners/alpenglow", "reseller.office-365").await.expect("a link");
    assert!(link.uri.starts_with("https://mandate.example/i/public."), "{}", link.uri);
    let answer = gwen.accept(cloud.acceptance(&link.token, "customers/tessera")).await.expect("accepted");
    assert!(may_manage(&ada, consistency_token(&answer)).await, "an acceptance is seen by whoever holds its token");
    let name = answer.into_inner().delegations[0].name.clone();
    let events = watched(&gwen, "customers/tessera", 0, 3).await;
    let mut happened = types(&events);
    happened.sort_unstable();
    assert_eq!(happened, ["agreement.accepted", "delegation.granted", "relationship.established"]);
    assert_eq!(ada.customers("partners/alpenglow").await.len(), 1);
    let remove = RemoveDelegationRequest { name, ..Default::default() };
    let removed = gwen.delegations().remove_delegation(remove).await.expect("R27");
    assert!(!may_manage(&ada, consistency_token(&removed)).await, "and so is a removal");
    // A watch does not keep its service from ending: it is told to come back.
    let request = WatchEventsRequest { parent: "customers/tessera".to_owned(), after_sequence: -1 };
    let mut watching = gwen.events().watch_events(request).await.expect("its own feed").into_inner();
    watching.message().await.expect("the stream lives").expect("a sign of life");
    for (service, process) in processes {
        let ended = process.terminated();
        assert_eq!(ended.code(), 0, "{service}: {ended:?}");
        assert!(!ended.out.contains(&link.token), "no link in a log");
    }
    let end = loop {
        match watching.message().await {
            // News of the removal may have come first.
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    let told = refused(end, Reason::DependencyUnavailable, ["AIP-194", "public", ""], &[]);
    assert!(told.retry.is_some(), "a retry can help");
    drop((otto, ada, gwen, watching, channel));
    let ended = gateway.terminated();
    assert_eq!(ended.code(), 0, "{ended:?}");
}

fn consistency_token<T>(answer: &Response<T>) -> String {
    let token = answer.metadata().get("mandate-consistency-token").expect("every change has one");
    token.to_str().expect("ASCII").to_owned()
}

/// Whether the partner may manage users, as of this token.
async fn may_manage(ada: &Caller, token: String) -> bool {
    let request = CheckAccessRequest {
        partner: "partners/alpenglow".to_owned(),
        customer: "customers/tessera".to_owned(),
        action: Action::ManageUsers.into(),
        target: Some(Target::Service("office-365".to_owned())),
        consistency: Some(Consistency { requirement: Some(Requirement::AtLeastAsFresh(token)) }),
    };
    ada.access().check_access(request).await.expect("an answer").into_inner().allowed
}

/// Customers that accept while the notification service is killed.
const CUSTOMERS: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_exactly_once_though_their_keeper_is_killed_while_they_are_on_their_way() {
    let site = Site::new(None);
    let (instance, mut processes) = site.running("china").await;
    let (_gateway, channel) = site.gateway(&[&instance]);
    let cloud = Cloud::of("china");
    let (otto, ada) = (instance.caller(&channel, OPERATOR), instance.caller(&channel, AGENT));
    otto.register_partner("alpenglow", cloud.country, cloud.contract).await;
    for place in 0..CUSTOMERS {
        otto.register_customer(&format!("customer-{place}"), cloud.country).await;
    }
    let token = ada.link("partners/alpenglow", "reseller.office-365").await.expect("a link").token;
    // Two events each. Killed after some accepts and while the others are made, then killed again while the rest arrives.
    let mut accepting = JoinSet::new();
    for place in 0..CUSTOMERS {
        let id = format!("customer-{place}");
        let caller = instance.caller(&channel, admin(&id));
        let request = cloud.acceptance(&token, &format!("customers/{id}"));
        accepting.spawn(async move { caller.accept(request).await.map(drop) });
    }
    for _ in 0..CUSTOMERS / 3 {
        accepted(&mut accepting).await;
    }
    kill(&mut processes, "notification");
    while !accepting.is_empty() {
        accepted(&mut accepting).await;
    }
    let again = site.serve(&instance, "notification");
    processes.insert("notification", again);
    watched(&ada, "partners/alpenglow", 0, CUSTOMERS).await;
    kill(&mut processes, "notification");
    let again = site.serve(&instance, "notification");
    processes.insert("notification", again);

    let events = watched(&ada, "partners/alpenglow", 0, 2 * CUSTOMERS).await;
    once(&instance, &events);
    let all = listed(&ada, "partners/alpenglow").await;
    assert_eq!(all, events, "and nothing comes after them");
}

async fn accepted(accepting: &mut JoinSet<Result<(), tonic::Status>>) {
    let ended = accepting.join_next().await.expect("there are more").expect("nobody panicked");
    ended.expect("who is told of an acceptance is no condition of it");
}

fn kill(processes: &mut std::collections::BTreeMap<&'static str, testkit::process::Process>, service: &str) {
    let ended = processes.remove(service).expect("it runs").killed();
    assert_eq!(ended.code(), -1, "killed: {ended:?}");
}

fn once(instance: &Instance, events: &[api::notification::Event]) {
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..).take(2 * CUSTOMERS).collect::<Vec<i64>>(), "no gaps, no repeats");
    let happened: BTreeSet<(&str, &str)> =
        events.iter().map(|event| (event.r#type.as_str(), event.resource.as_str())).collect();
    assert_eq!(happened.len(), 2 * CUSTOMERS, "each of them once");
    for kind in ["relationship.established", "delegation.granted"] {
        assert_eq!(types(events).iter().filter(|found| **found == kind).count(), CUSTOMERS, "{kind}");
    }
    assert!(events.iter().all(|event| event.cloud == instance.cloud));
}
