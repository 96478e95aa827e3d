//! The rows of the table. Each is asserted to do what it is timed for before it is returned.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
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

use crate::{
    Row,
    body::{Order, TYPICAL, user_updated},
    sign::secret,
};

mod floor;
mod frames;
mod handwritten;
mod others;
mod ours;
mod workos;

pub(crate) use self::{handwritten::by_hand, ours::layered};

/// The rows for a body of this size. They hold for three minutes: that is the least tolerance among the peers.
#[must_use]
pub fn all(size: &str, length: usize) -> Vec<Row> {
    let body = user_updated(length, Order::DataFirst);
    let mut rows = vec![floor::hmac(&body), floor::hmac_and_parse(&body), floor::request(&body)];
    rows.extend([ours::verify(&body), ours::layer(&body)]);
    if size == TYPICAL {
        rows.extend([floor::clock(), floor::response()]);
        rows.extend(ours::with_the_machines_clock(&body));
        let event_first = user_updated(length, Order::EventFirst);
        rows.push(ours::equal_work(&body));
        rows.extend(ours::parsing(&body, &event_first));
        rows.extend(floor::parsing(&body));
        rows.extend(ours::rejecting(&body));
        rows.extend(ours::reading(&body));
        rows.extend(workos::all(&body));
        rows.extend(handwritten::all(&body));
        rows.extend(others::all(&body));
    }
    if length > frames::FRAME * 2 {
        rows.extend(frames::all(&body));
    }
    rows
}

/// A clock that stands still. What reading the machine's costs differs from machine to machine and is no part of the
/// floors: the rows that are held against those go by this one, the rows that are held against peers by the machine's.
#[derive(Clone, Copy)]
struct Still(SystemTime);

impl Clock for Still {
    fn now(&self) -> SystemTime {
        self.0
    }
}

fn verifier() -> Verifier {
    Verifier::new(secret()).clock(Still(SystemTime::now()))
}

/// The request that every layer gets: one header, one frame.
fn request(signature: &str, body: &Bytes) -> Request<Full<Bytes>> {
    Request::post("/webhooks/workos")
        .header("workos-signature", signature)
        .body(Full::new(body.clone()))
        .unwrap()
}

/// An inner service that does nothing but keep the compiler from seeing that.
#[derive(Clone)]
struct Nothing;

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

/// One request through a service, on this thread, polled as often as it wants.
fn call<S, R, B>(service: &mut S, request: R) -> StatusCode
where
    S: Service<R, Response = Response<B>>,
    S::Error: std::fmt::Debug,
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
