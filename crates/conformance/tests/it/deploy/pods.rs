//! How pods live: restricted, probed, spread, never all gone at once, and without a secret in sight.

use serde_json::{Value, json};

use super::rendered::{self, list, pairs, text};
use crate::checkout;

#[test]
fn every_container_is_restricted() {
    for (namespace, rendered) in rendered::all() {
        for workload in rendered.workloads() {
            let at = format!("{} of {namespace}", workload.name);
            let pod = &workload.pod["securityContext"];
            assert_eq!(pod["runAsNonRoot"], true, "{at}");
            assert_eq!(pod["runAsUser"], 65532, "{at}");
            assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{at}");
            let container = &workload.container["securityContext"];
            assert_eq!(container["runAsNonRoot"], true, "{at}");
            assert_eq!(container["allowPrivilegeEscalation"], false, "{at}");
            assert_eq!(container["readOnlyRootFilesystem"], true, "{at}");
            assert_eq!(container["capabilities"], json!({ "drop": ["ALL"] }), "{at}");
            for loose in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(workload.pod[loose].is_null(), "{at}: {loose}");
            }
            assert_eq!(workload.pod["automountServiceAccountToken"], false, "{at}");
            let resources = &workload.container["resources"];
            for (kind, resource) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
                assert!(resources[kind][resource].is_string(), "{at}: {kind} of {resource}");
            }
        }
    }
}

#[test]
fn the_image_holds_nothing_but_the_service_and_runs_as_the_user_of_the_pods() {
    let dockerfile = checkout::text("deploy/Dockerfile");
    let (_, last) = dockerfile.rsplit_once("FROM ").expect("it has stages");
    let lines: Vec<&str> = last.lines().collect();
    assert_eq!(
        lines,
        [
            "scratch",
            "COPY --from=build /image /",
            "USER 65532:65532",
            r#"ENTRYPOINT ["/service"]"#,
            r#"CMD ["--help"]"#
        ]
    );
}

#[test]
fn every_namespace_refuses_pods_that_are_not_and_belongs_to_one_cloud() {
    for (namespace, rendered) in rendered::all() {
        let own: Vec<&Value> = rendered.of_kind("Namespace").collect();
        assert_eq!(own.len(), 1, "{namespace}");
        assert_eq!(own[0]["metadata"]["name"], namespace.as_str());
        assert_eq!(own[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted", "{namespace}");
        for object in rendered.objects.iter().filter(|object| object["kind"] != "Namespace") {
            assert_eq!(object["metadata"]["namespace"], namespace.as_str(), "{}", object["metadata"]["name"]);
        }
    }
}

#[test]
fn every_probe_asks_grpc_health_where_no_tls_is_spoken() {
    for (namespace, rendered) in rendered::all() {
        for workload in rendered.workloads().iter().filter(|workload| workload.kind == "Deployment") {
            let port = workload.port("probe");
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let asked = &workload.container[probe]["grpc"];
                assert_eq!(asked["port"], port, "{probe} of {} in {namespace}", workload.name);
            }
        }
    }
}

#[test]
fn every_image_has_the_version_of_this_checkout_and_the_name_of_its_service() {
    for (namespace, rendered) in rendered::all() {
        for workload in rendered.workloads() {
            let image = text(&workload.container["image"]);
            let expected = format!("/{}:{}", workload.service(), env!("CARGO_PKG_VERSION"));
            assert!(image.ends_with(&expected), "{image} in {namespace}: expected …{expected}");
        }
    }
}

#[test]
fn every_secret_is_named_and_none_is_held() {
    for (namespace, rendered) in rendered::all() {
        assert_eq!(rendered.of_kind("Secret").count(), 0, "{namespace} holds a secret");
        for workload in rendered.workloads() {
            let at = format!("{} of {namespace}", workload.name);
            assert!(workload.container["env"].is_null() && workload.container["envFrom"].is_null(), "{at}");
            for volume in list(&workload.pod["volumes"]).iter().filter(|volume| !volume["secret"].is_null()) {
                assert_eq!(volume["secret"]["defaultMode"], 0o440, "{at}: {}", volume["name"]);
            }
            // Who is in this group may read them.
            assert_eq!(workload.pod["securityContext"]["fsGroup"], 65532, "{at}");
        }
    }
}

#[test]
fn every_service_stays_while_nodes_come_and_go() {
    for (namespace, rendered) in rendered::all() {
        for workload in rendered.workloads().iter().filter(|workload| workload.kind == "Deployment") {
            let at = format!("{} of {namespace}", workload.name);
            let deployment = &rendered.named("Deployment", workload.name)["spec"];
            assert!(deployment["replicas"].is_null(), "{at}: the autoscaler owns the number");
            let scaler = &rendered.named("HorizontalPodAutoscaler", workload.name)["spec"];
            assert_eq!(scaler["scaleTargetRef"]["name"], workload.name);
            assert!(scaler["minReplicas"].as_u64() >= Some(2), "{at}");
            let budget = &rendered.named("PodDisruptionBudget", workload.name)["spec"];
            assert_eq!(budget["maxUnavailable"], 1, "{at}");
            assert_eq!(budget["selector"], deployment["selector"], "{at}");
            let selector = pairs(&deployment["selector"]["matchLabels"]);
            let chosen = |labels: &std::collections::BTreeMap<&str, &str>| {
                selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            };
            let all = rendered.workloads();
            let names: Vec<(&str, &str)> =
                all.iter().filter(|other| chosen(&other.labels)).map(|other| (other.kind, other.name)).collect();
            assert_eq!(names, [("Deployment", workload.name)], "{at}: its selector takes other pods too");
            let keys: Vec<&str> = list(&workload.pod["topologySpreadConstraints"])
                .iter()
                .map(|constraint| text(&constraint["topologyKey"]))
                .collect();
            assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], "{at}");
        }
    }
}

#[test]
fn every_pod_runs_as_an_account_that_can_do_nothing() {
    for (namespace, rendered) in rendered::all() {
        for workload in rendered.workloads() {
            let account = text(&workload.pod["serviceAccountName"]);
            assert_eq!(account, workload.service(), "{namespace}");
            assert_eq!(rendered.named("ServiceAccount", account)["automountServiceAccountToken"], false, "{namespace}");
        }
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
            assert_eq!(rendered.of_kind(kind).count(), 0, "{namespace}: {kind}");
        }
    }
}
