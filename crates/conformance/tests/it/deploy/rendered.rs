//! A folder of `deploy/` as kustomize renders it, and its pods as a cluster would start them: files mounted, command line given.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::checkout;

/// The objects of one folder.
pub(super) struct Rendered {
    /// In the order of kustomize.
    pub(super) objects: Vec<Value>,
}

/// An object that makes pods.
pub(super) struct Workload<'a> {
    /// As `Deployment`.
    pub(super) kind: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// The labels of its pods.
    pub(super) labels: BTreeMap<&'a str, &'a str>,
    /// What its pods are to be.
    pub(super) pod: &'a Value,
    /// The one container in each.
    pub(super) container: &'a Value,
}

/// The files that a container would find.
pub(super) struct Mounted {
    root: TempDir,
    secrets: BTreeMap<PathBuf, String>,
}

/// All overlays by their namespace. Rendered once for all tests of a process: kubectl takes its time.
pub(super) fn all() -> &'static BTreeMap<String, Rendered> {
    static ALL: LazyLock<BTreeMap<String, Rendered>> = LazyLock::new(|| {
        let deploy = checkout::root().join("deploy");
        let of_clouds = checkout::clouds().into_iter().map(|id| (format!("mandate-{id}"), format!("clouds/{id}")));
        let folders = of_clouds.chain([("mandate-gateway".to_owned(), "gateway".to_owned())]);
        folders.map(|(namespace, below)| (namespace, folder(&deploy.join(below)))).collect()
    });
    &ALL
}

/// The overlay of a cloud.
pub(super) fn cloud(id: &str) -> &'static Rendered {
    &all()[&format!("mandate-{id}")]
}

/// The overlay of the gateway.
pub(super) fn gateway() -> &'static Rendered {
    &all()["mandate-gateway"]
}

/// A folder under `deploy` together with a component that is no part of it.
pub(super) fn with_component(folder_below: &str, component: &str) -> Rendered {
    let own = tempfile::tempdir().expect("room for a folder");
    // kustomize takes relative paths only, and resolves links first.
    let real = own.path().canonicalize().expect("it was just made");
    let up = "../".repeat(real.components().count() - 1);
    let deploy = checkout::root().join("deploy");
    let below = |path: &str| format!("{up}{}", deploy.join(path).display().to_string().trim_start_matches('/'));
    let text = format!("resources: [{}]\ncomponents: [{}]\n", below(folder_below), below(component));
    std::fs::write(real.join("kustomization.yaml"), text).expect("room for a file");
    folder(&real)
}

fn folder(path: &Path) -> Rendered {
    let output = match Command::new("kubectl").arg("kustomize").arg(path).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("kubectl is not on the PATH: run `cargo xtask test`, which brings it, or install 1.30 or newer")
        }
        Err(error) => panic!("kubectl cannot be started: {error}"),
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl kustomize {}: {complaint}", path.display());
    let text = String::from_utf8(output.stdout).expect("kustomize prints UTF-8");
    let objects = yaml_serde::Deserializer::from_str(&text)
        .map(|document| serde::Deserialize::deserialize(document).expect("kustomize prints YAML"))
        .collect();
    Rendered { objects }
}

impl Rendered {
    /// The objects of a kind.
    pub(super) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The object of this kind and name.
    pub(super) fn named(&self, kind: &str, name: &str) -> &Value {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.objects.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// Everything that makes pods.
    pub(super) fn workloads(&self) -> Vec<Workload<'_>> {
        let makes_pods = |object: &&Value| !object["spec"]["template"]["spec"].is_null();
        self.objects.iter().filter(makes_pods).map(Workload::of).collect()
    }

    /// The workload of this kind and name.
    pub(super) fn workload(&self, kind: &str, name: &str) -> Workload<'_> {
        Workload::of(self.named(kind, name))
    }

    /// Puts every file of a ConfigMap where the container of the workload would find it, and notes where its secrets are.
    pub(super) fn mount(&self, workload: &Workload<'_>) -> Mounted {
        let mut mounted = Mounted { root: tempfile::tempdir().expect("room for a folder"), secrets: BTreeMap::new() };
        for mount in list(&workload.container["volumeMounts"]) {
            let place = Path::new(text(&mount["mountPath"]));
            let volume = list(&workload.pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.unwrap_or_else(|| panic!("{}: no volume {}", workload.name, mount["name"]));
            assert_eq!(mount["readOnly"], true, "{}: {} is mounted to be written", workload.name, place.display());
            if let Some(secret) = volume["secret"]["secretName"].as_str() {
                mounted.secrets.insert(place.to_owned(), secret.to_owned());
            }
            let projected = list(&volume["projected"]["sources"]).iter().map(|source| &source["configMap"]);
            for source in projected.chain([&volume["configMap"]]).filter(|source| !source.is_null()) {
                self.put(source, &mounted.at(place));
            }
        }
        mounted
    }

    fn put(&self, source: &Value, folder: &Path) {
        let files = self.named("ConfigMap", text(&source["name"]))["data"].as_object().expect("it has data");
        for (key, content) in files {
            let items = list(&source["items"]);
            let item = items.iter().find(|item| item["key"] == *key).map(|item| text(&item["path"]));
            let Some(path) = item.or(items.is_empty().then_some(key)) else { continue };
            let file = folder.join(path);
            std::fs::create_dir_all(file.parent().expect("it is in a folder")).expect("room for a folder");
            std::fs::write(file, text(content)).expect("room for a file");
        }
    }
}

impl<'a> Workload<'a> {
    fn of(object: &'a Value) -> Workload<'a> {
        let template = &object["spec"]["template"];
        let name = text(&object["metadata"]["name"]);
        let containers = list(&template["spec"]["containers"]);
        assert_eq!(containers.len(), 1, "{name}: one container to a pod");
        assert!(template["spec"]["initContainers"].is_null(), "{name}: one container to a pod");
        let labels = pairs(&template["metadata"]["labels"]);
        Workload { kind: text(&object["kind"]), name, labels, pod: &template["spec"], container: &containers[0] }
    }

    /// The service it runs.
    pub(super) fn service(&self) -> &'a str {
        self.labels["app.kubernetes.io/name"]
    }

    /// The subcommand and the configuration files of its command line.
    pub(super) fn command(&self) -> (&'a str, Vec<&'a Path>) {
        let args: Vec<&'a str> = list(&self.container["args"]).iter().map(text).collect();
        let [subcommand, "--config", files @ ..] = args.as_slice() else {
            panic!("{}: {args:?} is no command line that these tests know", self.name)
        };
        (subcommand, files.iter().map(|file| Path::new(*file)).collect())
    }

    /// The port of the container with this name.
    pub(super) fn port(&self, name: &str) -> u64 {
        let port = list(&self.container["ports"]).iter().find(|port| port["name"] == name);
        port.and_then(|port| port["containerPort"].as_u64()).unwrap_or_else(|| panic!("{}: no {name}", self.name))
    }
}

impl Mounted {
    /// Where a path of the container is on this machine.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.root.path().join(path.strip_prefix("/").expect("mounts are absolute"))
    }

    /// The files of the container at these paths.
    pub(super) fn files(&self, paths: &[&Path]) -> Vec<PathBuf> {
        paths.iter().map(|path| self.at(path)).collect()
    }

    /// The secret and its key that are read at this path.
    pub(super) fn secret<'a>(&'a self, path: &'a Path) -> (&'a str, &'a str) {
        let folder = path.parent().expect("it is in a folder");
        let secret = self.secrets.get(folder).unwrap_or_else(|| panic!("no secret is mounted for {}", path.display()));
        (secret, path.file_name().and_then(|name| name.to_str()).expect("names are UTF-8"))
    }

    /// Every secret that is mounted.
    pub(super) fn secrets(&self) -> BTreeSet<&str> {
        self.secrets.values().map(String::as_str).collect()
    }
}

/// What must be text.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// What must be a list, or absent.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What must be texts by name, or absent.
pub(super) fn pairs(value: &Value) -> BTreeMap<&str, &str> {
    let object = value.as_object().into_iter().flatten();
    object.map(|(key, value)| (key.as_str(), text(value))).collect()
}
