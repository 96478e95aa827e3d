//! A place for a queue on each engine, and what the tests have in common.
#![allow(dead_code, unused_macros, unused_imports, reason = "each test program uses a part")]

use std::{
    env,
    future::Future,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tower::service_fn;
use tower_workos::{DirectoryEvent, testing::sample};
use tower_workos_inbox::{Inbox, InboxError, QueueBuilder, Worker};

/// A condition that takes longer than this is not met.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

static NUMBER: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nats,
    Postgres,
    Sqlite,
}

/// A database or a broker with tables or streams of this test's own.
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    /// Unique, because the tests share the servers.
    pub(crate) prefix: String,
    _folder: Option<TempDir>,
}

impl Place {
    /// Returns `None` if the engine's server is missing, unless `REQUIRE_SERVICES` is set.
    pub(crate) async fn new(kind: Kind) -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("i{}_{number}_", std::process::id());
        let mut folder = None;
        let url = match kind {
            Kind::Sqlite => {
                let new = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", new.path().join("inbox.db").display());
                folder = Some(new);
                url
            }
            Kind::Postgres => server("TEST_POSTGRES_URL")?,
            Kind::Nats => server("TEST_NATS_URL")?,
        };
        Some(Self { kind, url, prefix, _folder: folder })
    }

    /// The place of the test that has started this process.
    pub(crate) fn from_env() -> Self {
        let variable = |name: &str| env::var(name).unwrap();
        let kind = match variable("INBOX_KIND").as_str() {
            "Nats" => Kind::Nats,
            "Postgres" => Kind::Postgres,
            _ => Kind::Sqlite,
        };
        let (url, prefix) = (variable("INBOX_URL"), variable("INBOX_PREFIX"));
        Self { kind, url, prefix, _folder: None }
    }

    /// For [`from_env`](Self::from_env).
    pub(crate) fn to_env(&self) -> [(&str, String); 3] {
        [
            ("INBOX_KIND", format!("{:?}", self.kind)),
            ("INBOX_URL", self.url.clone()),
            ("INBOX_PREFIX", self.prefix.clone()),
        ]
    }

    /// A queue with a pool or connection of its own, as another process has it.
    pub(crate) async fn inbox(&self) -> Inbox {
        self.inbox_with(|builder| builder).await
    }

    pub(crate) async fn inbox_with(
        &self,
        settings: impl FnOnce(QueueBuilder<DirectoryEvent>) -> QueueBuilder<DirectoryEvent>,
    ) -> Inbox {
        let inbox = settings(self.builder().await).build().unwrap();
        inbox.migrate().await.unwrap();
        inbox
    }

    async fn builder(&self) -> QueueBuilder<DirectoryEvent> {
        match self.kind {
            Kind::Sqlite => Inbox::builder(self.sqlite().await).prefix(&self.prefix),
            Kind::Postgres => Inbox::builder(self.postgres().await).prefix(&self.prefix),
            Kind::Nats => {
                let client = async_nats::connect(&self.url).await.unwrap();
                let context = async_nats::jetstream::new(client);
                Inbox::builder(context).prefix(&self.prefix)
            }
        }
    }

    pub(crate) async fn sqlite(&self) -> sqlx::SqlitePool {
        let options: sqlx::sqlite::SqliteConnectOptions = self.url.parse().unwrap();
        let options = options
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(1));
        sqlx::sqlite::SqlitePoolOptions::new().connect_with(options).await.unwrap()
    }

    pub(crate) async fn postgres(&self) -> sqlx::PgPool {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(20);
        pool.connect(&self.url).await.unwrap()
    }
}

fn server(variable: &str) -> Option<String> {
    let url = env::var(variable).ok();
    if url.is_none() {
        assert!(env::var("REQUIRE_SERVICES").is_err(), "{variable} is not set");
        println!("skipped: {variable} is not set");
    }
    url
}

/// Defines a test for each engine from a function that gets a [`Place`].
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        crate::support::on_engines!(nats Nats: $($test),*);
        crate::support::on_engines!(postgres Postgres: $($test),*);
        crate::support::on_engines!(sqlite Sqlite: $($test),*);
    };
}
pub(crate) use on_each_engine;

macro_rules! on_engines {
    ($module:ident $kind:ident: $($test:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    use crate::support::{Kind, Place};
                    if let Some(place) = Place::new(Kind::$kind).await {
                        super::$test(&place).await;
                        place.remove().await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_engines;

impl Place {
    /// Removes the tables or streams. After a failed test, they stay for a look.
    pub(crate) async fn remove(&self) {
        match self.kind {
            Kind::Sqlite => {}
            Kind::Postgres => {
                let pool = self.postgres().await;
                let prefix = &self.prefix;
                let select = "SELECT 'DROP SCHEMA ' || quote_ident(nspname) || ' CASCADE' FROM pg_namespace \
                              WHERE starts_with(nspname, $1)";
                let mut drops: Vec<String> =
                    sqlx::query_scalar(select).bind(prefix).fetch_all(&pool).await.unwrap();
                drops.push(format!(
                    "DROP TABLE IF EXISTS {prefix}inbox_job, {prefix}inbox_migration"
                ));
                for sql in drops {
                    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
                }
            }
            Kind::Nats => {
                use futures_util::TryStreamExt as _;
                let client = async_nats::connect(&self.url).await.unwrap();
                let context = async_nats::jetstream::new(client);
                let names: Vec<_> = context.stream_names().try_collect().await.unwrap();
                for name in names.into_iter().filter(|name| name.contains(&self.prefix)) {
                    context.delete_stream(name).await.unwrap();
                }
            }
        }
    }
}

/// Events with different ids.
pub(crate) fn events(count: usize) -> Vec<DirectoryEvent> {
    (0..count)
        .map(|number| sample::USER_CREATED.builder().id(format!("event_{number:05}")).event())
        .collect()
}

/// Which events a handler got, in order.
#[derive(Clone, Default)]
pub(crate) struct Handled(Arc<Mutex<Vec<String>>>);

impl Handled {
    pub(crate) fn add(&self, event: &DirectoryEvent) {
        self.0.lock().unwrap().push(event.id().as_str().to_owned());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut ids = self.0.lock().unwrap().clone();
        ids.sort();
        ids
    }

    /// A handler that never fails.
    pub(crate) fn service(
        &self,
    ) -> impl tower::Service<
        DirectoryEvent,
        Response = (),
        Error = io::Error,
        Future = impl Future<Output = io::Result<()>> + Send,
    > + Clone
    + Send
    + Sync
    + 'static {
        let handled = self.clone();
        service_fn(move |event: DirectoryEvent| {
            let handled = handled.clone();
            async move {
                handled.add(&event);
                Ok(())
            }
        })
    }
}

/// A worker in the background.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), InboxError>>,
}

impl Running {
    /// Stops it gracefully.
    pub(crate) async fn stop(self) {
        self.stop_within(LIMIT).await;
    }

    /// Stops it gracefully, which may take this long.
    pub(crate) async fn stop_within(self, limit: Duration) {
        let _ = self.stop.send(());
        timeout(limit, self.task).await.expect("the worker stops").unwrap().unwrap();
    }

    /// Waits until it returns an error.
    pub(crate) async fn failed(self) -> InboxError {
        timeout(LIMIT, self.task).await.expect("the worker ends").unwrap().unwrap_err()
    }

    /// Drops it, as a crash does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub(crate) fn run<S>(worker: Worker<DirectoryEvent, S>) -> Running
where
    S: tower::Service<tower_workos_inbox::Job<DirectoryEvent>, Response = ()>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

/// Waits until the condition is met.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("not met: {what}"));
}
