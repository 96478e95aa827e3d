//! The databases that tests use. Each test has its own: a file in SQLite, a schema in Postgres.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part")]

use std::{
    env,
    io::Write as _,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, PgPool, Row as _, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tower_workos_mirror::{Mirror, MirrorBuilder, MirrorPool};

/// A row whose columns were cast to text.
pub type Texts = Vec<Option<String>>;

pub enum Database {
    Postgres { schema: String, pool: PgPool },
    Sqlite { folder: tempfile::TempDir, pool: SqlitePool },
}

/// Runs a test on both databases.
pub async fn on_both(test: impl AsyncFn(&Database)) {
    on_sqlite(&test).await;
    on_postgres(&test).await;
}

pub async fn on_sqlite(test: impl AsyncFn(&Database)) {
    test(&Database::sqlite().await).await;
}

pub async fn on_postgres(test: impl AsyncFn(&Database)) {
    let Some(database) = Database::postgres().await else { return };
    test(&database).await;
    database.drop().await;
}

pub fn postgres_options() -> PgConnectOptions {
    let url = env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    PgConnectOptions::from_str(&url).unwrap()
}

fn left_out<T>(error: &sqlx::Error) -> Option<T> {
    assert!(env::var_os("REQUIRE_SERVICES").is_none(), "Postgres can't be reached: {error}");
    // The test runner hides the output of `eprintln!` in tests that pass.
    let _ = writeln!(std::io::stderr(), "skipped: Postgres can't be reached ({error})");
    None
}

impl Database {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("mirror.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(6).connect_with(options).await.unwrap();
        Self::Sqlite { folder, pool }
    }

    /// `None`, with a message, if Postgres can't be reached.
    pub async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() % 1_000_000_000;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // A mirror's schema has at most 30 characters.
        let schema = format!("m{}_{millis}_{number}", std::process::id());
        let options = postgres_options().options([("search_path", schema.as_str())]);
        let pool = PgPoolOptions::new()
            .max_connections(12)
            .acquire_timeout(Duration::from_secs(30))
            .connect_lazy_with(options);
        let reached = tokio::time::timeout(Duration::from_secs(5), pool.acquire()).await;
        match reached.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => drop(connection),
            Err(error) => return left_out(&error),
        }
        let database = Self::Postgres { schema, pool };
        database.run(&format!("CREATE SCHEMA {}", database.schema())).await;
        Some(database)
    }

    pub async fn drop(self) {
        if self.is_postgres() {
            // Each outbox has a schema of graphile_worker.
            let schema = self.schema();
            let all =
                format!("pg_namespace WHERE nspname = '{schema}' OR nspname LIKE '{schema}\\_%'");
            for schema in self.column("nspname", &all).await {
                self.run(&format!("DROP SCHEMA {schema} CASCADE")).await;
            }
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// The schema in Postgres.
    pub fn schema(&self) -> &str {
        match self {
            Self::Postgres { schema, .. } => schema,
            Self::Sqlite { .. } => "main",
        }
    }

    /// A pool whose connections find the tables without a schema.
    pub fn pool(&self) -> MirrorPool {
        match self {
            Self::Postgres { pool, .. } => pool.clone().into(),
            Self::Sqlite { pool, .. } => pool.clone().into(),
        }
    }

    /// A mirror without tables.
    pub fn builder(&self) -> MirrorBuilder {
        let builder = Mirror::builder(self.pool()).timeout(Duration::from_secs(30));
        if self.is_postgres() { builder.schema(self.schema()) } else { builder }
    }

    pub async fn mirror(&self) -> Mirror {
        let mirror = self.builder().build().unwrap();
        mirror.migrate().await.unwrap();
        mirror
    }

    /// Runs statements without parameters.
    pub async fn run(&self, sql: &str) {
        self.try_run(sql).await.unwrap();
    }

    pub async fn try_run(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres { pool, .. } => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            Self::Sqlite { pool, .. } => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        }
    }

    /// The rows of a query, sorted. Each column is cast to text.
    pub async fn texts(&self, columns: &[&str], from: &str) -> Vec<Texts> {
        let columns: Vec<_> = columns.iter().map(|it| format!("CAST({it} AS text)")).collect();
        let sql = AssertSqlSafe(format!("SELECT {} FROM {from}", columns.join(", ")));
        macro_rules! texts {
            ($pool:expr) => {{
                let rows = sqlx::query(sql).fetch_all($pool).await.unwrap();
                rows.iter()
                    .map(|row| (0..columns.len()).map(|column| row.get(column)).collect())
                    .collect()
            }};
        }
        let mut rows: Vec<Texts> = match self {
            Self::Postgres { pool, .. } => texts!(pool),
            Self::Sqlite { pool, .. } => texts!(pool),
        };
        rows.sort_unstable();
        rows
    }

    /// The texts of one column, without NULL.
    pub async fn column(&self, column: &str, from: &str) -> Vec<String> {
        self.texts(&[column], from).await.into_iter().flatten().flatten().collect()
    }

    pub async fn count(&self, from: &str) -> usize {
        self.column("count(*)", from).await.first().unwrap().parse().unwrap()
    }

    /// Deletes the contents of the tables, which is faster than new ones.
    pub async fn empty(&self) {
        let tables = ["directory", "group", "user", "member", "applied", "change"];
        let deletes = tables.map(|table| format!("DELETE FROM workos_mirror_{table};"));
        self.run(&deletes.concat()).await;
    }
}
