//! The faults of apalis-sqlite 1.0.0 that an inbox must shield its users from.
//!
//! Each test asserts the faulty behaviour, so one that fails after an update shows that a fault was fixed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod database;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use apalis_core::{
    backend::{TaskSink, Vacuum},
    error::{BoxDynError, RetryAfterError},
    task::Task,
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use apalis_sqlite::{Config, SqliteStorage, queries::push_tasks};
use database::{Database, until};
use sqlx::{
    SqlSafeStr, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use tokio::{task::JoinHandle, time::sleep};
use tower::limit::ConcurrencyLimitLayer;

const QUEUE: &str = "events";
/// A push that wakes the worker is handled within milliseconds.
const SHORT: Duration = Duration::from_secs(3);

/// What the handler was called with, and when.
type Calls = Arc<Mutex<Vec<(Instant, String)>>>;
type Run = JoinHandle<Result<(), apalis_core::error::WorkerError>>;

async fn set_up(database: &Database) -> SqlitePool {
    let pool = database.pool().await;
    SqliteStorage::setup(&pool).await.unwrap();
    pool
}

fn storage(pool: &SqlitePool) -> SqliteStorage<String> {
    storage_with(pool, Config::default())
}

fn storage_with(pool: &SqlitePool, config: Config) -> SqliteStorage<String> {
    SqliteStorage::new(pool).with_config(config.queue(QUEUE))
}

/// Starts a worker whose handler records the call and returns what `outcome` returns.
fn start<F>(name: &str, storage: SqliteStorage<String>, outcome: F) -> (Calls, Run)
where
    F: Fn() -> Result<(), BoxDynError> + Clone + Send + Sync + 'static,
{
    let calls = Calls::default();
    let recorder = calls.clone();
    let worker = WorkerBuilder::new(name).backend(storage).build(move |job: String| {
        recorder.lock().unwrap().push((Instant::now(), job));
        let outcome = outcome();
        async move { outcome }
    });
    (calls, tokio::spawn(worker.run()))
}

fn count(calls: &Calls) -> usize {
    calls.lock().unwrap().len()
}

async fn called(calls: &Calls, times: usize) {
    until("a call", || async { count(calls) >= times }).await;
}

/// Status, attempts and worker of the only job.
async fn row(pool: &SqlitePool) -> (String, i64, Option<String>) {
    sqlx::query_as("SELECT status, attempts, lock_by FROM Jobs").fetch_one(pool).await.unwrap()
}

// An outage of a second loses the event: it must be retried for days, with increasing delays.
#[tokio::test]
async fn all_attempts_fail_at_once() {
    let database = Database::create();
    let pool = set_up(&database).await;
    storage(&pool).push("job".into()).await.unwrap();

    let (calls, run) = start("worker", storage(&pool), || Err("the service is down".into()));
    until("failure", || async { row(&pool).await.1 == 25 }).await;
    assert_eq!(row(&pool).await.0, "Failed");
    let times: Vec<_> = calls.lock().unwrap().iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 25);
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause < Duration::from_secs(1)), "{pauses:?}");
    run.abort();
}

// The only documented way to delay a retry loses the event: the row is pending and locked, which no query selects.
#[tokio::test]
async fn retry_after_never_runs_again() {
    let database = Database::create();
    let pool = set_up(&database).await;
    storage(&pool).push("job".into()).await.unwrap();

    let later = || Err(RetryAfterError::new("later", Duration::from_millis(10)).into());
    // Each heartbeat looks for jobs of dead workers and fetches.
    let often = Config::default().heartbeat_interval(Duration::from_secs(1)).missed_heartbeats(1);
    let (calls, first) = start("first", storage_with(&pool, often.clone()), later);
    called(&calls, 1).await;
    until("acknowledgement", || async { row(&pool).await.0 == "Pending" }).await;
    assert_eq!(row(&pool).await, ("Pending".into(), 1, Some("first".into())));
    // Neither this worker nor another runs it, although the first one is dead.
    sleep(Duration::from_secs(1)).await;
    first.abort();
    let (others, second) = start("second", storage_with(&pool, often), || Ok(()));
    sleep(SHORT).await;
    assert_eq!((count(&calls), count(&others)), (1, 0));
    assert_eq!(row(&pool).await, ("Pending".into(), 1, Some("first".into())));
    second.abort();
}

// An application that writes the event in its own transaction has to wake the worker, which polls every 30 seconds.
#[tokio::test]
async fn a_push_in_a_transaction_waits() {
    let database = Database::create();
    let pool = set_up(&database).await;
    storage(&pool).push("first".into()).await.unwrap();
    let (calls, run) = start("worker", storage(&pool), || Ok(()));
    called(&calls, 1).await;

    sleep(Duration::from_millis(200)).await;
    let mut transaction = pool.begin().await.unwrap();
    let task = Task::new(br#""second""#.to_vec());
    push_tasks(&mut *transaction, QUEUE, &[task]).await.unwrap();
    transaction.commit().await.unwrap();
    sleep(SHORT).await;
    assert_eq!(count(&calls), 1);
    run.abort();
    // A worker that starts finds it at once.
    let (others, run) = start("other", storage(&pool), || Ok(()));
    called(&others, 1).await;
    run.abort();
}

// A second process that receives webhooks can't rely on the update hook: it sees one process's connections only.
#[tokio::test]
async fn a_push_of_another_process_waits_despite_the_hook() {
    let database = Database::create();
    set_up(&database).await;
    let url = format!("sqlite://{}", database.options().get_filename().display());
    let (pool, listener) = SqliteStorage::connect_with_callback(&url).unwrap();
    let calls = Calls::default();
    let recorder = calls.clone();
    let hooked = storage(&pool).with_callback(listener);
    let worker = WorkerBuilder::new("worker").backend(hooked).build(move |job: String| {
        recorder.lock().unwrap().push((Instant::now(), job));
        async move { Ok::<_, BoxDynError>(()) }
    });
    let run = tokio::spawn(worker.run());
    sleep(Duration::from_millis(500)).await;
    storage(&pool).push("first".into()).await.unwrap();
    called(&calls, 1).await;

    storage(&database.pool().await).push("second".into()).await.unwrap();
    sleep(SHORT).await;
    assert_eq!(count(&calls), 1);
    run.abort();
    // A worker that starts finds it at once.
    let (others, run) = start("other", storage(&pool), || Ok(()));
    called(&others, 1).await;
    run.abort();
}

// Another writer that holds the lock longer than the busy timeout, such as a backup, ends the work until a restart.
#[tokio::test]
async fn one_busy_error_ends_the_worker() {
    let database = Database::create();
    set_up(&database).await;
    let impatient =
        database.pool_with(database.options().busy_timeout(Duration::from_millis(50))).await;
    let heartbeat = Config::default().heartbeat_interval(Duration::from_secs(1));
    let (calls, run) = start("worker", storage_with(&impatient, heartbeat), || Ok(()));
    storage(&impatient).push("first".into()).await.unwrap();
    called(&calls, 1).await;

    let other = database.pool().await;
    let writer = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = tokio::time::timeout(database::LIMIT, run).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("database is locked"), "{error}");
    drop(writer);
}

// The handlers that are running when the worker ends are cancelled at any await, without a trace in the database.
#[tokio::test]
async fn an_error_of_the_worker_cancels_running_handlers() {
    let database = Database::create();
    let pool = set_up(&database).await;
    storage(&pool).push("slow".into()).await.unwrap();
    let held = Arc::new(());
    let handle = held.clone();
    let config = Config::default().heartbeat_interval(Duration::from_secs(1));
    let worker = WorkerBuilder::new("worker").backend(storage_with(&pool, config)).build(
        move |_: String| {
            let handle = handle.clone();
            async move {
                sleep(Duration::from_secs(3600)).await;
                drop(handle);
            }
        },
    );
    let run = tokio::spawn(worker.run());
    until("start", || async { Arc::strong_count(&held) == 3 }).await;
    // Any error does. This one is that of a heartbeat without a row.
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut *connection).await.unwrap();
    sqlx::query("DELETE FROM Workers").execute(&mut *connection).await.unwrap();
    let error = tokio::time::timeout(database::LIMIT, run).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("WORKER_DOES_NOT_EXIST"), "{error}");
    assert_eq!(Arc::strong_count(&held), 1);
}

// An acknowledged event can be lost with the machine's power, depending on which connection wrote it.
#[tokio::test]
async fn setup_turns_synchronous_off_on_some_connections() {
    let database = Database::create();
    let pool = database.pool().await;
    let all = [pool.acquire(), pool.acquire(), pool.acquire(), pool.acquire()];
    drop(futures_util::future::join_all(all).await);
    SqliteStorage::setup(&pool).await.unwrap();

    let mut modes = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..4 {
        let mut connection = pool.acquire().await.unwrap();
        let mode: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
        modes.push(mode);
        connections.push(connection);
    }
    modes.sort_unstable();
    // Full is 2. The pool asked for it.
    assert_eq!(modes, [0, 2, 2, 2]);
}

/// The migrations of an application.
fn application() -> Migrator {
    let sql = "CREATE TABLE users (id INTEGER)".into_sql_str();
    Migrator::with_migrations(vec![Migration::new(
        1,
        "users".into(),
        MigrationType::Simple,
        sql,
        false,
    )])
}

// An application that uses sqlx's migrations can't start: both write to `_sqlx_migrations`.
#[tokio::test]
async fn migrations_collide_with_those_of_the_application() {
    let database = Database::create();
    let pool = database.pool().await;
    application().run(&pool).await.unwrap();
    let error = SqliteStorage::setup(&pool).await.unwrap_err();
    assert!(error.to_string().contains("migration 1 was previously applied"), "{error}");

    let database = Database::create();
    let pool = set_up(&database).await;
    let error = application().run(&pool).await.unwrap_err();
    assert!(matches!(error, MigrateError::VersionMissing(20_220_530_084_123)), "{error}");
}

// The names of its tables are fixed, so an application with a table `jobs` needs a second database file, and then it
// can't write the event and its own rows in one transaction.
#[tokio::test]
async fn a_table_named_jobs_prevents_the_setup() {
    let database = Database::create();
    let pool = database.pool().await;
    sqlx::query("CREATE TABLE jobs (id INTEGER)").execute(&pool).await.unwrap();
    let error = SqliteStorage::setup(&pool).await.unwrap_err();
    assert!(error.to_string().contains("no such column"), "{error}");
}

// Purging deletes dead letters nobody has seen: a number is always less than a text in SQLite.
#[tokio::test]
async fn vacuum_before_deletes_fresh_rows() {
    let database = Database::create();
    let pool = set_up(&database).await;
    let mut storage = storage(&pool);
    for job in ["done", "failed", "pending"] {
        storage.push(job.into()).await.unwrap();
    }
    for (status, attempts, job) in [("Done", 1, "\"done\""), ("Failed", 25, "\"failed\"")] {
        sqlx::query("UPDATE Jobs SET status = ?, attempts = ? WHERE CAST(job AS TEXT) = ?")
            .bind(status)
            .bind(attempts)
            .bind(job)
            .execute(&pool)
            .await
            .unwrap();
    }
    // Finished at least a week ago: none of them.
    storage.vacuum_before(Duration::from_secs(7 * 86400)).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("SELECT status FROM Jobs").fetch_all(&pool).await.unwrap();
    assert_eq!(left, ["Pending"]);
}

// A process that crashed and starts again at once needs a new name, or it does not work for 30 seconds.
#[tokio::test]
async fn a_worker_can_not_restart_under_its_name() {
    let database = Database::create();
    let pool = set_up(&database).await;
    let (calls, run) = start("worker", storage(&pool), || Ok(()));
    storage(&pool).push("job".into()).await.unwrap();
    called(&calls, 1).await;
    run.abort();

    let (_, run) = start("worker", storage(&pool), || Ok(()));
    let error = tokio::time::timeout(database::LIMIT, run).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("WORKER_ALREADY_EXISTS"), "{error}");
}

// One poison payload blocks its neighbours: it ends each worker that fetches it.
#[tokio::test]
async fn an_unreadable_payload_ends_the_worker() {
    let database = Database::create();
    let pool = set_up(&database).await;
    let mut connection = pool.acquire().await.unwrap();
    push_tasks(&mut *connection, QUEUE, &[Task::new(b"{".to_vec())]).await.unwrap();
    drop(connection);
    let (calls, run) = start("worker", storage(&pool), || Ok(()));
    let error = tokio::time::timeout(database::LIMIT, run).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("Task decoding error"), "{error}");
    assert_eq!(count(&calls), 0);
}

// A worker with more jobs fetched than it can run sends no heartbeats, so another process runs its jobs a second time
// while they are running.
#[tokio::test]
async fn a_busy_worker_loses_its_jobs() {
    let database = Database::create();
    let pool = set_up(&database).await;
    let config = Config::default().heartbeat_interval(Duration::from_secs(1)).missed_heartbeats(2);
    for job in ["a", "b", "c"] {
        storage(&pool).push(job.into()).await.unwrap();
    }
    let started = Calls::default();
    let recorder = started.clone();
    let slow = WorkerBuilder::new("slow")
        .backend(storage_with(&pool, config.clone()))
        .layer(ConcurrencyLimitLayer::new(1))
        .build(move |job: String| {
            recorder.lock().unwrap().push((Instant::now(), job));
            sleep(Duration::from_secs(3600))
        });
    let slow = tokio::spawn(slow.run());
    called(&started, 1).await;
    let (others, run) = start("other", storage_with(&pool, config), || Ok(()));
    called(&others, 3).await;
    assert!(!slow.is_finished());
    let running = started.lock().unwrap()[0].1.clone();
    assert!(others.lock().unwrap().iter().any(|(_, job)| *job == running));
    slow.abort();
    run.abort();
}

// Deployments make handlers fail that write to the same file, such as one that acknowledges in its own transaction: the
// worker that stops keeps the transaction of an interrupted fetch open until they end.
#[tokio::test]
async fn a_worker_that_stops_blocks_the_writes_of_its_handlers() {
    let database = Database::create();
    let pool = set_up(&database).await;
    let writer = database.pool_with(database.options().busy_timeout(Duration::from_secs(1))).await;
    sqlx::query("CREATE TABLE effects (id INTEGER)").execute(&pool).await.unwrap();
    storage(&pool).push_bulk(vec!["job".to_owned(); 2000]).await.unwrap();
    let locked = Arc::new(AtomicUsize::new(0));
    // The moment matters, hence several tries.
    for number in 0..100 {
        let context = WorkerContext::new(&format!("worker{number}"));
        let (stop, writer, counter) = (context.clone(), writer.clone(), locked.clone());
        let worker =
            WorkerBuilder::new(&context).backend(storage(&pool)).build(move |_: String| {
                let (stop, writer, counter) = (stop.clone(), writer.clone(), counter.clone());
                async move {
                    sleep(Duration::from_micros(fastrand::u64(..3000))).await;
                    let _ = stop.stop();
                    let effect =
                        sqlx::query("INSERT INTO effects VALUES (1)").execute(&writer).await;
                    if effect.is_err_and(|error| error.to_string().contains("database is locked")) {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        let _ = worker.run().await;
        if locked.load(Ordering::Relaxed) > 0 {
            return;
        }
    }
    panic!("no handler was blocked");
}
