//! The metrics. Each test runs on one thread, because its recorder is that of the thread.

use std::{collections::BTreeMap, convert::Infallible, io, time::Duration};

use ::metrics::set_default_local_recorder;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_workos::{
    DedupeLayer, DedupeStore, MemoryStore, RejectionKind, SIGNATURE_HEADER, Verifier,
    VerifyWebhookLayer,
    dedupe::{Claimed, DedupeOutcome, OnStoreError},
    grpc::GrpcWebhookLayer,
    metrics,
    testing::{ManualClock, Signer, sample},
    verify::VerifiedBody,
};

use crate::{
    outcomes::{self, Broken, Hanging, hanging},
    support::{NOW, ScriptBody, Step, at, delivery, delivery_of, layer, secret, send, signer},
};

/// What was recorded since the last time, by name and value of the label.
struct Recorded {
    counters: BTreeMap<String, u64>,
    histograms: BTreeMap<String, Vec<f64>>,
}

impl Recorded {
    fn take(snapshotter: &Snapshotter) -> Self {
        let (mut counters, mut histograms) = (BTreeMap::new(), BTreeMap::new());
        for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
            let key = key.key();
            assert!(unit.is_some() && description.is_some(), "{key}");
            for canary in ["event_", "directory_", "dsync", "canary"] {
                assert!(!key.to_string().contains(canary), "{key}");
            }
            let labels: Vec<_> = key.labels().map(|label| label.value()).collect();
            let name = [&[key.name()], &labels[..]].concat().join(" ");
            match value {
                DebugValue::Counter(0) => {}
                DebugValue::Counter(count) => drop(counters.insert(name, count)),
                DebugValue::Histogram(values) if values.is_empty() => {}
                DebugValue::Histogram(values) => {
                    let values = values.into_iter().map(|value| value.into_inner()).collect();
                    histograms.insert(name, values);
                }
                DebugValue::Gauge(_) => panic!("{name} is a gauge"),
            }
        }
        Self { counters, histograms }
    }

    /// Each counter that starts with a name, without it.
    fn counters(&self, name: &str) -> Vec<(&str, u64)> {
        let counters = self.counters.iter();
        counters.filter_map(|(key, count)| Some((key.strip_prefix(name)?.trim(), *count))).collect()
    }

    /// The number of values in each histogram that starts with a name.
    fn counts(&self, name: &str) -> Vec<(&str, usize)> {
        let values = self.histograms.iter();
        values.filter_map(|(key, of)| Some((key.strip_prefix(name)?.trim(), of.len()))).collect()
    }
}

/// Runs a test with a recorder.
macro_rules! recorded {
    ($snapshotter:ident) => {
        let recorder = DebuggingRecorder::new();
        let $snapshotter = recorder.snapshotter();
        let _guard = set_default_local_recorder(&recorder);
        metrics::describe();
    };
}

#[tokio::test(start_paused = true)]
async fn each_request_is_counted_once_by_what_was_decided() {
    recorded!(snapshotter);
    let script = |steps: Vec<Step>| delivery_of(b"{}", ScriptBody::new(steps));
    let unsigned =
        |method| Request::builder().method(method).uri("/").body(Full::<Bytes>::default()).unwrap();
    let mut malformed = unsigned(Method::POST);
    malformed.headers_mut().insert(SIGNATURE_HEADER, "t=".parse().unwrap());
    let stale = signer().at(at(NOW - 3_600_000)).sign("{}").into_request::<Full<Bytes>, _>("/");
    let kinds = [
        send(&layer(), script(vec![Step::Error])).await.kind(),
        send(&layer(), script(vec![Step::Hang])).await.kind(),
        send(&layer().body_limit(1), delivery::<Full<Bytes>>("{}")).await.kind(),
        send(&layer(), delivery::<Full<Bytes>>("{}")).await.kind(),
        send(&layer(), malformed).await.kind(),
        send(&layer(), unsigned(Method::GET)).await.kind(),
        send(&layer(), unsigned(Method::POST)).await.kind(),
        send(&layer(), script(vec![Step::Data("forged".into())])).await.kind(),
        send(&layer(), stale.unwrap()).await.kind(),
    ];
    let recorded = Recorded::take(&snapshotter);
    let mut expected = kinds.map(|kind: RejectionKind| (kind.as_str(), 1));
    expected.sort_unstable();
    assert_eq!(recorded.counters(metrics::REQUESTS_TOTAL), expected);
    assert_eq!(recorded.counts(metrics::DURATION), [("rejected", 9)]);
    // Of the genuine body that is not an event.
    assert_eq!(recorded.counts(metrics::SIGNATURE_AGE), [("", 1)]);
    // The deadline of the body.
    let longest = recorded.histograms["workos_webhook_duration_seconds rejected"].iter();
    assert!((10.0..11.0).contains(&longest.copied().fold(0.0, f64::max)));

    send(&layer(), delivery::<Full<Bytes>>(sample::USER_CREATED)).await.event();
    let layer = layer();
    let dropped = send(&layer, script(vec![Step::Hang]));
    assert!(timeout(Duration::from_secs(3), dropped).await.is_err());
    let recorded = Recorded::take(&snapshotter);
    assert_eq!(recorded.counters(metrics::REQUESTS_TOTAL), [("accepted", 1), ("cancelled", 1)]);
    assert_eq!(recorded.counts(metrics::DURATION), [("cancelled", 1), ("success", 1)]);
    assert_eq!(recorded.counts(metrics::SIGNATURE_AGE), [("", 1)]);
    let cancelled = recorded.histograms["workos_webhook_duration_seconds cancelled"][0];
    assert!((3.0..3.1).contains(&cancelled), "{cancelled}");
}

/// What the handler does.
#[derive(Clone, Copy)]
enum Handler {
    Error,
    Hang,
    Panic,
    PanicInCall,
    Respond(u16),
}

/// Sends an event through the layer to a handler.
async fn handle(handler: Handler) {
    let service = layer().layer(service_fn(move |_: Request<VerifiedBody>| {
        assert!(!matches!(handler, Handler::PanicInCall), "in `call`");
        async move {
            // Not ready at the first poll.
            tokio::task::yield_now().await;
            let mut response = Response::new(Full::<Bytes>::default());
            match handler {
                Handler::Error => return Err(io::Error::other("of the handler")),
                Handler::Hang => std::future::pending().await,
                Handler::Respond(status) => {
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                }
                Handler::Panic | Handler::PanicInCall => panic!("in `poll`"),
            }
            Ok(response)
        }
    }));
    let response = service.oneshot(delivery::<Full<Bytes>>(sample::USER_CREATED));
    // A task catches the panic. It runs on this thread.
    let task = tokio::spawn(timeout(Duration::from_secs(5), response));
    drop(task.await);
}

#[tokio::test(start_paused = true)]
async fn the_duration_has_the_outcome_of_the_handler() {
    recorded!(snapshotter);
    for (handler, expected) in [
        (Handler::Respond(200), "success"),
        (Handler::Respond(299), "success"),
        (Handler::Respond(304), "failure"),
        (Handler::Respond(503), "failure"),
        (Handler::Error, "failure"),
        (Handler::Panic, "failure"),
        (Handler::PanicInCall, "failure"),
        (Handler::Hang, "cancelled"),
    ] {
        handle(handler).await;
        let recorded = Recorded::take(&snapshotter);
        assert_eq!(recorded.counters(metrics::REQUESTS_TOTAL), [("accepted", 1)]);
        assert_eq!(recorded.counts(metrics::DURATION), [(expected, 1)]);
    }
}

/// The recorder runs while the handler's panic unwinds, and a future that is dropped later must not count twice.
#[tokio::test]
async fn a_response_whose_future_is_kept_counts_once() {
    recorded!(snapshotter);
    let service = layer().layer(service_fn(async |_: Request<VerifiedBody>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let mut future = Box::pin(service.oneshot(delivery::<Full<Bytes>>(sample::USER_CREATED)));
    assert_eq!(future.as_mut().await.unwrap().status(), 200);
    assert_eq!(Recorded::take(&snapshotter).counts(metrics::DURATION), [("success", 1)]);
    drop(future);
    assert_eq!(Recorded::take(&snapshotter).counts(metrics::DURATION), []);
}

#[tokio::test]
async fn the_age_of_a_signature_is_in_seconds_by_the_verifiers_clock() {
    recorded!(snapshotter);
    for (age, expected) in [(42_500, 42.5), (0, 0.0), (-60_000, 0.0)] {
        let verifier = Verifier::new(secret()).clock(ManualClock::new(at(NOW)));
        let delivery = Signer::new(secret()).at(at(NOW - age)).sign(sample::USER_CREATED);
        let request = delivery.into_request::<Full<Bytes>, _>("/").unwrap();
        send(&VerifyWebhookLayer::new(verifier), request).await.event();
        let recorded = Recorded::take(&snapshotter);
        assert_eq!(recorded.histograms[metrics::SIGNATURE_AGE], [expected]);
    }
}

#[tokio::test]
async fn deliveries_to_a_tonic_server_are_counted() {
    recorded!(snapshotter);
    let grpc = GrpcWebhookLayer::new("/webhooks/workos", layer())
        .dedupe(DedupeLayer::new("workos", MemoryStore::default()));
    let service = grpc.layer(service_fn(async |_: Request<tonic::body::Body>| {
        let mut response = Response::new(tonic::body::Body::empty());
        response.headers_mut().insert("grpc-status", "14".parse().unwrap());
        Ok::<_, Infallible>(response)
    }));
    let request = delivery::<Full<Bytes>>(sample::USER_CREATED);
    assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 503);
    let recorded = Recorded::take(&snapshotter);
    assert_eq!(recorded.counters(metrics::REQUESTS_TOTAL), [("accepted", 1)]);
    assert_eq!(recorded.counts(metrics::DURATION), [("failure", 1)]);
    assert_eq!(recorded.counters(metrics::DEDUPE_TOTAL), [("Released", 1)]);

    // A call that passes through is none of this crate's requests.
    let call = Request::post("/other.Service/Call").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(service.oneshot(call).await.unwrap().status(), 200);
    let recorded = Recorded::take(&snapshotter);
    assert!(recorded.counters.is_empty() && recorded.histograms.is_empty());
}

/// An event's request through the deduplication, to a handler that returns this status.
async fn dedupe<St: DedupeStore>(layer: &DedupeLayer<St>, status: u16) -> DedupeOutcome {
    outcomes::send(layer, outcomes::request(true), status).await.1
}

#[tokio::test]
async fn each_event_is_counted_once_by_what_the_deduplication_did() {
    recorded!(snapshotter);
    let memory = || DedupeLayer::new("workos", MemoryStore::default());
    let mut seen = Vec::new();
    let (done, pass) = (memory(), DedupeLayer::new("workos", Broken));
    for status in [404, 201, 201] {
        seen.push(dedupe(&done, status).await);
    }
    seen.push(outcomes::send(&memory(), outcomes::request(false), 200).await.1);
    seen.push(dedupe(&pass, 200).await);
    seen.push(dedupe(&pass.on_store_error(OnStoreError::Pass), 200).await);

    // Never completed by the handler, although it promised to; handled for longer than the lease; in progress.
    let handler = |late: bool| {
        service_fn(move |request: Request<()>| async move {
            if late {
                tokio::time::sleep(Duration::from_millis(150)).await;
            } else {
                request.extensions().get::<Claimed<MemoryStore>>().unwrap().complete_by_handler();
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        })
    };
    let late = memory().lease(Duration::from_millis(100));
    for service in [memory().layer(handler(false)), late.layer(handler(true))] {
        let response = service.oneshot(outcomes::request(true)).await.unwrap();
        seen.push(*response.extensions().get().unwrap());
    }
    let busy = memory();
    let mut first = Box::pin(busy.layer(handler(true)).oneshot(outcomes::request(true)));
    assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
    seen.push(dedupe(&busy, 200).await);
    drop(first);

    let mut expected: Vec<_> = seen.iter().map(|outcome| (outcome.as_str(), 1)).collect();
    expected.push(("cancelled", 1));
    expected.sort_unstable();
    let recorded = Recorded::take(&snapshotter);
    assert_eq!(recorded.counters(metrics::DEDUPE_TOTAL), expected);
    assert_eq!(expected.len(), 10);

    // A gRPC call without an event is for another service.
    let mut call = outcomes::request(false);
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let other = memory().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    assert_eq!(other.oneshot(call).await.unwrap().status(), 200);
    assert_eq!(Recorded::take(&snapshotter).counters(metrics::DEDUPE_TOTAL), []);

    let panics = memory().layer(service_fn(async |request: Request<()>| {
        tokio::task::yield_now().await;
        assert_ne!(request.uri(), "/", "in `poll`");
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    tokio::spawn(panics.oneshot(outcomes::request(true))).await.unwrap_err();
    let recorded = Recorded::take(&snapshotter);
    assert_eq!(recorded.counters(metrics::DEDUPE_TOTAL), [("Released", 1)]);
}

#[tokio::test(start_paused = true)]
async fn each_call_of_the_store_is_measured_once() {
    recorded!(snapshotter);
    let take = || {
        let histograms = Recorded::take(&snapshotter).histograms;
        let of = |(name, of): (&String, &Vec<f64>)| {
            let operation = name.strip_prefix(metrics::STORE_DURATION)?.trim().to_owned();
            // Rounded, because tokio's clock has milliseconds.
            Some((operation, of.iter().map(|seconds| seconds.round()).collect::<Vec<_>>()))
        };
        histograms.iter().filter_map(of).collect::<Vec<_>>()
    };
    let expected = |of: &[(&str, &[f64])]| {
        of.iter().map(|(name, of)| ((*name).to_owned(), of.to_vec())).collect::<Vec<_>>()
    };
    let lease = Duration::from_secs(30);
    let layer = |claim, complete, release| {
        DedupeLayer::new("workos", hanging(claim, complete, release)).lease(lease)
    };

    dedupe(&layer(false, false, false), 200).await;
    assert_eq!(take(), expected(&[("claim", &[0.0]), ("complete", &[0.0])]));
    dedupe(&layer(false, false, false), 500).await;
    assert_eq!(take(), expected(&[("claim", &[0.0]), ("release", &[0.0])]));

    // The time-out of 2 s is the duration, although the call continues in the background until the lease expires.
    for (layer, status, durations) in [
        (layer(true, false, false), 200, expected(&[("claim", &[2.0])])),
        (layer(false, true, false), 200, expected(&[("claim", &[0.0]), ("complete", &[2.0])])),
        (layer(false, false, true), 500, expected(&[("claim", &[0.0]), ("release", &[2.0])])),
    ] {
        dedupe(&layer, status).await;
        assert_eq!(take(), durations);
        layer.idle().await;
        assert_eq!(take(), []);
    }

    // A request that is dropped after 1 s: its call ends with the lease.
    for (layer, status, operation) in [
        (layer(true, false, false), 200, "claim"),
        (layer(false, true, false), 200, "complete"),
        (layer(false, false, true), 500, "release"),
    ] {
        let dropped = dedupe(&layer, status);
        assert!(timeout(Duration::from_secs(1), dropped).await.is_err());
        layer.idle().await;
        assert!(take().contains(&(operation.to_owned(), vec![31.0])), "{operation}");
    }

    let layer = layer(false, false, false);
    let hangs = layer.layer(service_fn(async |_: Request<()>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    }));
    let dropped = hangs.oneshot(outcomes::request(true));
    assert!(timeout(Duration::from_secs(1), dropped).await.is_err());
    layer.idle().await;
    assert_eq!(take(), expected(&[("claim", &[0.0]), ("release", &[0.0])]));

    let service = layer.layer(service_fn(async |request: Request<()>| {
        request.extensions().get::<Claimed<Hanging>>().unwrap().complete_by_handler();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    assert_eq!(service.oneshot(outcomes::request(true)).await.unwrap().status(), 503);
    layer.idle().await;
    let durations = [("claim", &[0.0][..]), ("confirm", &[0.0]), ("release", &[0.0])];
    assert_eq!(take(), expected(&durations));
}

#[test]
fn the_names_are_those_that_are_described() {
    recorded!(snapshotter);
    let described = snapshotter.snapshot().into_vec();
    assert!(described.is_empty(), "a description alone is not a value");
    let names = [
        metrics::REQUESTS_TOTAL,
        metrics::DURATION,
        metrics::SIGNATURE_AGE,
        metrics::DEDUPE_TOTAL,
        metrics::STORE_DURATION,
    ];
    assert_eq!(
        names,
        [
            "workos_webhook_requests_total",
            "workos_webhook_duration_seconds",
            "workos_webhook_signature_age_seconds",
            "workos_dedupe_total",
            "workos_store_duration_seconds",
        ]
    );
}
