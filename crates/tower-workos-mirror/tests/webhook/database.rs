//! The databases. Each test has its own: a file in SQLite, a schema in Postgres.

use std::{
    env,
    io::Write as _,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tempfile::TempDir;
use tower_workos_mirror::{Mirror, MirrorBuilder, MirrorPool};

pub enum Database {
    Postgres(Schema),
    Sqlite(TempDir),
}

pub struct Schema {
    name: String,
    admin: PgPool,
}

pub fn postgres_options() -> PgConnectOptions {
    let url = env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    PgConnectOptions::from_str(&url).unwrap()
}

impl Database {
    /// SQLite, and Postgres if it can be reached.
    pub async fn all() -> Vec<Self> {
        let mut all = vec![Self::sqlite()];
        all.extend(Self::postgres().await);
        all
    }

    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(3));
        let admin = match pool.connect_with(postgres_options()).await {
            Ok(admin) => admin,
            Err(error) => {
                let required = env::var_os("REQUIRE_SERVICES").is_some();
                assert!(!required, "Postgres can't be reached: {error}");
                // The test runner hides the output of `eprintln!` in tests that pass.
                let _ = writeln!(std::io::stderr(), "skipped: Postgres can't be reached ({error})");
                return None;
            }
        };
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mirror_test_{}_{nanos}_{next}", std::process::id());
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {name}")))
            .execute(&admin)
            .await
            .unwrap();
        Some(Self::Postgres(Schema { name, admin }))
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub async fn pool(&self) -> MirrorPool {
        match self {
            Self::Postgres(schema) => {
                let options = schema.options(&[]);
                PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap().into()
            }
            Self::Sqlite(_) => self.sqlite_pool(Duration::from_secs(10)).await,
        }
    }

    /// A pool that waits this long for a lock.
    pub async fn sqlite_pool(&self, busy: Duration) -> MirrorPool {
        let options = self.sqlite_options().busy_timeout(busy);
        SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap().into()
    }

    pub fn sqlite_options(&self) -> SqliteConnectOptions {
        let Self::Sqlite(folder) = self else { panic!("not SQLite") };
        SqliteConnectOptions::new()
            .filename(folder.path().join("mirror.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
    }

    pub fn schema(&self) -> &Schema {
        let Self::Postgres(schema) = self else { panic!("not Postgres") };
        schema
    }

    /// Creates the tables.
    pub async fn migrate(&self) {
        let pool = self.pool().await;
        Mirror::new(pool.clone()).migrate().await.unwrap();
        // The last connection of SQLite locks the file while it closes.
        match pool {
            MirrorPool::Postgres(pool) => pool.close().await,
            MirrorPool::Sqlite(pool) => pool.close().await,
            _ => {}
        }
    }

    /// A mirror whose tables exist.
    pub async fn mirror(&self) -> Mirror {
        self.mirror_with(|builder| builder).await
    }

    pub async fn mirror_with(&self, set: impl FnOnce(MirrorBuilder) -> MirrorBuilder) -> Mirror {
        let mirror = set(Mirror::builder(self.pool().await)).build().unwrap();
        mirror.migrate().await.unwrap();
        mirror
    }

    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.pool().await {
            MirrorPool::Postgres(pool) => {
                sqlx::raw_sql(sql).execute(&pool).await.map(drop).unwrap()
            }
            MirrorPool::Sqlite(pool) => sqlx::raw_sql(sql).execute(&pool).await.map(drop).unwrap(),
            _ => unreachable!(),
        }
    }

    /// The single number of a query.
    pub async fn int(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.pool().await {
            MirrorPool::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap(),
            MirrorPool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap(),
            _ => unreachable!(),
        }
    }

    pub async fn users(&self) -> i64 {
        self.int("SELECT count(*) FROM workos_users").await
    }

    /// The number of transactions that made changes.
    pub async fn transactions(&self) -> i64 {
        self.int("SELECT count(DISTINCT recorded_at) FROM workos_mirror_change").await
    }

    /// Deletes what this test has created.
    pub async fn drop(self) {
        if let Self::Postgres(Schema { name, admin }) = self {
            let sql = format!("DROP SCHEMA {name} CASCADE");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&admin).await.unwrap();
        }
    }
}

impl Schema {
    /// Connections whose tables are in this schema.
    pub fn options(&self, more: &[(&str, &str)]) -> PgConnectOptions {
        let path = [("search_path", self.name.as_str())];
        postgres_options().options(path.iter().chain(more).copied())
    }
}

/// Holds the mirror's lock until it is dropped or rolled back.
pub enum Lock {
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

impl Lock {
    pub async fn acquire(database: &Database) -> Self {
        let event = crate::requests::token("lock");
        match database.pool().await {
            MirrorPool::Postgres(pool) => {
                let mut transaction = pool.begin().await.unwrap();
                Mirror::new(pool).apply_in(&mut transaction, &event).await.unwrap();
                Self::Postgres(transaction)
            }
            MirrorPool::Sqlite(pool) => {
                Self::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await.unwrap())
            }
            _ => unreachable!(),
        }
    }

    pub async fn release(self) {
        match self {
            Self::Postgres(transaction) => transaction.rollback().await.unwrap(),
            Self::Sqlite(transaction) => transaction.rollback().await.unwrap(),
        }
    }
}
