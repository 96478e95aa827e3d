//! Kills the example `app` again and again while a sender retries like WorkOS. No acknowledged event is lost, and the feed
//! reports nothing twice.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod databases;
mod folded;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use app::{Sender, check, close, life, report, setting, start, texts, url};
use databases::{Database, on_postgres, on_sqlite};
use tokio::{sync::Semaphore, task::JoinSet};
use tower_workos::DirectoryEvent;
use tower_workos_mirror::{Mirror, MirrorPool};

/// Events under way at the same time.
const CONCURRENCY: usize = 40;
/// A slow machine needs less than this between two kills.
const LIMIT: Duration = Duration::from_secs(60);

/// Crash tests run one at a time, so that they don't compete for processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[derive(Default)]
struct Shared {
    address: Mutex<String>,
    acknowledged: Mutex<HashSet<String>>,
}

impl Shared {
    fn acknowledged(&self) -> HashSet<String> {
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn crash(name: &str, database: &Database) {
    let _alone = ALONE.lock().await;
    let (events, kills) = (setting("CRASH_EVENTS", 1000), setting("CRASH_KILLS", 15));
    let seed = getrandom::u32().unwrap();
    let name = &format!("{name}, seed {seed}");
    let (bodies, expected) = life(seed.into(), events);
    let deliveries = bodies.len();
    let url = url(database);
    // SQLite recovers only if nobody else has the database open.
    if let Database::Sqlite { pool, .. } = database {
        pool.close().await;
    }
    let shared = Arc::<Shared>::default();
    let sender = Arc::new(Sender::new());
    let senders = {
        let (sender, shared) = (Arc::clone(&sender), Arc::clone(&shared));
        tokio::spawn(async move {
            let permits = Arc::new(Semaphore::new(CONCURRENCY));
            let mut senders = JoinSet::new();
            for body in bodies {
                let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
                let (sender, shared) = (Arc::clone(&sender), Arc::clone(&shared));
                senders.spawn(async move {
                    let event = DirectoryEvent::parse(body.clone()).unwrap();
                    sender.deliver(|| shared.address.lock().unwrap().clone(), body).await;
                    shared.acknowledged.lock().unwrap().insert(event.id().to_string());
                    drop(permit);
                });
            }
            senders.join_all().await;
        })
    };
    let mut unacknowledged = 0;
    for kill in 1..=kills {
        let server = start(&url);
        shared.address.lock().unwrap().clone_from(&server.address);
        let begin = Instant::now();
        while shared.acknowledged().len() < events * kill / (kills + 1) {
            assert!(begin.elapsed() < LIMIT && !senders.is_finished(), "before kill {kill}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(u64::from(getrandom::u32().unwrap() % 20_000)))
            .await;
        // SIGKILL.
        drop(server);
        let acknowledged = shared.acknowledged();
        let mirror = Mirror::connect(&url).await.unwrap();
        let applied = texts(mirror.pool(), "SELECT event_id FROM workos_mirror_applied").await;
        close(mirror).await;
        let applied = HashSet::from_iter(applied);
        let lost = acknowledged.difference(&applied).collect::<Vec<_>>();
        assert!(lost.is_empty(), "{name}: {lost:?} were lost in kill {kill}");
        unacknowledged += applied.difference(&acknowledged).count();
    }
    let server = start(&url);
    shared.address.lock().unwrap().clone_from(&server.address);
    senders.await.unwrap();
    let (code, _, err) = server.interrupt();
    assert_eq!((code, err.as_str()), (Some(0), ""));

    assert_eq!(shared.acknowledged().len(), events);
    check(&url, &expected).await;
    let mirror = Mirror::connect(&url).await.unwrap();
    if let MirrorPool::Sqlite(_) = mirror.pool() {
        assert_eq!(texts(mirror.pool(), "PRAGMA integrity_check").await, ["ok"]);
    }
    close(mirror).await;
    let log = sender.log();
    // Otherwise, the kills did not hit anything.
    assert!(log.lost > 0 && unacknowledged > 0, "{log:?}");
    report(&format!(
        "{name}: {events} events, {deliveries} deliveries, {kills} kills, {unacknowledged} committed without a response: \
         0 lost, 0 repeated changes; {log:?}"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    on_sqlite(async |database| crash("SQLite", database).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    on_postgres(async |database| crash("Postgres", database).await).await;
}
