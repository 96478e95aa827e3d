//! [`Rejection`]: the only place that maps the errors of the core to HTTP responses.

use std::{error::Error, fmt, iter, sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE},
};

use crate::{
    error::{SignatureHeaderError, VerifyError},
    event::ParseError,
};

mod problem;

/// Why a request was rejected.
///
/// The middleware puts it into the extensions of the response, so that an outer layer can count or log it. Its text
/// contains neither the secret nor any part of the body, except the id and the name of a genuine event that can't be
/// read: they are needed to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    cause: Cause,
}

/// The errors of the core, and the causes that only an HTTP request can have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    BodyRead,
    BodyTimeout(Duration),
    BodyTooLarge { limit: usize },
    MethodNotAllowed,
    SignatureHeader(SignatureHeaderError),
    Verify(VerifyError),
}

impl Rejection {
    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        match &self.cause {
            Cause::BodyRead => RejectionKind::BodyRead,
            Cause::BodyTimeout(_) => RejectionKind::BodyTimeout,
            Cause::BodyTooLarge { .. } => RejectionKind::BodyTooLarge,
            Cause::MethodNotAllowed => RejectionKind::MethodNotAllowed,
            Cause::SignatureHeader(SignatureHeaderError::Missing) => {
                RejectionKind::MissingSignature
            }
            Cause::SignatureHeader(_) => RejectionKind::MalformedSignature,
            Cause::Verify(VerifyError::Parse(_)) => RejectionKind::InvalidPayload,
            Cause::Verify(VerifyError::SignatureMismatch { .. }) => {
                RejectionKind::SignatureMismatch
            }
            Cause::Verify(
                VerifyError::TimestampInFuture { .. } | VerifyError::TimestampInPast { .. },
            ) => RejectionKind::TimestampOutsideTolerance,
        }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind().status()
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Cause::Verify(VerifyError::SignatureMismatch { body_len: 0 }) => {
                "the body was empty when it reached the verification: look for a layer or a server outside it that \
                 reads the body, and move it inside the verification"
            }
            _ => self.kind().hint(),
        }
    }

    /// The genuine body that can't be read as an event: a dead letter. It is `Some` if and only if the kind is
    /// [`RejectionKind::InvalidPayload`], so never for a body that was not verified.
    ///
    /// A retry can't help. An application that must not lose the event stores these bytes: see
    /// [`rejection_response`](crate::VerifyWebhookLayer::rejection_response).
    #[must_use]
    pub fn parse_error(&self) -> Option<&ParseError> {
        match &self.cause {
            Cause::Verify(VerifyError::Parse(error)) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn body_read() -> Self {
        Self { cause: Cause::BodyRead }
    }

    pub(crate) fn body_timeout(timeout: Duration) -> Self {
        Self { cause: Cause::BodyTimeout(timeout) }
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self { cause: Cause::BodyTooLarge { limit } }
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self { cause: Cause::MethodNotAllowed }
    }

    /// The response to a rejected request: RFC 9457 `application/problem+json` with a fixed text for each kind, and
    /// `Allow` or `WWW-Authenticate` if RFC 9110 requires them.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response =
            Response::new(Bytes::from_static(problem::problem(self.kind()).as_bytes()));
        *response.status_mut() = self.status();
        *response.headers_mut() = match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => METHOD_NOT_ALLOWED.clone(),
            StatusCode::UNAUTHORIZED => UNAUTHORIZED.clone(),
            _ => OTHER.clone(),
        };
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::BodyRead => f.write_str("the request body could not be read to its end"),
            Cause::BodyTimeout(timeout) => {
                write!(
                    f,
                    "the request body took too long to arrive: not complete after {timeout:?}"
                )
            }
            Cause::BodyTooLarge { limit } => {
                write!(f, "the request body is too large: the limit is {limit} bytes")
            }
            Cause::MethodNotAllowed => f.write_str("the request method is not POST"),
            Cause::SignatureHeader(error) => error.fmt(f),
            Cause::Verify(VerifyError::Parse(error)) => {
                write!(f, "the signed body is not a readable event: {error}")
            }
            Cause::Verify(error) => error.fmt(f),
        }
    }
}

impl Error for Rejection {}

impl From<ParseError> for Rejection {
    fn from(error: ParseError) -> Self {
        VerifyError::from(error).into()
    }
}

impl From<SignatureHeaderError> for Rejection {
    fn from(error: SignatureHeaderError) -> Self {
        Self { cause: Cause::SignatureHeader(error) }
    }
}

impl From<VerifyError> for Rejection {
    fn from(error: VerifyError) -> Self {
        Self { cause: Cause::Verify(error) }
    }
}

/// The kinds of [`Rejection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The body ended early or could not be read: 400.
    BodyRead,
    /// The body did not arrive completely within the body time-out: 408.
    BodyTimeout,
    /// The body, or its declared length, is over the limit: 413.
    BodyTooLarge,
    /// The signature is genuine, but the body isn't JSON, or lacks the id or the name of the event, or the id of an
    /// object that it is about: 422. [`Rejection::parse_error`] has the bytes, and what could be read of them.
    InvalidPayload,
    /// The `workos-signature` header is malformed, or occurs more than once: 400.
    MalformedSignature,
    /// The method is not `POST`: 405.
    MethodNotAllowed,
    /// There is no `workos-signature` header: 401.
    MissingSignature,
    /// No signature in the header was made with a known secret over this body: 401.
    SignatureMismatch,
    /// The signature's time is too far from now, in either direction: 401.
    TimestampOutsideTolerance,
}

impl RejectionKind {
    /// The status of the response to a request that is rejected for this reason.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BodyRead | Self::MalformedSignature => StatusCode::BAD_REQUEST,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InvalidPayload => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::MissingSignature | Self::SignatureMismatch | Self::TimestampOutsideTolerance => {
                StatusCode::UNAUTHORIZED
            }
        }
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::BodyRead => {
                "the sender or a proxy closed the connection before the body ended: compare this server's and the proxy's time-outs; \
                 WorkOS sends the event again"
            }
            Self::BodyTimeout => {
                "look for a slow proxy in front of this server, or raise `body_timeout`; WorkOS sends the \
                 event again"
            }
            Self::BodyTooLarge => "raise `body_limit` if genuine events are this large",
            Self::InvalidPayload => {
                "keep the body (`Rejection::parse_error`): WorkOS stops sending it after some days; compare \
                 the event in the WorkOS dashboard with the API reference and update tower-workos"
            }
            Self::MalformedSignature => {
                "check that no proxy rewrites, joins or repeats the `workos-signature` header"
            }
            Self::MethodNotAllowed => {
                "send deliveries with POST; check the endpoint's URL in the dashboard"
            }
            Self::MissingSignature => {
                "ignore this if the request is not from WorkOS; otherwise check that the proxy forwards `workos-signature`"
            }
            Self::SignatureMismatch => {
                "check that this endpoint's own secret is configured and that nothing in front of this \
                 server changes the body"
            }
            Self::TimestampOutsideTolerance => {
                "check this machine's clock; if genuine retries are rejected, raise the tolerance and \
                 remember event ids (see the crate docs on retries)"
            }
        }
    }

    /// The variant's name, a stable identifier for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BodyRead => "BodyRead",
            Self::BodyTimeout => "BodyTimeout",
            Self::BodyTooLarge => "BodyTooLarge",
            Self::InvalidPayload => "InvalidPayload",
            Self::MalformedSignature => "MalformedSignature",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::MissingSignature => "MissingSignature",
            Self::SignatureMismatch => "SignatureMismatch",
            Self::TimestampOutsideTolerance => "TimestampOutsideTolerance",
        }
    }
}

impl fmt::Display for RejectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A response clones one of these maps, which takes half as long as inserting the headers.
static METHOD_NOT_ALLOWED: LazyLock<HeaderMap> = LazyLock::new(|| headers([(ALLOW, "POST")]));
static UNAUTHORIZED: LazyLock<HeaderMap> =
    LazyLock::new(|| headers([(WWW_AUTHENTICATE, "WorkOS-Signature")]));
static OTHER: LazyLock<HeaderMap> = LazyLock::new(|| headers([]));

fn headers<const N: usize>(more: [(HeaderName, &'static str); N]) -> HeaderMap {
    let problem = (CONTENT_TYPE, "application/problem+json");
    let all = iter::once(problem).chain(more);
    all.map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_each_kind() -> Vec<Rejection> {
        let second = Duration::from_secs(1);
        let parse = crate::event::DirectoryEvent::parse(Bytes::from_static(b"[]")).unwrap_err();
        vec![
            Rejection::body_read(),
            Rejection::body_timeout(second),
            Rejection::body_too_large(7),
            VerifyError::from(parse).into(),
            SignatureHeaderError::InvalidTime.into(),
            Rejection::method_not_allowed(),
            SignatureHeaderError::Missing.into(),
            VerifyError::SignatureMismatch { body_len: 1 }.into(),
            VerifyError::TimestampInFuture { ahead: second, tolerance: second }.into(),
            VerifyError::TimestampInPast { age: second, tolerance: second }.into(),
        ]
    }

    #[test]
    fn problems_are_json_and_say_their_status() {
        for rejection in of_each_kind() {
            let (kind, response) = (rejection.kind(), rejection.to_response());
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body["status"], response.status().as_u16());
            assert_eq!(response.status(), kind.status());
            assert!(body["type"].as_str().unwrap().ends_with(&format!("#variant.{kind}")));
            assert!(body["title"].is_string() && body["detail"].is_string());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), kind.status() == 401);
            assert_eq!(response.headers().contains_key(ALLOW), kind.status() == 405);
            assert!(!kind.hint().is_empty());
            assert_eq!(rejection.parse_error().is_some(), kind == RejectionKind::InvalidPayload);
        }
    }

    #[test]
    fn texts_contain_numbers_with_units() {
        let texts: Vec<String> = of_each_kind().iter().map(Rejection::to_string).collect();
        assert_eq!(
            texts,
            [
                "the request body could not be read to its end",
                "the request body took too long to arrive: not complete after 1s",
                "the request body is too large: the limit is 7 bytes",
                "the signed body is not a readable event: the body is not a JSON object",
                "the workos-signature header is malformed: `t` is not 1 to 16 digits",
                "the request method is not POST",
                "the workos-signature header is missing",
                "no signature matches the body of 1 byte",
                "the signature's time is outside the tolerance: issued 1s ahead of this machine's clock, tolerance 1s",
                "the signature's time is outside the tolerance: issued 1s ago, tolerance 1s",
            ]
        );
    }
}
