//! Who may talk to whom: nobody but by a rule, and by a rule exactly those that are configured to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rendered::{self, Rendered, Workload, list, pairs, text};
use super::{SERVICES, authority, told};
use crate::checkout;

type Labels<'a> = BTreeMap<&'a str, &'a str>;

/// True when a selector that names labels takes pods with these.
fn takes(selector: &Value, labels: &Labels<'_>) -> bool {
    assert!(selector["matchExpressions"].is_null(), "these tests know selectors by label only");
    pairs(&selector["matchLabels"]).iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The rules of one direction, `ingress` or `egress`, that hold for pods with these labels.
fn rules<'a>(rendered: &'a Rendered, labels: &Labels<'_>, direction: &str) -> Vec<&'a Value> {
    let policies = rendered.of_kind("NetworkPolicy").map(|policy| &policy["spec"]);
    policies.filter(|spec| takes(&spec["podSelector"], labels)).flat_map(|spec| list(&spec[direction])).collect()
}

/// True when one of the rules speaks, with the end it calls `side`, of pods with these labels in this namespace, else in its own.
fn any_names(rules: &[&Value], side: &str, labels: &Labels<'_>, namespace: Option<&str>) -> bool {
    let names = |end: &Value| {
        let of = &end["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        end["podSelector"].is_object() && of.as_str() == namespace && takes(&end["podSelector"], labels)
    };
    let for_calls = |rule: &&&Value| rule["ports"] == json!([{ "protocol": "TCP", "port": "grpc" }]);
    rules.iter().filter(for_calls).any(|rule| list(&rule[side]).iter().any(names))
}

#[test]
fn every_pod_is_refused_everything_but_what_a_rule_allows() {
    for (namespace, rendered) in rendered::all() {
        let spec = &rendered.named("NetworkPolicy", "nobody")["spec"];
        assert_eq!(*spec, json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }), "{namespace}");
        for workload in rendered.workloads() {
            let inward = rules(rendered, &workload.labels, "ingress");
            assert_eq!(inward.is_empty(), workload.kind == "Job", "{} of {namespace}", workload.name);
            assert!(!rules(rendered, &workload.labels, "egress").is_empty(), "{} of {namespace}", workload.name);
        }
    }
}

#[test]
fn services_reach_the_peers_they_are_configured_with_and_no_others() {
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for from in SERVICES {
            let from = rendered.workload("Deployment", from);
            let peers = told(&from, &rendered.mount(&from)).peers;
            let peers: BTreeSet<&str> =
                peers.iter().map(|peer| authority(peer).split(':').next().expect("it has a first part")).collect();
            for to in SERVICES {
                let to = rendered.workload("Deployment", to);
                let out = any_names(&rules(rendered, &from.labels, "egress"), "to", &to.labels, None);
                let into = any_names(&rules(rendered, &to.labels, "ingress"), "from", &from.labels, None);
                let expected = peers.contains(to.name);
                assert_eq!((out, into), (expected, expected), "{} to {} in {id}", from.name, to.name);
            }
        }
    }
}

#[test]
fn the_gateway_reaches_every_service_and_nobody_else_of_another_namespace_does() {
    let gateway = rendered::gateway();
    let from = gateway.workload("Deployment", "gateway");
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for service in SERVICES {
            let to = rendered.workload("Deployment", service);
            let into = rules(rendered, &to.labels, "ingress");
            assert!(any_names(&into, "from", &from.labels, Some("mandate-gateway")), "{service} of {id}");
            assert!(goes_to_clouds(gateway, &from, rendered, &to), "{service} of {id}");
        }
        assert_eq!(foreign_namespaces(rendered, "ingress", "from"), BTreeSet::from(["mandate-gateway"]), "{id}");
        assert_eq!(foreign_namespaces(rendered, "egress", "to"), BTreeSet::from(["kube-system"]), "{id}");
    }
}

/// True when the gateway may go to these pods: it knows clouds by a label of their namespaces, and none by name.
fn goes_to_clouds(gateway: &Rendered, from: &Workload<'_>, cloud: &Rendered, to: &Workload<'_>) -> bool {
    let namespace = cloud.of_kind("Namespace").next().expect("it has one");
    rules(gateway, &from.labels, "egress").iter().flat_map(|rule| list(&rule["to"])).any(|end| {
        let labeled = json!([{ "key": "mandate.internal/cloud", "operator": "Exists" }]);
        end["namespaceSelector"]["matchExpressions"] == labeled
            && namespace["metadata"]["labels"]["mandate.internal/cloud"].is_string()
            && takes(&end["podSelector"], &to.labels)
    })
}

/// The namespaces that the rules of a direction name. One without a name would be all of them.
fn foreign_namespaces<'a>(rendered: &'a Rendered, direction: &str, side: &str) -> BTreeSet<&'a str> {
    let policies = rendered.of_kind("NetworkPolicy");
    let ends = policies.flat_map(|policy| list(&policy["spec"][direction])).flat_map(|rule| list(&rule[side]));
    ends.map(|end| &end["namespaceSelector"])
        .filter(|selector| !selector.is_null())
        .map(|selector| text(&selector["matchLabels"]["kubernetes.io/metadata.name"]))
        .collect()
}

#[test]
fn no_two_clouds_reach_the_same_database() {
    let mut blocks = BTreeSet::new();
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        let egress = &rendered.named("NetworkPolicy", "database")["spec"]["egress"];
        assert_eq!(list(egress).len(), 1, "{id}");
        let block = text(&egress[0]["to"][0]["ipBlock"]["cidr"]).to_owned();
        assert!(!block.starts_with("127."), "{id} does not say where its database is");
        assert!(blocks.insert(block), "{id} shares the addresses of its database");
    }
}
