//! A large body in frames: how long the last one takes to reach the handler.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use sha2::Sha256;
use tower::{Layer, Service};
use tower_workos::{DirectoryEvent, DirectorySyncLayer, SignatureHeader, layer::VerifiedBody};

use crate::{
    Row,
    sign::{SECRET, secret, workos},
};

/// What a frame holds: hyper's reads are about this long.
pub(super) const FRAME: usize = 8 * 1024;

/// The rows give the time without the parse, which both have to do: it is timed right after, and subtracted.
pub(super) fn all(body: &Bytes) -> [Row; 2] {
    let delivery = workos(body);
    let signature = delivery.signature().to_owned();
    let (body, frames) = (body.clone(), cut(body));
    let reached = Rc::new(Cell::new(None));
    let mut layered = DirectorySyncLayer::new(secret()).layer(Arrive(Rc::clone(&reached)));
    let (layer_signature, layer_frames) = (signature.clone(), frames.clone());
    let layer = move || {
        reached.set(None);
        let gate = Gate::default();
        let request = Request::post("/webhooks/workos")
            .header("workos-signature", &layer_signature)
            .body(Gated::new(&layer_frames, &gate))
            .unwrap();
        let (status, opened) = hand_over_last(layered.call(request), &gate);
        assert_eq!(status.unwrap().status(), StatusCode::OK);
        let (arrived, body) = reached.take().expect("the handler was called");
        (arrived - opened).saturating_sub(parse_time(&body))
    };

    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let header: SignatureHeader = signature.parse().unwrap();
    let digits = signature[2..].split(',').next().unwrap().to_owned();
    let expected = hex::decode(&signature[signature.len() - 64..]).unwrap();
    assert_eq!(header.to_string(), signature);
    let collect = move || {
        let gate = Gate::default();
        let collected = async {
            let bytes = Gated::new(&frames, &gate).collect().await.unwrap().to_bytes();
            let mut mac = keyed.clone();
            mac.update(digits.as_bytes());
            mac.update(b".");
            mac.update(&bytes);
            mac.verify_slice(&expected).unwrap();
            let event = DirectoryEvent::parse(bytes).unwrap();
            (Instant::now(), event)
        };
        let ((arrived, event), opened) = hand_over_last(collected, &gate);
        assert_eq!(event.raw().len(), body.len());
        (arrived - opened).saturating_sub(parse_time(event.raw()))
    };
    [
        Row::timed("last_frame", "tower-workos: last 8 KiB frame to handler, parse subtracted", layer),
        Row::timed("last_frame_collect", "collect, then hash: the same, parse subtracted", collect),
    ]
}

fn parse_time(body: &Bytes) -> Duration {
    let body = body.clone();
    let start = Instant::now();
    let event = DirectoryEvent::parse(body);
    let taken = start.elapsed();
    assert!(event.is_ok());
    taken
}

fn cut(body: &Bytes) -> Vec<Bytes> {
    (0..body.len()).step_by(FRAME).map(|start| body.slice(start..body.len().min(start + FRAME))).collect()
}

/// Polls until only the last frame is missing, then lets it through: what came of it, and when that was.
fn hand_over_last<F: Future>(future: F, gate: &Gate) -> (F::Output, Instant) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    while !gate.reached.get() {
        assert!(future.as_mut().poll(&mut cx).is_pending());
    }
    gate.open.set(true);
    let opened = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return (output, opened);
        }
    }
}

/// What holds the last frame back.
#[derive(Clone, Default)]
struct Gate {
    reached: Rc<Cell<bool>>,
    open: Rc<Cell<bool>>,
}

struct Gated {
    frames: std::vec::IntoIter<Bytes>,
    gate: Gate,
}

impl Gated {
    fn new(frames: &[Bytes], gate: &Gate) -> Self {
        Self { frames: frames.to_vec().into_iter(), gate: gate.clone() }
    }
}

impl Body for Gated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames.len() == 1 && !self.gate.open.get() {
            self.gate.reached.set(true);
            return Poll::Pending;
        }
        Poll::Ready(self.frames.next().map(|frame| Ok(Frame::data(frame))))
    }
}

/// An inner service that notes when it was called, and with what.
#[derive(Clone)]
struct Arrive(Rc<Cell<Option<(Instant, Bytes)>>>);

impl Service<Request<VerifiedBody>> for Arrive {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        let now = Instant::now();
        assert!(request.extensions().get::<DirectoryEvent>().is_some());
        self.0.set(Some((now, request.into_body().into_bytes())));
        ready(Ok(Response::new(Empty::new())))
    }
}
