//! TLS on both sides, how the gateway ends, and why it does not start.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::BodyExt as _;
use server::Shutdown;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};

use crate::call::{Call, RESOLVE};
use crate::upstream;
use crate::world::{AGENT, World, nowhere, parse, policy, section, start};
use testkit::certificates::{Authority, Files};
use testkit::outside;
use testkit::provider::Provider;

/// A service that answers nobody without a certificate of this authority.
async fn upstream_of(authority: &Authority) -> SocketAddr {
    server::install_crypto();
    let files = authority.service("public", "invitation");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(Files::read(&files.certificate), Files::read(&files.key)))
        .client_ca_root(Certificate::from_pem(Files::read(&files.authority)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let routes = Routes::from(upstream::routes("public"));
    let server = Server::builder().tls_config(tls).unwrap().add_routes(routes);
    outside(async move { server.serve_with_incoming(incoming).await.unwrap() });
    address
}

pub(crate) fn tls_section(files: &Files) -> String {
    format!("[tls]\ncertificate = {:?}\nkey = {:?}\nauthority = {:?}\n", files.certificate, files.key, files.authority)
}

#[tokio::test]
async fn services_are_reached_with_a_certificate_and_callers_are_met_with_one() {
    let authority = Authority::new();
    let (service, files) = (upstream_of(&authority).await, authority.gateway());
    let provider = Provider::start().await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndevelopment = true\npublic_tls = {{ certificate = {:?}, key = {:?} }}\n{}{}",
        files.certificate,
        files.key,
        tls_section(&files),
        section("public", provider.uri(), &format!("https://localhost:{}", service.port())),
    );
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();

    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(Files::read(&files.authority)))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", running.address.port())).unwrap();
    let mut channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let answer = Call::new(RESOLVE).token(&provider.token(AGENT)).send(&mut channel).await;
    assert_eq!(answer.status().code(), Code::Ok);
    assert_eq!(answer.header("x-upstream"), "public");
}

#[tokio::test]
async fn a_service_of_another_authority_is_not_the_cloud() {
    let (theirs, ours) = (Authority::new(), Authority::new());
    let service = upstream_of(&theirs).await;
    let provider = Provider::start().await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndevelopment = true\n{}{}",
        tls_section(&ours.gateway()),
        section("public", provider.uri(), &format!("https://localhost:{}", service.port())),
    );
    let running = start(parse(&text), &Shutdown::new()).await.unwrap();
    let mut channel = crate::call::connect(running.address, "localhost");
    let refused = Call::new(RESOLVE).token(&provider.token(AGENT)).refused(&mut channel).await;
    let metadata = [("rule", "D10"), ("cloud", "public")];
    refused.expect(Code::Unavailable, "CLOUD_INSTANCE_UNREACHABLE", &metadata, true);
}

#[tokio::test]
async fn a_call_in_flight_ends_in_peace_while_new_connections_are_refused() {
    let world = World::start().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<_, std::io::Error>>(1);
    let body = http_body_util::StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let mut channel = world.channel();
    let response = Call::new(RESOLVE).token(&world.public.token(AGENT)).body(body).begin(&mut channel).await;
    assert_eq!(response.status(), 200);

    world.shutdown.begin();
    while tokio::net::TcpStream::connect(world.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let message = bytes::Bytes::from_static(&[0, 0, 0, 0, 1, 9]);
    sender.send(Ok(http_body::Frame::data(message.clone()))).await.unwrap();
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
    let call = Call::new(RESOLVE).token(&world.public.token(AGENT)).header("x-do", "hang-late");
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
        section("public", world.public.uri(), "http://127.0.0.1:9")
    );
    let error = start(parse(&text), &Shutdown::new()).await.unwrap_err().to_string();
    assert!(error.starts_with("listen: ") && error.contains(&world.address.to_string()), "{error}");
}

#[tokio::test]
async fn what_cannot_be_used_is_named_before_a_port_is_bound() {
    let one = |text: &str| format!("listen = \"127.0.0.1:0\"\ndevelopment = true\n{text}");
    let cloud = section("public", "http://issuer", "http://127.0.0.1:9");
    for (text, words) in [
        (one(""), vec!["cloud", "at least one"]),
        (one(&cloud.replace("id = \"public\"", "id = \"Public\"")), vec!["cloud.id", "Public"]),
        (one(&cloud.replace("id = \"public\"", "id = \"mars\"")), vec!["policy.toml", "public", "mars"]),
        (one(&cloud.replace(&policy("public"), "/nowhere.toml")), vec!["/nowhere.toml"]),
        (one(&format!("{cloud}{cloud}")), vec!["cloud.id", "twice"]),
        (one(&cloud.replace("public.mandate.example", "a:80")), vec!["cloud[0].hosts", "a:80"]),
        (one(&cloud.replace("http://127.0.0.1:9", "https://127.0.0.1:9")), vec!["cloud[0].tls", "missing"]),
        (one(&cloud.replace("http://127.0.0.1:9", "ftp://x")), vec!["cloud[0].upstreams.invitation.uri", "https"]),
        (one(&format!("limits.calls_max = 0\n{cloud}")), vec!["limits.calls_max", "1 to"]),
        (one(&cloud).replace("127.0.0.1:0", "0.0.0.0:0"), vec!["listen", "loopback"]),
        (one(&cloud).replace("development = true", ""), vec!["cloud[0].issuer", "https"]),
        (
            one(&format!("public_tls = {{ certificate = \"/no.pem\", key = \"/no.key\" }}\n{cloud}")),
            vec!["public_tls.certificate", "/no.pem"],
        ),
    ] {
        let error = start(parse(&text), &Shutdown::new()).await.unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_key_that_is_unknown_is_refused() {
    let text = format!("lisen = \"127.0.0.1:0\"\n{}", section("public", "http://issuer", "http://127.0.0.1:9"));
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
