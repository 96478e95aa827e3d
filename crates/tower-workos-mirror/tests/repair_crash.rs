//! Webhooks, the poller and the reconciler at once: processes of the example `app` are killed again and again while they
//! repair their mirror from an emulated API. In the end, the mirror equals the truth.
//!
//! `REPAIR_KILLS` and `REPAIR_EVENTS` set the numbers of kills and events.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod app;
mod databases;
mod folded;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use app::{
    Sender, check, close,
    driver::{Example, program},
    get, report, setting, start_with, texts, url,
};
use databases::{Database, on_postgres, on_sqlite};
use dsync_emulator::{
    Emulator,
    directory::{Event, Life, Plan},
};
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};
use tower_workos::Timestamp;
use tower_workos_mirror::Mirror;

/// A stale list of the API is this old.
const LAG: Duration = Duration::from_secs(5);
/// Between two events.
const PAUSE: Duration = Duration::from_millis(50);
/// How far a poller stays behind the present.
const MARGIN: Duration = Duration::from_secs(60);
/// A slow machine needs less than this after the last event.
const LIMIT: Duration = Duration::from_secs(150);
/// In microseconds.
const HOURS: i64 = 2 * 60 * 60 * 1_000_000;

fn random(below: usize) -> usize {
    usize::try_from(getrandom::u32().unwrap()).unwrap() % below
}

fn chance(percent: usize) -> bool {
    random(100) < percent
}

fn millis(from: usize, to: usize) -> Duration {
    Duration::from_millis(u64::try_from(from + random(to - from)).unwrap())
}

/// Delivers webhooks with losses, repetitions and disorder.
#[derive(Default)]
struct Network {
    sender: Sender,
    addresses: Mutex<Vec<String>>,
    lost: AtomicUsize,
    lost_removals: AtomicUsize,
    removals: AtomicUsize,
}

impl Network {
    /// The address of any of the processes.
    fn address(&self) -> String {
        let addresses = self.addresses.lock().unwrap();
        addresses.get(random(addresses.len())).unwrap().clone()
    }

    /// Loses a fifth of the events and every second removal. Delivers some twice, and all out of order.
    fn deliver(self: &Arc<Self>, event: &Event, deliveries: &mut JoinSet<()>) {
        let is_removal = event.name().ends_with("deleted") || event.name().ends_with("removed");
        let is_lost_removal = is_removal && self.removals.fetch_add(1, Relaxed).is_multiple_of(2);
        if is_lost_removal || chance(20) {
            self.lost.fetch_add(1, Relaxed);
            self.lost_removals.fetch_add(usize::from(is_removal), Relaxed);
            return;
        }
        for _ in 0..if chance(10) { 2 } else { 1 } {
            let (network, body) = (Arc::clone(self), event.body().clone());
            let delay = if chance(5) { millis(1000, 4000) } else { millis(0, 800) };
            deliveries.spawn(async move {
                sleep(delay).await;
                network.sender.deliver(|| network.address(), body).await;
            });
        }
    }
}

/// The processes of the example.
struct Processes<'a> {
    url: &'a str,
    emulator: &'a Emulator,
    network: &'a Network,
    running: Vec<Example>,
}

impl Processes<'_> {
    /// Starts processes until there are this many.
    async fn start(&mut self, count: usize, with_key: bool) {
        let mut starting = JoinSet::new();
        for _ in self.running.len()..count {
            let (url, base) = (self.url.to_owned(), self.emulator.url());
            let key = self.emulator.api_key().to_owned();
            starting.spawn_blocking(move || {
                let settings = [("WORKOS_API_KEY", &*key), ("WORKOS_API_BASE", &*base)];
                start_with(&url, if with_key { &settings } else { &[] })
            });
        }
        self.running.extend(starting.join_all().await);
        let addresses = self.running.iter().map(|it| it.address.clone()).collect();
        *self.network.addresses.lock().unwrap() = addresses;
    }

    /// With SIGINT.
    async fn stop(&mut self) {
        let mut stopping = JoinSet::new();
        for process in self.running.drain(..) {
            stopping.spawn_blocking(|| process.interrupt());
        }
        for (code, _, err) in stopping.join_all().await {
            // A repair that was delayed by another process tries again.
            let is_repair = |line: &str| line.starts_with("repair: ");
            assert!(code == Some(0) && err.lines().all(is_repair), "{code:?} {err}");
        }
    }

    async fn json(&self, place: usize, path: &str) -> Option<Value> {
        let address = &self.running.get(place).unwrap().address;
        serde_json::from_slice(&get(&format!("{address}{path}")).await?).ok()
    }

    /// Waits until every process shows the truth, after a comparison that succeeded since `killed`, and after the poller has
    /// read the events until `lived`.
    async fn settle(&self, killed: Timestamp, lived: Timestamp) {
        let drained = lived.as_unix_millis() + i64::try_from(MARGIN.as_millis()).unwrap();
        let begin = Instant::now();
        let mut problems;
        loop {
            problems = Vec::new();
            let health = self.json(0, "/health").await.unwrap_or_default();
            let time = |name: &str| {
                let time = health.get(name).and_then(Value::as_str)?.parse::<Timestamp>().ok()?;
                Some(time.as_unix_millis())
            };
            if time("last_success") < Some(killed.as_unix_millis())
                || time("events_drained_at") < Some(drained)
                || health.get("events_age_seconds").and_then(Value::as_u64) > Some(60)
            {
                problems.push(format!("{health}"));
            }
            for place in 0..self.running.len() {
                let state = self.json(place, "/state").await.unwrap_or_default().to_string();
                match self.emulator.snapshot().compare(state.as_bytes()) {
                    Ok(it) => problems.extend(it.differences.iter().map(ToString::to_string)),
                    Err(error) => problems.push(error.to_string()),
                }
            }
            if problems.is_empty() {
                return;
            }
            assert!(begin.elapsed() < LIMIT, "{problems:#?}");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Hits {
    /// A run of the reconciler.
    runs: usize,
    /// One that had already staged something.
    staged: usize,
}

impl Hits {
    /// Call it after all processes were killed. Counts the runs that were hit, expires their leases, and lets the next
    /// comparison be due.
    async fn look(&mut self, url: &str) {
        let mirror = Mirror::connect(url).await.unwrap();
        let sql =
            "UPDATE workos_mirror_run SET expires_at = 0 WHERE expires_at > 0 RETURNING subject";
        self.runs += usize::from(!texts(mirror.pool(), sql).await.is_empty());
        let sql = "SELECT id FROM workos_mirror_stage LIMIT 1";
        self.staged += usize::from(!texts(mirror.pool(), sql).await.is_empty());
        let sql = format!(
            "UPDATE workos_mirror_repair SET succeeded_at = succeeded_at - {HOURS}, \
             finished_at = finished_at - {HOURS} RETURNING environment"
        );
        texts(mirror.pool(), &sql).await;
        close(mirror).await;
    }
}

/// Runs the second half of a life while processes are killed. The first half happened an hour ago: `is_filled` decides
/// whether a mirror without a key received what was not lost of it, or there was no mirror yet.
async fn crash(name: &str, database: &Database, is_filled: bool) {
    let (events, kills) = (setting("REPAIR_EVENTS", 600), setting("REPAIR_KILLS", 8));
    let seed = u64::from(getrandom::u32().unwrap());
    let name = format!("{name}, {}", if is_filled { "filled" } else { "empty" });
    report(&format!("{name}: seed {seed}"));
    let url = url(database);
    let count = if database.is_postgres() { 2 } else { 1 };
    // SQLite recovers only if no other connection has the database open.
    if let Database::Sqlite { pool, .. } = database {
        pool.close().await;
    }
    let emulator = Arc::new(Emulator::builder().seed(seed).replica_lag(LAG).start().await.unwrap());
    let network = Arc::<Network>::default();
    let mut processes =
        Processes { url: &url, emulator: &emulator, network: &network, running: Vec::new() };
    let plan = Plan::new(seed).directories(3).users(60).groups(30);
    let mut life = Life::new(plan.events(events.try_into().unwrap()));

    // Before.
    let mut time = emulator.clock().now().as_unix_millis() - HOURS / 2000;
    let mut deliveries = JoinSet::new();
    if is_filled {
        processes.start(count, false).await;
    }
    for _ in 0..events * 4 / 7 {
        time += 20;
        let event = life.next_at(Timestamp::from_unix_millis_saturating(time)).unwrap();
        emulator.record(&event).unwrap();
        if is_filled {
            network.deliver(&event, &mut deliveries);
        }
    }
    while let Some(delivered) = deliveries.join_next().await {
        delivered.unwrap();
    }
    let lost_before = network.lost_removals.load(Relaxed);
    assert_eq!(lost_before > 0, is_filled);
    processes.stop().await;

    // While.
    processes.start(count, true).await;
    let living = tokio::spawn(live(Arc::clone(&emulator), Arc::clone(&network), life));
    let (mut hits, mut killed) = (Hits::default(), Timestamp::now());
    for kill in 1..=kills {
        sleep(millis(300, 3000)).await;
        // SIGKILL. If one is left, it continues, and takes over the work after a while.
        if count == 1 || kill == kills || chance(50) {
            processes.running.clear();
            killed = Timestamp::now();
            hits.look(&url).await;
        } else {
            drop(processes.running.swap_remove(random(count)));
        }
        sleep(millis(0, 500)).await;
        processes.start(count, true).await;
    }
    let lived = living.await.unwrap();

    // After.
    processes.settle(killed, lived).await;
    let settled = Timestamp::now().as_unix_millis() - lived.as_unix_millis();
    processes.stop().await;
    check(&url, &emulator.snapshot()).await;
    let mirror = Mirror::connect(&url).await.unwrap();
    let staged = texts(mirror.pool(), "SELECT id FROM workos_mirror_stage").await;
    assert!(staged.is_empty(), "{name}: {staged:?}");
    close(mirror).await;
    let (lost, log) = (network.lost.load(Relaxed), network.sender.log());
    report(&format!(
        "{name}: {events} events, {lost} webhooks lost ({lost_before} removals before the key), {kills} kills, {hits:?}: \
         equal {settled} ms after the last event; {log:?}"
    ));
    // Otherwise, the kills did not hit anything.
    assert!(hits.runs > 0 && hits.staged > 0 && log.lost > 0, "{hits:?}, {log:?}");
}

/// The rest of a life, as it happens. Returns the time of the last event.
async fn live(emulator: Arc<Emulator>, network: Arc<Network>, mut life: Life) -> Timestamp {
    let mut deliveries = JoinSet::new();
    while let Some(event) = life.next_at(emulator.clock().now()) {
        while emulator.clock().now() < event.created_at() {
            sleep(Duration::from_millis(1)).await;
        }
        emulator.record(&event).unwrap();
        network.deliver(&event, &mut deliveries);
        sleep(PAUSE).await;
    }
    let lived = emulator.clock().now();
    while let Some(delivered) = deliveries.join_next().await {
        delivered.unwrap();
    }
    lived
}

/// At the same time, because they mostly wait.
#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_equals_the_truth() {
    // Before the rest, because it can take longer than a connection to a database may take.
    tokio::task::spawn_blocking(|| program("app")).await.unwrap();
    tokio::join!(
        on_sqlite(async |database| crash("SQLite", database, false).await),
        on_sqlite(async |database| crash("SQLite", database, true).await),
        on_postgres(async |database| crash("Postgres", database, false).await),
        on_postgres(async |database| crash("Postgres", database, true).await),
    );
}
