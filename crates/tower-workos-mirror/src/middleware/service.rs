use std::{
    mem,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use tower_service::Service;

use crate::{middleware::future::MirrorFuture, mirror::Mirror};

/// The service of a [`MirrorLayer`](crate::MirrorLayer).
#[derive(Clone, Debug)]
#[must_use]
pub struct MirrorService<S> {
    pub(super) inner: S,
    pub(super) mirror: Mirror,
}

impl<S> MirrorService<S> {
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

impl<S, B, R> Service<Request<B>> for MirrorService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = S::Error;
    type Future = MirrorFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> MirrorFuture<S, B> {
        // Only this instance was polled ready, so the future takes it and leaves a clone.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        MirrorFuture::new(inner, request, &self.mirror)
    }
}
