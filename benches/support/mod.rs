//! Shared by the benches and `tests/allocations.rs`.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tower::Service;
use tower_workos::{DirectoryEvent, verify::VerifiedBody};

/// An inner service without cost.
#[derive(Clone)]
pub(crate) struct Nothing;

impl Service<Request<VerifiedBody>> for Nothing {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        assert!(request.extensions().get::<DirectoryEvent>().is_some());
        drop(black_box(request));
        ready(Ok(Response::new(Empty::new())))
    }
}

/// The output of a future that is ready at the first poll.
#[allow(dead_code, reason = "each program uses a part")]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is not ready"),
    }
}
