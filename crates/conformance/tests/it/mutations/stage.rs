//! Where the proofs run: one cloud, behind one gateway or two.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use testkit::port::Port;
use testkit::process::Process;
use testkit::provider::Identity;
use testkit::site::SERVICES;
use tonic::transport::Channel;

use crate::production::site::{Instance, Site};
use crate::scenarios::Caller;
use crate::scenarios::cloud::Cloud;
use crate::scenarios::system::System;

/// One cloud and the ways to it.
pub(crate) struct Stage {
    /// The cloud.
    pub(crate) cloud: &'static Cloud,
    behind: Behind,
}

enum Behind {
    /// `mandate up`, on SQLite.
    Embedded(System),
    /// Processes on PostgreSQL.
    Apart(Box<Apart>),
}

/// Two processes of every service, which share its database, each set behind a gateway of its own.
struct Apart {
    site: Site,
    instance: Instance,
    replicas: [Replica; 2],
}

struct Replica {
    addresses: BTreeMap<&'static str, SocketAddr>,
    processes: BTreeMap<&'static str, Process>,
    channel: Channel,
    _gateway: Process,
    _ports: Vec<Port>,
}

/// Somebody who can sign in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// `partner`, `customer` or `operator`.
    pub(crate) kind: &'static str,
    pub(crate) tenant: String,
    pub(crate) subject: String,
    pub(crate) role: &'static str,
}

impl Person {
    /// An agent of this partner who may do all that agents may.
    pub(crate) fn agent(tenant: &str, subject: &str) -> Person {
        Person { kind: "partner", tenant: tenant.to_owned(), subject: subject.to_owned(), role: "admin_agent" }
    }

    /// A global administrator of this customer.
    pub(crate) fn admin(tenant: &str, subject: &str) -> Person {
        Person { kind: "customer", tenant: tenant.to_owned(), subject: subject.to_owned(), role: "global_admin" }
    }

    pub(crate) fn operator(subject: &str) -> Person {
        Person { kind: "operator", tenant: "platform".to_owned(), subject: subject.to_owned(), role: "operator" }
    }
}

impl Stage {
    /// The embedded system.
    pub(crate) async fn embedded(cloud: &str) -> Stage {
        Stage { cloud: Cloud::of(cloud), behind: Behind::Embedded(System::start().await) }
    }

    /// Two replicas of every service.
    pub(crate) async fn apart(cloud: &str) -> Stage {
        let cloud = Cloud::of(cloud);
        let site = Site::new(None);
        let (mut instance, processes) = site.running(cloud.id).await;
        let (gateway, channel) = site.gateway(&[&instance]);
        let addresses = instance.addresses.clone();
        let first = Replica { addresses, processes, channel, _gateway: gateway, _ports: Vec::new() };
        let mut ports = Vec::new();
        for address in instance.addresses.values_mut() {
            let port = Port::reserve();
            address.set_port(port.number());
            ports.push(port);
        }
        let processes = SERVICES.map(|service| (service, site.serve(&instance, service))).into();
        let (gateway, channel) = site.gateway(&[&instance]);
        let addresses = instance.addresses.clone();
        let second = Replica { addresses, processes, channel, _gateway: gateway, _ports: ports };
        Stage { cloud, behind: Behind::Apart(Box::new(Apart { site, instance, replicas: [first, second] })) }
    }

    /// Whether services can be called here as only services may.
    pub(crate) fn has_peers(&self) -> bool {
        match self.behind {
            Behind::Embedded(_) => false,
            Behind::Apart(_) => true,
        }
    }

    /// Somebody signed in, once by each way to the cloud.
    pub(crate) async fn callers(&self, person: &Person) -> [Caller; 2] {
        let Person { kind, tenant, subject, role } = person;
        match &self.behind {
            Behind::Embedded(system) => {
                let caller = system.sign_in(self.cloud.id, subject, [kind, tenant, role]).await;
                [caller.clone(), caller]
            }
            Behind::Apart(apart) => {
                let identity = Identity { kind, tenant, subject, roles: &[role] };
                apart.replicas.each_ref().map(|replica| apart.instance.caller(&replica.channel, identity))
            }
        }
    }

    /// A service that calls another by its own certificate, on behalf of somebody or of nobody.
    ///
    /// # Panics
    /// In the embedded system.
    pub(crate) fn peers(&self, [peer, service]: [&str; 2], person: Option<&Person>) -> [Caller; 2] {
        let Behind::Apart(apart) = &self.behind else {
            panic!("the services of the embedded system are not for others to call");
        };
        let Apart { site, instance, replicas } = &**apart;
        let token = person.map(|Person { kind, tenant, subject, role }| {
            instance.token(Identity { kind, tenant, subject, roles: &[role] })
        });
        replicas.each_ref().map(|replica| {
            let channel = site.as_peer(instance, peer, replica.addresses[service]);
            Caller::new(&channel, None, token.as_deref())
        })
    }

    /// Kills the services of the first set as no process can notice, and starts them again in their place.
    pub(crate) fn kill(&mut self) {
        let Behind::Apart(apart) = &mut self.behind else {
            panic!("the embedded system is one process");
        };
        let Apart { site, instance, replicas: [first, _] } = &mut **apart;
        for (service, process) in std::mem::take(&mut first.processes) {
            let ended = process.killed();
            assert_eq!(ended.code(), -1, "{service}: {ended:?}");
        }
        instance.addresses.clone_from(&first.addresses);
        first.processes = SERVICES.map(|service| (service, site.serve(instance, service))).into();
    }
}
