//! The responses of the endpoint and the layer.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::error::{MirrorError, MirrorErrorKind};

const OVERLOADED: &str = r#"{"type":"https://docs.rs/tower-workos-mirror/latest/tower_workos_mirror/enum.MirrorErrorKind.html#variant.Overloaded","title":"Overloaded","status":503,"detail":"Too many deliveries are waiting. Send the delivery again later."}"#;
const UNAVAILABLE: &str = r#"{"type":"https://docs.rs/tower-workos-mirror/latest/tower_workos_mirror/enum.MirrorErrorKind.html#variant.Database","title":"Not stored","status":503,"detail":"The event could not be stored. Send the delivery again later."}"#;
const MISSING_EVENT: &str = r#"{"type":"https://docs.rs/tower-workos-mirror/latest/tower_workos_mirror/struct.MirrorLayer.html","title":"Missing event","status":500,"detail":"The request has no DirectoryEvent in its extensions. Add a VerifyWebhookLayer outside the MirrorLayer."}"#;

/// In seconds.
const RETRY: HeaderValue = HeaderValue::from_static("5");

/// Returns 503: the event was not stored, so WorkOS has to send it again.
pub(crate) fn unavailable(kind: MirrorErrorKind) -> Response<Bytes> {
    let problem = if kind == MirrorErrorKind::Overloaded { OVERLOADED } else { UNAVAILABLE };
    let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, problem);
    response.headers_mut().insert(RETRY_AFTER, RETRY);
    response.extensions_mut().insert(kind);
    response
}

/// Returns 500: a layer is missing.
pub(crate) fn missing_event() -> Response<Bytes> {
    tracing::error!(
        target: "tower_workos_mirror::webhook",
        hint = "add a VerifyWebhookLayer outside the MirrorLayer",
        "a request has no DirectoryEvent in its extensions"
    );
    respond(StatusCode::INTERNAL_SERVER_ERROR, MISSING_EVENT)
}

fn respond(status: StatusCode, problem: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(problem.as_bytes()));
    *response.status_mut() = status;
    let problem = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, problem);
    response
}

/// Logs that something was not stored.
pub(crate) fn log_failure(id: Option<&str>, name: Option<&str>, error: &MirrorError) {
    tracing::warn!(
        target: "tower_workos_mirror::webhook",
        event_id = id.map(excerpt), event_name = name.map(excerpt), error = error.without_payload(),
        "the event was not stored: responded with 503"
    );
}

/// Logs that something was kept as a dead letter.
pub(crate) fn log_dead_letter(id: Option<&str>, name: Option<&str>) {
    tracing::warn!(
        target: "tower_workos_mirror::webhook",
        event_id = id.map(excerpt), event_name = name.map(excerpt),
        "the event can't be applied: kept as a dead letter"
    );
}

/// Makes text from a body safe to log: escaped and truncated.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
