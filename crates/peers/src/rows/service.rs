//! What the rows share: a request, an inner service, and a call of a service.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::SystemTime,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tower::Service;
use tower_workos::{Clock, Verifier};

use crate::sign::secret;

#[derive(Clone, Copy)]
struct ConstantClock(SystemTime);

impl Clock for ConstantClock {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// A verifier with a constant clock, for the rows that are compared with a floor: the floors don't read the clock, and
/// its cost depends on the machine. The rows that are compared with peers use the system clock, as the peers do.
pub(super) fn verifier() -> Verifier {
    Verifier::new(secret()).clock(ConstantClock(SystemTime::now()))
}

/// A request with one header, the signature, and a body of one frame.
pub(super) fn request(signature: &str, body: &Bytes) -> Request<Full<Bytes>> {
    Request::post("/webhooks/workos")
        .header("workos-signature", signature)
        .body(Full::new(body.clone()))
        .unwrap()
}

/// An inner service that does nothing. `black_box` prevents the compiler from exploiting that.
#[derive(Clone)]
pub(super) struct Nothing;

impl<B> Service<Request<B>> for Nothing {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        black_box(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// Calls a service on this thread and polls until it responds.
pub(super) fn call<S, R, B>(service: &mut S, request: R) -> StatusCode
where
    S: Service<R, Response = Response<B>>,
    S::Error: fmt::Debug,
{
    block_on(service.call(request)).unwrap().status()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}
