//! Repairs a mirror for as long as the application runs.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    ApiClient, EventsPoller, Mirror, Reconciler,
    poller::Health,
    reconcile::{
        error::ReconcileErrorKind,
        report::{DirectoryOutcome, DriftAction, ReconcileReport},
        status::Latest,
    },
};

/// The limits of the intervals.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// After a run that succeeded.
const PAUSE: Duration = Duration::from_secs(5);
/// After the first run that failed. Doubled with each further failure.
const RETRY: Duration = Duration::from_secs(60);
/// While another process runs, which may be dead.
const BUSY: Duration = Duration::from_secs(20);

/// Keeps a mirror consistent with the WorkOS API: follows its events, and compares the mirror with its lists.
///
/// It reads the events that were missed, then compares everything (an empty mirror is filled), and then repeats both. Any
/// number of replicas can do this: only one of them compares at a time, and none does if another one has succeeded within
/// the interval.
///
/// ```no_run
/// # use std::future::pending;
/// use tower_workos_mirror::{ApiClient, Mirror, Repair};
///
/// # async fn doc(mirror: Mirror) -> Result<(), Box<dyn std::error::Error>> {
/// // With the key in WORKOS_API_KEY:
/// let repair = Repair::new(mirror.clone(), ApiClient::from_env()?);
/// tokio::spawn(repair.run(pending()));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Repair {
    mirror: Mirror,
    poller: EventsPoller,
    reconciler: Reconciler,
    interval: Duration,
    poll_interval: Duration,
    on_report: Box<dyn Fn(&ReconcileReport) + Send + Sync>,
    on_error: Box<dyn Fn(&str) + Send + Sync>,
}

impl Repair {
    /// Creates a repair with the defaults of [`EventsPoller`] and [`Reconciler`].
    pub fn new(mirror: Mirror, api: ApiClient) -> Self {
        let poller = EventsPoller::new(mirror.clone(), api.clone());
        let reconciler = Reconciler::new(mirror, api);
        Self::with(poller, reconciler)
    }

    /// Creates a repair with a poller and a reconciler of the same mirror and environment.
    pub fn with(poller: EventsPoller, reconciler: Reconciler) -> Self {
        Self {
            mirror: reconciler.mirror.clone(),
            poller,
            reconciler,
            interval: HOUR,
            poll_interval: Duration::from_secs(20),
            on_report: Box::new(|_| {}),
            on_error: Box::new(|_| {}),
        }
    }

    /// How often everything is compared, give or take a tenth. Default: one hour. WorkOS recommends one to six hours.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(SHORTEST, LONGEST);
        self
    }

    /// How often new events are read. Default: 20 s.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(SHORTEST);
        self
    }

    /// A function that is called with the report of each run. It must not block.
    pub fn on_report(
        mut self,
        function: impl Fn(&ReconcileReport) + Send + Sync + 'static,
    ) -> Self {
        self.on_report = Box::new(function);
        self
    }

    /// A function that is called with the text of each failed run or drain, which is also logged. The text contains no
    /// payload. The function must not block.
    pub fn on_error(mut self, function: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_error = Box::new(function);
        self
    }

    /// Repairs the mirror until `shutdown` completes.
    ///
    /// Failures are logged. Events are read again after the poll interval; a run that failed, or in which a directory was busy,
    /// failed or incomplete, is repeated after a minute, then after two, and so on up to the interval.
    /// [`Mirror::repair_status`] shows whether the runs succeed.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let repair = async {
            let (gap, mut health) = (Notify::new(), Health::new());
            // The events that were missed first, because they are cheaper and name the exact changes.
            self.drain(&gap, &mut health).await;
            tokio::join!(self.follow(&gap, health), self.compare(&gap));
        };
        tokio::select! {
            biased;
            () = shutdown => {}
            () = repair => {}
        }
    }

    async fn drain(&self, gap: &Notify, health: &mut Health) {
        match self.poller.drain().await {
            Ok(drain) => {
                health.succeeded(&drain);
                if drain.gap {
                    gap.notify_one();
                }
            }
            Err(error) => {
                (self.on_error)(&error.without_payload());
                if let Err(error) = health.failed(error) {
                    let error = error.without_payload();
                    tracing::warn!(target: "tower_workos_mirror::repair", error, "the events were not read: trying again");
                }
            }
        }
    }

    async fn follow(&self, gap: &Notify, mut health: Health) {
        loop {
            sleep(self.poll_interval).await;
            self.drain(gap, &mut health).await;
        }
    }

    async fn compare(&self, gap: &Notify) {
        // After a start, it is not enough that the latest run ended: it must have succeeded.
        let (mut failures, mut is_start) = (0_u32, true);
        loop {
            self.until_due(gap, is_start || failures > 0).await;
            let is_success = match self.reconciler.run().await {
                Ok(report) => {
                    self.log(&report);
                    (self.on_report)(&report);
                    !may_pass(&report)
                }
                Err(error) if error.kind() == ReconcileErrorKind::Busy => {
                    sleep(BUSY.min(self.interval)).await;
                    continue;
                }
                Err(error) => {
                    let error = error.without_payload();
                    (self.on_error)(&error);
                    tracing::warn!(target: "tower_workos_mirror::repair", error, "the mirror was not compared: trying again");
                    false
                }
            };
            is_start = false;
            failures = if is_success { 0 } else { failures.saturating_add(1) };
            sleep(pause(failures).min(jittered(self.interval))).await;
        }
    }

    fn log(&self, report: &ReconcileReport) {
        let (is_complete, requests) = (report.is_complete(), report.requests);
        let repaired = report.total(DriftAction::Applied);
        let withheld = report.total(DriftAction::Withheld);
        tracing::info!(
            target: "tower_workos_mirror::repair", is_complete, requests, repaired, withheld,
            "the mirror was compared with the API"
        );
    }

    /// Waits until the latest run, of this process or another one, is older than the interval, or until there is a gap that
    /// it does not cover.
    async fn until_due(&self, gap: &Notify, only_success: bool) {
        let interval = jittered(self.interval);
        let settings = &self.reconciler.settings;
        loop {
            let wait = match Latest::load(&self.mirror, &settings.environment).await {
                Ok(latest) => {
                    let age = if only_success { latest.succeeded } else { latest.finished };
                    let is_covered = latest.covers(settings.margin, self.poller.settings_margin());
                    let age = age.filter(|_| is_covered);
                    age.map_or(Duration::ZERO, |age| interval.saturating_sub(age))
                }
                Err(error) => {
                    let error = error.without_payload();
                    tracing::warn!(target: "tower_workos_mirror::repair", error, "the time of the last run is unknown: trying again");
                    RETRY.min(self.interval)
                }
            };
            if wait.is_zero() {
                return;
            }
            let _ = timeout(wait, gap.notified()).await.is_ok();
        }
    }
}

/// The minimum pause after a run.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => PAUSE,
        failures => jittered(RETRY.saturating_mul(1_u32 << (failures - 1).min(10))),
    }
}

/// Whether a run failed for a reason that is probably temporary. The other reasons to withhold a removal usually persist.
fn may_pass(report: &ReconcileReport) -> bool {
    use DirectoryOutcome::{Busy, Failed, Incomplete};

    report.directories.iter().any(|it| matches!(it.outcome, Busy | Failed | Incomplete))
}

/// Give or take a tenth, so that the runs of several applications spread out.
fn jittered(interval: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 2001;
    let factor = 0.9 + f64::from(u16::try_from(random).unwrap_or(1000)) / 10_000.0;
    interval.mul_f64(factor)
}

impl fmt::Debug for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair")
            .field("poller", &self.poller)
            .field("reconciler", &self.reconciler)
            .field("interval", &self.interval)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_lengthen_the_pause() {
        let is_near = |failures: u32, minutes: u32| {
            let expected = RETRY * minutes;
            let pause = pause(failures);
            pause >= expected.mul_f64(0.89) && pause <= expected.mul_f64(1.11)
        };
        assert_eq!(pause(0), PAUSE);
        for (failures, minutes) in
            [(1, 1), (2, 2), (3, 4), (11, 1024), (12, 1024), (u32::MAX, 1024)]
        {
            assert!(is_near(failures, minutes), "{failures}");
        }
    }

    #[test]
    fn the_interval_varies() {
        let intervals: Vec<_> = (0..50).map(|_| jittered(HOUR)).collect();
        assert!(intervals.iter().all(|it| (54 * 60..=66 * 60).contains(&it.as_secs())));
        assert!(intervals.iter().any(|it| Some(it) != intervals.first()));
    }
}
