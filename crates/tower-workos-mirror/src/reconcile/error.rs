//! Errors of a repair.

use std::{borrow::Cow, error::Error, fmt};

use crate::{
    api::error::{ApiError, ApiErrorKind},
    error::MirrorError,
};

/// Why a run failed, or why one object could not be fetched.
///
/// Its text and its `Debug` contain ids and no other data. Its [`source`](Error::source) can be a database's message, which
/// can quote rows.
pub struct ReconcileError {
    kind: ReconcileErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of a [`ReconcileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReconcileErrorKind {
    /// A request to the API failed.
    Api(ApiErrorKind),
    /// Another run is under way, in this process or in another one. Try again later.
    Busy,
    /// The database failed. Try again.
    Database,
    /// The API key and the directories of the mirror belong to different environments.
    Environment,
    /// The run took longer than [`max_duration`](crate::ReconcilerBuilder::max_duration).
    TimedOut,
    /// The API's response lacks the header `Date`, so it is unknown how old its lists are.
    Unusable,
}

impl ReconcileError {
    pub(crate) fn new(kind: ReconcileErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(super) fn busy() -> Self {
        Self::new(ReconcileErrorKind::Busy, "another run is under way: try again later")
    }

    pub(super) fn no_date() -> Self {
        let message = "the API's response has no header Date, so it is unknown how old its lists are: check \
                       whether a proxy removes it";
        Self::new(ReconcileErrorKind::Unusable, message)
    }

    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> ReconcileErrorKind {
        self.kind
    }

    /// The text and its cause without a payload, for logs and reports.
    pub(crate) fn without_payload(&self) -> String {
        let database = self.source.as_ref().and_then(|it| it.downcast_ref::<MirrorError>());
        match database {
            Some(error) => format!("{}: {}", self.message, error.without_payload()),
            None => self.message.clone().into_owned(),
        }
    }
}

impl fmt::Display for ReconcileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for ReconcileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconcileError")
            .field("kind", &self.kind)
            .field("message", &self.without_payload())
            .finish_non_exhaustive()
    }
}

impl Error for ReconcileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn Error + 'static) = &**source;
            source
        })
    }
}

impl From<ApiError> for ReconcileError {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        Self {
            kind: ReconcileErrorKind::Api(error.kind()),
            message: message.into(),
            source: Some(error.into()),
        }
    }
}

impl From<MirrorError> for ReconcileError {
    fn from(error: MirrorError) -> Self {
        Self {
            kind: ReconcileErrorKind::Database,
            message: Cow::Borrowed("the repair could not use the database"),
            source: Some(error.into()),
        }
    }
}

impl From<sqlx::Error> for ReconcileError {
    fn from(error: sqlx::Error) -> Self {
        MirrorError::from(error).into()
    }
}
