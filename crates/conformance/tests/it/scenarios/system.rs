//! A running system, and the people who sign in to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use api::cloud::ListCloudsRequest;
use api::cloud::cloud_service_client::CloudServiceClient;
use serde_json::Value;
use tempfile::TempDir;
use testkit::port::Port;
use testkit::process::{Ended, Process};
use tonic::transport::{Channel, Endpoint};

use super::caller::Caller;
use super::cloud::Cloud;

/// `mandate up`, with a folder of its own. Ends with the value.
pub(crate) struct System {
    process: Process,
    folder: TempDir,
    /// Of the gateway and of the issuers.
    ports: [Port; 2],
    /// Where the gateway answers: `http://127.0.0.1:…`.
    pub(crate) uri: String,
    /// Everybody's connection.
    pub(crate) channel: Channel,
    /// The browser of everybody: it follows no redirect by itself.
    pub(crate) http: reqwest::Client,
    /// The issuer of each cloud.
    pub(crate) issuers: BTreeMap<String, String>,
}

impl System {
    /// Starts on ports of its own, with an empty folder.
    pub(crate) async fn start() -> System {
        let folder = TempDir::new().expect("room for a folder");
        System::start_in(folder, [Port::reserve(), Port::reserve()]).await
    }

    async fn start_in(folder: TempDir, ports: [Port; 2]) -> System {
        let data = folder.path().to_str().expect("a path of text").to_owned();
        let [port, issuer_port] = ports.each_ref().map(|port| port.number().to_string());
        let arguments = ["up", "--data-dir", &data, "--port", &port, "--issuer-port", &issuer_port];
        let mut process = Process::start("mandate", arguments);
        let uri = process.wait_for(|line| {
            let rest = line.strip_prefix("Mandate answers at ")?;
            Some(rest.split(' ').next()?.to_owned())
        });
        let channel = Endpoint::from_shared(uri.clone()).expect("an address").connect_lazy();
        let mut clouds = CloudServiceClient::new(channel.clone());
        let listed = clouds.list_clouds(ListCloudsRequest {}).await.expect("anybody may ask").into_inner();
        let id = |name: &str| name.trim_start_matches("clouds/").to_owned();
        let issuers = listed.clouds.into_iter().map(|cloud| (id(&cloud.name), cloud.issuer)).collect();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let http = http.build().expect("a client");
        System { process, folder, ports, uri, channel, http, issuers }
    }

    /// Ends it as Ctrl-C does, and starts it again where it was.
    pub(crate) async fn restarted(self) -> System {
        let System { process, folder, ports, .. } = self;
        System::succeed(process, folder, ports).await
    }

    /// Ends it as Ctrl-C does, and starts at the same addresses from another folder.
    pub(crate) async fn restarted_in(self, other: TempDir) -> System {
        let System { process, ports, .. } = self;
        System::succeed(process, other, ports).await
    }

    async fn succeed(process: Process, folder: TempDir, ports: [Port; 2]) -> System {
        process.signal("INT");
        let ended = process.ended();
        assert_eq!(ended.code(), 0, "{ended:?}");
        System::start_in(folder, ports).await
    }

    /// The folder that keeps everything.
    pub(crate) fn data_dir(&self) -> String {
        self.folder.path().to_str().expect("a path of text").to_owned()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn ended(self) -> Ended {
        self.process.signal("INT");
        self.process.ended()
    }

    /// What the panel says, once it is whole.
    pub(crate) fn panel(&mut self) -> String {
        self.process.wait_for(|line| line.starts_with("mandate tour").then_some(()));
        self.process.said()
    }

    /// A program of the machine, in the folder of this system.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.folder.path());
        command
    }

    /// Somebody of the demonstration, signed in to this cloud and naming it.
    pub(crate) async fn person(&self, cloud: &Cloud, name: &str) -> Caller {
        let (kind, tenant, role) = cloud.person(name);
        self.sign_in(cloud.id, name, [kind, tenant, role]).await
    }

    /// Somebody of any kind, tenant and role.
    pub(crate) async fn sign_in(&self, cloud: &str, subject: &str, [kind, tenant, role]: [&str; 3]) -> Caller {
        let claims = [("sub", subject), ("kind", kind), ("tid", tenant), ("roles", role)];
        let token = self.token(cloud, &claims).await;
        Caller::new(&self.channel, Some(cloud), Some(&token))
    }

    /// A token with these claims, asked for as OIDC says.
    pub(crate) async fn token(&self, cloud: &str, claims: &[(&str, &str)]) -> String {
        let issuer = &self.issuers[cloud];
        let discovery = format!("{issuer}/.well-known/openid-configuration");
        let document = self.http.get(discovery).send().await.expect("the issuer answers");
        let document: Value = document.json().await.expect("a document");
        let endpoint = document["token_endpoint"].as_str().expect("an endpoint").to_owned();
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend_from_slice(claims);
        let answer = self.http.post(endpoint).form(&form).send().await.expect("the issuer answers");
        let answer: Value = answer.json().await.expect("a document");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// A connection to the host name of a cloud.
    pub(crate) fn hosted(&self, cloud: &str) -> Channel {
        let origin = format!("http://{cloud}.localhost:{}", self.ports[0].number());
        let endpoint = Endpoint::from_shared(self.uri.clone()).expect("an address");
        endpoint.origin(origin.parse().expect("a host name")).connect_lazy()
    }

    /// Nobody, who names this cloud.
    pub(crate) fn nobody(&self, cloud: &str) -> Caller {
        Caller::new(&self.channel, Some(cloud), None)
    }
}
