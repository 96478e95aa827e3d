//! What the adapter guarantees.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod database;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use database::{Database, until};
use peers_apalis::{Failure, Inbox, Job, Settings};
use sqlx::{
    SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::SqliteSynchronous,
};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::sleep,
};

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = Duration::from_secs(1);
    settings
}

/// An inbox with a pool of its own, as each process has.
async fn open(database: &Database) -> Inbox {
    Inbox::open(database.options(), settings()).await.unwrap()
}

/// A worker that runs, and what stops it.
struct Running {
    stop: oneshot::Sender<()>,
    run: JoinHandle<()>,
}

fn start<F>(inbox: &Inbox, handler: impl Fn(Job) -> F + Clone + Send + 'static) -> Running
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel();
    let inbox = inbox.clone();
    let run = tokio::spawn(async move {
        inbox.run_until(handler, async { drop(stopped.await) }).await;
    });
    Running { stop, run }
}

impl Running {
    async fn end(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(database::LIMIT, self.run).await.unwrap().unwrap();
    }
}

/// The ids of the calls of a handler, with their times.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<(Instant, String)>>>);

impl Calls {
    fn record(&self, job: &Job) -> usize {
        let mut calls = self.0.lock().unwrap();
        calls.push((Instant::now(), job.id.clone()));
        calls.iter().filter(|(_, id)| *id == job.id).count()
    }

    fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, id)| id.clone()).collect()
    }

    async fn reach(&self, count: usize) {
        until("a call", || async { self.ids().len() >= count }).await;
    }
}

async fn scalar(pool: &SqlitePool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

async fn idle(pool: &SqlitePool) {
    until("the end of all jobs", || async { scalar(pool, "SELECT count(*) FROM Jobs").await == 0 })
        .await;
}

#[tokio::test]
async fn a_repeated_event_is_handled_once() {
    let database = Database::create();
    let (inbox, pool) = (open(&database).await, database.pool().await);
    assert_eq!(inbox.store(&[("a", b"1"), ("b", b"2"), ("a", b"1")]).await.unwrap(), 2);
    let calls = Calls::default();
    let (recorder, payloads) = (calls.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = payloads.clone();
    let running = start(&inbox, move |job| {
        recorder.record(&job);
        seen.lock().unwrap().push(job.payload);
        async { Ok(()) }
    });
    idle(&pool).await;
    // Also after the job was handled and deleted.
    assert_eq!(inbox.store(&[("b", b"2"), ("c", b"not JSON")]).await.unwrap(), 1);
    idle(&pool).await;
    running.end().await;
    let mut ids = calls.ids();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b", "c"]);
    let mut payloads = payloads.lock().unwrap().clone();
    payloads.sort_unstable();
    assert_eq!(payloads, [b"1".to_vec(), b"2".to_vec(), b"not JSON".to_vec()]);
    assert_eq!(scalar(&pool, "SELECT count(*) FROM inbox_events").await, 3);
}

#[tokio::test]
async fn a_failure_is_retried_later() {
    let database = Database::create();
    let inbox = open(&database).await;
    inbox.store(&[("a", b"{}")]).await.unwrap();
    let calls = Calls::default();
    let recorder = calls.clone();
    let running = start(&inbox, move |job| {
        let times = recorder.record(&job);
        async move {
            match times {
                1 => Err(Failure::Transient("down".into())),
                2 => panic!("on purpose"),
                _ => Ok(()),
            }
        }
    });
    calls.reach(3).await;
    idle(&database.pool().await).await;
    running.end().await;
    let times: Vec<_> = calls.0.lock().unwrap().iter().map(|(at, _)| *at).collect();
    // The delays are rounded up to seconds, and so the second one is between one and two.
    assert!(times[2] - times[0] >= Duration::from_secs(1), "{times:?}");
}

#[tokio::test]
async fn a_dead_letter_waits_until_it_is_driven_again() {
    let database = Database::create();
    let (inbox, pool) = (open(&database).await, database.pool().await);
    inbox.store(&[("a", b"{}"), ("b", b"{}"), ("old", b"{}")]).await.unwrap();
    let age = "UPDATE inbox_events SET at = at - 8 * 86400 WHERE id = ?";
    sqlx::query(age).bind("old").execute(&pool).await.unwrap();
    let calls = Calls::default();
    let recorder = calls.clone();
    let running = start(&inbox, move |job| {
        let times = recorder.record(&job);
        async move {
            match (job.id.as_str(), times) {
                ("a", 1) => Err(Failure::Permanent("unknown user".into())),
                // Older than the maximum age, and then as young as a new one.
                ("old", 1 | 2) => Err(Failure::Transient("down".into())),
                _ => Ok(()),
            }
        }
    });
    until("dead letters", || async { inbox.dead(10).await.unwrap().len() == 2 }).await;
    let mut dead: Vec<_> = inbox.dead(10).await.unwrap();
    dead.sort_by(|a, b| a.id.cmp(&b.id));
    let dead: Vec<_> = dead.iter().map(|d| (&*d.id, &*d.error, d.attempts)).collect();
    assert_eq!(dead, [("a", "unknown user", 1), ("old", "down", 1)]);
    // The id of a dead letter is kept, however old.
    assert_eq!(inbox.purge().await.unwrap(), 0);
    assert_eq!(inbox.redrive(Some("a")).await.unwrap(), 1);
    assert_eq!(inbox.redrive(Some("a")).await.unwrap(), 0);
    assert_eq!(inbox.redrive(None).await.unwrap(), 1);
    idle(&pool).await;
    running.end().await;
    assert_eq!(calls.ids().len(), 6);
    for id in ["a", "old"] {
        sqlx::query(age).bind(id).execute(&pool).await.unwrap();
    }
    assert_eq!(inbox.purge().await.unwrap(), 2);
    assert_eq!(scalar(&pool, "SELECT count(*) FROM inbox_events").await, 1);
}

#[tokio::test]
async fn an_event_of_another_process_wakes_the_worker() {
    let database = Database::create();
    let calls = Calls::default();
    let recorder = calls.clone();
    // A heartbeat would wake it too.
    let mut settings = settings();
    settings.heartbeat = Duration::from_secs(3600);
    let inbox = Inbox::open(database.options(), settings).await.unwrap();
    let running = start(&inbox, move |job| {
        recorder.record(&job);
        async { Ok(()) }
    });
    let other = open(&database).await;
    let mut waits = Vec::new();
    for (index, id) in ["a", "b", "c", "d"].iter().enumerate() {
        // Idle.
        sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        other.store(&[(id, b"{}")]).await.unwrap();
        calls.reach(index + 1).await;
        waits.push(start.elapsed());
    }
    println!("from the start of the transaction to the handler: {waits:?}");
    running.end().await;
}

#[tokio::test]
async fn a_locked_database_delays_and_loses_nothing() {
    let database = Database::create();
    let impatient = database.options().busy_timeout(Duration::from_millis(20));
    let inbox = Inbox::open(impatient, settings()).await.unwrap();
    inbox.store(&[("slow", b"{}")]).await.unwrap();
    let calls = Calls::default();
    let (recorder, finished) = (calls.clone(), Arc::new(AtomicUsize::new(0)));
    let ends = finished.clone();
    let running = start(&inbox, move |job| {
        recorder.record(&job);
        let ends = ends.clone();
        async move {
            if job.id == "slow" {
                sleep(Duration::from_secs(2)).await;
            }
            ends.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    calls.reach(1).await;

    let pool = database.pool().await;
    let mut writer = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // Longer than a heartbeat: the worker fails and its handler goes on.
    sleep(Duration::from_millis(1500)).await;
    let row = "INSERT INTO inbox_events VALUES ('inbox', 'b', unixepoch())";
    sqlx::query(row).execute(&mut *writer).await.unwrap();
    writer.rollback().await.unwrap();
    inbox.store(&[("b", b"{}")]).await.unwrap();
    idle(&pool).await;
    running.end().await;
    assert_eq!(calls.ids(), ["slow", "b"]);
    assert_eq!(finished.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_busy_worker_keeps_its_jobs() {
    let database = Database::create();
    let mut settings = settings();
    settings.concurrency = 2;
    let inbox = Inbox::open(database.options(), settings).await.unwrap();
    let (calls, gate) = (Calls::default(), Arc::new(Semaphore::new(0)));
    let (recorder, opened) = (calls.clone(), gate.clone());
    let running = start(&inbox, move |job| {
        recorder.record(&job);
        let opened = opened.clone();
        async move {
            drop(opened.acquire().await.unwrap());
            Ok(())
        }
    });
    inbox.store(&[("a", b"{}")]).await.unwrap();
    calls.reach(1).await;
    // Both are fetched, and only one can run.
    inbox.store(&[("b", b"{}"), ("c", b"{}")]).await.unwrap();
    calls.reach(2).await;
    let others = Calls::default();
    let recorder = others.clone();
    let other = start(&open(&database).await, move |job| {
        recorder.record(&job);
        async { Ok(()) }
    });
    // Three missed heartbeats and the look for them.
    sleep(Duration::from_millis(5500)).await;
    assert_eq!(others.ids(), Vec::<String>::new());
    gate.add_permits(1);
    idle(inbox.pool()).await;
    running.end().await;
    other.end().await;
    assert_eq!(calls.ids(), ["a", "b", "c"]);
}

#[tokio::test]
async fn the_application_keeps_its_migrations() {
    let database = Database::create();
    let pool = database.pool().await;
    let sql = "CREATE TABLE users (id INTEGER)".into_sql_str();
    let sql = Migration::new(1, "users".into(), MigrationType::Simple, sql, false);
    let migrations = Migrator::with_migrations(vec![sql]);
    migrations.run(&pool).await.unwrap();
    open(&database).await;
    migrations.run(&pool).await.unwrap();
    assert_eq!(scalar(&pool, "SELECT count(*) FROM _sqlx_migrations").await, 1);
}

#[tokio::test]
async fn two_processes_can_open_at_once() {
    let database = Database::create();
    let (first, second) = tokio::join!(open(&database), open(&database));
    first.store(&[("a", b"{}")]).await.unwrap();
    assert_eq!(second.store(&[("a", b"{}")]).await.unwrap(), 0);
}

#[tokio::test]
async fn each_connection_is_synchronous() {
    let database = Database::create();
    let off = database.options().synchronous(SqliteSynchronous::Off);
    let inbox = Inbox::open(off, settings()).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..4 {
        let mut connection = inbox.pool().acquire().await.unwrap();
        let mode: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
        // Full.
        assert_eq!(mode, 2);
        connections.push(connection);
    }
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_frees_the_rest() {
    let database = Database::create();
    let mut settings = settings();
    settings.concurrency = 2;
    let inbox = Inbox::open(database.options(), settings).await.unwrap();
    let ids: Vec<_> = (0..10).map(|number| format!("event{number}")).collect();
    let events: Vec<(&str, &[u8])> = ids.iter().map(|id| (id.as_str(), &b"{}"[..])).collect();
    inbox.store(&events).await.unwrap();
    let (calls, finished) = (Calls::default(), Calls::default());
    let (recorder, ends) = (calls.clone(), finished.clone());
    let running = start(&inbox, move |job| {
        recorder.record(&job);
        let ends = ends.clone();
        async move {
            sleep(Duration::from_millis(500)).await;
            ends.record(&job);
            Ok(())
        }
    });
    calls.reach(2).await;
    running.end().await;
    let (mut begun, mut ended) = (calls.ids(), finished.ids());
    begun.sort_unstable();
    ended.sort_unstable();
    assert_eq!(begun, ended);
    let pool = database.pool().await;
    let free = "SELECT count(*) FROM Jobs WHERE status = 'Pending' AND lock_by IS NULL";
    let free = usize::try_from(scalar(&pool, free).await).unwrap();
    assert_eq!(free + ended.len(), 10);
    assert_eq!(scalar(&pool, "SELECT count(*) FROM Workers").await, 0);
}

#[tokio::test]
async fn stopping_keeps_no_job_locked() {
    let database = Database::create();
    let inbox = open(&database).await;
    let ids: Vec<_> = (0..5000).map(|number| format!("event{number}")).collect();
    let events: Vec<(&str, &[u8])> = ids.iter().map(|id| (id.as_str(), &b"{}"[..])).collect();
    inbox.store(&events).await.unwrap();
    let calls = Calls::default();
    // A worker is stopped while it handles, while it fetches, and between.
    for _ in 0..25 {
        let recorder = calls.clone();
        let begun = calls.ids().len();
        let running = start(&inbox, move |job| {
            recorder.record(&job);
            async { Ok(()) }
        });
        calls.reach(begun + 1).await;
        sleep(Duration::from_micros(fastrand::u64(..5000))).await;
        running.end().await;
        let locked = "SELECT count(*) FROM Jobs WHERE lock_by IS NOT NULL";
        assert_eq!(scalar(inbox.pool(), locked).await, 0);
    }
    let handled = i64::try_from(calls.ids().len()).unwrap();
    assert_eq!(scalar(inbox.pool(), "SELECT count(*) FROM Jobs").await, 5000 - handled);
}
