use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    dedupe::{config::Config, future::ResponseFuture, response::has_grpc_type, store::DedupeStore},
    event::DirectoryEvent,
    response_body::ResponseBody,
};

/// In the extensions of a gRPC call that has an event. Its response must be a gRPC response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcCall;

/// Calls the inner service only for events that no other call has handled or is handling. Created by
/// [`DedupeLayer`](crate::DedupeLayer).
#[derive(Clone)]
#[must_use]
pub struct Dedupe<S, St> {
    pub(super) inner: S,
    pub(super) store: St,
    pub(super) config: Arc<Config>,
}

impl<S, St> Dedupe<S, St> {
    /// Returns a reference to the inner service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Consumes this service and returns the inner service.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, St, ReqBody, ResBody> Service<Request<ReqBody>> for Dedupe<S, St>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    St: DedupeStore,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, St, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The future takes the service that was polled ready, not a clone of it.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        match request.extensions().get::<DirectoryEvent>().cloned() {
            Some(event) => {
                // The content type is not signed, so it can't decide this: an HTTP client would read a gRPC failure as a
                // success.
                let is_grpc = request.extensions().get::<GrpcCall>().is_some();
                let (store, config) = (self.store.clone(), Arc::clone(&self.config));
                ResponseFuture::starting(inner, request, event, is_grpc, store, config)
            }
            // A call for another service of a gRPC server.
            None if cfg!(feature = "tonic") && has_grpc_type(request.headers()) => {
                ResponseFuture::passed(inner.call(request))
            }
            None => ResponseFuture::misplaced(),
        }
    }
}

impl<S: fmt::Debug, St> fmt::Debug for Dedupe<S, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedupe")
            .field("inner", &self.inner)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
