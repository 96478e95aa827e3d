//! The exact allocations for a request.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../benches/support/mod.rs"]
mod support;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use support::Nothing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Layer, Service};
use tower_workos::{
    DirectoryEvent, SignatureHeader, Verifier, VerifyWebhookLayer, WebhookSecret,
    testing::{Signer, sample},
    verify::VerifiedBody,
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
        _ => panic!("no immediate response"),
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
    // The first call on a thread allocates what it needs to read the secrets without a lock.
    let _ = verify();
    assert_eq!(measure(|| assert_eq!(verify().signature().secret_index(), 0)).count_total, 0);
}

/// Without a subscriber, and with one that disables the span. Metrics without a recorder allocate nothing either.
#[test]
fn the_layer_adds_five_allocations_to_the_parse() {
    five_allocations();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::sink);
    tracing::subscriber::with_default(subscriber.finish(), five_allocations);
}

fn five_allocations() {
    let mut service = VerifyWebhookLayer::new(secret()).layer(Nothing);
    for &sample in sample::ALL {
        let delivery = Signer::new(secret()).sign(sample);
        let request = || delivery.clone().into_request::<Full<Bytes>, _>("/").unwrap();
        assert_eq!(call(&mut service, request()), 200);
        let body = delivery.body().clone();
        let parse = measure(|| drop(DirectoryEvent::parse(body.clone()).unwrap())).count_total;
        let request = request();
        let whole = measure(|| assert_eq!(call(&mut service, request), 200)).count_total;
        // The copy of the body and its reference count; the map of the extensions, its table, and the boxed event in it.
        // The event's `Arc` belongs to the parse.
        assert_eq!(whole, parse + 5, "{}", sample.name());
    }
}

/// A service that keeps the last event that it was called with.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Option<DirectoryEvent>>>);

impl Service<Request<VerifiedBody>> for Keep {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        *self.0.lock().unwrap() = request.extensions().get::<DirectoryEvent>().cloned();
        ready(Ok(Response::new(Full::default())))
    }
}

/// hyper's frame is a slice of its read buffer, which has at least 8 KiB.
#[test]
fn an_event_keeps_its_body_but_not_the_servers_buffer() {
    let body = r#"{"id":"event_01JTWS3C9H5K1N4R7W0Y6A8G2J","event":"dsync.user.deleted","data":{"id":"directory_user_01JTWS2B8G4J0M3Q6V9X5Z7F1H","state":"active"}}"#;
    let delivery = Signer::new(secret()).sign(body);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nworkos-signature: {}\r\ncontent-length: {}\r\n\r\n{body}",
        delivery.signature(),
        body.len()
    );
    let kept = Keep::default();
    let service = TowerToHyperService::new(VerifyWebhookLayer::new(secret()).layer(kept.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let serve = || {
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(64 * 1024);
            client.write_all(request.as_bytes()).await.unwrap();
            let server = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(server), service.clone());
            server.await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        });
    };
    // The first request allocates what a thread needs only once.
    serve();
    drop(kept.0.lock().unwrap().take());
    let held = measure(serve).bytes_current;
    let event = kept.0.lock().unwrap().take().unwrap();
    assert_eq!(event.raw(), body);
    // The typed event, its ids and the body: 1001 bytes when this was written, 9064 with the buffer.
    assert!(held < 1200, "{held} bytes");
}

#[test]
fn a_stale_request_allocates_only_its_response() {
    let mut service = VerifyWebhookLayer::new(secret()).layer(Nothing);
    let stale = Signer::new(secret()).at(std::time::UNIX_EPOCH).sign(sample::USER_UPDATED);
    let request = stale.into_request::<Full<Bytes>, _>("/").unwrap();
    let info = measure(|| assert_eq!(call(&mut service, request), 401));
    assert!(info.bytes_max < 2048, "{} bytes", info.bytes_max);
}

/// A body that declares a length of 1 MiB, but sends two bytes and then stalls.
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
fn a_declared_length_is_trusted_only_up_to_64_kib() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut service = VerifyWebhookLayer::new(secret()).layer(Nothing);
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
fn clones_and_accessors_of_events_do_not_allocate() {
    let event = DirectoryEvent::parse(sample::USER_DEACTIVATED.into()).unwrap();
    let info = measure(|| {
        let clone = event.clone();
        assert!(clone.access_change().is_some());
        assert!(matches!(clone.data(), tower_workos::EventData::UserUpdated(_)));
    });
    assert_eq!(info.count_total, 0);
}
