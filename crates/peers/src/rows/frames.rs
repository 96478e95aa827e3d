//! A large body in frames: the time from its last frame to the handler.

use std::{
    cell::Cell,
    collections::VecDeque,
    convert::Infallible,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use sha2::Sha256;
use tower::{Layer, Service};
use tower_workos::{DirectoryEvent, VerifyWebhookLayer};

use crate::{
    row::Row,
    rows::service::{Nothing, verifier},
    sign::{SECRET, forged, workos},
};

/// The length of a frame: about what hyper reads at once.
pub(super) const FRAME: usize = 8 * 1024;

/// The time from the last frame to the handler, and, if the signature doesn't match, to the response. The latter doesn't
/// include the parse, which takes longer than the hashing.
pub(super) fn all(body: &Bytes) -> [Row; 4] {
    let genuine = workos(body).signature().to_owned();
    let forged = forged(&genuine);
    [
        Row::timed(
            "last_frame_verdict",
            "tower-workos: last 8 KiB frame to the verdict",
            layered(body, forged.clone(), StatusCode::UNAUTHORIZED),
        ),
        Row::timed(
            "last_frame_verdict_collect",
            "collect, then hash: last 8 KiB frame to the verdict",
            collected(body, &forged, StatusCode::UNAUTHORIZED),
        ),
        Row::timed(
            "last_frame_handler",
            "tower-workos: last 8 KiB frame through the typed parse to the handler",
            layered(body, genuine.clone(), StatusCode::OK),
        ),
        Row::timed(
            "last_frame_handler_collect",
            "collect, then hash: last 8 KiB frame through the typed parse to the handler",
            collected(body, &genuine, StatusCode::OK),
        ),
    ]
}

/// This project's layer.
fn layered(
    body: &Bytes,
    signature: String,
    status: StatusCode,
) -> impl FnMut() -> Duration + use<> {
    let frames = cut(body);
    let mut service = VerifyWebhookLayer::new(verifier()).layer(Nothing);
    move || {
        let gate = Gate::default();
        let request = Request::post("/webhooks/workos")
            .header("workos-signature", &signature)
            .body(Gated::new(&frames, &gate))
            .unwrap();
        let (output, taken) = release_last(service.call(request), &gate);
        assert_eq!(output.unwrap().status(), status);
        taken
    }
}

/// A layer that collects the whole body before it hashes. Its header is parsed in advance.
fn collected(
    body: &Bytes,
    signature: &str,
    status: StatusCode,
) -> impl FnMut() -> Duration + use<> {
    let frames = cut(body);
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(", v1=").unwrap();
    let (time, expected) = (time.to_owned(), hex::decode(mac).unwrap());
    move || {
        let gate = Gate::default();
        let response = async {
            let body = Gated::new(&frames, &gate).collect().await.unwrap().to_bytes();
            let mut mac = keyed.clone();
            mac.update(time.as_bytes());
            mac.update(b".");
            mac.update(&body);
            if mac.verify_slice(&expected).is_err() {
                return StatusCode::UNAUTHORIZED;
            }
            drop(DirectoryEvent::parse(body).unwrap());
            StatusCode::OK
        };
        let (output, taken) = release_last(response, &gate);
        assert_eq!(output, status);
        taken
    }
}

fn cut(body: &Bytes) -> Vec<Bytes> {
    (0..body.len())
        .step_by(FRAME)
        .map(|start| body.slice(start..body.len().min(start + FRAME)))
        .collect()
}

/// Polls until only the last frame is missing, then releases it. Returns the output and the time since the release.
fn release_last<F: Future>(future: F, gate: &Gate) -> (F::Output, Duration) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    while !gate.reached.get() {
        assert!(future.as_mut().poll(&mut cx).is_pending());
    }
    gate.open.set(true);
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return (output, start.elapsed());
        }
    }
}

/// Holds the last frame back until `open` is set.
#[derive(Clone, Default)]
struct Gate {
    reached: Rc<Cell<bool>>,
    open: Rc<Cell<bool>>,
}

/// A body of known length, as hyper's is for a request with a `Content-Length`.
struct Gated {
    frames: VecDeque<Bytes>,
    gate: Gate,
}

impl Gated {
    fn new(frames: &[Bytes], gate: &Gate) -> Self {
        Self { frames: frames.iter().cloned().collect(), gate: gate.clone() }
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
        Poll::Ready(self.frames.pop_front().map(|frame| Ok(Frame::data(frame))))
    }

    fn size_hint(&self) -> SizeHint {
        let left: usize = self.frames.iter().map(Bytes::len).sum();
        SizeHint::with_exact(left.try_into().unwrap())
    }
}
