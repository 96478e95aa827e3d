//! The errors: [`ConfigError`] at set-up, [`Rejection`] and its [`RejectionKind`] for a request.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use http::StatusCode;

use crate::UnreadableEvent;

/// A setting that can't be used. Returned while the application starts, never for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The secret is empty. An empty HMAC key would let anyone sign.
    EmptySecret,
    /// The environment variable of this name is not set, or is not Unicode.
    MissingVariable(String),
    /// A set of secrets has no secret in it.
    NoSecrets,
    /// The secret begins with `sk_`: it is an API key of WorkOS.
    SecretApiKey,
    /// The secret was given where the name of an environment variable belongs.
    SecretAsVariable,
    /// The secret has a character that can't be seen: a control or zero-width character, or a byte order mark.
    #[non_exhaustive]
    SecretInvisible {
        /// Which character it is, counted from 1.
        at: usize,
    },
    /// The secret is `undefined` or `null`: a script wrote down a value that it did not have.
    SecretPlaceholder,
    /// The secret is `whsec_` and nothing else.
    SecretPrefixOnly,
    /// The secret is in quotes, which `docker run --env-file` and some dashboards keep.
    SecretQuoted,
    /// The secret is a template that was not expanded, such as `${NAME}` or `$NAME`.
    SecretTemplate,
    /// The secret begins or ends with white space, for example with a file's last line break.
    SecretWhitespace,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptySecret => f.write_str(
                "the webhook secret is empty; copy it from the endpoint's page in the WorkOS dashboard",
            ),
            Self::MissingVariable(name) => write!(
                f,
                "the environment variable `{name}` is not set, or is not valid Unicode; set it to the endpoint's \
                 secret from the WorkOS dashboard"
            ),
            Self::NoSecrets => f.write_str("no webhook secret was given; give at least one"),
            Self::SecretApiKey => f.write_str(
                "the webhook secret is an API key (`sk_…`); use the secret of the webhook endpoint, from its page in the \
                 WorkOS dashboard, and replace the key if it was shown to anybody",
            ),
            Self::SecretInvisible { at } => write!(
                f,
                "character {at} of the webhook secret can't be seen (a control character, a zero-width character or a byte \
                 order mark); copy the secret again, as plain text, and save the file as UTF-8 without a byte order mark"
            ),
            Self::SecretAsVariable => f.write_str(
                "`from_env` takes the name of an environment variable, such as `WORKOS_WEBHOOK_SECRET`, and got a secret; \
                 put the secret into the variable",
            ),
            Self::SecretPlaceholder => f.write_str(
                "the webhook secret is the text `undefined` or `null`; look for the script or template that sets it from a \
                 value that does not exist",
            ),
            Self::SecretPrefixOnly => f.write_str(
                "the webhook secret is only the prefix `whsec_`; copy the whole secret from the endpoint's page in the \
                 WorkOS dashboard",
            ),
            Self::SecretQuoted => f.write_str(
                "the webhook secret is in quotes; remove them (an env file of docker takes quotes as part of the value)",
            ),
            Self::SecretTemplate => f.write_str(
                "the webhook secret is a template that was not expanded, such as `${NAME}` or `$NAME`; set the variable that \
                 it names, and check that the file is one in which variables are expanded",
            ),
            Self::SecretWhitespace => f.write_str(
                "the webhook secret begins or ends with white space; remove it (often a line break at the end)",
            ),
        }
    }
}

impl Error for ConfigError {}

/// Why a request was rejected.
///
/// It is in the extensions of the response that answers the request, so that an outer layer can
/// count or log it. Its texts hold neither the secret nor anything of the body, except the id and the name of a genuine
/// event that can't be read: without them nobody could find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    detail: Detail,
}

impl Rejection {
    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The status that answers the request.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.detail {
            Detail::Hashed(0) => {
                "the body was empty when it reached the verification: look for a layer or a server outside it that \
                 reads the body, and put that inside"
            }
            _ => self.kind.hint(),
        }
    }

    /// The genuine body that can't be read as an event: a dead letter. `Some` exactly for
    /// [`RejectionKind::InvalidPayload`], so never for a body that was not verified (or given to
    /// [`DirectoryEvent::parse`](crate::DirectoryEvent::parse)).
    ///
    /// A retry can't help. An application that must not lose the event keeps these bytes: see
    /// [`rejection_response`](crate::VerifyWebhookLayer::rejection_response).
    #[must_use]
    pub fn unreadable_event(&self) -> Option<&UnreadableEvent> {
        match &self.detail {
            Detail::Unreadable(event) => Some(event),
            _ => None,
        }
    }

    pub(crate) fn new(kind: RejectionKind) -> Self {
        Self { kind, detail: Detail::None }
    }

    pub(crate) fn malformed(what: &'static str) -> Self {
        Self { kind: RejectionKind::MalformedSignature, detail: Detail::Text(what) }
    }

    pub(crate) fn age(age: Duration, direction: Direction, tolerance: Duration) -> Self {
        Self {
            kind: RejectionKind::TimestampOutsideTolerance,
            detail: Detail::Age { age, direction, tolerance },
        }
    }

    pub(crate) fn mismatch(hashed: usize) -> Self {
        Self { kind: RejectionKind::SignatureMismatch, detail: Detail::Hashed(hashed) }
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self { kind: RejectionKind::BodyTooLarge, detail: Detail::Limit(limit) }
    }

    pub(crate) fn body_timeout(timeout: Duration) -> Self {
        Self { kind: RejectionKind::BodyTimeout, detail: Detail::Timeout(timeout) }
    }

    pub(crate) fn unreadable(event: UnreadableEvent) -> Self {
        Self { kind: RejectionKind::InvalidPayload, detail: Detail::Unreadable(Arc::new(event)) }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.reason())?;
        match &self.detail {
            Detail::None => Ok(()),
            Detail::Text(text) => write!(f, ": {text}"),
            Detail::Age { age, direction, tolerance } => {
                let relation = match direction {
                    Direction::Past => "ago",
                    Direction::Future => "ahead of this machine's clock",
                };
                write!(f, ": issued {age:?} {relation}, tolerance {tolerance:?}")
            }
            Detail::Hashed(1) => f.write_str(": 1 byte was hashed"),
            Detail::Hashed(hashed) => write!(f, ": {hashed} bytes were hashed"),
            Detail::Limit(limit) => write!(f, ": the limit is {limit} bytes"),
            Detail::Timeout(timeout) => write!(f, ": not complete after {timeout:?}"),
            Detail::Unreadable(event) => write!(f, ": {event}"),
        }
    }
}

impl Error for Rejection {}

/// The kinds of [`Rejection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The body broke off or could not be read: 400.
    BodyRead,
    /// The body did not arrive whole within the body time-out: 408.
    BodyTimeout,
    /// The body, or its declared length, is over the limit: 413.
    BodyTooLarge,
    /// The signature is genuine, but the body isn't JSON, or lacks the id or the name of the event, or the id of an object
    /// that it is about: 422. [`Rejection::unreadable_event`] has what there is.
    InvalidPayload,
    /// The `workos-signature` header is there, but can't be one: 400.
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
    /// The status that answers a request rejected for this.
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
                "the sender or a proxy gave up half-way: compare this server's and the proxy's time-outs; \
                 WorkOS sends the event again"
            }
            Self::BodyTimeout => {
                "look for a slow proxy in front of this server, or raise `body_timeout`; WorkOS sends the \
                 event again"
            }
            Self::BodyTooLarge => "raise `body_limit` if genuine events are this large",
            Self::InvalidPayload => {
                "keep the body (`Rejection::unreadable_event`): WorkOS stops sending it after some days; compare \
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

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BodyRead => "the request body could not be read to its end",
            Self::BodyTimeout => "the request body took too long to arrive",
            Self::BodyTooLarge => "the request body is too large",
            Self::InvalidPayload => "the signed body is not a readable event",
            Self::MalformedSignature => "the workos-signature header is malformed",
            Self::MethodNotAllowed => "the request method is not POST",
            Self::MissingSignature => "the workos-signature header is missing",
            Self::SignatureMismatch => "no signature matches the body",
            Self::TimestampOutsideTolerance => "the signature's time is outside the tolerance",
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

/// What a log needs beyond the kind. No text of it shows a value that came with the body, except an event's id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Detail {
    None,
    Text(&'static str),
    Age {
        age: Duration,
        direction: Direction,
        tolerance: Duration,
    },
    /// The bytes of a body that no signature matches.
    Hashed(usize),
    Limit(usize),
    Timeout(Duration),
    Unreadable(Arc<UnreadableEvent>),
}

/// On which side of now a signature's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Past,
    Future,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_numbers_and_units() {
        let rejection = Rejection::age(
            Duration::from_millis(180_001),
            Direction::Past,
            Duration::from_secs(180),
        );
        assert_eq!(
            rejection.to_string(),
            "the signature's time is outside the tolerance: issued 180.001s ago, tolerance 180s"
        );
        assert_eq!(
            Rejection::body_too_large(7).to_string(),
            "the request body is too large: the limit is 7 bytes"
        );
    }
}
