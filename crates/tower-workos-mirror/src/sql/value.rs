//! The types of columns.

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `bytea`; `BLOB` in SQLite.
    Bytes,
    /// `bigint`; `INTEGER` in SQLite.
    Int,
    /// `text`.
    Text,
}

impl Kind {
    pub(crate) fn null(self) -> Value {
        match self {
            Self::Bytes => Value::Bytes(None),
            Self::Int => Value::Int(None),
            Self::Text => Value::Text(None),
        }
    }

    /// The type's name in PostgreSQL.
    #[cfg(feature = "postgres")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytea",
            Self::Int => "bigint",
            Self::Text => "text",
        }
    }
}

/// A value, or NULL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Bytes(Option<Vec<u8>>),
    Int(Option<i64>),
    Text(Option<String>),
}

impl Value {
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => *number,
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => text,
            _ => None,
        }
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// Shows no value, because most are about people.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes(None) | Self::Int(None) | Self::Text(None) => "NULL",
            Self::Bytes(Some(_)) => "bytes",
            Self::Int(Some(_)) => "a number",
            Self::Text(Some(_)) => "text",
        })
    }
}
