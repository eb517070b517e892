//! `GET /i/{token}`, as browsers ask for it.

use std::net::SocketAddr;

use http::Request;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::body::Body;
use tower::{Service as _, ServiceExt as _};

use crate::call::connect;
use crate::world::World;

/// The answer to one HTTP/1.1 request: status line with headers, and body.
async fn ask(address: SocketAddr, method: &str, path: &str, host: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

/// Where the portal of a cloud is for this token, by the cloud's own policy.
fn portal(cloud: &str, token: &str) -> String {
    let policy = cloud::Policy::load(crate::world::policy(cloud)).unwrap();
    policy.acceptance_portal.location(token)
}

#[tokio::test]
async fn a_link_leads_to_the_portal_of_its_cloud() {
    let world = World::start().await;
    for cloud in ["public", "china"] {
        let token = format!("{cloud}.v1-abc_DEF-09");
        for host in ["localhost:7070", &format!("{cloud}.mandate.example"), "anything.example"] {
            for method in ["GET", "HEAD"] {
                let path = format!("/i/{token}");
                let (head, body) = ask(world.address, method, &path, host).await;
                assert!(head.starts_with("http/1.1 302 "), "{head}");
                let location = format!("\r\nlocation: {}", portal(cloud, &token)).to_ascii_lowercase();
                assert!(head.contains(&location), "{head}");
                assert!(head.contains("\r\ncache-control: no-store"), "{head}");
                assert!(head.contains("\r\nreferrer-policy: no-referrer"), "{head}");
                assert_eq!(body, "");
            }
        }
    }
    assert_ne!(portal("public", "t"), portal("china", "t"));
}

#[tokio::test]
async fn a_link_works_over_http_2_as_well() {
    let world = World::start().await;
    let mut channel = connect(world.address, "localhost");
    let request = Request::get("/i/china.abc").body(Body::empty()).unwrap();
    let answer = channel.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], portal("china", "china.abc").as_str());
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn what_is_no_link_of_a_cloud_here_is_not_found() {
    let world = World::start().await;
    let long = format!("/i/public.{}", "a".repeat(506));
    for (path, host) in [
        ("/i/", "localhost"),
        ("/i/public", "localhost"),
        ("/i/public.", "localhost"),
        ("/i/.abc", "localhost"),
        ("/i/mars.abc", "localhost"),
        ("/i/public.a/b", "localhost"),
        ("/i/public.a%20b", "localhost"),
        ("/i/public.a.b", "localhost"),
        ("/i/public.abc", "china.mandate.example"),
        (&long, "localhost"),
    ] {
        let (head, body) = ask(world.address, "GET", path, host).await;
        assert!(head.starts_with("http/1.1 404 "), "{path}: {head}");
        assert!(head.contains("\r\ncontent-type: text/plain"), "{head}");
        assert!(head.contains("\r\ncache-control: no-store"), "{head}");
        assert!(!head.contains("location:"), "{head}");
        assert!(!body.is_empty() && !body.contains("public"), "{body}");
    }
}

#[tokio::test]
async fn a_link_is_only_ever_read() {
    let world = World::start().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (head, _) = ask(world.address, method, "/i/public.abc", "localhost").await;
        assert!(head.starts_with("http/1.1 405 "), "{method}: {head}");
        assert!(head.contains("\r\nallow: get, head"), "{head}");
    }
}

#[tokio::test]
async fn what_is_neither_link_nor_grpc_is_told_so() {
    let world = World::start().await;
    let (head, body) = ask(world.address, "GET", "/", "localhost").await;
    assert!(head.starts_with("http/1.1 415 "), "{head}");
    assert!(body.contains("gRPC"), "{body}");
}
