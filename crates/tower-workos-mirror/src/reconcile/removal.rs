//! What a directory's complete lists lack.

use std::sync::atomic::Ordering;

use crate::{
    apply::merge,
    change::ChangeKind,
    mirror::Shared,
    reconcile::{
        absent::Absent,
        error::ReconcileError,
        lease,
        report::{DirectoryOutcome, Drift, DriftAction},
        stage::{Kind, Staged},
        walk::{CHUNK, MEMBERS, Walk},
    },
    rules::{batch::Batch, document::ObjectKind, listed, member::Member, object::Object},
    sql::transaction::Transaction,
};

/// A directory with more absences than this is never changed without
/// [`allow_mass_removal`](crate::ReconcilerBuilder::allow_mass_removal).
const MOST: i64 = 50_000;
/// So few absences are normal, however small the directory is.
const FLOOR: i64 = 20;
/// How many objects that a list lacked, although they exist, are looked at again.
const SECOND_LOOKS: usize = 5;

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

impl Walk<'_> {
    fn absent(&self) -> Absent<'_> {
        Absent { names: &self.run.shared.names, directory: &self.key, fence: self.run.fence }
    }

    /// Decides whether what was not listed is absent.
    pub(super) async fn remove_absent(&mut self) -> Result<(), ReconcileError> {
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
            run.drift(Drift::new(ChangeKind::GroupDeleted, action, directory, Some(group), None));
        }
        for user in &absences.users {
            run.drift(Drift::new(ChangeKind::UserDeleted, action, directory, None, Some(user)));
        }
        for _ in 0..absences.members {
            run.drift(Drift::new(ChangeKind::MembershipRemoved, action, directory, None, None));
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
        let mut found = Vec::new();
        for (kind, ids) in [(Kind::Group, &absences.groups), (Kind::User, &absences.users)] {
            for id in ids {
                if self.exists(kind, id).await? {
                    found.push((kind, id));
                }
            }
        }
        let exists = Some("a list lacks something that exists");
        if found.len() > SECOND_LOOKS {
            return Ok(exists);
        }
        // Or it was deleted before the list was read, and the response came from a replica that lags behind.
        if !found.is_empty() {
            self.run.api.sleep(self.run.settings.margin).await;
        }
        for (kind, id) in found {
            if self.exists(kind, id).await? {
                return Ok(exists);
            }
        }
        Ok(None)
    }

    /// Whether the API has the group or user. If it does, that is merged.
    async fn exists(&self, kind: Kind, id: &str) -> Result<bool, ReconcileError> {
        let directory = Some(self.directory);
        let found = match kind {
            Kind::Group => self.run.api.group(directory, id).await?,
            _ => self.run.api.user(directory, id).await?,
        };
        let Some(item) = found.item else { return Ok(false) };
        let (mut batch, fence) = (Batch::default(), self.run.fence);
        if listed::add(&mut batch, kind.object(), &item.json, fence, directory).is_ok() {
            self.merge(batch, 1).await?;
        }
        Ok(true)
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
