//! The type [`Reconciler`].

use std::{fmt, sync::Arc};

use tokio::{
    runtime::Handle,
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    ApiClient, Mirror, metrics,
    mirror::Shared,
    reconcile::{
        builder::{ReconcilerBuilder, Settings},
        error::{ReconcileError, ReconcileErrorKind},
        lease,
        progress::{ReconcileProgress, ReconcileProgressStream},
        report::ReconcileReport,
        run::Run,
    },
};

/// Compares a mirror with the lists of the WorkOS API, and repairs it.
///
/// Cloning it increments a reference count.
#[derive(Clone)]
pub struct Reconciler {
    pub(super) mirror: Mirror,
    pub(super) api: ApiClient,
    pub(super) settings: Settings,
    pub(super) progress: Arc<watch::Sender<ReconcileProgress>>,
}

impl Reconciler {
    /// Creates a reconciler with the defaults of [`ReconcilerBuilder`].
    #[must_use]
    pub fn new(mirror: Mirror, api: ApiClient) -> Self {
        Self::builder(mirror, api).build()
    }

    /// Returns a builder for a reconciler with other settings.
    pub fn builder(mirror: Mirror, api: ApiClient) -> ReconcilerBuilder {
        ReconcilerBuilder::new(mirror, api)
    }

    /// Compares all directories of the environment with the API, and repairs the mirror. An empty mirror is filled.
    ///
    /// What the API shows is merged by time: a list is as old as the start of its run, minus the
    /// [margin](ReconcilerBuilder::margin). A later event wins over a list, and a later list wins over an event. The run can
    /// take place at any time, also while deliveries arrive, and can be repeated.
    ///
    /// What the API lacks is removed only if all of this is true:
    ///
    /// - Every page of the directory's lists was read, and every item has an id.
    /// - The API responds with 404 for each absent user and group. If a run finds more than 100 of them, a second list must
    ///   agree instead. The same applies to the members of a group that lost more than 20 of them.
    /// - At most 20, or at most a quarter (and fewer than 50 000), of the directory's users, groups or memberships are absent.
    ///
    /// Otherwise the report says why nothing was removed. The first run of a mirror that is not empty removes nothing.
    ///
    /// # Errors
    ///
    /// If the whole run failed. A directory that failed is part of the report, and the other directories are repaired.
    ///
    /// A run can fail, be dropped or be killed at any time. A directory is changed only after all of its lists were read, in
    /// small transactions, each of which leaves the tables correct. The next run does the rest.
    pub async fn run(&self) -> Result<ReconcileReport, ReconcileError> {
        self.start(false).await
    }

    /// Like [`run`](Self::run), but only reports what the run would do. It changes nothing that the mirror shows, and no
    /// change is reported to the feed.
    ///
    /// # Errors
    ///
    /// Like [`run`](Self::run).
    pub async fn dry_run(&self) -> Result<ReconcileReport, ReconcileError> {
        self.start(true).await
    }

    /// Returns the progress of the runs of this reconciler and its clones.
    #[must_use]
    pub fn progress(&self) -> ReconcileProgressStream {
        ReconcileProgressStream::new(self.progress.subscribe())
    }

    async fn start(&self, dry_run: bool) -> Result<ReconcileReport, ReconcileError> {
        let id = run_id();
        let shared = &self.mirror.shared;
        let progress = (*self.progress).clone();
        let (api, settings) = (self.api.clone(), self.settings.clone());
        let run = Run::all(Arc::clone(shared), api, settings, id.clone(), dry_run, progress);
        let renew = async {
            loop {
                sleep(lease::RENEW).await;
                if let Err(error) = lease::renew(shared, &id).await {
                    // The run notices when it writes.
                    let error = error.without_payload();
                    tracing::warn!(target: "tower_workos_mirror::reconcile", %error, "a lease was not renewed");
                }
            }
        };
        let mut leases = Leases { shared: Some(Arc::clone(shared)), run: id.clone() };
        let bounded = timeout(self.settings.max_duration, run);
        let result: Result<_, ReconcileError> = tokio::select! {
            result = bounded => result.unwrap_or_else(|_| Err(timed_out())),
            () = renew => Err(timed_out()),
        };
        if result.is_err() {
            // The next run does not have to wait.
            let _ = lease::release_all(shared, &id).await.is_ok();
        }
        leases.shared = None;
        if !dry_run {
            metrics::run(result.as_ref().map(ReconcileReport::is_complete).ok());
        }
        result
    }
}

/// The leases of a run that is under way.
struct Leases {
    shared: Option<Arc<Shared>>,
    run: String,
}

/// If a run is dropped, the next one does not have to wait until its leases expire.
impl Drop for Leases {
    fn drop(&mut self) {
        let (Some(shared), Ok(runtime)) = (self.shared.take(), Handle::try_current()) else {
            return;
        };
        let run = std::mem::take(&mut self.run);
        runtime.spawn(async move {
            let _ = lease::release_all(&shared, &run).await.is_ok();
        });
    }
}

fn timed_out() -> ReconcileError {
    ReconcileError::new(
        ReconcileErrorKind::TimedOut,
        "the run took longer than max_duration: raise it, or let the next run do the rest",
    )
}

/// An id that no other run has.
fn run_id() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler")
            .field("mirror", &self.mirror)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
