//! A connection to either database.

use sqlx::{AssertSqlSafe, Row as _};

use crate::sql::{
    rows::Row,
    value::{Kind, Value},
};

/// A connection, or a transaction, of either database. The SQL of this crate has parameters in the form `$1`, which both
/// databases understand.
///
/// No text of a statement comes from events: their values are parameters. The prefix and the schema are checked
/// identifiers.
pub(crate) enum Conn<'c> {
    #[cfg(feature = "postgres")]
    Postgres(&'c mut sqlx::PgConnection),
    #[cfg(feature = "sqlite")]
    Sqlite(&'c mut sqlx::SqliteConnection),
}

macro_rules! bound {
    ($sql:expr, $arguments:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for argument in $arguments {
            query = match argument {
                Value::Bytes(bytes) => query.bind(bytes.clone()),
                Value::Int(number) => query.bind(*number),
                Value::Text(text) => query.bind(text.clone()),
            };
        }
        query
    }};
}

macro_rules! decoded {
    ($rows:expr, $kinds:expr) => {
        $rows
            .into_iter()
            .map(|row| {
                let mut values = Row::with_capacity($kinds.len());
                for (column, kind) in $kinds.iter().enumerate() {
                    values.push(match kind {
                        Kind::Bytes => Value::Bytes(row.try_get(column)?),
                        Kind::Int => Value::Int(row.try_get(column)?),
                        Kind::Text => Value::Text(row.try_get(column)?),
                    });
                }
                Ok(values)
            })
            .collect()
    };
}

impl Conn<'_> {
    pub(crate) fn is_postgres(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    /// Runs a query. Its columns have these kinds.
    pub(crate) async fn rows(
        &mut self,
        sql: String,
        arguments: &[Value],
        kinds: &[Kind],
    ) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => {
                decoded!(bound!(sql, arguments).fetch_all(&mut **connection).await?, kinds)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                decoded!(bound!(sql, arguments).fetch_all(&mut **connection).await?, kinds)
            }
        }
    }

    /// Runs a statement and returns the number of rows that it affected.
    pub(crate) async fn execute(
        &mut self,
        sql: String,
        arguments: &[Value],
    ) -> Result<u64, sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => {
                let done = bound!(sql, arguments).execute(&mut **connection).await?;
                Ok(done.rows_affected())
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                let done = bound!(sql, arguments).execute(&mut **connection).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Inserts many rows. Takes ownership of the values, because copying them would cost more than binding them.
    #[cfg(feature = "sqlite")]
    pub(crate) async fn insert(
        &mut self,
        sql: String,
        values: impl Iterator<Item = Value>,
        returning: &[Kind],
    ) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(Vec::new()),
            Self::Sqlite(connection) => {
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for value in values {
                    query = match value {
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Int(number) => query.bind(number),
                        Value::Text(text) => query.bind(text),
                    };
                }
                decoded!(query.fetch_all(&mut **connection).await?, returning)
            }
        }
    }

    /// Runs statements without parameters.
    pub(crate) async fn script(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => {
                sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop)
            }
        }
    }
}
