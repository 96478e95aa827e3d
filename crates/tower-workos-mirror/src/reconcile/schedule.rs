//! Repairs a mirror for as long as the application runs.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    ApiClient, EventsPoller, Mirror, Reconciler,
    reconcile::{
        error::ReconcileErrorKind,
        report::{DriftAction, ReconcileReport},
        status::age_of_success,
    },
};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// After a run that failed, and while another process runs.
const RETRY: Duration = Duration::from_secs(60);

/// Keeps a mirror in step with the WorkOS API: follows its events, and compares the mirror with its lists.
///
/// It reads the events that were missed, then compares everything (an empty mirror is filled), and then does both again and
/// again. Any number of replicas can do this: only one of them compares at a time, and none does if another one has
/// succeeded within the interval.
///
/// ```no_run
/// # use std::future::pending;
/// use tower_workos_mirror::{ApiClient, Mirror, Repair};
///
/// # async fn doc(mirror: Mirror) -> Result<(), Box<dyn std::error::Error>> {
/// // WORKOS_API_KEY
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
        }
    }

    /// How often everything is compared, give or take a tenth. Default: one hour. WorkOS recommends one to six hours.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How often new events are read. Default: 20 s.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
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

    /// Repairs the mirror until `shutdown` completes. Failures are logged and tried again:
    /// [`Mirror::repair_status`] says whether all is well.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let gap = Arc::new(Notify::new());
        let compare = async {
            // The events that were missed first, because they are cheaper and name the exact changes.
            if let Err(error) = self.poller.drain().await {
                tracing::warn!(target: "tower_workos_mirror::repair", %error, "the events were not read");
            }
            tokio::join!(self.follow(&gap), self.compare(&gap));
        };
        tokio::select! {
            () = shutdown => {}
            () = compare => {}
        }
    }

    async fn follow(&self, gap: &Notify) {
        loop {
            sleep(self.poll_interval).await;
            match self.poller.drain().await {
                Ok(drain) if drain.gap => gap.notify_one(),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(target: "tower_workos_mirror::repair", %error, "the events were not read");
                }
            }
        }
    }

    async fn compare(&self, gap: &Notify) {
        loop {
            let wait = self.due_in().await;
            // After a gap, even a recent comparison is not enough.
            let _ = timeout(wait, gap.notified()).await.is_ok();
            match self.reconciler.run().await {
                Ok(report) => {
                    let (is_complete, requests) = (report.is_complete(), report.requests);
                    let repaired = report.total(DriftAction::Applied);
                    let withheld = report.total(DriftAction::Withheld);
                    tracing::info!(
                        target: "tower_workos_mirror::repair", is_complete, requests, repaired, withheld,
                        "the mirror was compared with the API"
                    );
                    (self.on_report)(&report);
                    if !is_complete {
                        // Not at once: what withheld a removal usually lasts.
                        sleep(jittered(self.interval)).await;
                    }
                }
                Err(error) if error.kind() == ReconcileErrorKind::Busy => sleep(RETRY).await,
                Err(error) => {
                    let error = error.without_payload();
                    tracing::warn!(target: "tower_workos_mirror::repair", error, "the mirror was not compared");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// How long the latest success is good enough.
    async fn due_in(&self) -> Duration {
        let interval = jittered(self.interval);
        let environment = &self.reconciler.settings.environment;
        match age_of_success(&self.mirror, environment).await {
            Ok(Some(age)) => interval.saturating_sub(age),
            Ok(None) => Duration::ZERO,
            Err(_) => RETRY,
        }
    }
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
