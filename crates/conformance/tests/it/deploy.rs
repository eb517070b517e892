//! What a cluster would be given: every overlay renders, and its files load into the real types of each process.
//!
//! The configuration is found as a process finds it: by the arguments of its container, in the ConfigMaps mounted there.

mod certificates;
mod network;
mod pods;
mod rendered;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rendered::{Mounted, Rendered, Workload, list, text};
use serde_json::Value;
use server::config::{Common, Settings, Tls};

use crate::checkout;

const SERVICES: [&str; 3] = ["invitation", "notification", "relationship"];

/// What a service of a cloud is told, as far as all are.
struct Told {
    process: Common,
    database: store::Settings,
    peers: Vec<String>,
    drain: Duration,
    public_uri: Option<String>,
}

/// Loads the configuration of a workload of a cloud into the types of its service.
fn told(workload: &Workload<'_>, mounted: &Mounted) -> Told {
    let files = mounted.files(&workload.command().1);
    match workload.service() {
        "invitation" => {
            let config: invitation::Config = load(&files);
            if workload.kind == "Deployment" {
                assert_eq!(mounted.secret(&config.link_keys), ("invitation-link-keys", "link-keys.toml"));
            }
            let drain = config.drain();
            let peers = vec![config.peers.relationship.uri, config.peers.notification.uri];
            let public_uri = Some(config.public_uri);
            Told { process: config.process, database: config.database, peers, drain, public_uri }
        }
        "relationship" => {
            let config: relationship::Config = load(&files);
            let drain = config.drain();
            let peers = vec![config.peers.notification.uri];
            Told { process: config.process, database: config.database, peers, drain, public_uri: None }
        }
        "notification" => {
            let config: notification::Config = load(&files);
            let drain = config.drain();
            Told { process: config.process, database: config.database, peers: Vec::new(), drain, public_uri: None }
        }
        other => panic!("{other} is no service of a cloud"),
    }
}

/// Loads the configuration of the gateway.
fn gateway_told(rendered: &Rendered) -> (gateway::config::Config, Mounted) {
    let workload = rendered.workload("Deployment", "gateway");
    let mounted = rendered.mount(&workload);
    let config = load(&mounted.files(&workload.command().1));
    (config, mounted)
}

/// As the process does, but for the environment, which a container of ours has none of.
fn load<S: Settings>(files: &[std::path::PathBuf]) -> S {
    server::config::merge(files, []).unwrap_or_else(|error| panic!("{error}"))
}

/// `relationship:8443` of `https://relationship:8443`.
fn authority(uri: &str) -> &str {
    uri.strip_prefix("https://").unwrap_or_else(|| panic!("{uri} does not begin with https://"))
}

fn assert_tls(mounted: &Mounted, tls: &Tls, service: &str) {
    let secret = format!("{service}-tls");
    // The keys under which cert-manager writes.
    for (file, key) in [(&tls.certificate, "tls.crt"), (&tls.key, "tls.key"), (&tls.authority, "ca.crt")] {
        assert_eq!(mounted.secret(file), (secret.as_str(), key));
    }
}

#[test]
fn every_service_of_every_cloud_takes_its_rendered_configuration() {
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        let mut seen = BTreeSet::new();
        for workload in rendered.workloads() {
            let service = workload.service();
            let told = told(&workload, &rendered.mount(&workload));
            assert_eq!(told.process.cloud, id, "{service}");
            assert!(!told.process.development, "{service} of {id} believes an issuer for development");
            let expected = if workload.kind == "Job" { "migrate" } else { "serve" };
            assert_eq!(workload.command().0, expected, "{}", workload.name);
            seen.insert((workload.kind, service));
        }
        let expected = SERVICES.iter().flat_map(|service| [("Deployment", *service), ("Job", *service)]);
        assert_eq!(seen, expected.collect(), "{id}");
    }
}

#[test]
fn every_service_goes_by_the_very_policy_of_its_cloud() {
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for service in SERVICES {
            let workload = rendered.workload("Deployment", service);
            let mounted = rendered.mount(&workload);
            let told = told(&workload, &mounted);
            assert_policy(&mounted, &told.process.policy, &id);
        }
    }
}

fn assert_policy(mounted: &Mounted, path: &Path, id: &str) {
    let policy = cloud::Policy::load(mounted.at(path)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(policy.cloud.as_str(), id);
    let rendered = std::fs::read_to_string(mounted.at(path)).expect("it was just loaded");
    assert_eq!(rendered, checkout::text(&format!("deploy/clouds/{id}/policy/policy.toml")));
}

#[test]
fn every_service_finds_its_certificates_and_its_password_in_secrets_of_its_own() {
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for workload in rendered.workloads() {
            let service = workload.service();
            let mounted = rendered.mount(&workload);
            let told = told(&workload, &mounted);
            let database = format!("{service}-database");
            let password = told.database.password_file.expect("a database in production asks for a password");
            assert_eq!(mounted.secret(&password), (database.as_str(), "password"));
            let mut expected = BTreeSet::from([database.clone()]);
            if workload.kind == "Deployment" {
                assert_tls(&mounted, &told.process.tls, service);
                expected.insert(format!("{service}-tls"));
                expected.extend((service == "invitation").then(|| "invitation-link-keys".to_owned()));
            }
            // A migration has no business with certificates or keys.
            assert_eq!(mounted.secrets(), expected.iter().map(String::as_str).collect(), "{}", workload.name);
        }
    }
}

#[test]
fn every_service_has_a_database_of_its_own_and_verifies_its_server() {
    let mut urls = BTreeSet::new();
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for service in SERVICES {
            let migration = rendered.workload("Job", &format!("{service}-migrate"));
            let serving = rendered.workload("Deployment", service);
            let mounted = rendered.mount(&serving);
            let url = told(&serving, &mounted).database.url;
            assert_eq!(told(&migration, &rendered.mount(&migration)).database.url, url);
            assert!(url.starts_with(&format!("postgres://{service}@")), "{url}");
            let (_, parameters) = url.split_once('?').expect("it says how the server is verified");
            let parameters: Vec<&str> = parameters.split('&').collect();
            assert!(parameters.contains(&"sslmode=verify-full"), "{url}");
            let root = parameters.iter().find_map(|parameter| parameter.strip_prefix("sslrootcert="));
            let root = Path::new(root.expect("it says by which authority"));
            assert_eq!(mounted.secret(root), (format!("{service}-database").as_str(), "ca.crt"));
            assert!(urls.insert(url), "{service} of {id} shares its database");
        }
    }
}

#[test]
fn every_configured_port_is_the_one_of_its_container() {
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for service in SERVICES {
            let workload = rendered.workload("Deployment", service);
            let process = told(&workload, &rendered.mount(&workload)).process;
            let probe = process.probe_listen.expect("probes speak no TLS");
            assert!(process.listen.ip().is_unspecified() && probe.ip().is_unspecified(), "{service}");
            assert_eq!(u64::from(process.listen.port()), workload.port("grpc"), "{service}");
            assert_eq!(u64::from(probe.port()), workload.port("probe"), "{service}");
        }
    }
    let rendered = rendered::gateway();
    let workload = rendered.workload("Deployment", "gateway");
    let (config, _) = gateway_told(rendered);
    let probe = config.probe_listen.expect("probes speak no TLS");
    assert!(config.listen.ip().is_unspecified() && probe.ip().is_unspecified());
    assert_eq!(u64::from(config.listen.port()), workload.port("grpc"));
    assert_eq!(u64::from(probe.port()), workload.port("probe"));
}

#[test]
fn every_pod_has_the_time_that_its_calls_need_to_end() {
    // What `server` waits for after calls have ended: tasks, then telemetry.
    let after = Duration::from_secs(10);
    let assert_grace = |workload: &Workload<'_>, drain: Duration| {
        let seconds = |value: &Value| Duration::from_secs(value.as_u64().expect("a number of seconds"));
        let pause = seconds(&workload.container["lifecycle"]["preStop"]["sleep"]["seconds"]);
        let grace = seconds(&workload.pod["terminationGracePeriodSeconds"]);
        assert!(grace > pause + drain + after, "{}: {grace:?} is too short", workload.name);
    };
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for service in SERVICES {
            let workload = rendered.workload("Deployment", service);
            assert_grace(&workload, told(&workload, &rendered.mount(&workload)).drain);
        }
    }
    let rendered = rendered::gateway();
    assert_grace(&rendered.workload("Deployment", "gateway"), gateway_told(rendered).0.drain());
}

#[test]
fn every_peer_is_a_service_of_the_same_cloud() {
    for id in checkout::clouds() {
        let rendered = rendered::cloud(&id);
        for service in SERVICES {
            let workload = rendered.workload("Deployment", service);
            for peer in told(&workload, &rendered.mount(&workload)).peers {
                assert_served(rendered, authority(&peer));
            }
        }
    }
}

/// `name:port` is of a Service, and leads to where its pods take calls.
fn assert_served(rendered: &Rendered, place: &str) {
    let (name, port) = place.split_once(':').expect("a place has a port");
    let port: u64 = port.parse().expect("a port is a number");
    let spec = &rendered.named("Service", name)["spec"];
    let ports = list(&spec["ports"]);
    let served = ports.iter().find(|served| served["port"] == port);
    assert_eq!(served.expect("the port is served")["targetPort"], "grpc", "{place}");
    let labels = rendered.workload("Deployment", name).labels;
    assert!(rendered::pairs(&spec["selector"]).iter().all(|(key, value)| labels.get(key) == Some(value)), "{place}");
}

#[test]
fn the_gateway_knows_every_cloud_as_the_cloud_knows_itself() {
    let (config, mounted) = gateway_told(rendered::gateway());
    let mut ids: Vec<&str> = config.clouds.iter().map(|cloud| cloud.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, checkout::clouds());
    for cloud in &config.clouds {
        let id = &cloud.id;
        let rendered = rendered::cloud(id);
        let workload = rendered.workload("Deployment", "invitation");
        let told = told(&workload, &rendered.mount(&workload));
        assert_eq!(cloud.issuer, told.process.issuer, "{id}");
        let public = told.public_uri.expect("links begin with something");
        assert!(cloud.hosts.iter().any(|host| host == authority(&public)), "{public} leads to no host of {id}");
        assert_policy(&mounted, &cloud.policy, id);

        let namespace = text(&rendered.of_kind("Namespace").next().expect("it has one")["metadata"]["name"]);
        let upstreams = &cloud.upstreams;
        for (service, peer) in [
            ("invitation", &upstreams.invitation),
            ("relationship", &upstreams.relationship),
            ("notification", &upstreams.notification),
        ] {
            let (host, port) = authority(&peer.uri).split_once(':').expect("a place has a port");
            assert_eq!(host, format!("{service}.{namespace}.svc.cluster.local"));
            assert_served(rendered, &format!("{service}:{port}"));
        }
    }
}

#[test]
fn the_gateway_finds_its_certificates_in_secrets() {
    let (config, mounted) = gateway_told(rendered::gateway());
    assert!(!config.development);
    assert_tls(&mounted, &config.tls.expect("services ask for a certificate"), "gateway");
    let public = config.public_tls.expect("callers are met with TLS");
    assert_eq!(mounted.secret(&public.certificate), ("gateway-public-tls", "tls.crt"));
    assert_eq!(mounted.secret(&public.key), ("gateway-public-tls", "tls.key"));
}

#[test]
fn clouds_differ_in_policy_and_configuration_alone() {
    let mut forms: Vec<(String, Vec<String>)> = Vec::new();
    for id in checkout::clouds() {
        let form = without_what_differs(rendered::cloud(&id), &id);
        forms.push((id, form));
    }
    let (first, expected) = &forms[0];
    for (id, form) in &forms[1..] {
        for (one, other) in form.iter().zip(expected) {
            assert_eq!(one, other, "{id} is not like {first}");
        }
        assert_eq!(form.len(), expected.len(), "{id} is not like {first}");
    }
}

/// Every object as text, in which nothing stands that a cloud may decide: its id, its two ConfigMaps, where its database is.
fn without_what_differs(rendered: &Rendered, id: &str) -> Vec<String> {
    let hashed: Vec<String> =
        rendered.of_kind("ConfigMap").map(|map| text(&map["metadata"]["name"]).to_owned()).collect();
    let mut objects = rendered.objects.clone();
    for object in &mut objects {
        let name = text(&object["metadata"]["name"]).to_owned();
        match text(&object["kind"]) {
            "ConfigMap" if name.starts_with("cloud-") || name.starts_with("policy-") => object["data"] = Value::Null,
            "NetworkPolicy" if name == "database" => {
                object["spec"]["egress"][0]["to"][0]["ipBlock"] = Value::Null;
            }
            _ => {}
        }
    }
    let plain = |object: &Value| {
        let mut text = object.to_string();
        for name in &hashed {
            let (stem, _) = name.rsplit_once('-').expect("kustomize adds a hash");
            text = text.replace(name, stem);
        }
        text.replace(id, "{cloud}")
    };
    objects.iter().map(plain).collect()
}
