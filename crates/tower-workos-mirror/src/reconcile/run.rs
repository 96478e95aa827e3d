//! A run over all directories.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use tokio::task::JoinSet;
use tower_workos::DirectoryId;

use crate::{
    api::{client::ApiClient, page::Item},
    apply::merge,
    change::Change,
    mirror::Shared,
    reconcile::{
        Settings,
        directories::{Known, list_directories},
        environment::{events_name, wrong_environment},
        error::{ReconcileError, ReconcileErrorKind},
        lease,
        progress::{ReconcileProgress, Running},
        repair,
        report::{DirectoryOutcome, DirectoryReport, Drift, DriftAction, Drifts, ReconcileReport},
        retry::retried,
        stage,
        turn::Turns,
        walk::Walk,
    },
    rules::{
        batch::Batch,
        change::{Draft, settle},
        document::ObjectKind,
        listed,
    },
    sql::{read::rows_before, transaction::Transaction},
    text::{id, timestamp},
};

/// How many directories are read at the same time. The request budgets are the actual limit.
const AT_ONCE: usize = 4;
/// How many absent objects a run confirms one by one.
const CONFIRMATIONS: i64 = 100;
/// After this many failed directories in a row, the API is probably down.
const FAILURES: u32 = 3;

/// A run: over all directories, or over one.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) api: ApiClient,
    pub(super) settings: Settings,
    /// An id that no other run has.
    pub(super) id: String,
    /// The time that all lists of the run are at least as new as.
    pub(super) fence: i64,
    pub(super) dry_run: bool,
    /// Whether removals are withheld from directories that were never compared before.
    pub(super) is_first: bool,
    /// Whether an earlier run has ended with a report.
    pub(super) was_run: bool,
    /// How many more absences can be confirmed one by one.
    pub(super) confirmations: AtomicI64,
    pub(super) drifts: Mutex<Drifts>,
    pub(super) turns: Turns,
    pub(super) progress: tokio::sync::watch::Sender<ReconcileProgress>,
}

impl Run {
    /// Compares all directories of the environment.
    pub(super) async fn all(
        shared: Arc<Shared>,
        api: ApiClient,
        settings: Settings,
        run: String,
        dry_run: bool,
        progress: tokio::sync::watch::Sender<ReconcileProgress>,
    ) -> Result<ReconcileReport, ReconcileError> {
        let begin = api.requests();
        let subject = repair::subject(&settings.environment);
        if !acquire(&shared, &subject, &run).await? {
            return Err(ReconcileError::busy());
        }
        let _running = Running::begin(&progress);
        stage::clear_abandoned(&shared, &run).await?;
        let listed = list_directories(&api, &settings).await?;
        let known = repair::known_directories(&shared).await?;
        let earlier = repair::earlier(&shared, &settings.environment).await?;
        let run = Arc::new(Self {
            shared,
            api,
            settings,
            id: run,
            fence: listed.fence,
            dry_run,
            is_first: earlier.is_first,
            was_run: earlier.was_run,
            confirmations: AtomicI64::new(CONFIRMATIONS),
            drifts: Mutex::default(),
            turns: Turns::default(),
            progress,
        });
        let environment = run.settings.environment.as_str();
        let is_ours = |known: &Known| known.is_of(environment);
        let ids: Vec<_> = listed.items.iter().map(|item| id(&item.id).into_owned()).collect();
        let sees_ours = ids.iter().any(|id| known.get(id).is_some_and(is_ours));
        if !run.settings.allow_new_environment && !sees_ours && known.values().any(is_ours) {
            let ours = known.iter().filter(|(_, it)| is_ours(it)).map(|(id, _)| id.clone());
            let (shared, api, now) = (&run.shared, &run.api, listed.date);
            if !events_name(shared, api, environment, &ours.collect(), now).await? {
                return Err(wrong_environment());
            }
        }

        let total = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        run.progress.send_modify(|it| it.directories = total);
        let (ours, foreign): (Vec<_>, Vec<_>) = listed
            .items
            .into_iter()
            .partition(|item| known.get(&*id(&item.id)).is_none_or(is_ours));
        let foreign = foreign.iter().map(|item| {
            let reason = "the directory belongs to another environment";
            report(&item.id, DirectoryOutcome::Environment, Some(reason.to_owned()))
        });
        let mut reports: Vec<_> = foreign.collect();
        let mut readable = Vec::new();
        for item in ours {
            match run.merge_directory(&item).await? {
                true => readable.push(item.id),
                false => {
                    let reason = "the API's description of the directory can't be read";
                    reports.push(report(
                        &item.id,
                        DirectoryOutcome::Incomplete,
                        Some(reason.to_owned()),
                    ));
                }
            }
        }
        // If runs end early, the same directories must not be left out each time. Nor must those that fail each time, which come
        // first, keep the others from their turn: so the second half is read in between.
        let compared_at =
            |directory: &str| known.get(&*id(directory)).and_then(|it| it.compared_at);
        readable.sort_by_key(|directory| compared_at(directory));
        let walks = interleaved(readable).into_iter().map(|directory| {
            let is_first = earlier.is_first && compared_at(&directory).is_none();
            (directory, is_first)
        });
        reports.extend(run.walk_all(walks.collect()).await?);
        // One that is newer than the list is not absent.
        let is_old = |known: &Known| known.evidence_at.is_none_or(|at| at < listed.fence);
        let absent =
            known.iter().filter(|(id, known)| !ids.contains(id) && is_ours(known) && is_old(known));
        let absent: Vec<_> =
            absent.map(|(id, known)| (id.clone(), known.environment.is_some())).collect();
        reports.extend(
            run.absent_directories(absent, sees_ours, listed.unreadable > 0, &known).await?,
        );
        reports.sort_by(|a, b| a.directory_id.as_str().cmp(b.directory_id.as_str()));
        let report = run.report(reports, begin);
        if !dry_run {
            let environment = &run.settings.environment;
            retried!(repair::store(&run.shared, environment, &run.id, &report))?;
        }
        run.release(&subject).await;
        Ok(report)
    }

    fn report(&self, directories: Vec<DirectoryReport>, begin: u64) -> ReconcileReport {
        let mut drifts = self.drifts.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.confirmations.load(Ordering::Relaxed).max(0);
        ReconcileReport {
            dry_run: self.dry_run,
            is_first: self.is_first,
            fence: timestamp(self.fence),
            directories,
            counts: drifts.counts(),
            drift: drifts.take(),
            requests: self.api.requests() - begin,
            confirmations: u64::try_from(CONFIRMATIONS - left).unwrap_or(0),
        }
    }

    /// Merges what the list says about a directory. Returns whether it can be read.
    pub(super) async fn merge_directory(&self, item: &Item) -> Result<bool, ReconcileError> {
        let mut batch = Batch::default();
        if listed::add(&mut batch, ObjectKind::Directory, &item.json, self.fence, None).is_err() {
            return Ok(false);
        }
        for directory in batch.directories.values_mut() {
            directory.environment = Some(self.settings.environment.clone());
        }
        self.merge(batch, &self.subject()).await?;
        Ok(true)
    }

    async fn walk_all(
        self: &Arc<Self>,
        directories: Vec<(String, bool)>,
    ) -> Result<Vec<DirectoryReport>, ReconcileError> {
        let mut reports = Vec::new();
        let mut tasks = JoinSet::new();
        let mut directories = directories.into_iter();
        let mut failures = 0;
        loop {
            while tasks.len() < AT_ONCE && failures < FAILURES {
                let Some((directory, is_first)) = directories.next() else { break };
                let run = Arc::clone(self);
                tasks.spawn(async move { Walk::new(&run, &directory, is_first).run().await });
            }
            let Some(finished) = tasks.join_next().await else { break };
            let report = finished.map_err(|error| {
                let message =
                    format!("the comparison of a directory ended without a result: {error}");
                ReconcileError::new(ReconcileErrorKind::Database, message)
            })?;
            failures = if report.is_outage { failures + 1 } else { 0 };
            reports.push(report.directory);
            self.progress.send_modify(|it| {
                it.done += 1;
                it.requests = self.api.requests();
            });
        }
        // Those that were not tried.
        let reason = "not compared, because the comparison of several other directories failed";
        let skipped = directories
            .map(|(it, _)| report(&it, DirectoryOutcome::Failed, Some(reason.to_owned())));
        reports.extend(skipped);
        Ok(reports)
    }

    /// Ends a lease. If that fails, it expires, and the next run removes what is staged.
    pub(super) async fn release(&self, subject: &str) {
        if let Err(error) = lease::release(&self.shared, subject, &self.id).await {
            let error = error.without_payload();
            tracing::warn!(target: "tower_workos_mirror::reconcile", subject, error, "a lease was not released");
        }
    }

    /// The subject of the run's lease. What is not in a directory may only be written by the run that has it.
    pub(super) fn subject(&self) -> String {
        repair::subject(&self.settings.environment)
    }

    /// Merges facts in a transaction of their own, or, in a dry run, only counts what they would change. The run must have
    /// this lease.
    pub(super) async fn merge(&self, batch: Batch, leased: &str) -> Result<(), ReconcileError> {
        if self.dry_run {
            return self.preview(batch, DriftAction::Reported).await;
        }
        let changes = retried!(self.turns.take(self.try_merge(&batch, leased)))?;
        self.committed(&changes);
        Ok(())
    }

    async fn try_merge(&self, batch: &Batch, leased: &str) -> Result<Vec<Change>, ReconcileError> {
        let Shared { pool, names, settings, .. } = &*self.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let mut conn = transaction.conn();
        lease::check(&mut conn, names, leased, &self.id).await?;
        let changes = merge(&mut conn, &self.shared, batch.clone(), &[]).await?;
        transaction.commit().await?;
        Ok(changes)
    }

    /// Counts what facts would change.
    pub(super) async fn preview(
        &self,
        batch: Batch,
        action: DriftAction,
    ) -> Result<(), ReconcileError> {
        let Shared { pool, names, .. } = &*self.shared;
        let mut transaction = Transaction::snapshot(pool).await?;
        let mut before = rows_before(&mut transaction.conn(), names, &batch).await?;
        transaction.rollback().await?;
        // The user and the group of a membership are among its facts. New ones were already counted.
        let are_members = !batch.members.is_empty();
        let changes = settle(&mut before, batch).changes.into_iter();
        let is_membership = |draft: &Draft| draft.group_id.is_some() && draft.user_id.is_some();
        changes
            .filter(|draft| !are_members || is_membership(draft))
            .for_each(|draft| self.drift(Drift::of_draft(draft, action)));
        Ok(())
    }

    pub(super) fn committed(&self, changes: &[Change]) {
        self.shared.committed(changes);
        for change in changes {
            self.drift(Drift::of_change(change));
        }
    }

    pub(super) fn drift(&self, drift: Drift) {
        crate::metrics::drift(drift.kind.as_str(), drift.action.as_str());
        self.drifts.lock().unwrap_or_else(PoisonError::into_inner).add(drift);
    }
}

pub(super) async fn acquire(
    shared: &Shared,
    subject: &str,
    run: &str,
) -> Result<bool, ReconcileError> {
    let mut connection = shared.pool.acquire().await?;
    Ok(lease::acquire(&mut connection.conn(), &shared.names, subject, run).await?)
}

pub(super) fn report(
    directory: &str,
    outcome: DirectoryOutcome,
    reason: Option<String>,
) -> DirectoryReport {
    DirectoryReport {
        directory_id: DirectoryId::from(directory.to_owned()),
        outcome,
        reason,
        groups: 0,
        users: 0,
        memberships: 0,
    }
}

/// The first, the last, the second, the last but one, and so on.
fn interleaved(directories: Vec<String>) -> Vec<String> {
    let mut left = std::collections::VecDeque::from(directories);
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = left.pop_front() {
        order.push(first);
        order.extend(left.pop_back());
    }
    order
}
