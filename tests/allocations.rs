//! What is allocated for a request, exactly.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../benches/support/mod.rs"]
mod support;

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use support::Nothing;
use tower::{Layer, Service};
use tower_workos::{
    DirectoryEvent, DirectorySyncLayer, SignatureHeader, Verifier, WebhookSecret,
    testing::{Signer, sample},
};

fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_test").unwrap()
}

fn call<B>(
    service: &mut impl Service<Request<B>, Response = Response<impl Body>>,
    request: Request<B>,
) -> u16 {
    let mut future = pin!(service.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response.status().as_u16(),
        _ => panic!("not answered at once"),
    }
}

#[test]
fn verifying_a_body_allocates_nothing() {
    let verifier = Verifier::new(secret());
    let delivery = Signer::new(secret()).sign(sample::USER_UPDATED);
    let verify = || {
        let header: SignatureHeader = delivery.signature().parse().unwrap();
        verifier.verify(&header, delivery.body()).unwrap()
    };
    // The first call on a thread sets up what reading the secrets without a lock needs.
    verify();
    assert_eq!(measure(|| assert_eq!(verify().secret_index(), 0)).count_total, 0);
}

#[test]
fn the_layer_adds_three_allocations_to_the_parse() {
    let mut service = DirectorySyncLayer::new(secret()).layer(Nothing);
    for sample in sample::ALL {
        let delivery = Signer::new(secret()).sign(sample);
        let request = || delivery.clone().into_request::<Full<Bytes>, _>("/").unwrap();
        assert_eq!(call(&mut service, request()), 200);
        let body = delivery.body().clone();
        let parse = measure(|| drop(DirectoryEvent::parse(body.clone()).unwrap())).count_total;
        let request = request();
        let whole = measure(|| assert_eq!(call(&mut service, request), 200)).count_total;
        // The extensions' map, its table, and the event's box in it. The `Arc` is the parse's own.
        assert_eq!(whole, parse + 3, "{}", sample.name());
    }
}

#[test]
fn nothing_is_read_or_allocated_for_a_stale_request_but_its_answer() {
    let mut service = DirectorySyncLayer::new(secret()).layer(Nothing);
    let stale = Signer::new(secret()).at(std::time::UNIX_EPOCH).sign(sample::USER_UPDATED);
    let request = stale.into_request::<Full<Bytes>, _>("/").unwrap();
    let info = measure(|| assert_eq!(call(&mut service, request), 401));
    assert!(info.bytes_max < 2048, "{} bytes", info.bytes_max);
}

/// Says that it is a mebibyte, sends two bytes, and waits.
struct Liar(usize);

impl Body for Liar {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0 += 1;
        if self.0 > 2 {
            Poll::Pending
        } else {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(1 << 20)
    }
}

#[test]
fn a_declared_length_is_not_believed_beyond_64_kib() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut service = DirectorySyncLayer::new(secret()).layer(Nothing);
    let (parts, _) =
        Signer::new(secret()).sign("xx").into_request::<Bytes, _>("/").unwrap().into_parts();
    let request = Request::from_parts(parts, Liar(0));
    let mut future = Box::pin(service.call(request));
    let info = measure(|| {
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
    assert!((64 << 10..80 << 10).contains(&info.bytes_max), "{} bytes", info.bytes_max);
}

#[test]
fn events_clone_and_tell_without_allocating() {
    let event = DirectoryEvent::parse(sample::USER_DEACTIVATED.into()).unwrap();
    let info = measure(|| {
        let clone = event.clone();
        assert!(clone.access_change().is_some());
        assert!(matches!(clone.data(), tower_workos::EventData::UserUpdated(_)));
    });
    assert_eq!(info.count_total, 0);
}
