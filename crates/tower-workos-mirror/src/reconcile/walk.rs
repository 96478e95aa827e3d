//! The comparison of one directory.

use std::sync::atomic::Ordering;

use serde::Deserialize;

use crate::{
    api::{
        error::ApiErrorKind,
        page::{Item, ListPage, Pages},
    },
    apply::merge,
    change::ChangeKind,
    mirror::Shared,
    reconcile::{
        absent::Absent,
        error::{ReconcileError, ReconcileErrorKind},
        lease,
        report::{DirectoryOutcome, DirectoryReport, DriftAction},
        run::{Run, drift, is_fatal, report},
        stage::{self, Kind, Staged},
    },
    rules::{batch::Batch, document::ObjectKind, listed, member::Member, object::Object},
    sql::transaction::Transaction,
    text::id,
};

/// Objects in one transaction.
const CHUNK: i64 = 256;
/// Memberships in one transaction.
const MEMBERS: i64 = 512;
/// A directory with more absences than this is never changed without
/// [`allow_mass_removal`](crate::ReconcilerBuilder::allow_mass_removal).
const MOST: i64 = 50_000;
/// So few absences are normal, however small the directory is.
const FLOOR: i64 = 20;

/// The comparison of one directory with what the API lists.
pub(super) struct Walk<'a> {
    run: &'a Run,
    /// As the API sent it.
    directory: &'a str,
    /// As the tables contain it.
    key: String,
    report: DirectoryReport,
    /// Why nothing can be absent: the lists are not complete.
    contradiction: Option<&'static str>,
}

/// What is absent.
#[derive(Default)]
struct Absences {
    groups: Vec<String>,
    users: Vec<String>,
    /// Their number.
    members: i64,
}

impl Absences {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.users.is_empty() && self.members == 0
    }

    fn objects(&self) -> i64 {
        i64::try_from(self.groups.len() + self.users.len()).unwrap_or(i64::MAX)
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(run: &'a Run, directory: &'a str) -> Self {
        let key = id(directory).into_owned();
        let report = report(&key, DirectoryOutcome::Complete, None);
        Self { run, directory, key, report, contradiction: None }
    }

    /// Compares the directory. An error concerns all directories.
    pub(super) async fn run(mut self) -> Result<DirectoryReport, ReconcileError> {
        match self.begin().await {
            Ok(true) => {}
            Ok(false) => {
                return Ok(self.ended(DirectoryOutcome::Busy, "another run is comparing it"));
            }
            Err(error) => return self.failed(error),
        }
        let result = self.compare().await;
        let released = lease::release(&self.run.shared, &self.key, &self.run.id).await;
        match result {
            Ok(()) => {
                released?;
                Ok(self.report)
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(self, error: ReconcileError) -> Result<DirectoryReport, ReconcileError> {
        if is_fatal(&error) {
            return Err(error);
        }
        let outcome = match error.kind() {
            ReconcileErrorKind::Busy => DirectoryOutcome::Busy,
            _ => DirectoryOutcome::Failed,
        };
        tracing::warn!(
            target: "tower_workos_mirror::reconcile", directory = %self.key, error = %error.without_payload(),
            "the comparison of a directory failed"
        );
        Ok(self.ended(outcome, &error.without_payload()))
    }

    fn ended(mut self, outcome: DirectoryOutcome, reason: &str) -> DirectoryReport {
        self.report.outcome = outcome;
        self.report.reason = Some(reason.to_owned());
        self.report
    }

    fn withhold(&mut self, outcome: DirectoryOutcome, reason: &str) {
        self.report.outcome = outcome;
        self.report.reason = Some(reason.to_owned());
    }

    /// Acquires the lease, and removes what a run that died has left.
    async fn begin(&self) -> Result<bool, ReconcileError> {
        let Shared { pool, names, settings, .. } = &*self.run.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let mut conn = transaction.conn();
        if !lease::acquire(&mut conn, names, &self.key, &self.run.id).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        stage::clear(&mut conn, names, &self.key).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn compare(&mut self) -> Result<(), ReconcileError> {
        self.report.groups = self.list(Kind::Group, false).await?;
        self.report.users = self.list(Kind::User, false).await?;
        self.list_members().await?;
        self.merge_objects(Kind::Group).await?;
        self.merge_objects(Kind::User).await?;
        self.merge_members().await?;
        self.remove_absent().await
    }

    /// Stages a list of groups or users. The second time, only their ids.
    async fn list(&mut self, kind: Kind, again: bool) -> Result<u64, ReconcileError> {
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

    /// Lists the members of each group. A group that disappears meanwhile is left out.
    async fn list_members(&mut self) -> Result<(), ReconcileError> {
        let mut place = (String::new(), String::new());
        loop {
            let groups = self.staged(Kind::Group, &place, CHUNK).await?;
            let Some(last) = groups.last() else { return Ok(()) };
            place = (last.id.clone(), String::new());
            for group in &groups {
                match self.list_members_of(&group.id).await {
                    Err(error) if is_missing(&error) => {}
                    result => result?,
                }
            }
        }
    }

    async fn list_members_of(&mut self, group: &str) -> Result<(), ReconcileError> {
        let run = self.run;
        let mut pages = Pages::new(run.settings.max_pages);
        let mut after = None;
        loop {
            let page = run.api.members(self.directory, group, after.as_deref()).await?;
            let members = self.checked(&page);
            self.report.memberships += u64::try_from(members.len()).unwrap_or(0);
            let rows = members.iter().map(|user| Staged::member(group, &user.id)).collect();
            // A user who was created after the list of users was read.
            let users = members.iter().map(|user| Staged::item(&user.id, &user.json)).collect();
            after = pages.advance(page.after)?;
            let mut kinds = vec![(Kind::Member, rows), (Kind::User, users)];
            if after.is_none() {
                kinds.push((Kind::Walked, vec![Staged::id(group)]));
            }
            self.stage(kinds).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn stage(&self, kinds: Vec<(Kind, Vec<Staged>)>) -> Result<(), ReconcileError> {
        let Shared { pool, names, settings, .. } = &*self.run.shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let mut conn = transaction.conn();
        lease::check(&mut conn, names, &self.key, &self.run.id).await?;
        let mut read = 0;
        for (kind, rows) in kinds {
            if kind != Kind::Walked {
                read += rows.len();
            }
            stage::put(&mut conn, names, &self.key, kind, rows).await?;
        }
        transaction.commit().await?;
        self.run.progress.send_modify(|it| {
            it.read += u64::try_from(read).unwrap_or(0);
            it.requests = self.run.api.requests();
        });
        Ok(())
    }

    async fn staged(
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

    async fn merge(&self, batch: Batch, rows: usize) -> Result<(), ReconcileError> {
        self.run.merge(batch, Some(&self.key)).await?;
        let merged = u64::try_from(rows).unwrap_or(0);
        self.run.progress.send_modify(|it| it.merged += merged);
        Ok(())
    }

    fn absent(&self) -> Absent<'_> {
        Absent { names: &self.run.shared.names, directory: &self.key, fence: self.run.fence }
    }

    /// Decides whether what was not listed is absent.
    async fn remove_absent(&mut self) -> Result<(), ReconcileError> {
        let absent = self.absent();
        let mut connection = self.run.shared.pool.acquire().await?;
        let mut conn = connection.conn();
        let groups = absent.objects(&mut conn, ObjectKind::Group, MOST).await?;
        let users = absent.objects(&mut conn, ObjectKind::User, MOST).await?;
        let (members, all_members) = absent.count_members(&mut conn).await?;
        let all_groups = absent.count(&mut conn, ObjectKind::Group).await?;
        let all_users = absent.count(&mut conn, ObjectKind::User).await?;
        drop(connection);
        let absences = Absences { groups, users, members };

        let is_much = |absent: usize, all: i64| {
            let absent = i64::try_from(absent).unwrap_or(i64::MAX);
            absent >= MOST || absent > FLOOR.max(all / 4)
        };
        let trips = is_much(absences.groups.len(), all_groups)
            || is_much(absences.users.len(), all_users)
            || is_much(usize::try_from(members).unwrap_or(0), all_members);
        if let Some(reason) = self.contradiction {
            self.withhold(DirectoryOutcome::Incomplete, reason);
        } else if absences.is_empty() {
            // Still to be dated.
        } else if self.run.is_first {
            let reason = "something is absent: the first run removes nothing";
            self.withhold(DirectoryOutcome::FirstRun, reason);
        } else if trips && !self.run.settings.allow_mass_removal {
            let reason = "more than 20 and more than a quarter of the directory's users, groups or memberships are absent";
            self.withhold(DirectoryOutcome::Breaker, reason);
        } else if let Some(reason) = self.contradiction_of(&absences).await? {
            self.withhold(DirectoryOutcome::Incomplete, reason);
        }
        let is_complete = self.report.outcome == DirectoryOutcome::Complete;
        if is_complete && !self.run.dry_run {
            self.remove_members().await?;
            return self.remove_objects().await;
        }
        let action = if is_complete { DriftAction::Reported } else { DriftAction::Withheld };
        self.report_absences(&absences, action);
        Ok(())
    }

    fn report_absences(&self, absences: &Absences, action: DriftAction) {
        let run = self.run;
        let directory = Some(self.key.as_str());
        for group in &absences.groups {
            run.drift(drift(ChangeKind::GroupDeleted, action, directory, Some(group), None));
        }
        for user in &absences.users {
            run.drift(drift(ChangeKind::UserDeleted, action, directory, None, Some(user)));
        }
        for _ in 0..absences.members {
            run.drift(drift(ChangeKind::MembershipRemoved, action, directory, None, None));
        }
    }

    /// Asks the API for each absent object, or for the lists once more if there are many.
    async fn contradiction_of(
        &mut self,
        absences: &Absences,
    ) -> Result<Option<&'static str>, ReconcileError> {
        let needed = absences.objects();
        if needed == 0 {
            return Ok(None);
        }
        let take = |left: i64| (left >= needed).then(|| left - needed);
        let taken = self.run.confirmations.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_ok() { self.confirm(absences).await } else { self.list_again(absences).await }
    }

    async fn confirm(
        &mut self,
        absences: &Absences,
    ) -> Result<Option<&'static str>, ReconcileError> {
        let mut exists = None;
        let directory = Some(self.directory);
        for (kind, ids) in [(Kind::Group, &absences.groups), (Kind::User, &absences.users)] {
            for id in ids {
                let found = match kind {
                    Kind::Group => self.run.api.group(directory, id).await?,
                    _ => self.run.api.user(directory, id).await?,
                };
                let Some(item) = found.item else { continue };
                exists = Some("a list lacks something that exists");
                let mut batch = Batch::default();
                if listed::add(&mut batch, kind.object(), &item.json, self.run.fence, directory)
                    .is_ok()
                {
                    self.merge(batch, 1).await?;
                }
            }
        }
        Ok(exists)
    }

    async fn list_again(
        &mut self,
        absences: &Absences,
    ) -> Result<Option<&'static str>, ReconcileError> {
        let differs = Some("two lists in succession differ");
        for (kind, ids) in [(Kind::Group, &absences.groups), (Kind::User, &absences.users)] {
            if ids.is_empty() {
                continue;
            }
            self.list(kind, true).await?;
            let mut connection = self.run.shared.pool.acquire().await?;
            let still = self.absent().objects(&mut connection.conn(), kind.object(), MOST).await?;
            if still.len() < ids.len() {
                return Ok(differs);
            }
        }
        Ok(self.contradiction)
    }

    /// Removes the memberships that the lists lacked, and dates the lists of each group's members.
    async fn remove_members(&self) -> Result<(), ReconcileError> {
        let mut place = (String::new(), String::new());
        loop {
            let groups = self.staged(Kind::Walked, &place, CHUNK).await?;
            let Some(last) = groups.last() else { return Ok(()) };
            let range = (place.0.as_str(), last.id.as_str());
            while !self.remove_members_of(range, &groups).await? {}
            place = (last.id.clone(), String::new());
        }
    }

    /// Returns whether none are left.
    async fn remove_members_of(
        &self,
        range: (&str, &str),
        groups: &[Staged],
    ) -> Result<bool, ReconcileError> {
        let Shared { pool, names, settings, .. } = &*self.run.shared;
        let fence = Some(self.run.fence);
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let mut conn = transaction.conn();
        lease::check(&mut conn, names, &self.key, &self.run.id).await?;
        let members = self.absent().members(&mut conn, range, MEMBERS).await?;
        let is_last = is_last(members.len(), MEMBERS);
        let mut batch = Batch::default();
        for (group, user) in members {
            batch.object(ObjectKind::Group, Object::new(group.clone()));
            batch.object(ObjectKind::User, Object::new(user.clone()));
            batch.member(group, user, Member { operation: None, absent_at: fence });
        }
        if is_last {
            for group in groups {
                let mut object = Object::new(group.id.clone());
                object.listed_at = fence;
                batch.object(ObjectKind::Group, object);
            }
        }
        let changes = merge(&mut conn, names, batch, &[]).await?;
        transaction.commit().await?;
        self.run.committed(&changes);
        Ok(is_last)
    }

    /// Removes the groups and users that the lists lacked. The transaction that finds no more dates the lists of the
    /// directory, so what late events create afterwards is compared with that date.
    async fn remove_objects(&self) -> Result<(), ReconcileError> {
        let Shared { pool, names, settings, .. } = &*self.run.shared;
        let fence = Some(self.run.fence);
        loop {
            let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
            let mut conn = transaction.conn();
            lease::check(&mut conn, names, &self.key, &self.run.id).await?;
            let mut batch = Batch::default();
            let mut is_done = true;
            for kind in [ObjectKind::Group, ObjectKind::User] {
                let ids = self.absent().objects(&mut conn, kind, CHUNK).await?;
                is_done &= is_last(ids.len(), CHUNK);
                for id in ids {
                    let mut object = Object::new(id);
                    object.absent_at = fence;
                    batch.object(kind, object);
                }
            }
            if is_done {
                let mut directory = Object::new(self.key.clone());
                directory.listed_at = fence;
                batch.object(ObjectKind::Directory, directory);
            }
            let changes = merge(&mut conn, names, batch, &[]).await?;
            transaction.commit().await?;
            self.run.committed(&changes);
            if is_done {
                return Ok(());
            }
        }
    }
}

fn is_last(found: usize, limit: i64) -> bool {
    i64::try_from(found).is_ok_and(|found| found < limit)
}

fn is_missing(error: &ReconcileError) -> bool {
    error.kind() == ReconcileErrorKind::Api(ApiErrorKind::NotFound)
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
