//! Calls by path, with messages as bytes: for what holds for every method, whatever it says.

use std::fmt;

use api::raw::Raw;
use prost::bytes::Bytes;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Response, Status};

use super::caller::Caller;

/// An answer, not read.
pub(crate) struct Answer {
    /// The message.
    pub(crate) message: Bytes,
    /// The token that makes later reads see the change.
    pub(crate) consistency_token: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.message.len())
    }
}

/// Calls the method at this path.
pub(crate) async fn call(caller: &Caller, path: &str, message: impl Into<Bytes>) -> Result<Answer, Status> {
    let mut client = tonic::client::Grpc::new(caller.wire.clone());
    client.ready().await.expect("loopback is there");
    let path = PathAndQuery::try_from(path).expect("a path of the contract");
    let response: Response<Bytes> = client.unary(Request::new(message.into()), path, Raw).await?;
    let token = response.metadata().get("mandate-consistency-token");
    let consistency_token = token.map(|token| token.to_str().expect("ASCII").to_owned());
    Ok(Answer { message: response.into_inner(), consistency_token })
}
