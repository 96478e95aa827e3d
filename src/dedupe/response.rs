//! The middleware's own responses, and its log.

use std::time::Duration;
#[cfg(feature = "tracing")]
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

#[cfg(feature = "tracing")]
use crate::event::Excerpt;
use crate::{
    dedupe::{
        outcome::DedupeOutcome,
        store::{DedupeKey, StoreError},
    },
    event::DirectoryEvent,
    response_body::ResponseBody,
};

/// Why the response is not the handler's.
pub(super) enum Answer {
    Done,
    InFlight(Duration),
    LeaseExpired,
    Misplaced,
    NotCompleted,
    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "only the log reads it"))]
    StoreError(StoreError),
}

impl Answer {
    fn outcome(&self) -> DedupeOutcome {
        match self {
            Self::Done => DedupeOutcome::Duplicate,
            Self::InFlight(_) => DedupeOutcome::InFlight,
            Self::LeaseExpired => DedupeOutcome::LeaseExpired,
            Self::Misplaced => DedupeOutcome::Misplaced,
            Self::NotCompleted => DedupeOutcome::NotCompleted,
            Self::StoreError(_) => DedupeOutcome::StoreError,
        }
    }
}

/// The middleware's own response. For a gRPC call, it is the corresponding gRPC status.
pub(super) fn own<B>(
    answer: Answer,
    event: Option<&DirectoryEvent>,
    is_grpc: bool,
) -> Response<ResponseBody<B>> {
    log(&answer, event);
    let outcome = answer.outcome();
    let mut response = if is_grpc { grpc(outcome) } else { plain(&answer) };
    response.extensions_mut().insert(outcome);
    response
}

fn plain<B>(answer: &Answer) -> Response<ResponseBody<B>> {
    let (status, body) = match answer {
        Answer::Done => (StatusCode::OK, ""),
        Answer::InFlight(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"type":"about:blank","title":"Event in progress","status":503,"detail":"This event is being handled. Send it again."}"#,
        ),
        Answer::Misplaced => (
            StatusCode::INTERNAL_SERVER_ERROR,
            r#"{"type":"about:blank","title":"Misplaced middleware","status":500,"detail":"There is no DirectoryEvent in the request: put DedupeLayer inside VerifyWebhookLayer. In axum, add both with one ServiceBuilder, VerifyWebhookLayer first: of two route_layer calls, the last is the outermost."}"#,
        ),
        Answer::LeaseExpired | Answer::NotCompleted | Answer::StoreError(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"type":"about:blank","title":"Event not recorded","status":503,"detail":"This event could not be recorded as handled. Send it again."}"#,
        ),
    };
    let mut response = Response::new(ResponseBody::own(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    if let Answer::InFlight(retry_after) = answer {
        // Whole seconds, never 0: RFC 9110, section 10.2.3.
        let seconds =
            retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0)).max(1);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// `OK` with an empty message, or `UNAVAILABLE`. The status is in the headers, where tonic's client looks first.
fn grpc<B>(outcome: DedupeOutcome) -> Response<ResponseBody<B>> {
    /// Not compressed, and 0 bytes long.
    const EMPTY_MESSAGE: &[u8] = &[0; 5];

    let (status, body) = match outcome {
        DedupeOutcome::Duplicate => ("0", Bytes::from_static(EMPTY_MESSAGE)),
        _ => ("14", Bytes::new()),
    };
    let mut response = Response::new(ResponseBody::own(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(status));
    response
}

/// Whether these are the headers of a gRPC request. Anybody can send them, so rely on them only if the request has no event.
pub(super) fn has_grpc_type(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Logs with the event's id and name.
#[cfg(feature = "tracing")]
macro_rules! log {
    ($level:ident, $event:expr, $outcome:expr, $($rest:tt)*) => {
        tracing::$level!(
            target: "tower_workos::dedupe",
            event_id = $event.map(|event| tracing::field::debug(Excerpt(event.id().as_str()))),
            event_name = $event.map(|event| tracing::field::debug(Excerpt(event.name()))),
            outcome = $outcome.as_str(),
            $($rest)*
        )
    };
}

#[cfg(not(feature = "tracing"))]
fn log(_: &Answer, _: Option<&DirectoryEvent>) {}

#[cfg(feature = "tracing")]
fn log(answer: &Answer, event: Option<&DirectoryEvent>) {
    let outcome = answer.outcome();
    match answer {
        Answer::Done => {
            log!(debug, event, outcome, "duplicate of a handled event; responded with 200")
        }
        Answer::InFlight(retry_after) => {
            log!(
                debug,
                event,
                outcome,
                ?retry_after,
                "duplicate of an event in progress; responded with 503"
            );
        }
        Answer::LeaseExpired => log!(
            warn,
            event,
            outcome,
            hint = "make the lease longer than the handler takes",
            "the lease expired before the handler succeeded; responded with 503"
        ),
        // Limited, because anybody can cause it.
        Answer::Misplaced if !a_second_has_passed() => {}
        Answer::Misplaced => log!(
            error,
            event,
            outcome,
            hint = "put DedupeLayer inside VerifyWebhookLayer (in axum, add both with one ServiceBuilder, VerifyWebhookLayer \
                first); under tonic, give it to GrpcWebhookLayer::dedupe",
            "no DirectoryEvent in the request; responded with 500"
        ),
        Answer::NotCompleted => log!(
            error,
            event,
            outcome,
            hint = "return 2xx only after the transaction given to complete_in is committed",
            "the handler returned 2xx, but its transaction is not committed; responded with 503"
        ),
        Answer::StoreError(error) => {
            log!(error, event, outcome, error = %Chain(error), "the dedupe store failed; responded with 503");
        }
    }
}

/// Whether nothing was logged about a misplaced layer in this second yet.
#[cfg(feature = "tracing")]
fn a_second_has_passed() -> bool {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    static LAST: AtomicU64 = AtomicU64::new(0);

    let second = START.elapsed().as_secs().saturating_add(1);
    LAST.fetch_max(second, Ordering::Relaxed) < second
}

/// Logs that the request was dropped before its response.
pub(super) fn log_dropped(key: &DedupeKey, during: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_workos::dedupe",
        event_id = ?Excerpt(key.id().as_str()),
        during,
        hint = "respond before the sender or a time-out outside this layer gives up",
        "the request was dropped before its response; the event is released unless it is completed"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (key, during);
}

/// Logs that the store failed and the event is handled anyway.
pub(super) fn log_passed(event: Option<&DirectoryEvent>, error: &StoreError) {
    #[cfg(feature = "tracing")]
    log!(
        error,
        event,
        DedupeOutcome::NotRecorded,
        error = %Chain(error),
        "the dedupe store failed; the event is handled without a record"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (event, error);
}

/// Logs that the store failed to release the event, which is blocked until its lease expires.
pub(super) fn log_unreleased(event: Option<&DirectoryEvent>, error: &StoreError) {
    #[cfg(feature = "tracing")]
    log!(
        warn,
        event,
        DedupeOutcome::Released,
        error = %Chain(error),
        "the event could not be released; a redelivery may have to wait until the lease expires"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (event, error);
}

/// Logs the outcome of an event whose response is the handler's.
pub(super) fn log_passed_on(outcome: DedupeOutcome, event: Option<&DirectoryEvent>) {
    #[cfg(feature = "tracing")]
    log!(
        debug,
        event,
        outcome,
        "{}",
        match outcome {
            DedupeOutcome::Completed => "handled",
            DedupeOutcome::Released => "the handler did not succeed; released",
            _ => "handled without a record",
        }
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (outcome, event);
}

/// An error and its causes, which include the driver's message.
#[cfg(feature = "tracing")]
struct Chain<'e>(&'e StoreError);

#[cfg(feature = "tracing")]
impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        let mut last = String::new();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their source.
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(answer: Answer) -> Response<ResponseBody<Bytes>> {
        super::own(answer, None, false)
    }

    #[test]
    fn retry_after_is_in_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (2000, "2")] {
            let response = own(Answer::InFlight(Duration::from_millis(millis)));
            assert_eq!(response.headers()[RETRY_AFTER], seconds, "{millis} ms");
        }
        assert!(!own(Answer::LeaseExpired).headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn only_problems_have_a_content_type() {
        assert!(own(Answer::Done).headers().is_empty());
        for answer in [
            Answer::Misplaced,
            Answer::LeaseExpired,
            Answer::NotCompleted,
            Answer::StoreError(StoreError::full()),
        ] {
            assert_eq!(own(answer).headers()[CONTENT_TYPE], "application/problem+json");
        }
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn responses_of_the_layer_are_logged() {
        use std::{
            io,
            sync::{Arc, Mutex},
        };

        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for answer in [
                Answer::Done,
                Answer::InFlight(Duration::from_secs(1)),
                Answer::LeaseExpired,
                Answer::NotCompleted,
                Answer::StoreError(StoreError::full()),
            ] {
                own(answer);
            }
            log_passed(None, &StoreError::full());
            log_unreleased(None, &StoreError::full());
        });
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let levels: Vec<&str> =
            log.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(levels, ["DEBUG", "DEBUG", "WARN", "ERROR", "ERROR", "ERROR", "WARN"], "{log}");
        assert!(log.lines().all(|line| line.contains("tower_workos::dedupe:")), "{log}");
    }
}
