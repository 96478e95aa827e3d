//! What is logged: levels, fields and limits.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use tower_workos::{RejectionKind, SIGNATURE_HEADER, testing::sample};
use tracing_subscriber::{filter::LevelFilter, util::SubscriberInitExt as _};

use crate::support::{delivery, delivery_of, layer, send};

/// The lines of this crate's targets.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Runs a future on this thread and collects its lines.
    pub fn of(&self, level: LevelFilter, work: impl Future<Output = ()>) {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(level)
            .with_writer(move || log.clone())
            .finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _here = subscriber.set_default();
        runtime.block_on(work);
    }

    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(" tower_workos::")).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A genuine delivery.
fn full(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    delivery(body)
}

/// A rejection that anybody can cause.
fn unsigned() -> Request<Full<Bytes>> {
    Request::post("/").body(Full::default()).unwrap()
}

/// The count in a line's field `suppressed`, or 0.
pub fn suppressed(line: &str) -> usize {
    line.split_once(" suppressed=")
        .map_or(0, |(_, count)| count.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_mismatch_reports_the_length_of_the_body() {
    let log = Log::default();
    log.of(LevelFilter::WARN, async {
        for (body, reason, hint) in [
            ("", "the body of 0 bytes", "the body was empty when it reached the verification"),
            ("x", "the body of 1 byte", "check that this endpoint's own secret"),
            ("forged", "the body of 6 bytes", "check that this endpoint's own secret"),
        ] {
            let request = delivery_of(b"genuine", Full::<Bytes>::from(body));
            let outcome = send(&layer(), request).await;
            assert_eq!(outcome.kind(), RejectionKind::SignatureMismatch);
            let rejection = outcome.rejection.unwrap();
            assert_eq!(rejection.to_string(), format!("no signature matches {reason}"));
            assert!(rejection.hint().starts_with(hint), "{}", rejection.hint());
        }
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("reason=no signature matches the body of 0 bytes"));
    assert!(lines[0].contains("look for a layer or a server outside it that reads the body"));
}

#[test]
fn a_whole_body_and_its_pieces_count_alike() {
    let header = crate::support::signer().sign("genuine").signature().parse().unwrap();
    let verifier = crate::support::verifier();
    let mut verification = verifier.begin(&header).unwrap();
    for piece in ["for", "", "ged"] {
        verification.update(piece.as_bytes());
    }
    let rejection = verification.finish().unwrap_err();
    assert_eq!(rejection, verifier.verify(&header, b"forged").unwrap_err());
    assert_eq!(rejection.to_string(), "no signature matches the body of 6 bytes");
}

#[test]
fn other_methods_are_debug() {
    let get = || Request::get("/").body(Full::<Bytes>::default()).unwrap();
    for (level, expected) in [(LevelFilter::INFO, 0), (LevelFilter::DEBUG, 1)] {
        let log = Log::default();
        log.of(level, async {
            let outcome = send(&layer(), get()).await;
            assert_eq!(outcome.kind(), RejectionKind::MethodNotAllowed);
        });
        let lines = log.lines();
        assert_eq!(lines.len(), expected, "{lines:?}");
        for line in lines {
            assert!(line.contains("DEBUG tower_workos::rejection: request rejected"), "{line}");
            assert!(line.contains("kind=\"MethodNotAllowed\" status=405"), "{line}");
        }
    }
}

#[test]
fn an_accepted_event_is_logged_with_id_and_name() {
    let log = Log::default();
    let odd = r#"{"id":"event_1\nERROR forged","event":"x.y\u001b[2J","data":{}}"#;
    log.of(LevelFilter::DEBUG, async {
        send(&layer(), full(sample::USER_CREATED)).await.event();
        send(&layer(), full(odd)).await.event();
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let id = tower_workos::DirectoryEvent::parse(Bytes::from(sample::USER_CREATED)).unwrap();
    let line = format!(
        "DEBUG tower_workos::verify: event accepted event_id=\"{}\" event_name=\"dsync.user.created\"",
        id.id()
    );
    assert!(lines[0].ends_with(&line), "{}", lines[0]);
    // One line each, because text from the body is escaped.
    let line = r#"event accepted event_id="event_1\nERROR forged" event_name="x.y\u{1b}[2J""#;
    assert!(lines[1].ends_with(line), "{}", lines[1]);

    let log = Log::default();
    log.of(LevelFilter::INFO, async {
        send(&layer(), full(sample::USER_CREATED)).await.event();
    });
    assert_eq!(log.lines(), Vec::<String>::new());
}

#[test]
fn a_flood_is_bounded_and_counted() {
    let (log, begin) = (Log::default(), Instant::now());
    let layer = layer();
    log.of(LevelFilter::WARN, async {
        for _ in 0..500 {
            assert_eq!(send(&layer, unsigned()).await.kind(), RejectionKind::MissingSignature);
        }
        // Dropping the layer logs the number of suppressed lines.
        drop(layer);
    });
    let lines = log.lines();
    // Ten in each second that it took, and one for the count.
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
    assert!(lines.len() <= 10 * seconds + 1, "{} in {seconds} s", lines.len());
    let written = lines.iter().filter(|line| line.contains("request rejected")).count();
    assert_eq!(written + lines.iter().map(|line| suppressed(line)).sum::<usize>(), 500);
    let rest = |line: &&String| line.contains("rejected requests were not logged");
    assert_eq!(written + lines.iter().filter(rest).count(), lines.len(), "{lines:?}");
}

#[test]
fn a_flood_hides_no_other_kind_and_no_genuine_event() {
    let log = Log::default();
    let layer = layer();
    log.of(LevelFilter::WARN, async {
        let flood = || async {
            for _ in 0..100 {
                send(&layer, unsigned()).await;
            }
        };
        flood().await;
        // Another kind has its own limit, and its line has the count.
        let mut malformed = unsigned();
        malformed.headers_mut().insert(SIGNATURE_HEADER, "t=".parse().unwrap());
        send(&layer, malformed).await;
        // A genuine event is always logged.
        for _ in 0..50 {
            let outcome = send(&layer, full("{}")).await;
            assert_eq!(outcome.kind(), RejectionKind::InvalidPayload);
        }
        flood().await;
        // The next accepted event also logs the count, although its own line is disabled at this level.
        send(&layer, full(sample::USER_CREATED)).await.event();
        let last = log.lines().pop().unwrap();
        assert!(last.contains("rejected requests were not logged"), "{last}");
        assert!(suppressed(&last) > 0, "{last}");
    });
    let lines = log.lines();
    let count = |kind: &str| lines.iter().filter(|line| line.contains(kind)).count();
    assert_eq!(count("kind=\"InvalidPayload\""), 50);
    assert_eq!(count("kind=\"MalformedSignature\""), 1);
    let malformed = lines.iter().find(|line| line.contains("MalformedSignature")).unwrap();
    assert!(suppressed(malformed) > 0, "{malformed}");
    let told: usize = lines.iter().map(|line| suppressed(line)).sum();
    assert_eq!(count("kind=\"MissingSignature\"") + told, 200);
}

#[test]
fn clones_and_services_of_a_layer_share_the_bound() {
    let (log, begin) = (Log::default(), Instant::now());
    let layer = layer();
    log.of(LevelFilter::WARN, async {
        for _ in 0..100 {
            // `send` creates a new service each time.
            send(&layer.clone(), unsigned()).await;
        }
    });
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
    assert!(log.lines().len() <= 10 * seconds, "{} in {seconds} s", log.lines().len());
}

#[test]
fn a_disabled_line_does_not_use_up_the_limit() {
    let (silent, log) = (Log::default(), Log::default());
    let layer = layer();
    let get = || Request::builder().method(Method::GET).body(Full::<Bytes>::default()).unwrap();
    silent.of(LevelFilter::ERROR, async {
        for _ in 0..100 {
            send(&layer, unsigned()).await;
            send(&layer, get()).await;
        }
    });
    assert_eq!(silent.lines(), Vec::<String>::new());
    log.of(LevelFilter::WARN, async {
        send(&layer, unsigned()).await;
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(suppressed(&lines[0]), 0);
}

/// Such a request is not verified, so its lines are limited too.
#[test]
fn stray_deliveries_under_tonic_are_bounded() {
    use tower::{Layer as _, ServiceExt as _, service_fn};
    use tower_workos::grpc::GrpcWebhookLayer;

    let log = Log::default();
    log.of(LevelFilter::WARN, async {
        let grpc = GrpcWebhookLayer::new("/webhooks/workos", layer());
        let service = grpc.layer(service_fn(|_: Request<tonic::body::Body>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(tonic::body::Body::empty()))
        }));
        for _ in 0..1000 {
            let mut request = full("{}");
            request.headers_mut().insert(SIGNATURE_HEADER, "any".parse().unwrap());
            *request.uri_mut() = "/elsewhere".parse().unwrap();
            assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 404);
        }
    });
    let lines = log.lines();
    let stray = lines.iter().filter(|line| line.contains("tower_workos::grpc")).count();
    // Ten in each second during which the loop runs.
    assert!((10..=100).contains(&stray), "{stray}");
    assert_eq!(stray + lines.iter().map(|line| suppressed(line)).sum::<usize>(), 1000);
}
