use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    response_body::ResponseBody,
    source_address::{future::ResponseFuture, layer::Config},
};

/// Calls the inner service for requests from listed networks, and rejects all other requests.
///
/// The request reaches the inner service unchanged. [`SourceAddressLayer`](crate::SourceAddressLayer) creates this service; its
/// [module](crate::source_address) describes it.
#[derive(Clone)]
#[must_use]
pub struct SourceAddress<S> {
    pub(super) inner: S,
    pub(super) config: Arc<Config>,
}

impl<S> SourceAddress<S> {
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

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SourceAddress<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.config.rejection(&parts) {
            None => ResponseFuture::calling(self.inner.call(Request::from_parts(parts, body))),
            Some(rejection) => ResponseFuture::rejected(rejection),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for SourceAddress<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.debug(f.debug_struct("SourceAddress").field("inner", &self.inner))
    }
}
