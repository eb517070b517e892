//! The configuration of real processes: what each is told, as files in one folder, with certificates of one authority.
//!
//! It starts nothing, and knows no client of the contract: whoever tests decides which processes there are, where they listen
//! and who stands between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::certificates::{Authority, Files};

/// The services, in the order in which they need each other.
pub const SERVICES: [&str; 3] = ["notification", "relationship", "invitation"];

/// What the key of a cloud's links is made of: nobody may read it in what a process prints.
pub const LINK_KEY: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0x";

/// The services that a service calls.
///
/// # Panics
/// When there is no such service.
#[must_use]
pub fn peers_of(service: &str) -> &'static [&'static str] {
    match service {
        "notification" => &[],
        "relationship" => &["notification"],
        "invitation" => &["relationship", "notification"],
        _ => panic!("there is no service {service}"),
    }
}

/// What the processes of all clouds share.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    authority: Authority,
}

/// What a process of a service is told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The cloud.
    pub cloud: &'a str,
    /// The policy file of the cloud.
    pub policy: &'a Path,
    /// The issuer of the tokens of its callers.
    pub issuer: &'a str,
    /// Where it answers.
    pub listen: SocketAddr,
    /// The lines of the section `database`.
    pub database: &'a str,
    /// Where each service of the cloud is found, by name.
    pub peers: &'a [(&'a str, SocketAddr)],
    /// More sections, whole.
    pub sections: &'a str,
}

/// What a gateway is told of one cloud.
#[derive(Clone, Copy, Debug)]
pub struct Upstreams<'a> {
    /// The cloud.
    pub cloud: &'a str,
    /// The policy file of the cloud.
    pub policy: &'a Path,
    /// The issuer of the tokens of its callers.
    pub issuer: &'a str,
    /// Where each service of the cloud is found, by name.
    pub services: &'a [(&'a str, SocketAddr)],
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

impl Site {
    /// A folder with an authority and nothing else.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn new() -> Site {
        Site { folder: TempDir::new().expect("room for a folder"), authority: Authority::new() }
    }

    /// Who certifies all processes.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A file in the folder of the site.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes what a process of a service is told to a file of this name; returns its path.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn service(&self, name: &str, service: &str, told: &Told<'_>) -> PathBuf {
        let mut text = String::new();
        if service == "invitation" {
            let keys = self.keep(
                &format!("{}-link-keys", told.cloud),
                &format!("current = \"first\"\n[keys]\nfirst = \"{LINK_KEY}\"\n"),
            );
            text += &format!("public_uri = \"https://mandate.example\"\nlink_keys = \"{}\"\n", keys.display());
        }
        let Told { cloud, policy, issuer, listen, database, peers, sections } = *told;
        let (policy, tls) = (policy.display(), tls(&self.authority.service(cloud, service)));
        text += &format!(
            "[process]\ncloud = \"{cloud}\"\npolicy = \"{policy}\"\nlisten = \"{listen}\"\nissuer = \"{issuer}\"\n\
                 development = true\ntls = {tls}\n{sections}[database]\n{database}"
        );
        for (peer, address) in peers.iter().filter(|(peer, _)| peers_of(service).contains(peer)) {
            text += &place(&format!("peers.{peer}"), *address);
        }
        self.keep(name, &text)
    }

    /// Writes what a gateway is told to a file of this name; returns its path. `sections` are more of them, whole.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn gateway(&self, name: &str, listen: SocketAddr, clouds: &[Upstreams<'_>], sections: &str) -> PathBuf {
        let tls = tls(&self.authority.gateway());
        let mut text = format!("listen = \"{listen}\"\ndevelopment = true\ntls = {tls}\n{sections}");
        for Upstreams { cloud, policy, issuer, services } in clouds {
            let policy = policy.display();
            text += &format!("[[cloud]]\nid = \"{cloud}\"\nissuer = \"{issuer}\"\npolicy = \"{policy}\"\n");
            for (service, address) in *services {
                text += &place(&format!("cloud.upstreams.{service}"), *address);
            }
        }
        self.keep(name, &text)
    }

    /// Writes a configuration file of this name; returns its path.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn keep(&self, name: &str, text: &str) -> PathBuf {
        let file = self.file(&format!("{name}.toml"));
        std::fs::write(&file, text).expect("room for a file");
        file
    }
}

/// The address in the line that says that a process answers; the process must log in JSON.
#[must_use]
pub fn ready(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_ready = line["message"] == "ready";
    line["address"].as_str().filter(|_| is_ready)?.parse().ok()
}

fn tls(files: &Files) -> String {
    let [certificate, key, authority] = [&files.certificate, &files.key, &files.authority].map(|file| file.display());
    format!("{{ certificate = \"{certificate}\", key = \"{key}\", authority = \"{authority}\" }}")
}

fn place(section: &str, address: SocketAddr) -> String {
    format!("[{section}]\nuri = \"https://{address}\"\nserver_name = \"localhost\"\n")
}
