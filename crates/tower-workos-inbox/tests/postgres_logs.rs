//! graphile_worker logs the payloads and errors of its jobs. Nothing of an item may be among them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    env,
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, postgres::PgPoolOptions};
use tokio::sync::oneshot;
use tower::service_fn;
use tower_workos::{DirectoryEvent, testing::sample};
use tower_workos_inbox::{Inbox, Permanent, Retry};
use tracing_subscriber::fmt::MakeWriter;

/// In the bodies of the events.
const EMAIL: &str = "rosalind.okafor@northwind.example";
/// In the errors of the handler.
const ERROR: &str = "an error about somebody";

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_contains_a_body_or_an_error() {
    let Ok(url) = env::var("TEST_POSTGRES_URL") else {
        assert!(env::var("REQUIRE_SERVICES").is_err(), "TEST_POSTGRES_URL is not set");
        return;
    };
    let logs = Logs::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(logs.clone())
        .init();
    let pool = PgPoolOptions::new().connect(&url).await.unwrap();
    let prefix = format!("logs{}_", std::process::id());
    let inbox = Inbox::builder(pool.clone()).prefix(&prefix).build().unwrap();
    inbox.migrate().await.unwrap();
    let attempts = Arc::new(AtomicU32::new(0));
    let service = {
        let attempts = Arc::clone(&attempts);
        service_fn(move |event: DirectoryEvent| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async move {
                match event.id().as_str() {
                    "event_1" => Ok(()),
                    "event_2" => Err(io::Error::other(ERROR)),
                    "event_3" => panic!("{}", ERROR),
                    "event_4" => Err(io::Error::other(Permanent::new(ERROR))),
                    // It is aborted when the worker stops.
                    _ => std::future::pending().await,
                }
            }
        })
    };
    let retry = Retry::default().wait(Duration::from_millis(5), Duration::from_millis(10));
    let worker = inbox.worker(service).retry(retry).grace(Duration::from_millis(100));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    for number in 1..=5 {
        let event = sample::USER_CREATED.builder().id(format!("event_{number}")).event();
        assert!(str::from_utf8(event.raw()).unwrap().contains(EMAIL));
        inbox.store(&event).await.unwrap();
    }
    let waiting = async {
        while attempts.load(Ordering::Relaxed) < 20 || inbox.status().await.unwrap().dead == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();

    let logs = String::from_utf8(logs.0.lock().unwrap().clone()).unwrap();
    // It does log: the payloads of its jobs, and ids.
    assert!(logs.contains("Completed task with success") && logs.contains("event_2"), "{logs}");
    for secret in [EMAIL, ERROR] {
        assert_eq!(logs.matches(secret).count(), 0, "{secret}");
    }
    for sql in [
        format!("DROP TABLE {prefix}inbox_job, {prefix}inbox_migration"),
        format!("DROP SCHEMA {prefix}$inbox_graphile_worker CASCADE"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    }
}
