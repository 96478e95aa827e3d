//! The process: it stores events, or it handles them.

use std::{env::var, future::pending, process, time::Duration};

use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_workos::{DirectoryEvent, WebhookSecret};
use tower_workos_inbox::{Completion, Inbox, Job};

use crate::support::{Kind, Place};

type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const SECRET: &str = "whsec_of_the_processes";
/// The shortest.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

pub(crate) async fn main() {
    let place = Place::from_env();
    let inbox = place.inbox().await;
    if let Ok(port) = var("INBOX_PORT") {
        store(inbox, port.parse().unwrap()).await;
    } else {
        handle(&place, inbox).await;
    }
}

async fn store(inbox: Inbox, port: u16) {
    let webhook = inbox.webhook(WebhookSecret::new(SECRET).unwrap());
    let app = axum::Router::new().route_service("/webhooks/workos", webhook);
    // The port may still be in use by the process before.
    let listener = loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    axum::serve(listener, app).await.unwrap();
}

async fn handle(place: &Place, inbox: Inbox) {
    let effects = Effects::open(place).await;
    let is_transactional = var("INBOX_TRANSACTIONAL").is_ok();
    let worker = inbox.job_worker(service_fn(move |job: Job<DirectoryEvent>| {
        let effects = effects.clone();
        async move {
            // Some work before the effect, and some after it.
            pause(2_000).await;
            if is_transactional {
                effects.add_in_transaction(&job).await?;
            } else {
                effects.add(job.key()).await?;
            }
            pause(1_000).await;
            Ok::<_, Error>(())
        }
    }));
    worker.lease(LEASE).run_until(pending()).await.unwrap();
}

async fn pause(micros: u32) {
    let random = getrandom::u32().unwrap() % micros;
    tokio::time::sleep(Duration::from_micros(random.into())).await;
}

/// The table that the handlers write to.
#[derive(Clone)]
pub(crate) enum Effects {
    Postgres(sqlx::PgPool, String),
    Sqlite(SqlitePool, String),
}

impl Effects {
    pub(crate) async fn open(place: &Place) -> Self {
        let table = format!("{}effects", place.prefix);
        match place.kind {
            Kind::Sqlite => Self::Sqlite(place.sqlite().await, table),
            Kind::Postgres => Self::Postgres(place.postgres().await, table),
            // NATS has no tables.
            Kind::Nats => {
                let path = std::env::temp_dir().join(format!("{table}.db"));
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
                    .busy_timeout(Duration::from_secs(5));
                Self::Sqlite(SqlitePool::connect_with(options).await.unwrap(), table)
            }
        }
    }

    pub(crate) async fn create(&self) {
        let (Self::Postgres(_, table) | Self::Sqlite(_, table)) = self;
        self.execute(format!(
            "CREATE TABLE {table} (event_id TEXT NOT NULL, pid INTEGER NOT NULL)"
        ))
        .await
        .unwrap();
    }

    pub(crate) async fn remove(&self) {
        let (Self::Postgres(_, table) | Self::Sqlite(_, table)) = self;
        self.execute(format!("DROP TABLE {table}")).await.unwrap();
    }

    async fn execute(&self, sql: String) -> Result<(), sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(sql);
        match self {
            Self::Postgres(pool, _) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            Self::Sqlite(pool, _) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        }
    }

    /// The ids and the processes that handled them.
    pub(crate) async fn all(&self) -> Vec<(String, u32)> {
        let (Self::Postgres(_, table) | Self::Sqlite(_, table)) = self;
        let sql = sqlx::AssertSqlSafe(format!("SELECT event_id, pid FROM {table}"));
        let rows: Vec<(String, i32)> = match self {
            Self::Postgres(pool, _) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
            Self::Sqlite(pool, _) => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
        };
        rows.into_iter().map(|(id, pid)| (id, pid.try_into().unwrap())).collect()
    }

    fn insert(&self, key: &str) -> String {
        let (Self::Postgres(_, table) | Self::Sqlite(_, table)) = self;
        assert!(!key.contains('\''));
        format!("INSERT INTO {table} VALUES ('{key}', {})", process::id())
    }

    async fn add(&self, key: &str) -> Result<(), sqlx::Error> {
        self.execute(self.insert(key)).await
    }

    async fn add_in_transaction(&self, job: &Job<DirectoryEvent>) -> Result<(), Error> {
        let sql = sqlx::AssertSqlSafe(self.insert(job.key()));
        match self {
            Self::Postgres(pool, _) => {
                let mut transaction = pool.begin().await?;
                sqlx::raw_sql(sql).execute(&mut *transaction).await?;
                if job.complete_in(&mut transaction).await? == Completion::Completed {
                    transaction.commit().await?;
                }
            }
            Self::Sqlite(pool, _) => {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::raw_sql(sql).execute(&mut *transaction).await?;
                if job.complete_in(&mut transaction).await? == Completion::Completed {
                    transaction.commit().await?;
                }
            }
        }
        Ok(())
    }
}
