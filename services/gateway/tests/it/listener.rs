//! TLS on both sides, how the gateway ends, and why it does not start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use server::Shutdown;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};

use crate::call::{Call, RESOLVE};
use crate::issuer::{Provider, spawn};
use crate::upstream;
use crate::world::{World, nowhere, parse, policy, section, start};

/// An authority, and the files of what it certified.
pub(crate) struct Authority {
    pub(crate) folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn certify(&self, name: &str, spiffe: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::URI(spiffe.try_into().unwrap()));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
        Identity::from_pem(certificate.pem(), key.serialize_pem())
    }

    fn root(&self) -> Certificate {
        Certificate::from_pem(std::fs::read(self.file("ca.pem")).unwrap())
    }

    /// A service that answers nobody without a certificate of this authority.
    async fn upstream(&self) -> SocketAddr {
        server::install_crypto();
        let identity = self.certify("service", "spiffe://mandate.internal/public/invitation");
        let tls = ServerTlsConfig::new()
            .identity(identity)
            .client_ca_root(self.root());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let routes = Routes::from(upstream::routes("public"));
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_routes(routes);
        spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
        address
    }
}

pub(crate) fn tls_section(name: &str, folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}\nauthority = {:?}\n",
        file(&format!("{name}.pem")),
        file(&format!("{name}.key")),
        file("ca.pem"),
    )
}

#[tokio::test]
async fn services_are_reached_with_a_certificate_and_callers_are_met_with_one() {
    let authority = Authority::new();
    let service = authority.upstream().await;
    authority.certify("gateway", "spiffe://mandate.internal/gateway");
    let provider = Provider::start().await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndevelopment = true\npublic_tls = {{ certificate = {:?}, key = {:?} }}\n{}{}",
        authority.file("gateway.pem"),
        authority.file("gateway.key"),
        tls_section("gateway", authority.folder.path()),
        section(
            "public",
            &provider.uri,
            &format!("https://localhost:{}", service.port())
        ),
    );
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();

    let tls = ClientTlsConfig::new()
        .ca_certificate(authority.root())
        .domain_name("localhost");
    let endpoint =
        Endpoint::from_shared(format!("https://localhost:{}", running.address.port())).unwrap();
    let mut channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let answer = Call::new(RESOLVE)
        .token(&provider.token())
        .send(&mut channel)
        .await;
    assert_eq!(answer.status().code(), Code::Ok);
    assert_eq!(answer.header("x-upstream"), "public");
}

#[tokio::test]
async fn a_service_of_another_authority_is_not_the_cloud() {
    let (theirs, ours) = (Authority::new(), Authority::new());
    let service = theirs.upstream().await;
    ours.certify("gateway", "spiffe://mandate.internal/gateway");
    let provider = Provider::start().await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndevelopment = true\n{}{}",
        tls_section("gateway", ours.folder.path()),
        section(
            "public",
            &provider.uri,
            &format!("https://localhost:{}", service.port())
        ),
    );
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();
    let mut channel = crate::call::connect(running.address, "localhost");
    let refused = Call::new(RESOLVE)
        .token(&provider.token())
        .refused(&mut channel)
        .await;
    let metadata = [("rule", "D10"), ("cloud", "public")];
    refused.expect(
        Code::Unavailable,
        "CLOUD_INSTANCE_UNREACHABLE",
        &metadata,
        true,
    );
}

#[tokio::test]
async fn a_call_in_flight_ends_in_peace_while_new_connections_are_refused() {
    let world = World::start().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<_, std::io::Error>>(1);
    let body =
        http_body_util::StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let mut channel = world.channel();
    let response = Call::new(RESOLVE)
        .token(&world.public.token())
        .body(body)
        .begin(&mut channel)
        .await;
    assert_eq!(response.status(), 200);

    world.shutdown.begin();
    while tokio::net::TcpStream::connect(world.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let message = bytes::Bytes::from_static(&[0, 0, 0, 0, 1, 9]);
    sender
        .send(Ok(http_body::Frame::data(message.clone())))
        .await
        .unwrap();
    drop(sender);
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), message);
    drop(channel);
    assert!(world.shutdown.drained(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_when_its_time_is_over() {
    let world = World::with(nowhere().await, "limits.drain_max_seconds = 0.1").await;
    let mut channel = world.channel();
    let call = Call::new(RESOLVE)
        .token(&world.public.token())
        .header("x-do", "hang-late");
    let response = call.begin(&mut channel).await;
    world.shutdown.begin();
    assert!(world.shutdown.drained(Duration::from_secs(5)).await);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let world = World::start().await;
    let text = format!(
        "listen = \"{}\"\ndevelopment = true\n{}",
        world.address,
        section("public", &world.public.uri, "http://127.0.0.1:9")
    );
    let error = start(parse(&text), &Shutdown::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("listen: ") && error.contains(&world.address.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_named_before_a_port_is_bound() {
    let one = |text: &str| format!("listen = \"127.0.0.1:0\"\ndevelopment = true\n{text}");
    let cloud = section("public", "http://issuer", "http://127.0.0.1:9");
    for (text, words) in [
        (one(""), vec!["cloud", "at least one"]),
        (
            one(&cloud.replace("id = \"public\"", "id = \"Public\"")),
            vec!["cloud.id", "Public"],
        ),
        (
            one(&cloud.replace("id = \"public\"", "id = \"mars\"")),
            vec!["policy.toml", "public", "mars"],
        ),
        (
            one(&cloud.replace(&policy("public"), "/nowhere.toml")),
            vec!["/nowhere.toml"],
        ),
        (one(&format!("{cloud}{cloud}")), vec!["cloud.id", "twice"]),
        (
            one(&cloud.replace("public.mandate.example", "a:80")),
            vec!["cloud[0].hosts", "a:80"],
        ),
        (
            one(&cloud.replace("http://127.0.0.1:9", "https://127.0.0.1:9")),
            vec!["cloud[0].tls", "missing"],
        ),
        (
            one(&cloud.replace("http://127.0.0.1:9", "ftp://x")),
            vec!["cloud[0].upstreams.invitation.uri", "https"],
        ),
        (
            one(&format!("limits.calls_max = 0\n{cloud}")),
            vec!["limits.calls_max", "1 to"],
        ),
        (
            one(&cloud).replace("127.0.0.1:0", "0.0.0.0:0"),
            vec!["listen", "loopback"],
        ),
        (
            one(&cloud).replace("development = true", ""),
            vec!["cloud[0].issuer", "https"],
        ),
        (
            one(&format!(
                "public_tls = {{ certificate = \"/no.pem\", key = \"/no.key\" }}\n{cloud}"
            )),
            vec!["public_tls.certificate", "/no.pem"],
        ),
    ] {
        let error = start(parse(&text), &Shutdown::new())
            .await
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_key_that_is_unknown_is_refused() {
    let text = format!(
        "lisen = \"127.0.0.1:0\"\n{}",
        section("public", "http://issuer", "http://127.0.0.1:9")
    );
    let error = toml::from_str::<gateway::config::Config>(&text).unwrap_err();
    assert!(error.to_string().contains("lisen"), "{error}");
}

#[test]
fn the_configuration_for_the_cluster_is_one() {
    use server::config::Settings as _;
    let text = include_str!("../../../../deploy/gateway/gateway.toml");
    let config = parse(text);
    assert_eq!(config.check(), Ok(()));
    assert_eq!(config.clouds.len(), 4);
}
