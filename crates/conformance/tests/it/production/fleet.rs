//! Every process of a cloud twice, each pair behind a balancer, as a cluster has them; and replaced one by one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use testkit::port::Port;
use testkit::process::{Ended, Process, run};
use testkit::proxy::Proxy;
use testkit::site::{SERVICES, ready};
use tonic::transport::{Channel, Endpoint};

use super::site::{Instance, Site};
use crate::checkout;

/// Which build of the programs to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version(Option<PathBuf>);

impl Version {
    /// The one whose programs are in this folder.
    pub(crate) fn of(folder: PathBuf) -> Version {
        Version(Some(folder))
    }

    /// The one of this checkout.
    pub(crate) fn ours() -> Version {
        Version(None)
    }

    /// The policy it came with; its programs lie in a folder named by its commit. `None` for the one of this checkout.
    fn policy(&self, cloud: &str) -> Option<String> {
        let commit = self.0.as_ref()?.file_name()?.to_str()?;
        let file = format!("{commit}:deploy/clouds/{cloud}/policy/policy.toml");
        let shown =
            Command::new("git").args(["show", &file]).current_dir(checkout::root()).output().expect("git is there");
        shown.status.success().then(|| String::from_utf8(shown.stdout).expect("a policy is text"))
    }

    /// How to name a program of it.
    fn program(&self, name: &str) -> String {
        match &self.0 {
            Some(folder) => folder.join(name).to_str().expect("a path of text").to_owned(),
            None => name.to_owned(),
        }
    }
}

/// The processes of one cloud and its gateways.
pub(crate) struct Fleet {
    site: Site,
    /// The cloud.
    pub(crate) instance: Instance,
    /// Two of each, the gateway's with them.
    replicas: BTreeMap<&'static str, Vec<Replica>>,
    _balancers: Vec<Proxy>,
    /// To the gateways.
    pub(crate) channel: Channel,
}

struct Replica {
    /// What all replicas are told, and what this one is told beside it.
    files: [PathBuf; 2],
    /// Where it answers, with the lock that keeps the port its own.
    address: SocketAddr,
    _port: Port,
    process: Option<Process>,
}

impl Fleet {
    /// Migrates the databases of a new cloud and starts everything, with the programs of this version.
    pub(crate) async fn start(cloud: &'static str, version: &Version) -> Fleet {
        let site = Site::new(None);
        site.govern(cloud, version.policy(cloud));
        let mut instance = site.instance(cloud).await;
        let (mut replicas, mut balancers) = (BTreeMap::new(), Vec::new());
        for service in SERVICES {
            let pair = [Replica::new(&site, service, "[process]\n"), Replica::new(&site, service, "[process]\n")];
            let balancer = balancer(&pair).await;
            instance.addresses.insert(service, balancer.address());
            replicas.insert(service, Vec::from(pair));
            balancers.push(balancer);
        }
        let pair = [Replica::new(&site, "gateway", ""), Replica::new(&site, "gateway", "")];
        let balancer = balancer(&pair).await;
        let channel =
            Endpoint::from_shared(format!("http://{}", balancer.address())).expect("an address").connect_lazy();
        replicas.insert("gateway", Vec::from(pair));
        balancers.push(balancer);
        let mut fleet = Fleet { site, instance, replicas, _balancers: balancers, channel };
        for service in SERVICES {
            let file = fleet.site.configure(&fleet.instance, service);
            fleet.of(service).iter_mut().for_each(|replica| replica.files[0].clone_from(&file));
            let migrated = fleet.run(service, "migrate", version);
            assert_eq!(migrated.code(), 0, "{migrated:?}");
            fleet.of(service).iter_mut().for_each(|replica| replica.start(service, version));
        }
        let file = fleet.site.configure_gateway(&[&fleet.instance]);
        for replica in fleet.of("gateway") {
            replica.files[0].clone_from(&file);
            replica.start("gateway", version);
        }
        fleet
    }

    fn of(&mut self, program: &str) -> &mut [Replica] {
        self.replicas.get_mut(program).expect("it is there")
    }

    /// Runs a command of a service to its end, beside its replicas, with the program of this version.
    pub(crate) fn run(&self, service: &str, command: &str, version: &Version) -> Ended {
        run(&version.program(service), self.site.one_more(command, &self.replicas[service][0].files[0]))
    }

    /// Runs a command of a service so many times at once.
    pub(crate) fn run_at_once(&self, service: &str, command: &str, version: &Version, count: usize) -> Vec<Ended> {
        let arguments = self.site.one_more(command, &self.replicas[service][0].files[0]);
        let begun = (0..count).map(|_| Process::start(&version.program(service), &arguments));
        begun.collect::<Vec<Process>>().into_iter().map(Process::ended).collect()
    }

    /// Replaces the replicas of a program one after the other: each is told to end, and its successor answers before the next is.
    pub(crate) fn roll(&mut self, program: &'static str, version: &Version) {
        let cloud = self.instance.cloud;
        self.site.govern(cloud, version.policy(cloud));
        for replica in self.of(program) {
            let ended = replica.process.take().expect("it runs").terminated();
            assert_eq!(ended.code(), 0, "{program}: {ended:?}");
            replica.start(program, version);
        }
    }
}

async fn balancer(pair: &[Replica]) -> Proxy {
    let replicas = pair.iter().map(|replica| replica.address).collect();
    Proxy::start(replicas).await.expect("a port is free")
}

impl Replica {
    /// One that listens on a port of its own. `section` is where the setting stands.
    fn new(site: &Site, program: &str, section: &str) -> Replica {
        let port = Port::reserve();
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let own = site.keep(&format!("{program}-{}", port.number()), &format!("{section}listen = \"{address}\"\n"));
        Replica { files: [PathBuf::new(), own], address, _port: port, process: None }
    }

    fn start(&mut self, program: &str, version: &Version) {
        let [shared, own] = self.files.each_ref().map(|file| file.to_str().expect("a path of text"));
        let mut process = Process::start(&version.program(program), ["serve", "--config", shared, "--config", own]);
        assert_eq!(process.wait_for(ready), self.address);
        self.process = Some(process);
    }
}
