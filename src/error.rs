//! The errors of the core. They are independent of HTTP; [`Rejection`](crate::Rejection) adds the status.

use std::{error::Error, fmt, time::Duration};

use crate::event::ParseError;

/// A setting that can't be used. Returned while the application starts, never for a request.
///
/// `Debug` shows the same text as `Display`, because a `main` that returns this error prints it with `Debug`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The secret is empty. An empty HMAC key would let anyone sign.
    EmptySecret,
    /// The environment variable of this name is not set, or is not Unicode.
    MissingVariable(String),
    /// The number of trusted proxies is 0, so the header would be the client's own.
    NoProxies,
    /// A set of secrets is empty.
    NoSecrets,
    /// The secret begins with `sk_`: it is an API key of WorkOS.
    SecretApiKey,
    /// A secret was given instead of the name of an environment variable.
    SecretAsVariable,
    /// The secret contains an invisible character: a control or zero-width character, or a byte order mark.
    #[non_exhaustive]
    SecretInvisible {
        /// The position of the character, counted from 1.
        at: usize,
    },
    /// The secret is `undefined` or `null`: a script inserted a value that does not exist.
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
            Self::NoProxies => f.write_str(
                "the number of trusted proxies is 0; without a proxy, take the client's address from the connection, because \
                 any client can send the header",
            ),
            Self::NoSecrets => f.write_str("no webhook secret was given; provide at least one"),
            Self::SecretApiKey => f.write_str(
                "the webhook secret is an API key (`sk_…`); use the secret of the webhook endpoint, from its page in the \
                 WorkOS dashboard, and replace the key if it was shown to anybody",
            ),
            Self::SecretInvisible { at } => write!(
                f,
                "character {at} of the webhook secret is invisible (a control character, a zero-width character or a byte \
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
                "the webhook secret is in quotes; remove them (`docker run --env-file` keeps quotes as part of the value)",
            ),
            Self::SecretTemplate => f.write_str(
                "the webhook secret is a template that was not expanded, such as `${NAME}` or `$NAME`; set the variable that \
                 it names, and check that the file format expands variables",
            ),
            Self::SecretWhitespace => f.write_str(
                "the webhook secret begins or ends with white space, often a line break; remove it",
            ),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigError({self})")
    }
}

impl Error for ConfigError {}

/// Why a `workos-signature` header can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureHeaderError {
    /// An element contains a control character.
    ControlCharacter,
    /// The request has more than one such header.
    DuplicateHeader,
    /// There is more than one `t`.
    DuplicateTime,
    /// An element is not `key=value`.
    InvalidElement,
    /// `t` is not 1 to 16 digits.
    InvalidTime,
    /// The request has no such header.
    Missing,
    /// There is no `v1` of 64 hex digits.
    MissingSignature,
    /// There is no `t`.
    MissingTime,
    /// The value is longer than 1024 bytes.
    TooLong,
}

impl fmt::Display for SignatureHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self {
            Self::Missing => return f.write_str("the workos-signature header is missing"),
            Self::ControlCharacter => "an element contains a control character",
            Self::DuplicateHeader => "it occurs more than once",
            Self::DuplicateTime => "`t` occurs more than once",
            Self::InvalidElement => "an element is not `key=value`",
            Self::InvalidTime => "`t` is not 1 to 16 digits",
            Self::MissingSignature => "no `v1` element of 64 hex digits",
            Self::MissingTime => "no `t` element",
            Self::TooLong => "longer than 1024 bytes",
        };
        write!(f, "the workos-signature header is malformed: {reason}")
    }
}

impl Error for SignatureHeaderError {}

/// Why a [`Verifier`](crate::Verifier) does not accept a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The body is genuine, but is not a readable event.
    ///
    /// [`Verifier::construct_event`](crate::Verifier::construct_event) returns this; [`verify`](crate::Verifier::verify) and
    /// [`Verification::finish`](crate::Verification::finish), which parse nothing, do not.
    Parse(ParseError),
    /// No signature in the header was made with a known secret over this body.
    #[non_exhaustive]
    SignatureMismatch {
        /// The length of the body in bytes. 0 often means that something else has already read the body.
        body_len: usize,
    },
    /// The signature's time is too far in the future.
    #[non_exhaustive]
    TimestampInFuture {
        /// How far it is ahead of this machine's clock.
        ahead: Duration,
        /// The [tolerance](crate::Verifier::tolerance).
        tolerance: Duration,
    },
    /// The signature's time is too far in the past.
    #[non_exhaustive]
    TimestampInPast {
        /// How long ago it was, by this machine's clock.
        age: Duration,
        /// The [tolerance](crate::Verifier::tolerance).
        tolerance: Duration,
    },
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OUTSIDE: &str = "the signature's time is outside the tolerance";
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::SignatureMismatch { body_len: 1 } => {
                f.write_str("no signature matches the body of 1 byte")
            }
            Self::SignatureMismatch { body_len } => {
                write!(f, "no signature matches the body of {body_len} bytes")
            }
            Self::TimestampInFuture { ahead, tolerance } => write!(
                f,
                "{OUTSIDE}: issued {ahead:?} ahead of this machine's clock, tolerance {tolerance:?}"
            ),
            Self::TimestampInPast { age, tolerance } => {
                write!(f, "{OUTSIDE}: issued {age:?} ago, tolerance {tolerance:?}")
            }
        }
    }
}

impl Error for VerifyError {
    /// The source of the error in [`Parse`](Self::Parse), whose text this error already shows.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Parse(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ParseError> for VerifyError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}
