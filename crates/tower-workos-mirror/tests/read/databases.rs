//! The databases that tests use. Each test has its own: a file in SQLite, a schema in Postgres.

use std::{
    env,
    io::Write as _,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_workos_mirror::{Mirror, MirrorPool};

pub(crate) fn postgres_url() -> String {
    env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into())
}

/// A mirror with tables of its own.
pub(crate) struct Database {
    pub(crate) mirror: Mirror,
    place: Place,
}

enum Place {
    File(tempfile::TempDir),
    Schema(PgPool, String),
}

impl Database {
    /// One of each kind.
    pub(crate) async fn both() -> Vec<Self> {
        let mut both = vec![Self::sqlite().await];
        both.extend(Self::postgres().await);
        both
    }

    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("mirror.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let mirror = Mirror::new(pool);
        mirror.migrate().await.unwrap();
        Self { mirror, place: Place::File(folder) }
    }

    pub(crate) async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
        let admin =
            PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
        let admin = match admin.connect_with(options.clone()).await {
            Ok(admin) => admin,
            Err(error) => {
                assert!(env::var_os("REQUIRE_SERVICES").is_none(), "no Postgres: {error}");
                let _ = writeln!(std::io::stderr(), "skipped: Postgres can't be reached ({error})");
                return None;
            }
        };
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("tower_workos_read_test_{}_{next}", std::process::id());
        run(&admin, &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"))
            .await;
        let options = options.options([("search_path", schema.as_str())]);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let mirror = Mirror::new(pool);
        mirror.migrate().await.unwrap();
        Some(Self { mirror, place: Place::Schema(admin, schema) })
    }

    /// Runs statements without parameters.
    pub(crate) async fn script(&self, sql: &str) {
        match self.mirror.pool() {
            MirrorPool::Postgres(pool) => run(pool, sql).await,
            MirrorPool::Sqlite(pool) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    /// Runs a query whose columns are texts.
    pub(crate) async fn texts(&self, sql: &str, arguments: &[&str]) -> Vec<Vec<Option<String>>> {
        macro_rules! rows {
            ($pool:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for argument in arguments {
                    query = query.bind(argument.to_string());
                }
                let rows = query.fetch_all($pool).await.unwrap();
                rows.iter().map(|row| (0..row.len()).map(|it| row.get(it)).collect()).collect()
            }};
        }
        match self.mirror.pool() {
            MirrorPool::Postgres(pool) => rows!(pool),
            MirrorPool::Sqlite(pool) => rows!(pool),
            other => panic!("{other:?}"),
        }
    }

    /// All rows of a table or view as text.
    pub(crate) async fn dump(&self, name: &str) -> String {
        let sql = if self.is_postgres() {
            format!("SELECT t::text FROM {name} t")
        } else {
            let columns = format!("SELECT name FROM pragma_table_info('{name}')");
            let columns = self.texts(&columns, &[]).await;
            let columns: Vec<_> = columns.into_iter().flatten().flatten().collect();
            let columns = columns.join("\" AS text), ''), coalesce(CAST(\"");
            format!("SELECT concat_ws('|', coalesce(CAST(\"{columns}\" AS text), '')) FROM {name}")
        };
        let rows = self.texts(&sql, &[]).await;
        rows.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Schema(..))
    }

    pub(crate) fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::File(folder) => Some(folder.path()),
            Place::Schema(..) => None,
        }
    }

    /// Removes its tables.
    pub(crate) async fn end(self) {
        if let Place::Schema(admin, schema) = self.place {
            run(&admin, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}
