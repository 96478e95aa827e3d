//! The errors of the mirror.

use std::{borrow::Cow, error::Error, fmt};

/// An error of the mirror.
///
/// Its text and its `Debug` contain no payload. Its [`source`](Error::source) is the database's message, which can quote
/// rows: don't write it to logs that must not contain personal data.
pub struct MirrorError {
    kind: MirrorErrorKind,
    hint: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of a [`MirrorError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MirrorErrorKind {
    /// A setting is not valid. A [`ConfigError`] converts into this kind.
    Config,
    /// The database can't store an event. Trying again does not help.
    Data,
    /// The database can't be reached, is locked, did not respond in time, or returned an error. Try again.
    Database,
    /// The mirror's tables don't exist, or an older version created them: call [`Mirror::migrate`](crate::Mirror::migrate).
    NotMigrated,
    /// The queue of waiting events is full, or the mirror is shutting down. Try again later.
    Overloaded,
    /// A transaction of the application can't be used: see [`Mirror::apply_in`](crate::Mirror::apply_in).
    Transaction,
}

impl MirrorError {
    pub(crate) fn new(kind: MirrorErrorKind, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, hint: hint.into(), source: None }
    }

    pub(crate) fn caused(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Converts an error that `COMMIT` returned. An event is never its cause: for example, PostgreSQL also reports a full
    /// queue of notifications as an exceeded limit.
    pub(crate) fn at_commit(error: sqlx::Error) -> Self {
        Self::new(MirrorErrorKind::Database, "the database did not commit").caused(error)
    }

    /// The kind, for a `match`.
    #[must_use]
    pub fn kind(&self) -> MirrorErrorKind {
        self.kind
    }
}

impl MirrorError {
    /// The text and its cause, for logs and dead letters. A database's message about a statement can contain values, so
    /// only its code is included.
    pub(crate) fn without_payload(&self) -> String {
        // The error of a queue has it as its source.
        let mut source = self.source();
        while let Some(other) = source.filter(|it| !it.is::<sqlx::Error>()) {
            source = other.source();
        }
        match source.and_then(|it| it.downcast_ref::<sqlx::Error>()) {
            None => self.hint.clone().into_owned(),
            Some(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or(Cow::Borrowed("unknown"));
                format!("{} (code {code})", self.hint)
            }
            Some(sqlx::Error::Io(error)) => format!("{} ({})", self.hint, error.kind()),
            Some(sqlx::Error::PoolClosed) => format!("{} (the pool is closed)", self.hint),
            Some(sqlx::Error::PoolTimedOut) => format!("{} (no connection is free)", self.hint),
            Some(_) => self.hint.clone().into_owned(),
        }
    }
}

/// Shows no message of the database, which can quote a row.
impl fmt::Debug for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorError")
            .field("kind", &self.kind)
            .field("message", &self.without_payload())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hint)
    }
}

impl Error for MirrorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn Error + 'static) = &**source;
            source
        })
    }
}

impl From<sqlx::Error> for MirrorError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(error) => error.code().map(Cow::into_owned),
            _ => None,
        };
        let message = match &error {
            sqlx::Error::Database(error) => error.message(),
            _ => "",
        };
        let code = code.as_deref().unwrap_or_default();
        let is_missing = matches!(code, "42P01" | "42703" | "3F000")
            || message.starts_with("no such table")
            || message.starts_with("no such column")
            || message.contains("has no column named");
        // Only codes that prove that the event itself can't be stored, because such an event is acknowledged. A violated
        // constraint or a trigger of the application is not a proof: it can be removed. PostgreSQL's class 22 is "data
        // exception", 54 "program limit exceeded"; SQLite's 18 is SQLITE_TOOBIG.
        let is_data = matches!(code, "18" | "54000") || (code.len() == 5 && code.starts_with("22"));
        let (kind, hint) = if is_missing {
            let hint = "the mirror's tables are missing or older than this version: call Mirror::migrate at start-up, \
                        with the same schema and prefix";
            (MirrorErrorKind::NotMigrated, hint)
        } else if is_data {
            (MirrorErrorKind::Data, "the database can't store this event")
        } else {
            (MirrorErrorKind::Database, "the database failed")
        };
        Self::new(kind, hint).caused(error)
    }
}

/// An invalid setting.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn identifier(identifier: &str) -> Self {
        Self(format!(
            "{identifier:?} can't be a schema or a prefix: use at most 30 of a-z, 0-9 and _, and no digit first"
        ))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows the text, for a `main` that returns this error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}

impl From<ConfigError> for MirrorError {
    fn from(error: ConfigError) -> Self {
        Self::new(MirrorErrorKind::Config, error.0)
    }
}
