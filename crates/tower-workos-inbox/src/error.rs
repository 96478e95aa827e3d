//! The errors of a queue.

use std::{borrow::Cow, error::Error, fmt};

/// An error of a queue.
///
/// Its text and its `Debug` contain no payload. Its [`source`](Error::source) is the message of the database or the broker,
/// which can quote rows: don't write it to logs that must not contain personal data.
pub struct InboxError {
    kind: InboxErrorKind,
    hint: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of an [`InboxError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboxErrorKind {
    /// A setting is not valid.
    Config,
    /// The queue's tables or streams don't exist, or an older version created them: call [`Queue::migrate`](crate::Queue::migrate).
    NotMigrated,
    /// Too many items are waiting to be stored. Try again later.
    Overloaded,
    /// The database or the broker can't be reached, did not respond in time, or returned an error. Try again.
    Storage,
    /// The item is larger than the broker accepts.
    TooLarge,
    /// A transaction of the application can't be used: it is of another database.
    Transaction,
}

impl InboxError {
    pub(crate) fn new(kind: InboxErrorKind, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, hint: hint.into(), source: None }
    }

    pub(crate) fn config(hint: impl Into<Cow<'static, str>>) -> Self {
        Self::new(InboxErrorKind::Config, hint)
    }

    pub(crate) fn storage(hint: impl Into<Cow<'static, str>>) -> Self {
        Self::new(InboxErrorKind::Storage, hint)
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn not_migrated() -> Self {
        let hint = "the queue's tables are missing or older than this version: call Queue::migrate at start-up, with the \
                    same schema and prefix";
        Self::new(InboxErrorKind::NotMigrated, hint)
    }

    pub(crate) fn caused(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> InboxErrorKind {
        self.kind
    }

    /// The text and its cause, for logs. A database's message about a statement can contain values, so only its code is
    /// included.
    pub(crate) fn without_payload(&self) -> String {
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        {
            let source = self.source.as_ref().and_then(|it| it.downcast_ref::<sqlx::Error>());
            let cause = match source {
                Some(sqlx::Error::Database(error)) => {
                    Some(format!("code {}", error.code().unwrap_or(Cow::Borrowed("unknown"))))
                }
                Some(sqlx::Error::Io(error)) => Some(error.kind().to_string()),
                Some(sqlx::Error::PoolClosed) => Some("the pool is closed".to_owned()),
                Some(sqlx::Error::PoolTimedOut) => {
                    Some("no connection is free, or the database can't be reached".to_owned())
                }
                _ => None,
            };
            if let Some(cause) = cause {
                return format!("{} ({cause})", self.hint);
            }
        }
        self.hint.clone().into_owned()
    }
}

/// Shows no message of the database, which can quote a row.
impl fmt::Debug for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxError")
            .field("kind", &self.kind)
            .field("message", &self.without_payload())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hint)
    }
}

impl Error for InboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn Error + 'static) = &**source;
            source
        })
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl From<sqlx::Error> for InboxError {
    fn from(error: sqlx::Error) -> Self {
        // It is one of ours.
        if let sqlx::Error::Configuration(hint) = &error {
            return Self::config(hint.to_string());
        }
        let is_missing = match &error {
            sqlx::Error::Database(error) => {
                let code = error.code();
                let message = error.message();
                matches!(code.as_deref(), Some("42P01" | "42703" | "3F000" | "42883"))
                    || message.starts_with("no such table")
                    || message.starts_with("no such column")
                    || message.contains("has no column named")
            }
            _ => false,
        };
        if is_missing {
            Self::not_migrated().caused(error)
        } else {
            Self::storage("the database failed").caused(error)
        }
    }
}
