//! The one place that maps a rejection to HTTP.

use std::{iter, sync::LazyLock};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE},
};

use crate::{
    Rejection, RejectionKind,
    verify::{ResponseBody, layer::Config},
};
#[cfg(feature = "tracing")]
use crate::{
    event::Excerpt,
    verify::log::{REJECTION, some},
};

/// Headers ready to be cloned, which takes half as long as to insert them.
static METHOD_NOT_ALLOWED: LazyLock<HeaderMap> = LazyLock::new(|| headers([(ALLOW, "POST")]));
static UNAUTHORIZED: LazyLock<HeaderMap> =
    LazyLock::new(|| headers([(WWW_AUTHENTICATE, "WorkOS-Signature")]));
static OTHER: LazyLock<HeaderMap> = LazyLock::new(|| headers([]));

fn headers<const N: usize>(more: [(HeaderName, &'static str); N]) -> HeaderMap {
    let problem = (CONTENT_TYPE, "application/problem+json");
    let all = iter::once(problem).chain(more);
    all.map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

impl Rejection {
    /// The response that answers a rejected request: RFC 9457 `application/problem+json` with a text fixed
    /// for each kind, and `Allow` or `WWW-Authenticate` where RFC 9110 asks for them.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from_static(problem(self.kind()).as_bytes()));
        *response.status_mut() = self.status();
        *response.headers_mut() = match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => METHOD_NOT_ALLOWED.clone(),
            StatusCode::UNAUTHORIZED => UNAUTHORIZED.clone(),
            _ => OTHER.clone(),
        };
        response
    }
}

impl Config {
    /// Logs a rejection and makes the response for it.
    pub(super) fn reject<B>(&self, rejection: Rejection) -> Response<ResponseBody<B>> {
        #[cfg(feature = "tracing")]
        if rejection.kind() == RejectionKind::MethodNotAllowed {
            self.log.method_not_allowed(&rejection);
        } else if let Some(suppressed) = self.log.admit(rejection.kind()) {
            let unreadable = rejection.unreadable_event();
            tracing::warn!(
                target: REJECTION,
                kind = rejection.kind().as_str(),
                status = rejection.status().as_u16(),
                event_id = unreadable.and_then(|event| event.id()).map(|id| tracing::field::display(Excerpt(id.as_str()))),
                event_name = unreadable.and_then(|event| event.name()).map(|name| tracing::field::display(Excerpt(name))),
                reason = %rejection,
                hint = rejection.hint(),
                suppressed = some(suppressed),
                "request rejected"
            );
        }
        let response = match &self.rejection_response {
            Some(custom) => custom(&rejection),
            None => rejection.to_response(),
        };
        let mut response = response.map(ResponseBody::own);
        response.extensions_mut().insert(rejection);
        response
    }
}

/// A problem document. Its `type` is the page that explains the kind.
macro_rules! problem {
    ($kind:literal, $status:literal, $title:literal, $detail:literal) => {
        concat!(
            r#"{"type":"https://docs.rs/tower-workos/latest/tower_workos/enum.RejectionKind.html#variant."#,
            $kind,
            r#"","title":""#,
            $title,
            r#"","status":"#,
            $status,
            r#","detail":""#,
            $detail,
            r#""}"#
        )
    };
}

fn problem(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::BodyRead => problem!(
            "BodyRead",
            "400",
            "Unreadable body",
            "The request body broke off. Send the delivery again."
        ),
        RejectionKind::BodyTimeout => problem!(
            "BodyTimeout",
            "408",
            "Body too slow",
            "The request body did not arrive in time. Send the delivery again."
        ),
        RejectionKind::BodyTooLarge => problem!(
            "BodyTooLarge",
            "413",
            "Body too large",
            "The request body is larger than this endpoint accepts."
        ),
        RejectionKind::InvalidPayload => problem!(
            "InvalidPayload",
            "422",
            "Unreadable event",
            "The signature is genuine, but the body is not an event that this endpoint can read. Keep the event and send it again."
        ),
        RejectionKind::MalformedSignature => problem!(
            "MalformedSignature",
            "400",
            "Malformed signature",
            "The workos-signature header must occur once, as t=<time>, v1=<64 hex digits>."
        ),
        RejectionKind::MethodNotAllowed => problem!(
            "MethodNotAllowed",
            "405",
            "Method not allowed",
            "This endpoint accepts webhook deliveries by POST only."
        ),
        RejectionKind::MissingSignature => problem!(
            "MissingSignature",
            "401",
            "Missing signature",
            "The request has no workos-signature header."
        ),
        RejectionKind::SignatureMismatch => problem!(
            "SignatureMismatch",
            "401",
            "Signature mismatch",
            "No signature in the workos-signature header matches the request body and this endpoint's secret."
        ),
        RejectionKind::TimestampOutsideTolerance => problem!(
            "TimestampOutsideTolerance",
            "401",
            "Stale signature",
            "The time in the workos-signature header is too far from this endpoint's clock."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_json_and_say_their_status() {
        for kind in [
            RejectionKind::BodyRead,
            RejectionKind::BodyTimeout,
            RejectionKind::BodyTooLarge,
            RejectionKind::InvalidPayload,
            RejectionKind::MalformedSignature,
            RejectionKind::MethodNotAllowed,
            RejectionKind::MissingSignature,
            RejectionKind::SignatureMismatch,
            RejectionKind::TimestampOutsideTolerance,
        ] {
            let response = Rejection::new(kind).to_response();
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body["status"], response.status().as_u16());
            assert_eq!(response.status(), kind.status());
            assert!(body["type"].as_str().unwrap().ends_with(&format!("#variant.{kind}")));
            assert!(body["title"].is_string() && body["detail"].is_string());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), kind.status() == 401);
            assert_eq!(response.headers().contains_key(ALLOW), kind.status() == 405);
            assert!(!kind.hint().is_empty());
        }
    }
}
