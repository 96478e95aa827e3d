//! Runs graphile_worker's worker.

use std::{fmt, sync::Arc, time::Duration};

use graphile_worker::{
    IntoTaskHandlerResult, JobRecovery, JobRecoveryResult, LocalQueueConfig, TaskHandler, Worker,
    WorkerContext, WorkerRecoveryConfig, WorkerShutdownConfig,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    select,
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Postgres,
    driver::{Driver, LAST, PAUSE, POLL, STATEMENT},
    jobs::{End, Jobs},
    sql::MAX_ATTEMPTS,
};
use crate::{
    engine::{Handle, Run},
    error::{InboxError, InboxErrorKind},
};

/// Longer than any process runs: our handlers end soon after their own grace period.
const GRACE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long graphile_worker waits for more jobs that have ended before it completes them together.
const BATCH: Duration = Duration::from_millis(1);
/// After how long claimed jobs that wait for a free place are returned, so that other workers can have them.
const UNUSED: Duration = Duration::from_secs(1);
/// The channel of graphile_worker's notifications.
const CHANNEL: &str = "jobs:insert";

impl Postgres {
    pub(super) async fn run_jobs(&self, run: Run) -> Result<(), InboxError> {
        let driver = Driver::new(self.clone(), run.clone());
        // The listener keeps a connection, and there must be another one.
        let mut listening = JoinSet::new();
        if self.pool.options().get_max_connections() > 1 {
            listening.spawn(listen(self.pool.clone(), run.wake.clone()));
        }
        // Dropped with this future, which ends the handlers.
        let (_alive, dropped) = watch::channel(());
        let mut stop = run.stop.clone();
        let mut pause = PAUSE.0;
        while !*stop.borrow() {
            match self.run_once(&driver, &run, &dropped).await {
                Ok(()) => pause = PAUSE.0,
                Err(error)
                    if matches!(
                        error.kind(),
                        InboxErrorKind::Config | InboxErrorKind::NotMigrated
                    ) =>
                {
                    return Err(error);
                }
                Err(_) => {
                    select! {
                        () = sleep(pause) => {}
                        // The sender outlives this future.
                        _ = stop.wait_for(|it| *it) => {}
                    }
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
        Ok(())
    }

    /// Runs a worker until it is stopped. It also ends if a statement failed in a way that its driver can't repair.
    async fn run_once(
        &self,
        driver: &Driver,
        run: &Run,
        dropped: &watch::Receiver<()>,
    ) -> Result<(), InboxError> {
        let failed = |error: InboxError| {
            driver.failed(&error.without_payload());
            error
        };
        self.check().await.map_err(failed)?;
        let worker = self.worker(driver, run, dropped).await.map_err(failed)?;
        let mut running = std::pin::pin!(worker.run());
        let result = select! {
            result = &mut running => result,
            error = self.chores(driver, worker.worker_id(), run.lease) => return Err(failed(error)),
            () = abandoned(&driver.jobs, run.stop.clone()) => {
                tracing::warn!(
                    target: "tower_workos_inbox::worker",
                    "the database does not respond: the worker has stopped, and claimed items are delivered again"
                );
                return Ok(());
            }
        };
        // No job of this worker runs any more. If it failed, it may still hold locks.
        if let Err(error) = result {
            let failed =
                failed(InboxError::storage("graphile_worker failed").caused(error.to_string()));
            if !*run.stop.borrow() {
                let sql = self.sql().await?;
                let query = sqlx::query(sqlx::AssertSqlSafe(&*sql.release_all));
                query.bind(worker.worker_id()).execute(&self.pool).await?;
            }
            return Err(failed);
        }
        Ok(())
    }

    /// Releases lost jobs from time to time. Returns an error if the tables have disappeared.
    async fn chores(&self, driver: &Driver, worker: &str, lease: Duration) -> InboxError {
        let mut chores = interval((lease / 2).max(POLL));
        chores.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            chores.tick().await;
            let chore = async {
                self.check().await?;
                self.release_lost(&driver.jobs, worker, lease).await
            };
            match timeout(STATEMENT, chore).await {
                Ok(Err(error)) if error.kind() == InboxErrorKind::NotMigrated => return error,
                Ok(Err(error)) => driver.failed(&error.without_payload()),
                Ok(Ok(())) | Err(_) => {}
            }
        }
    }

    async fn worker(
        &self,
        driver: &Driver,
        run: &Run,
        dropped: &watch::Receiver<()>,
    ) -> Result<Worker, InboxError> {
        let schema = self.sql().await?.graphile.clone();
        let mut stop = run.stop.clone();
        let stopped = async move {
            // An error: the worker was dropped.
            let _ = stop.wait_for(|it| *it).await.is_ok();
        };
        let shutdown = WorkerShutdownConfig::default()
            .listen_os_shutdown_signals(false)
            .grace_period(GRACE)
            .shutdown_signal(stopped);
        let recovery = WorkerRecoveryConfig::default()
            .heartbeat_interval(run.lease / 3)
            .sweep_interval(run.lease / 3)
            .sweep_threshold(run.lease)
            .recovery_delay(Duration::ZERO);
        // Many are claimed at once if they are handled quickly; those that must wait are returned.
        let size = run.concurrency.saturating_mul(16).clamp(1, 256);
        let queue = LocalQueueConfig::default().with_size(size).with_ttl(UNUSED);
        let attempt = Attempt {
            handle: run.handle.clone(),
            jobs: driver.jobs.clone(),
            dropped: dropped.clone(),
        };
        Worker::options()
            .database(graphile_worker::Database::new(driver.clone()))
            .schema(schema)
            .concurrency(run.concurrency)
            .poll_interval(POLL)
            .worker_shutdown(shutdown)
            .worker_recovery(recovery)
            .local_queue(queue)
            .complete_job_batch_delay(BATCH)
            // By default, an attempt that was cut short does not count.
            .on(JobRecovery, |context| async move {
                JobRecoveryResult::Reschedule {
                    run_at: *context.job.run_at(),
                    attempts: Some((*context.job.attempts()).min(MAX_ATTEMPTS - 1)),
                }
            })
            .add_extension(attempt)
            .define_job::<Task>()
            .init()
            .await
            .map_err(|error| {
                InboxError::storage("graphile_worker can't start").caused(error.to_string())
            })
    }
}

/// graphile_worker's task for our jobs. Its payload says which row it is, and was read when the job was claimed.
#[derive(Serialize, Deserialize)]
struct Task {}

impl TaskHandler for Task {
    const IDENTIFIER: &'static str = "item";

    /// An error leaves the job to another attempt. It is logged, so it contains nothing of the item.
    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let attempt = context.get_ext::<Attempt>().cloned();
        match attempt {
            Some(attempt) => attempt.make(*context.job().id()).await,
            None => Err("the worker has no handler"),
        }
    }
}

#[derive(Clone)]
struct Attempt {
    handle: Arc<dyn Handle>,
    jobs: Arc<Jobs>,
    dropped: watch::Receiver<()>,
}

impl Attempt {
    async fn make(mut self, job: i64) -> Result<(), &'static str> {
        let (ticket, delivery) = self.jobs.begin(job).map_err(|()| "the item was not loaded")?;
        let outcome = match delivery {
            None => None,
            Some(delivery) => select! {
                outcome = self.handle.handle(delivery) => Some(outcome),
                _ = self.dropped.changed() => {
                    self.jobs.forget(job);
                    return Err("the worker was dropped");
                }
            },
        };
        // The worker completes the job now, and the driver then ends the row.
        self.jobs.ended(End::new(ticket, outcome));
        Ok(())
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

/// Waits until the worker is stopping and has had nothing to do for some time. graphile_worker then only tries to return jobs that
/// it has not begun, for minutes if the database does not respond.
async fn abandoned(jobs: &Jobs, mut stop: watch::Receiver<bool>) {
    // An error: the worker was dropped.
    let _ = stop.wait_for(|it| *it).await.is_ok();
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < LAST {
        sleep(Duration::from_millis(100)).await;
        if !jobs.is_idle() {
            idle_since = Instant::now();
        }
    }
}

/// Wakes the worker when there are new jobs. Without it, the worker still polls.
async fn listen(pool: PgPool, wake: Arc<Notify>) {
    loop {
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            // What was added meanwhile.
            wake.notify_one();
            while listener.recv().await.is_ok() {
                wake.notify_one();
            }
        }
        sleep(PAUSE.1).await;
    }
}
