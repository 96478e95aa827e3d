//! The problem document (RFC 9457) of each kind.

use crate::rejection::RejectionKind;

/// A problem document (RFC 9457). Its `type` is the address of the page that explains the kind.
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

pub(super) fn problem(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::BodyRead => problem!(
            "BodyRead",
            "400",
            "Unreadable body",
            "The request body ended early. Send the delivery again."
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
            "This endpoint only accepts webhook deliveries by POST."
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
