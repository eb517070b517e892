//! From the request of a verified caller to the answer: what stands between the transport and the handler of every method.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{Caller, Process, consistency};

/// What a method answers.
pub type Answer<T> = Result<Response<T>, Status>;

/// What the calls of a service work with. A handler gets it with the caller and the message, and knows nothing of the transport.
pub trait Answers: Clone + Send + Sync {
    /// How calls fail.
    type Error: Send;

    /// The process that answers.
    fn process(&self) -> &Process;

    /// The status by which a failure is told.
    fn status(&self, error: Self::Error) -> Status;

    /// Answers a call as the handler does: one that only reads, or by which another service changes its state.
    fn answer<Q, A, D, F>(
        &self,
        request: Request<Q>,
        handler: impl FnOnce(Self, Arc<Caller>, Q) -> F + Send,
    ) -> impl Future<Output = Answer<A>> + Send
    where
        Q: Send,
        D: Into<Response<A>>,
        F: Future<Output = Result<D, Self::Error>> + Send,
    {
        async move {
            let caller = crate::caller(&request)?;
            let answer = handler(self.clone(), caller, request.into_inner()).await;
            answer.map(Into::into).map_err(|error| self.status(error))
        }
    }

    /// Answers a call that changes state, with the token at which the change can be seen: the handler gives the position of
    /// the database's log besides.
    fn change<Q, A, D, F>(
        &self,
        request: Request<Q>,
        handler: impl FnOnce(Self, Arc<Caller>, Q) -> F + Send,
    ) -> impl Future<Output = Answer<A>> + Send
    where
        Q: Send,
        D: Into<(A, Option<String>)>,
        F: Future<Output = Result<D, Self::Error>> + Send,
    {
        async move {
            let caller = crate::caller(&request)?;
            let done = handler(self.clone(), caller, request.into_inner()).await;
            let (answer, position) = done.map_err(|error| self.status(error))?.into();
            let mut response = Response::new(answer);
            if let Some(position) = position {
                consistency::attach(&mut response, self.process(), &position);
            }
            Ok(response)
        }
    }
}
