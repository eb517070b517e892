//! One machine with the processes of some clouds and a gateway, each on a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clock::Clock;
use serde_json::json;
use testkit::Database;
use testkit::certificates::Files;
use testkit::port::Port;
use testkit::process::{Ended, Process, run};
use testkit::provider::{Identity, Provider};
use testkit::site::{SERVICES, Told, Upstreams, ready};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as ClientIdentity};

use crate::checkout;
use crate::scenarios::Caller;

/// What the processes of all clouds share.
pub(crate) struct Site {
    files: testkit::site::Site,
    /// Where telemetry goes, when it goes anywhere.
    telemetry: Option<SocketAddr>,
}

/// One cloud: its provider, its databases and where its services answer.
pub(crate) struct Instance {
    /// Its id.
    pub(crate) cloud: &'static str,
    /// Who vouches for its callers.
    pub(crate) provider: Provider,
    /// The database of each service.
    pub(crate) databases: BTreeMap<&'static str, Database>,
    /// Where each service answers, whenever it has been started.
    pub(crate) addresses: BTreeMap<&'static str, SocketAddr>,
    _ports: Vec<Port>,
}

impl Site {
    pub(crate) fn new(telemetry: Option<SocketAddr>) -> Site {
        Site { files: testkit::site::Site::new(), telemetry }
    }

    /// A cloud with fresh databases, nothing of it started.
    pub(crate) async fn instance(&self, cloud: &'static str) -> Instance {
        let (mut databases, mut addresses, mut ports) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for service in SERVICES {
            let port = Port::reserve();
            addresses.insert(service, SocketAddr::from(([127, 0, 0, 1], port.number())));
            ports.push(port);
            databases.insert(service, testkit::database::postgres().await.expect("every test needs its database"));
        }
        Instance { cloud, provider: Provider::start().await, databases, addresses, _ports: ports }
    }

    /// A cloud with all its services migrated and serving.
    pub(crate) async fn running(&self, cloud: &'static str) -> (Instance, BTreeMap<&'static str, Process>) {
        let instance = self.instance(cloud).await;
        let mut processes = BTreeMap::new();
        for service in SERVICES {
            let migrated = self.run(&instance, service, "migrate");
            assert_eq!(migrated.code(), 0, "{migrated:?}");
            processes.insert(service, self.serve(&instance, service));
        }
        (instance, processes)
    }

    /// Runs a command of a service to its end.
    pub(crate) fn run(&self, instance: &Instance, service: &'static str, command: &str) -> Ended {
        let file = self.configure(instance, service);
        run(service, [command, "--config", file.to_str().expect("a path of text")])
    }

    /// Starts a service in its place; returns once it answers.
    pub(crate) fn serve(&self, instance: &Instance, service: &'static str) -> Process {
        let file = self.configure(instance, service);
        let mut process = Process::start(service, ["serve", "--config", file.to_str().expect("a path of text")]);
        assert_eq!(process.wait_for(ready), instance.addresses[service]);
        process
    }

    /// Starts the gateway before these clouds; returns it with where it answers.
    pub(crate) fn gateway(&self, instances: &[&Instance]) -> (Process, Channel) {
        let file = self.configure_gateway(instances);
        let mut process = Process::start("gateway", ["serve", "--config", file.to_str().expect("a path of text")]);
        let address = process.wait_for(ready);
        let channel = Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
        (process, channel)
    }

    /// What the gateway is told.
    pub(crate) fn configure_gateway(&self, instances: &[&Instance]) -> PathBuf {
        let policies: Vec<PathBuf> = instances.iter().map(|instance| self.policy(instance.cloud)).collect();
        let services: Vec<Vec<(&str, SocketAddr)>> = instances.iter().map(|instance| instance.places()).collect();
        let told = instances.iter().zip(&policies).zip(&services);
        let upstreams: Vec<Upstreams<'_>> = told
            .map(|((instance, policy), services)| {
                let (cloud, issuer) = (instance.cloud, instance.provider.uri());
                Upstreams { cloud, policy, issuer, services }
            })
            .collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        self.files.gateway("gateway", any, &upstreams, &self.telemetry("telemetry"))
    }

    /// What a service is told.
    pub(crate) fn configure(&self, instance: &Instance, service: &str) -> PathBuf {
        let cloud = instance.cloud;
        let told = Told {
            cloud,
            policy: &self.policy(cloud),
            issuer: instance.provider.uri(),
            listen: instance.addresses[service],
            database: &format!("url = \"{}\"\nconnections_max = 4\n", instance.databases[service].url()),
            peers: &instance.places(),
            sections: &self.telemetry("process.telemetry"),
        };
        self.files.service(&format!("{cloud}-{service}"), service, &told)
    }

    /// The arguments of a command beside a process that has this file and its port.
    pub(crate) fn one_more(&self, command: &str, file: &Path) -> Vec<String> {
        let elsewhere = self.keep("elsewhere", "[process]\nlisten = \"127.0.0.1:0\"\n");
        let [file, elsewhere] = [file, &elsewhere].map(|file| file.display().to_string());
        vec![command.to_owned(), "--config".to_owned(), file, "--config".to_owned(), elsewhere]
    }

    /// The policy of a cloud: that of this checkout, unless another was given by [`Site::govern`].
    fn policy(&self, cloud: &str) -> PathBuf {
        let given = self.files.file(&format!("{cloud}-policy.toml"));
        if given.exists() { given } else { policy(cloud) }
    }

    /// Gives a cloud this policy from here on; processes that run keep what they have read. `None`: that of this checkout.
    pub(crate) fn govern(&self, cloud: &str, text: Option<String>) {
        let text = text.unwrap_or_else(|| std::fs::read_to_string(policy(cloud)).expect("a cloud of this checkout"));
        std::fs::write(self.files.file(&format!("{cloud}-policy.toml")), text).expect("room for a file");
    }

    /// Writes a configuration file of this name into the folder of the site.
    pub(crate) fn keep(&self, name: &str, text: &str) -> PathBuf {
        self.files.keep(name, text)
    }

    fn telemetry(&self, section: &str) -> String {
        let endpoint = self.telemetry.map(|address| format!("otlp_endpoint = \"http://{address}\"\n"));
        format!("[{section}]\nlog_format = \"json\"\n{}", endpoint.unwrap_or_default())
    }

    /// A connection to a service itself, as the gateway makes it.
    pub(crate) fn direct(&self, address: SocketAddr) -> Channel {
        connection(address, &self.files.authority().gateway())
    }

    /// A connection to a service itself, as another service of its cloud makes it.
    pub(crate) fn as_peer(&self, instance: &Instance, peer: &str, address: SocketAddr) -> Channel {
        connection(address, &self.files.authority().service(instance.cloud, peer))
    }
}

impl Instance {
    /// Where each service answers, as a list.
    fn places(&self) -> Vec<(&'static str, SocketAddr)> {
        self.addresses.iter().map(|(service, address)| (*service, *address)).collect()
    }

    /// A token that is good now.
    pub(crate) fn token(&self, identity: Identity<'_>) -> String {
        let now = Clock::system().now().seconds();
        self.provider.token_with(identity, json!({ "iat": now, "nbf": now, "exp": now + 600 }))
    }

    /// Somebody who calls this cloud.
    pub(crate) fn caller(&self, channel: &Channel, identity: Identity<'_>) -> Caller {
        Caller::new(channel, Some(self.cloud), Some(&self.token(identity)))
    }
}

pub(crate) const OPERATOR: Identity<'static> =
    Identity { kind: "operator", tenant: "platform", subject: "otto", roles: &["operator"] };
pub(crate) const AGENT: Identity<'static> =
    Identity { kind: "partner", tenant: "alpenglow", subject: "ada", roles: &["admin_agent"] };

/// A global administrator of a customer.
pub(crate) fn admin(customer: &str) -> Identity<'_> {
    Identity { kind: "customer", tenant: customer, subject: "gwen", roles: &["global_admin"] }
}

/// A connection that proves itself by these files.
fn connection(address: SocketAddr, files: &Files) -> Channel {
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(Files::read(&files.authority)))
        .identity(ClientIdentity::from_pem(Files::read(&files.certificate), Files::read(&files.key)));
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address makes a URI");
    endpoint.tls_config(tls).expect("the files are certificates").connect_lazy()
}

fn policy(cloud: &str) -> PathBuf {
    checkout::root().join("deploy/clouds").join(cloud).join("policy/policy.toml")
}
