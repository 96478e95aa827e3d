//! A repair that runs for as long as the application.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tower_workos_mirror::{
    EventsPoller, Mirror, ReconcileReport, Reconciler, Repair, RepairStatus,
};

use crate::{
    databases::{Database, on_both},
    support::{World, client, nothing_is_left, user},
};

/// More than any step needs.
const LIMIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long something that must not happen is waited for.
const QUIET: Duration = Duration::from_secs(3);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("it took too long")
}

/// A repair that runs, and when its runs ended.
struct Running {
    task: JoinHandle<()>,
    shutdown: Arc<Notify>,
    reports: mpsc::UnboundedReceiver<(Instant, ReconcileReport)>,
}

impl Running {
    fn start(repair: Repair, interval: Duration) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let repair = repair.interval(interval).poll_interval(Duration::from_millis(200));
        let repair = repair.on_report(move |report| {
            let _ = sender.send((Instant::now(), report.clone()));
        });
        let shutdown = Arc::new(Notify::new());
        let stop = Arc::clone(&shutdown);
        let task = tokio::spawn(async move { repair.run(stop.notified()).await });
        Self { task, shutdown, reports }
    }

    async fn report(&mut self) -> ReconcileReport {
        soon(self.reports.recv()).await.unwrap().1
    }

    async fn is_quiet(&mut self) -> bool {
        timeout(QUIET, self.reports.recv()).await.is_err()
    }

    async fn stop(self) {
        self.shutdown.notify_one();
        soon(self.task).await.unwrap();
    }
}

/// A repair with a pool of its own, like that of another process.
async fn repair(world: &World, database: &Database) -> Repair {
    Repair::new(database.mirror().await, world.api.clone())
}

async fn status(database: &Database) -> RepairStatus {
    database.mirror().await.repair_status().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fills_the_mirror_then_follows_the_events() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 5, 2);
        world.wait(120);
        assert_eq!(status(database).await, RepairStatus::default());
        let mut running = Running::start(repair(&world, database).await, HOUR);
        assert!(running.report().await.is_complete());
        world.equal().await;

        let status = status(database).await;
        assert!(status.is_complete);
        assert!(status.last_success.is_some());
        assert_eq!(status.last_success, status.last_run);
        // By the clock of the world.
        assert!(status.events_drained_at.unwrap() <= world.clock.now());
        let created = status.drift.iter().find(|it| it.kind == "user_created").unwrap();
        assert_eq!((created.action.as_str(), created.count), ("applied", 5));
        let json = serde_json::to_value(&status).unwrap();
        for name in ["last_success", "last_run", "is_complete", "drift", "events_age_seconds"] {
            assert!(!json[name].is_null(), "{name}: {json}");
        }

        // A webhook is lost. The next comparison would be in an hour.
        world.lose("user.created", &user("d", 7));
        world.wait(120);
        soon(async {
            while world.counts().await[2] < 6 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert!(running.reports.is_empty());
        running.stop().await;
        nothing_is_left(database).await;
        world.equal().await;
    })
    .await;
}

/// The first run is under way while the second replica starts.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_interval() {
    const INTERVAL: Duration = Duration::from_secs(3);
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 5, 1);
        world.wait(120);
        let permits = Arc::new(Semaphore::new(0));
        let (go, (sender, mut stopped)) = (Arc::clone(&permits), mpsc::unbounded_channel());
        let is_armed = Mutex::new(true);
        world.proxy.stop(move |call| {
            let is_it = call.path == "/directory_groups";
            let is_first = is_it && std::mem::take(&mut *is_armed.lock().unwrap());
            is_first.then(|| {
                let _ = sender.send(());
                Arc::clone(&permits)
            })
        });
        let mut one = Running::start(repair(&world, database).await, INTERVAL);
        soon(stopped.recv()).await.unwrap();
        let mut two = Running::start(repair(&world, database).await, INTERVAL);
        // It is busy now.
        tokio::time::sleep(Duration::from_secs(1)).await;
        go.add_permits(1);
        let mut ends = Vec::new();
        soon(async {
            while ends.len() < 5 {
                let (end, report) = tokio::select! {
                    it = one.reports.recv() => it.unwrap(),
                    it = two.reports.recv() => it.unwrap(),
                };
                assert!(report.is_complete());
                ends.push(end);
            }
        })
        .await;
        let pauses: Vec<_> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // Give or take a tenth.
        let is_right = |pause: &Duration| *pause > INTERVAL.mul_f64(0.85);
        assert!(pauses.iter().all(is_right), "{pauses:?}");
        one.stop().await;
        two.stop().await;
        world.equal().await;
    })
    .await;
}

/// The position in the Events API is older than the events that the API still has.
async fn outdate(world: &World, database: &Database) {
    let month = world.clock.now().as_unix_millis() * 1000 - 100 * 24 * 3_600_000_000;
    let sql = format!(
        "UPDATE workos_mirror_poll SET started_at = {month}, after = NULL, event_at = NULL, drained_at = {month}"
    );
    database.run(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_the_events_is_compared_at_once() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 5, 1);
        world.wait(120);
        let mut running = Running::start(repair(&world, database).await, HOUR);
        assert!(running.report().await.is_complete());
        assert!(running.is_quiet().await);
        let lost = world.lose("user.created", &user("d", 7));
        world.emulator.lose_event(lost.id().as_str()).unwrap();
        world.wait(120);
        outdate(&world, database).await;
        assert!(running.report().await.is_complete());
        world.equal().await;
        assert!(running.is_quiet().await, "once is enough");
        running.stop().await;
    })
    .await;
}

/// The process that noticed the gap died before it compared anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_remembered() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 5, 1);
        world.wait(120);
        let mut running = Running::start(repair(&world, database).await, HOUR);
        assert!(running.report().await.is_complete());
        running.stop().await;

        let mut running = Running::start(repair(&world, database).await, HOUR);
        assert!(running.is_quiet().await, "the success is younger than the interval");
        running.stop().await;

        world.wait(120);
        outdate(&world, database).await;
        let poller = EventsPoller::new(world.mirror.clone(), world.api.clone());
        assert!(poller.drain().await.unwrap().gap);
        let mut running = Running::start(repair(&world, database).await, HOUR);
        assert!(running.report().await.is_complete());
        assert!(running.is_quiet().await, "once is enough");
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_does_not_end_it() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.told("d", 5, 1).await;
        world.wait(120);
        let api = client(&world.proxy.url(), "sk_of_nobody", &world.clock);
        let (sender, mut errors) = mpsc::unbounded_channel();
        let repair = Repair::new(database.mirror().await, api).on_error(move |error| {
            let _ = sender.send(error.to_owned());
        });
        let running = Running::start(repair, Duration::from_millis(100));
        let requests = world.emulator.requests().total;
        soon(async {
            while world.emulator.requests().total < requests + 10 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert!(!running.task.is_finished());
        assert_eq!(status(database).await, RepairStatus::default());
        let error = soon(errors.recv()).await.unwrap();
        assert!(error.contains("401") && !error.contains("nobody"), "{error}");
        world.equal().await;
        running.stop().await;
    })
    .await;
}

/// In the middle of a run.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_a_run() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 5, 1);
        world.wait(120);
        let (sender, mut stopped) = mpsc::unbounded_channel();
        world.proxy.stop(move |call| {
            let is_it = call.path == "/directory_groups";
            is_it.then(|| {
                let _ = sender.send(());
                Arc::new(Semaphore::new(0))
            })
        });
        let running = Running::start(repair(&world, database).await, HOUR);
        soon(stopped.recv()).await.unwrap();
        running.stop().await;
        world.proxy.clear();
        // Its leases end as well, so the next run can begin at once.
        let mut running = Running::start(repair(&world, database).await, HOUR);
        assert!(running.report().await.is_complete());
        world.equal().await;
        running.stop().await;
    })
    .await;
}

/// Several environments in the same tables.
#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_a_status() {
    on_both(async |database| {
        let world = World::start(database).await;
        world.fill("d", 5, 1);
        world.wait(120);
        let mirror: Mirror = database.mirror().await;
        let poller = EventsPoller::new(mirror.clone(), world.api.clone()).environment("other");
        let reconciler = Reconciler::builder(mirror.clone(), world.api.clone());
        let reconciler = reconciler.environment("other").build();
        let mut running = Running::start(Repair::with(poller, reconciler), HOUR);
        assert!(running.report().await.is_complete());
        running.stop().await;
        assert_eq!(mirror.repair_status().await.unwrap(), RepairStatus::default());
        let other = mirror.repair_status_of("other").await.unwrap();
        assert!(other.is_complete && other.last_success.is_some());
        assert!(other.events_drained_at.is_some() && other.events_age_seconds.is_some());
    })
    .await;
}
