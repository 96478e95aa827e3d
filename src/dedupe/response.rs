//! What the middleware answers by itself, and what it logs.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::dedupe::{ResponseBody, StoreError};

/// Why the handler's own answer is not the response.
pub(super) enum Cause {
    Done,
    InFlight(Duration),
    Misplaced,
    Stale,
    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "only the log reads it"))]
    Store(StoreError),
}

pub(super) fn own<B>(cause: Cause) -> Response<ResponseBody<B>> {
    #[cfg(feature = "tracing")]
    log(&cause);
    let (status, body) = match &cause {
        Cause::Done => (StatusCode::OK, ""),
        Cause::InFlight(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"type":"about:blank","title":"Event in progress","status":503,"detail":"This event is being handled. Send it again."}"#,
        ),
        Cause::Misplaced => (
            StatusCode::INTERNAL_SERVER_ERROR,
            r#"{"type":"about:blank","title":"Misplaced middleware","status":500,"detail":"There is no DirectoryEvent in the request: put DedupeLayer inside of DirectorySyncLayer."}"#,
        ),
        Cause::Stale | Cause::Store(_) => (
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
    if let Cause::InFlight(retry_after) = cause {
        // Whole seconds, never 0: RFC 9110, section 10.2.3.
        let seconds =
            retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0)).max(1);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

#[cfg(feature = "tracing")]
fn log(cause: &Cause) {
    match cause {
        Cause::Done => {
            tracing::debug!(target: "tower_workos::dedupe", "duplicate of a handled event; answered 200")
        }
        Cause::InFlight(retry_after) => tracing::debug!(
            target: "tower_workos::dedupe",
            ?retry_after,
            "duplicate of an event in flight; answered 503"
        ),
        Cause::Misplaced => tracing::error!(
            target: "tower_workos::dedupe",
            mend = "put DedupeLayer inside of DirectorySyncLayer",
            "no DirectoryEvent in the request; answered 500"
        ),
        Cause::Stale => tracing::warn!(
            target: "tower_workos::dedupe",
            mend = "make the lease longer than the handler takes",
            "the lease ended before the handler did; answered 503"
        ),
        Cause::Store(error) => {
            tracing::error!(target: "tower_workos::dedupe", %error, "answered 503")
        }
    }
}

/// The store failed, and the event is handled all the same.
pub(super) fn log_passed(error: &StoreError) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "tower_workos::dedupe", %error, "the event is handled without being remembered");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// The store failed to release; the lease will.
pub(super) fn log_unreleased(error: &StoreError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_workos::dedupe", %error, "not released; a redelivery waits for the lease");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(cause: Cause) -> Response<ResponseBody<Bytes>> {
        super::own(cause)
    }

    #[test]
    fn retry_after_is_in_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (2000, "2")] {
            let response = own(Cause::InFlight(Duration::from_millis(millis)));
            assert_eq!(response.headers()[RETRY_AFTER], seconds, "{millis} ms");
        }
        assert!(!own(Cause::Stale).headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn only_problems_have_a_content_type() {
        assert!(own(Cause::Done).headers().is_empty());
        for cause in [Cause::Misplaced, Cause::Stale, Cause::Store(StoreError::full())] {
            assert_eq!(own(cause).headers()[CONTENT_TYPE], "application/problem+json");
        }
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn what_is_not_the_handlers_answer_is_logged() {
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
            for cause in [
                Cause::Done,
                Cause::InFlight(Duration::from_secs(1)),
                Cause::Misplaced,
                Cause::Stale,
                Cause::Store(StoreError::full()),
            ] {
                own(cause);
            }
            log_passed(&StoreError::full());
            log_unreleased(&StoreError::full());
        });
        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let levels: Vec<&str> =
            log.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
        assert_eq!(levels, ["DEBUG", "DEBUG", "ERROR", "WARN", "ERROR", "ERROR", "WARN"], "{log}");
        assert!(log.lines().all(|line| line.contains("tower_workos::dedupe:")), "{log}");
    }
}
