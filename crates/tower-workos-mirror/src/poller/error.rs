//! Errors of the pollers.

use std::{borrow::Cow, error::Error, fmt};

use tower_workos::EventId;

use crate::{
    api::error::{ApiError, ApiErrorKind},
    error::{MirrorError, MirrorErrorKind},
    reconcile::{ReconcileError, ReconcileErrorKind},
};

/// Why events could not be read or handled.
///
/// Its text and its `Debug` contain ids and no other data. Its [`source`](Error::source) can be a database's message, which
/// can quote rows, or an error of your service or store.
pub struct PollError {
    kind: PollErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of a [`PollError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PollErrorKind {
    /// A request to the API failed.
    Api(ApiErrorKind),
    /// The API key and the directories of the mirror belong to different environments.
    Environment,
    /// The mirror's database failed.
    Mirror(MirrorErrorKind),
    /// The service failed. The event is delivered again.
    Service,
    /// The store of the position failed.
    Store,
    /// The API's response lacks the header `Date`, so it is unknown how old its events are.
    Unusable,
}

impl PollError {
    pub(super) fn no_date() -> Self {
        let message = "the API's response has no header Date, so it is unknown how old its events are: check \
                       whether a proxy removes it";
        Self { kind: PollErrorKind::Unusable, message: message.into(), source: None }
    }

    pub(super) fn service(
        event: &EventId,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let message = format!("the service failed at the event {:?}", event.as_str());
        Self { kind: PollErrorKind::Service, message: message.into(), source: Some(source.into()) }
    }

    pub(super) fn store(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "the store of the position in the Events API failed";
        Self { kind: PollErrorKind::Store, message: message.into(), source: Some(source.into()) }
    }

    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> PollErrorKind {
        self.kind
    }

    /// Whether the same call can succeed later without a change of the settings.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        use ApiErrorKind::{Cursor, RateLimited, Unavailable, Unreadable};
        use MirrorErrorKind::{Config, NotMigrated};

        match self.kind {
            PollErrorKind::Api(kind) => {
                matches!(kind, Cursor | RateLimited | Unavailable | Unreadable)
            }
            PollErrorKind::Mirror(kind) => !matches!(kind, Config | NotMigrated),
            // An API that lags behind does not show a directory that was just connected.
            PollErrorKind::Environment | PollErrorKind::Service | PollErrorKind::Store => true,
            PollErrorKind::Unusable => false,
        }
    }

    /// The text and its cause without a payload, for logs.
    pub(crate) fn without_payload(&self) -> String {
        let database = self.source.as_ref().and_then(|it| it.downcast_ref::<MirrorError>());
        match database {
            Some(error) => format!("{}: {}", self.message, error.without_payload()),
            None => self.message.clone().into_owned(),
        }
    }
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollError")
            .field("kind", &self.kind)
            .field("message", &self.without_payload())
            .finish_non_exhaustive()
    }
}

impl Error for PollError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn Error + 'static) = &**source;
            source
        })
    }
}

impl From<ApiError> for PollError {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        let kind = PollErrorKind::Api(error.kind());
        Self { kind, message: message.into(), source: Some(error.into()) }
    }
}

impl From<MirrorError> for PollError {
    fn from(error: MirrorError) -> Self {
        let kind = PollErrorKind::Mirror(error.kind());
        let message = Cow::Borrowed("the poller could not use the mirror's database");
        Self { kind, message, source: Some(error.into()) }
    }
}

impl From<sqlx::Error> for PollError {
    fn from(error: sqlx::Error) -> Self {
        MirrorError::from(error).into()
    }
}

impl From<ReconcileError> for PollError {
    fn from(error: ReconcileError) -> Self {
        let kind = match error.kind() {
            ReconcileErrorKind::Api(kind) => PollErrorKind::Api(kind),
            ReconcileErrorKind::Environment => PollErrorKind::Environment,
            ReconcileErrorKind::Unusable => PollErrorKind::Unusable,
            _ => PollErrorKind::Mirror(MirrorErrorKind::Database),
        };
        Self { kind, message: error.to_string().into(), source: Some(error.into()) }
    }
}
