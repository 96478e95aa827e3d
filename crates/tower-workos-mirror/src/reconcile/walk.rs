//! The comparison of one directory.

use serde::Deserialize;

use crate::{
    api::{
        error::ApiErrorKind,
        page::{Item, ListPage, Pages},
    },
    mirror::Shared,
    reconcile::{
        error::{ReconcileError, ReconcileErrorKind},
        lease, repair,
        report::{DirectoryOutcome, DirectoryReport},
        retry::retried,
        run::{Run, acquire, report},
        stage::{self, Kind, Staged},
    },
    rules::{batch::Batch, listed},
    sql::transaction::Transaction,
    text::id,
};

/// Objects in one transaction.
pub(super) const CHUNK: i64 = 256;
/// Memberships in one transaction.
pub(super) const MEMBERS: i64 = 512;

/// The comparison of one directory with what the API lists.
pub(super) struct Walk<'a> {
    pub(super) run: &'a Run,
    /// As the API sent it.
    pub(super) directory: &'a str,
    /// As the tables contain it.
    pub(super) key: String,
    /// Whether removals are withheld because it was never compared before.
    pub(super) is_first: bool,
    pub(super) report: DirectoryReport,
    /// Why nothing can be absent: the lists are not complete.
    pub(super) contradiction: Option<&'static str>,
}

/// A directory that was compared, or not.
pub(super) struct Walked {
    pub(super) directory: DirectoryReport,
    /// Whether the API or the database is down.
    pub(super) is_outage: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(run: &'a Run, directory: &'a str, is_first: bool) -> Self {
        let key = id(directory).into_owned();
        let report = report(&key, DirectoryOutcome::Complete, None);
        Self { run, directory, key, is_first, report, contradiction: None }
    }

    /// Compares the directory.
    pub(super) async fn run(mut self) -> Walked {
        let result = match self.begin().await {
            Ok(true) => self.compare().await,
            Ok(false) => {
                let report = self.ended(DirectoryOutcome::Busy, "another run is comparing it");
                return Walked { directory: report, is_outage: false };
            }
            Err(error) => Err(error),
        };
        self.run.release(&self.key).await;
        match result {
            Ok(()) => Walked { directory: self.report, is_outage: false },
            Err(error) => self.failed(error),
        }
    }

    fn failed(self, error: ReconcileError) -> Walked {
        let outcome = match error.kind() {
            ReconcileErrorKind::Busy => DirectoryOutcome::Busy,
            _ => DirectoryOutcome::Failed,
        };
        tracing::warn!(
            target: "tower_workos_mirror::reconcile", directory = %self.key, error = %error.without_payload(),
            "the comparison of a directory failed"
        );
        let is_outage = is_outage(error.kind());
        Walked { directory: self.ended(outcome, &error.without_payload()), is_outage }
    }

    fn ended(mut self, outcome: DirectoryOutcome, reason: &str) -> DirectoryReport {
        self.report.outcome = outcome;
        self.report.reason = Some(reason.to_owned());
        self.report
    }

    pub(super) fn withhold(&mut self, outcome: DirectoryOutcome, reason: &str) {
        self.report.outcome = outcome;
        self.report.reason = Some(reason.to_owned());
    }

    /// Acquires the lease, and removes what the run of a killed process has left.
    async fn begin(&self) -> Result<bool, ReconcileError> {
        let Run { shared, id, .. } = self.run;
        if !acquire(shared, &self.key, id).await? {
            return Ok(false);
        }
        stage::clear(shared, &self.key, id).await?;
        Ok(true)
    }

    async fn compare(&mut self) -> Result<(), ReconcileError> {
        self.report.groups = self.list(Kind::Group, false).await?;
        self.report.users = self.list(Kind::User, false).await?;
        self.list_members().await?;
        self.merge_objects(Kind::Group).await?;
        self.merge_objects(Kind::User).await?;
        self.merge_members().await?;
        self.remove_absent().await?;
        if !self.run.dry_run {
            retried!(repair::compared(&self.run.shared, &self.key, &self.run.id))?;
        }
        Ok(())
    }

    /// Stages a list of groups or users. The second time, only their ids.
    pub(super) async fn list(&mut self, kind: Kind, again: bool) -> Result<u64, ReconcileError> {
        let run = self.run;
        let mut pages = Pages::new(run.settings.max_pages);
        let (mut after, mut count) = (None, 0);
        let staged_as = match (kind, again) {
            (Kind::Group, true) => Kind::GroupAgain,
            (_, true) => Kind::UserAgain,
            (kind, false) => kind,
        };
        loop {
            let page = match kind {
                Kind::Group => run.api.groups(self.directory, after.as_deref()).await?,
                _ => run.api.users(self.directory, after.as_deref()).await?,
            };
            let items = self.checked(&page);
            count += u64::try_from(items.len()).unwrap_or(0);
            let rows = items.into_iter().map(|item| match again {
                true => Staged::id(&item.id),
                false => Staged::item(&item.id, &item.json),
            });
            self.stage(vec![(staged_as, rows.collect())]).await?;
            after = pages.advance(page.after)?;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// The items that belong to this directory.
    fn checked<'p>(&mut self, page: &'p ListPage) -> Vec<&'p Item> {
        if page.unreadable > 0 {
            self.contradiction = Some("an item of a list has no id that can be read");
        }
        let (own, others): (Vec<_>, Vec<_>) =
            page.items.iter().partition(|item| belongs_to(item, self.directory));
        if !others.is_empty() {
            self.contradiction = Some("a list contained something of another directory");
        }
        own
    }

    /// Lists the members of each group. A group that disappears during the run is skipped.
    async fn list_members(&mut self) -> Result<(), ReconcileError> {
        let mut place = (String::new(), String::new());
        loop {
            let groups = self.staged(Kind::Group, &place, CHUNK).await?;
            let Some(last) = groups.last() else { return Ok(()) };
            place = (last.id.clone(), String::new());
            for group in &groups {
                match self.list_members_of(&group.id, false).await {
                    Err(error) if is_missing(&error) => {}
                    result => result?,
                }
            }
        }
    }

    /// Stages the members of a group. The second time, only their ids.
    pub(super) async fn list_members_of(
        &mut self,
        group: &str,
        again: bool,
    ) -> Result<(), ReconcileError> {
        let run = self.run;
        let mut pages = Pages::new(run.settings.max_pages);
        let mut after = None;
        loop {
            let page = run.api.members(self.directory, group, after.as_deref()).await?;
            let members = self.checked(&page);
            let rows = members.iter().map(|user| Staged::member(group, &user.id)).collect();
            let kinds = if again {
                after = pages.advance(page.after)?;
                vec![(Kind::MemberAgain, rows)]
            } else {
                let count = members.len();
                // A user who was created after the list of users was read.
                let users = members.iter().map(|user| Staged::item(&user.id, &user.json)).collect();
                self.report.memberships += u64::try_from(count).unwrap_or(0);
                after = pages.advance(page.after)?;
                let walked = after.is_none().then(|| Staged::id(group));
                let walked = walked.into_iter().collect();
                vec![(Kind::Member, rows), (Kind::User, users), (Kind::Walked, walked)]
            };
            self.stage(kinds).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn stage(&self, kinds: Vec<(Kind, Vec<Staged>)>) -> Result<(), ReconcileError> {
        retried!(self.run.turns.take(self.try_stage(&kinds)))?;
        let items = kinds.iter().filter(|(kind, _)| *kind != Kind::Walked);
        let read: usize = items.map(|(_, rows)| rows.len()).sum();
        self.run.progress.send_modify(|it| {
            it.read += u64::try_from(read).unwrap_or(0);
            it.requests = self.run.api.requests();
        });
        Ok(())
    }

    async fn try_stage(&self, kinds: &[(Kind, Vec<Staged>)]) -> Result<(), ReconcileError> {
        let Shared { pool, names, settings, .. } = &*self.run.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let mut conn = transaction.conn();
        lease::check(&mut conn, names, &self.key, &self.run.id).await?;
        for (kind, rows) in kinds {
            stage::put(&mut conn, names, &self.key, *kind, rows).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    pub(super) async fn staged(
        &self,
        kind: Kind,
        after: &(String, String),
        limit: i64,
    ) -> Result<Vec<Staged>, ReconcileError> {
        let Shared { pool, names, .. } = &*self.run.shared;
        let mut connection = pool.acquire().await?;
        Ok(stage::page(&mut connection.conn(), names, &self.key, kind, after, limit).await?)
    }

    async fn merge_objects(&mut self, kind: Kind) -> Result<(), ReconcileError> {
        let mut place = (String::new(), String::new());
        loop {
            let rows = self.staged(kind, &place, CHUNK).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            place = (last.id.clone(), String::new());
            let mut batch = Batch::default();
            for row in &rows {
                let item = row.item.as_deref().unwrap_or_default().as_bytes();
                let directory = Some(self.directory);
                if listed::add(&mut batch, kind.object(), item, self.run.fence, directory).is_err()
                {
                    self.contradiction = Some("an item of a list can't be read");
                }
            }
            self.merge(batch, rows.len()).await?;
        }
    }

    async fn merge_members(&self) -> Result<(), ReconcileError> {
        let mut place = (String::new(), String::new());
        loop {
            let rows = self.staged(Kind::Member, &place, MEMBERS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            place = (last.id.clone(), last.user.clone());
            let mut batch = Batch::default();
            for row in &rows {
                listed::add_member(&mut batch, &row.id, &row.user, self.directory, self.run.fence);
            }
            self.merge(batch, rows.len()).await?;
        }
    }

    pub(super) async fn merge(&self, batch: Batch, rows: usize) -> Result<(), ReconcileError> {
        self.run.merge(batch, &self.key).await?;
        let merged = u64::try_from(rows).unwrap_or(0);
        self.run.progress.send_modify(|it| it.merged += merged);
        Ok(())
    }
}

pub(super) fn is_missing(error: &ReconcileError) -> bool {
    error.kind() == ReconcileErrorKind::Api(ApiErrorKind::NotFound)
}

/// Whether the error is probably not the directory's, so that others will fail as well.
fn is_outage(kind: ReconcileErrorKind) -> bool {
    use ApiErrorKind::{RateLimited, Unauthorized, Unavailable};

    matches!(
        kind,
        ReconcileErrorKind::Api(RateLimited | Unauthorized | Unavailable)
            | ReconcileErrorKind::Database
    )
}

/// Whether an item of a directory's list belongs to the directory, if it says so.
fn belongs_to(item: &Item, directory: &str) -> bool {
    #[derive(Deserialize)]
    struct Owned<'j> {
        #[serde(borrow)]
        directory_id: Option<std::borrow::Cow<'j, str>>,
    }
    serde_json::from_slice::<Owned<'_>>(&item.json)
        .ok()
        .and_then(|it| it.directory_id)
        .is_none_or(|owner| owner == directory)
}
