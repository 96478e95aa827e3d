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
