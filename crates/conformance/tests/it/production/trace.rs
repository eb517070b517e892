//! One trace follows an acceptance through every process, over the outbox too; and each call is measured by method and code.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;

use super::collector::{Collector, text};
use super::site::{AGENT, OPERATOR, Site, admin};
use crate::scenarios::cloud::Cloud;
use crate::scenarios::history::watched;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const ACCEPT: &str = "mandate.invitation.v1.InvitationService/AcceptInvitation";
const ESTABLISH: &str = "mandate.relationship.v1.EstablishmentService/Establish";
const INGEST: &str = "mandate.notification.v1.IngestService/IngestEvents";
const LINK: &str = "mandate.invitation.v1.InvitationService/GetInvitationLink";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_follows_an_acceptance_from_the_gateway_to_the_history() {
    let (collector, address) = Collector::start().await;
    let site = Site::new(Some(address));
    let (instance, processes) = site.running("public").await;
    let (gateway, channel) = site.gateway(&[&instance]);
    let cloud = Cloud::of("public");
    let (otto, ada) = (instance.caller(&channel, OPERATOR), instance.caller(&channel, AGENT));
    otto.register_partner("alpenglow", cloud.country, cloud.contract).await;
    otto.register_customer("tessera", cloud.country).await;
    let link = ada.link("partners/alpenglow", "reseller.office-365").await.expect("a link");
    ada.link("partners/somebody-else", "reseller").await.expect_err("I12");
    let gwen = instance.caller(&channel, admin("tessera"));
    let traced = gwen.with("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    traced.accept(cloud.acceptance(&link.token, "customers/tessera")).await.expect("accepted");
    watched(&gwen, "customers/tessera", 0, 3).await;
    drop((otto, ada, gwen, traced, channel));
    // What ends tells the rest before it does.
    for process in std::iter::once(gateway).chain(processes.into_values()) {
        let ended = process.terminated();
        assert_eq!(ended.code(), 0, "{ended:?}");
    }
    one_trace(&collector);
    measured(&collector);
    let everything = collector.everything();
    for secret in [link.token.as_str(), "gwen@customer.example", "Bearer"] {
        assert!(!everything.contains(secret), "no {secret:?} in telemetry");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn one_trace(collector: &Collector) {
    let spans: Vec<(String, Span)> =
        collector.spans().into_iter().filter(|(_, span)| hex(&span.trace_id) == TRACE).collect();
    let told: Vec<(String, String)> =
        spans.iter().map(|(service, span)| (service.clone(), span.name.clone())).collect();
    let services: BTreeSet<&str> = told.iter().map(|(service, _)| service.as_str()).collect();
    let expected = BTreeSet::from(["gateway", "invitation", "notification", "relationship"]);
    assert_eq!(services, expected, "{told:#?}");
    for (service, name) in [
        ("gateway", ACCEPT),
        ("invitation", ACCEPT),
        ("relationship", ESTABLISH),
        ("relationship", "deliver_events"),
        ("notification", INGEST),
    ] {
        assert!(told.iter().any(|(by, found)| by == service && found == name), "{service} {name}: {told:#?}");
    }
    // Every span hangs on another of the trace, and the first on the caller's.
    let ids: BTreeMap<String, &str> = spans.iter().map(|(_, span)| (hex(&span.span_id), span.name.as_str())).collect();
    for (service, span) in &spans {
        let parent = hex(&span.parent_span_id);
        assert!(ids.contains_key(&parent) || parent == CALLER, "{service} {} hangs on nothing", span.name);
    }
    assert!(spans.iter().any(|(service, span)| service == "gateway" && hex(&span.parent_span_id) == CALLER));
}

fn measured(collector: &Collector) {
    let points = collector.calls();
    let counted = |service: &str, method: &str, code: &str| {
        let of_call = points.iter().filter(|point| {
            let label = |key| text(&point.attributes, key);
            label("service") == service
                && label("rpc.method") == method
                && label("rpc.response.status_code") == code
                && label("cloud") == "public"
        });
        // Each report of a process counts from its start.
        of_call.map(|point| point.count).max().unwrap_or_default()
    };
    for (service, method, code) in [
        ("gateway", ACCEPT, "OK"),
        ("invitation", ACCEPT, "OK"),
        ("relationship", ESTABLISH, "OK"),
        ("gateway", LINK, "OK"),
        ("gateway", LINK, "NOT_FOUND"),
        ("invitation", LINK, "NOT_FOUND"),
    ] {
        assert_eq!(counted(service, method, code), 1, "{service} {method} {code}");
    }
}
