//! A test's own database: a file in SQLite, a schema in PostgreSQL.

use std::{
    env,
    io::Write as _,
    str::FromStr as _,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_workos_mirror::{Mirror, MirrorBuilder, MirrorPool};

pub(crate) enum Database {
    Postgres { schema: String, admin: sqlx::PgPool },
    Sqlite(tempfile::TempDir),
}

/// Runs a test on both databases, which have the mirror's tables.
pub(crate) async fn on_both(test: impl AsyncFn(&Database)) {
    let sqlite = Database::Sqlite(tempfile::tempdir().unwrap());
    sqlite.mirror().await.migrate().await.unwrap();
    test(&sqlite).await;
    on_postgres(test).await;
}

pub(crate) async fn on_postgres(test: impl AsyncFn(&Database)) {
    let Some(postgres) = Database::postgres().await else { return };
    postgres.mirror().await.migrate().await.unwrap();
    test(&postgres).await;
    postgres.execute("DROP SCHEMA {schema} CASCADE").await;
}

pub(crate) fn postgres_options() -> PgConnectOptions {
    let url = env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    PgConnectOptions::from_str(&url).unwrap()
}

impl Database {
    async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let options = PgPoolOptions::new().acquire_timeout(Duration::from_secs(3));
        let admin = match options.connect_with(postgres_options()).await {
            Ok(admin) => admin,
            Err(error) => {
                assert!(env::var_os("REQUIRE_SERVICES").is_none(), "no PostgreSQL: {error}");
                let _ = writeln!(std::io::stderr(), "skipped: no PostgreSQL ({error})");
                return None;
            }
        };
        let schema =
            format!("feed_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let postgres = Self::Postgres { schema, admin };
        postgres.execute("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}").await;
        Some(postgres)
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// A pool of its own, as in another process.
    pub(crate) async fn pool(&self, connections: u32) -> MirrorPool {
        match self {
            Self::Postgres { schema, .. } => {
                let options = postgres_options().options([("search_path", schema)]);
                let pool = PgPoolOptions::new().max_connections(connections);
                pool.connect_with(options).await.unwrap().into()
            }
            Self::Sqlite(folder) => {
                let options = SqliteConnectOptions::new()
                    .filename(folder.path().join("mirror.db"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .busy_timeout(Duration::from_secs(20));
                let pool = SqlitePoolOptions::new().max_connections(connections);
                pool.connect_with(options).await.unwrap().into()
            }
        }
    }

    pub(crate) fn builder(&self, pool: MirrorPool) -> MirrorBuilder {
        let builder = Mirror::builder(pool).timeout(Duration::from_secs(20));
        match self {
            Self::Postgres { schema, .. } => builder.schema(schema),
            Self::Sqlite(_) => builder,
        }
    }

    /// A mirror with a pool of its own, as in another process. It polls so rarely that these tests don't depend on it.
    pub(crate) async fn mirror(&self) -> Mirror {
        let builder = self.builder(self.pool(4).await);
        builder.poll_interval(Duration::from_secs(60)).build().unwrap()
    }

    /// Runs statements. `{schema}` is the test's own.
    pub(crate) async fn execute(&self, sql: &str) {
        match self {
            Self::Postgres { schema, admin } => {
                let sql = format!(
                    "SET search_path = {schema}; {}; SET search_path = public",
                    sql.replace("{schema}", schema)
                );
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await.unwrap();
            }
            Self::Sqlite(_) => {
                let MirrorPool::Sqlite(pool) = self.pool(1).await else { return };
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
            }
        }
    }

    /// The texts of a query's first column.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.pool(1).await {
            MirrorPool::Postgres(pool) => {
                let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            MirrorPool::Sqlite(pool) => {
                let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How the database runs a query.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        match self.pool(1).await {
            MirrorPool::Postgres(pool) => {
                let sql = AssertSqlSafe(format!("EXPLAIN {sql}"));
                let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
                lines.join("\n")
            }
            MirrorPool::Sqlite(pool) => {
                let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
                let rows = sqlx::query(sql).fetch_all(&pool).await.unwrap();
                let lines = rows.iter().map(|row| row.get::<String, _>("detail"));
                lines.collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }

    pub(crate) async fn count(&self, from: &str) -> u64 {
        let sql = format!("SELECT CAST(count(*) AS text) FROM {from}");
        self.texts(&sql).await[0].parse().unwrap()
    }
}
