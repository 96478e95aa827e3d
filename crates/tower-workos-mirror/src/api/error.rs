//! Errors of the API.

use std::{borrow::Cow, error::Error, fmt};

/// Why a request to the WorkOS API failed.
///
/// Neither its text nor its `Debug` contains the API key or anything from the body of a response. Its
/// [`source`](Error::source) is the error of the connection, if there is one.
pub struct ApiError {
    kind: ApiErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of an [`ApiError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// The API does not accept the position in a list or in the events, or returned the same position twice.
    /// Try again later.
    Cursor,
    /// A list does not exist, for example because its directory was deleted.
    NotFound,
    /// The API answered 429 on each attempt, or asked for a wait that is longer than
    /// [`max_retry_after`](crate::ApiClientBuilder::max_retry_after). Try again later.
    RateLimited,
    /// The API rejected the request for another reason. Trying again does not help.
    Rejected,
    /// A list has more pages than allowed.
    TooManyPages,
    /// The API key is not valid, or lacks a permission.
    Unauthorized,
    /// The API can't be reached, did not respond in time, or failed on each attempt. Try again later.
    Unavailable,
    /// The response could not be read on the last attempt. Try again later.
    Unreadable,
}

impl ApiError {
    pub(crate) fn new(kind: ApiErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(super) fn caused(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> ApiErrorKind {
        self.kind
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn Error + 'static) = &**source;
            source
        })
    }
}
