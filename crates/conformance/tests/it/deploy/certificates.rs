//! What cert-manager would be asked for: the secrets that are mounted, with the names by which services are known and called.

use std::collections::BTreeSet;

use super::rendered::{self, Rendered, list, text};
use super::{SERVICES, authority, gateway_told, told};
use crate::checkout;

/// The certificate that fills this secret.
fn certificate<'a>(rendered: &'a Rendered, secret: &str) -> &'a serde_json::Value {
    let mut found = rendered.of_kind("Certificate").filter(|certificate| certificate["spec"]["secretName"] == secret);
    &found.next().unwrap_or_else(|| panic!("no certificate fills {secret}"))["spec"]
}

#[test]
fn every_service_is_certified_under_its_name_and_the_names_it_is_called_by() {
    let (gateway, _) = gateway_told(rendered::gateway());
    for cloud in &gateway.clouds {
        let id = &cloud.id;
        let rendered = rendered::with_component(&format!("clouds/{id}"), "components/cert-manager/cloud");
        for object in rendered.of_kind("Certificate") {
            assert_eq!(object["metadata"]["namespace"], format!("mandate-{id}"));
        }
        let mut called: BTreeSet<String> = BTreeSet::new();
        for service in SERVICES {
            let workload = rendered.workload("Deployment", service);
            let told = told(&workload, &rendered.mount(&workload));
            called.extend(told.peers);
            let certificate = certificate(&rendered, &format!("{service}-tls"));
            let expected = format!("spiffe://{}/{id}/{service}", told.process.trust_domain);
            assert_eq!(certificate["uris"], serde_json::json!([expected]));
        }
        let upstreams = &cloud.upstreams;
        called.extend(
            [&upstreams.invitation, &upstreams.relationship, &upstreams.notification].map(|peer| peer.uri.clone()),
        );
        for uri in called {
            let host = authority(&uri).split(':').next().expect("it has a first part");
            let service = host.split('.').next().expect("it has a first part");
            let names = &certificate(&rendered, &format!("{service}-tls"))["dnsNames"];
            assert!(list(names).iter().any(|name| name == host), "{uri} is called, its certificate is for {names}");
        }
    }
}

#[test]
fn the_gateway_is_certified_to_services_and_to_callers() {
    let rendered = rendered::with_component("gateway", "components/cert-manager/gateway");
    let own = certificate(&rendered, "gateway-tls");
    assert_eq!(own["uris"], serde_json::json!(["spiffe://mandate.internal/gateway"]));
    let names: Vec<&str> = list(&certificate(&rendered, "gateway-public-tls")["dnsNames"]).iter().map(text).collect();
    let (config, _) = gateway_told(&rendered);
    for host in config.clouds.iter().flat_map(|cloud| &cloud.hosts) {
        let wildcard = host.split_once('.').map(|(_, domain)| format!("*.{domain}"));
        let covered = names.iter().any(|name| *name == host || wildcard.as_deref() == Some(*name));
        assert!(covered, "{host} is in no certificate");
    }
}

#[test]
fn no_overlay_needs_cert_manager() {
    for id in checkout::clouds() {
        assert_eq!(rendered::cloud(&id).of_kind("Certificate").count(), 0, "{id}");
    }
    assert_eq!(rendered::gateway().of_kind("Certificate").count(), 0);
}
