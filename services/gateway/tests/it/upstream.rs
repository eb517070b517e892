//! Something that answers gRPC the way the `x-do` header of the call asks for.

use std::net::SocketAddr;
use std::time::Duration;

use api::ErrorReason;
use api::status::Refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use testkit::outside;

/// Starts one that calls itself `name`.
pub(crate) async fn start(name: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    outside(async move { axum::serve(listener, routes(name)).await.unwrap() });
    address
}

pub(crate) fn routes(name: &'static str) -> Router {
    Router::new().fallback(answer).with_state(name)
}

async fn answer(State(name): State<&'static str>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let what = head.headers.get("x-do").map_or("echo", |what| what.to_str().unwrap());
    match what {
        "echo" => echo(name, &head, body),
        "refuse" => {
            let refusal = Refusal::field("name", "is bad").with("resource", "partners/p");
            let mut response = refusal.retry_after(Duration::from_secs(7)).status(name).into_http();
            response.headers_mut().insert("x-own", HeaderValue::from_static("kept"));
            response
        }
        "refuse-late" => {
            let status = Refusal::new(ErrorReason::EtagMismatch, "AIP-154", "x", "read again").status(name);
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).unwrap();
            let frames = [Ok(data(b"part")), Ok(Frame::trailers(trailers))];
            respond(StreamBody::new(tokio_stream::iter(frames)))
        }
        "break" => {
            // What was sent has arrived when the caller ends its own side.
            let ended = async move {
                let _ = body.collect().await;
                Err(std::io::Error::other("lost"))
            };
            let (sender, receiver) = mpsc::channel(2);
            outside(async move {
                sender.send(Ok(data(b"part"))).await.unwrap();
                let _ = sender.send(ended.await).await;
            });
            respond(StreamBody::new(ReceiverStream::new(receiver)))
        }
        "hang" => std::future::pending().await,
        "hang-late" => {
            let first = tokio_stream::iter([Ok::<_, std::io::Error>(data(b"part"))]);
            respond(StreamBody::new(first.chain(tokio_stream::pending())))
        }
        other => panic!("no test asks for {other}"),
    }
}

/// Gives back every frame as it comes, and tells in the headers what arrived beside it.
fn echo(name: &'static str, head: &http::request::Parts, mut body: axum::body::Body) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    outside(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if sender.send(Ok::<_, std::io::Error>(frame)).await.is_err() {
                return;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.insert("x-trailer", HeaderValue::from_static("kept"));
        let _ = sender.send(Ok(Frame::trailers(trailers))).await;
    });
    let mut response = respond(StreamBody::new(ReceiverStream::new(receiver)));
    let seen = response.headers_mut();
    seen.insert("mandate-consistency-token", HeaderValue::from_static("kept"));
    seen.insert("x-upstream", HeaderValue::from_static(name));
    seen.insert("x-path", head.uri.path().parse().unwrap());
    for (header, value) in &head.headers {
        let header = HeaderName::try_from(format!("saw-{header}")).unwrap();
        seen.append(header, value.clone());
    }
    response
}

fn data(text: &'static [u8]) -> Frame<Bytes> {
    let mut frame = vec![0, 0, 0, 0, u8::try_from(text.len()).unwrap()];
    frame.extend_from_slice(text);
    Frame::data(Bytes::from(frame))
}

fn respond<B>(body: B) -> Response
where
    B: http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static,
{
    let mut response = Response::new(axum::body::Body::new(body));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
