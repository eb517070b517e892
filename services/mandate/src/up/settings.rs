//! The configuration of each process, in the types that production reads from files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use server::config::{Common, FaultInjection, Limits, Tls};
use server::peer::PeerSettings;
use server::telemetry;

use super::ground::Ground;
use super::link_keys;
use crate::authority::{Authority, Workload};
use crate::failure::Failure;
use crate::issuer::Issuers;
use crate::private_file;

const TRUST_DOMAIN: &str = "mandate.internal";
/// What stands in the path of a file and in a URI alike.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Connections of one service to its SQLite file.
const CONNECTIONS_MAX: u32 = 4;

/// Where everything is, once it has been put there.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where people find the gateway, and where links begin.
    pub(crate) public_uri: String,
    /// The folder that keeps everything.
    pub(crate) data_dir: PathBuf,
    /// The clouds, ordered by id.
    pub(crate) clouds: Vec<CloudPlace>,
    gateway: SocketAddr,
    gateway_tls: Tls,
}

/// Where everything of one cloud is.
#[derive(Clone, Debug)]
pub(crate) struct CloudPlace {
    /// The id of the cloud.
    pub(crate) id: String,
    /// The title of the cloud.
    pub(crate) title: String,
    /// Its issuer.
    pub(crate) issuer: String,
    public_uri: String,
    folder: PathBuf,
    policy: PathBuf,
    link_keys: PathBuf,
    invitation: Tls,
    relationship: Tls,
    notification: Tls,
}

/// Where the services of a cloud answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) invitation: SocketAddr,
    pub(super) relationship: SocketAddr,
    pub(super) notification: SocketAddr,
}

impl Place {
    /// Puts certificates, keys and policies where the processes read them.
    ///
    /// # Errors
    /// When the folder does not take them, or holds broken ones.
    pub(super) fn prepare(ground: &Ground, issuers: &Issuers, now: u64) -> Result<Place, Failure> {
        let usage = |error: crate::authority::Error| Failure::usage(error.to_string());
        let authority = Authority::open(&ground.data_dir, now).map_err(usage)?;
        let tls = |workload: &Workload<'_>| {
            let identity = authority.issue(workload, now).map_err(usage)?;
            Ok::<Tls, Failure>(Tls {
                certificate: identity.certificate_path,
                key: identity.key_path,
                authority: authority.ca_pem_path(),
            })
        };
        let gateway = ground.gateway_address()?;
        let public_uri = format!("http://{gateway}");
        let mut clouds = Vec::new();
        for cloud in &ground.policies {
            let folder = ground.data_dir.join(&cloud.id);
            let service = |service| tls(&Workload { trust_domain: TRUST_DOMAIN, cloud: Some(&cloud.id), service });
            let (invitation, relationship) = (service("invitation")?, service("relationship")?);
            clouds.push(CloudPlace {
                id: cloud.id.clone(),
                title: cloud.title.clone(),
                issuer: issuers.uri(&cloud.id),
                public_uri: public_uri.clone(),
                policy: policy(&folder, &cloud.text)?,
                link_keys: link_keys::keep(&folder)?,
                folder,
                invitation,
                relationship,
                notification: service("notification")?,
            });
        }
        Ok(Place {
            public_uri,
            data_dir: ground.data_dir.clone(),
            clouds,
            gateway,
            gateway_tls: tls(&Workload::gateway(TRUST_DOMAIN))?,
        })
    }

    /// What the gateway is told.
    pub(super) fn gateway(&self, upstreams: &[Addresses]) -> gateway::config::Config {
        let clouds = self.clouds.iter().zip(upstreams).map(|(cloud, at)| gateway::config::Cloud {
            id: cloud.id.clone(),
            hosts: vec![format!("{}.localhost", cloud.id)],
            issuer: cloud.issuer.clone(),
            policy: cloud.policy.clone(),
            tls: None,
            upstreams: gateway::config::Upstreams {
                invitation: cloud.peer("invitation", at.invitation),
                relationship: cloud.peer("relationship", at.relationship),
                notification: cloud.peer("notification", at.notification),
            },
        });
        gateway::config::Config {
            listen: self.gateway,
            probe_listen: None,
            public_tls: None,
            tls: Some(self.gateway_tls.clone()),
            development: true,
            limits: Limits::default(),
            telemetry: telemetry::Settings::default(),
            fault_injection: FaultInjection::default(),
            clouds: clouds.collect(),
        }
    }
}

impl CloudPlace {
    /// What the notification service is told.
    pub(super) fn notification(&self) -> notification::Config {
        notification::Config {
            process: self.common(&self.notification),
            database: self.database("notification"),
            watch: notification::config::Watch::default(),
        }
    }

    /// What the relationship service is told.
    pub(super) fn relationship(&self, notification: SocketAddr) -> relationship::Config {
        relationship::Config {
            process: self.common(&self.relationship),
            database: self.database("relationship"),
            peers: relationship::config::Peers { notification: self.peer("notification", notification) },
        }
    }

    /// What the invitation service is told.
    pub(super) fn invitation(&self, relationship: SocketAddr, notification: SocketAddr) -> invitation::Config {
        invitation::Config {
            public_uri: self.public_uri.clone(),
            link_keys: self.link_keys.clone(),
            process: self.common(&self.invitation),
            database: self.database("invitation"),
            peers: invitation::config::Peers {
                relationship: self.peer("relationship", relationship),
                notification: self.peer("notification", notification),
            },
        }
    }

    fn common(&self, tls: &Tls) -> Common {
        Common {
            cloud: self.id.clone(),
            policy: self.policy.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            probe_listen: None,
            tls: tls.clone(),
            trust_domain: TRUST_DOMAIN.to_owned(),
            issuer: self.issuer.clone(),
            development: true,
            limits: Limits::default(),
            telemetry: telemetry::Settings::default(),
            fault_injection: FaultInjection::default(),
        }
    }

    fn database(&self, service: &str) -> store::Settings {
        let file = self.folder.join(format!("{service}.db"));
        let path = file.to_string_lossy();
        let url = format!("sqlite://{}", utf8_percent_encode(&path, PATH));
        store::Settings { connections_max: CONNECTIONS_MAX, ..store::Settings::new(url) }
    }

    /// A service of this cloud, which must prove to be it.
    fn peer(&self, service: &str, address: SocketAddr) -> PeerSettings {
        let workload = Workload { trust_domain: TRUST_DOMAIN, cloud: Some(&self.id), service };
        PeerSettings { uri: format!("https://{address}"), server_name: Some(workload.host()) }
    }
}

fn policy(folder: &Path, text: &str) -> Result<PathBuf, Failure> {
    let path = folder.join("policy.toml");
    let unusable = |error: private_file::Error| Failure::usage(error.to_string());
    private_file::folder(folder).map_err(unusable)?;
    // Written only when it differs, so that a start has less to wait for.
    if private_file::read(&path).map_err(unusable)?.as_deref() != Some(text) {
        private_file::write(&path, text).map_err(unusable)?;
    }
    Ok(path)
}
