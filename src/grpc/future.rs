use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;
use tonic::{body::Body, codegen::StdError};
use tower_service::Service;

use crate::verify::{body::VerifiedBody, future::ResponseFuture};

pin_project! {
    /// The future of [`GrpcWebhook`]'s response.
    #[must_use]
    pub struct GrpcResponseFuture<S, D, B>
    where
        S: Service<Request<Body>>,
        D: Service<Request<VerifiedBody>>,
    {
        #[pin]
        pub(super) state: GrpcState<S::Future, ResponseFuture<D, B>>,
    }
}

pin_project! {
    #[project = GrpcStateProj]
    pub(super) enum GrpcState<P, D> {
        Passed { #[pin] future: P },
        Delivery { #[pin] future: D },
        Answered { response: Option<Response<Body>> },
    }
}

impl<S, D, B, ResBody, DeliverBody> Future for GrpcResponseFuture<S, D, B>
where
    S: Service<Request<Body>, Response = Response<ResBody>>,
    D: Service<Request<VerifiedBody>, Response = Response<DeliverBody>, Error = Infallible>,
    B: HttpBody,
    B::Error: Into<StdError>,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<StdError>,
    DeliverBody: HttpBody<Data = Bytes> + Send + 'static,
    DeliverBody::Error: Into<StdError>,
{
    type Output = Result<Response<Body>, S::Error>;

    /// # Panics
    ///
    /// If it is polled again after it returned `Ready`.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            GrpcStateProj::Passed { future } => {
                ready!(future.poll(cx)).map(|response| response.map(Body::new))
            }
            GrpcStateProj::Delivery { future } => {
                let response = ready!(future.poll(cx)).unwrap_or_else(|never| match never {});
                Ok(response.map(Body::new))
            }
            GrpcStateProj::Answered { response } => {
                Ok(response.take().expect("polled after it returned `Ready`"))
            }
        })
    }
}

impl<S, D, B> fmt::Debug for GrpcResponseFuture<S, D, B>
where
    S: Service<Request<Body>>,
    D: Service<Request<VerifiedBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcResponseFuture").finish_non_exhaustive()
    }
}
