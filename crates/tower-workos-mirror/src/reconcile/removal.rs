//! Removes what a directory's complete lists lack.

use crate::{
    mirror::Shared,
    reconcile::{
        absent::Absent,
        error::ReconcileError,
        report::{DirectoryOutcome, DriftAction},
        stage::{Kind, Staged},
        walk::{CHUNK, MEMBERS, Walk},
    },
    rules::{
        batch::{Batch, MemberKey},
        document::ObjectKind,
        member::Member,
        object::Object,
    },
    sql::conn::Conn,
};

/// If this many objects are absent, none is removed without
/// [`allow_mass_removal`](crate::ReconcilerBuilder::allow_mass_removal).
const MOST: i64 = 50_000;
/// Up to this many absences are normal, however small the directory is.
pub(super) const FLOOR: i64 = 20;

/// What is absent.
#[derive(Default)]
pub(super) struct Absences {
    pub(super) groups: Vec<String>,
    pub(super) users: Vec<String>,
    /// The number of memberships.
    pub(super) members: i64,
}

impl Absences {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.users.is_empty() && self.members == 0
    }

    pub(super) fn objects(&self) -> i64 {
        number(&self.groups).saturating_add(number(&self.users))
    }
}

impl Walk<'_> {
    pub(super) fn absent(&self) -> Absent<'_> {
        Absent { names: &self.run.shared.names, directory: &self.key, fence: self.run.fence }
    }

    /// Decides whether what was not listed is absent.
    pub(super) async fn remove_absent(&mut self) -> Result<(), ReconcileError> {
        let (absences, trips) = self.absences().await?;
        if let Some(reason) = self.contradiction {
            self.withhold(DirectoryOutcome::Incomplete, reason);
        } else if absences.is_empty() {
            // There is nothing to withhold, but the lists must be dated below.
        } else if self.is_first {
            let reason = "something is absent, but the first run removes nothing: run again";
            self.withhold(DirectoryOutcome::FirstRun, reason);
        } else if trips && !self.run.settings.allow_mass_removal {
            let reason = "a large part of the directory's users, groups or memberships is absent: if that is right, \
                          run once with allow_mass_removal";
            self.withhold(DirectoryOutcome::Breaker, reason);
        } else if let Some(reason) = self.contradiction_of(&absences).await? {
            self.withhold(DirectoryOutcome::Incomplete, reason);
        }
        let action = match (self.report.outcome, self.run.dry_run) {
            (DirectoryOutcome::Complete, false) => DriftAction::Applied,
            (DirectoryOutcome::Complete, true) => DriftAction::Reported,
            _ => DriftAction::Withheld,
        };
        self.remove_members(action).await?;
        self.remove_objects(action).await
    }

    /// What is absent, and whether it is so much that it is probably a mistake.
    async fn absences(&self) -> Result<(Absences, bool), ReconcileError> {
        let absent = self.absent();
        let mut connection = self.run.shared.pool.acquire().await?;
        let mut conn = connection.conn();
        let groups = absent.objects(&mut conn, ObjectKind::Group, "", MOST).await?;
        let users = absent.objects(&mut conn, ObjectKind::User, "", MOST).await?;
        let members = absent.count_members(&mut conn).await?;
        let absences = Absences { groups, users, members };
        let trips = self.trips(&mut conn, &absences).await?;
        Ok((absences, trips))
    }

    async fn trips(
        &self,
        conn: &mut Conn<'_>,
        absences: &Absences,
    ) -> Result<bool, ReconcileError> {
        let absent = self.absent();
        for (kind, ids) in
            [(ObjectKind::Group, &absences.groups), (ObjectKind::User, &absences.users)]
        {
            let count = number(ids);
            if count > FLOOR && (count >= MOST || count > absent.all(conn, kind).await? / 4) {
                return Ok(true);
            }
        }
        let count = absences.members;
        Ok(count > FLOOR && (count >= MOST || count > absent.all_members(conn).await? / 4))
    }

    /// Removes the memberships that the lists lacked, or only reports them. The lists of each group's members are dated
    /// first: from then on, what a late event adds is compared with that date, so the search does not need a lock.
    async fn remove_members(&self, action: DriftAction) -> Result<(), ReconcileError> {
        let mut place = (String::new(), String::new());
        loop {
            let groups = self.staged(Kind::Walked, &place, CHUNK).await?;
            let Some(last) = groups.last() else { return Ok(()) };
            if action == DriftAction::Applied {
                self.date_members(&groups).await?;
            }
            let range = (place.0.as_str(), last.id.as_str());
            let mut after = MemberKey::default();
            loop {
                let mut connection = self.run.shared.pool.acquire().await?;
                let members =
                    self.absent().members(&mut connection.conn(), range, &after, MEMBERS).await?;
                drop(connection);
                let Some(last) = members.last() else { break };
                after = last.clone();
                let mut batch = Batch::default();
                for (group, user) in members {
                    batch.object(ObjectKind::Group, Object::new(group.clone()));
                    batch.object(ObjectKind::User, Object::new(user.clone()));
                    let absent_at = Some(self.run.fence);
                    batch.member(group, user, Member { operation: None, absent_at });
                }
                self.removed(batch, action).await?;
            }
            place = (last.id.clone(), String::new());
        }
    }

    async fn date_members(&self, groups: &[Staged]) -> Result<(), ReconcileError> {
        let mut batch = Batch::default();
        for group in groups {
            let mut object = Object::new(group.id.clone());
            object.listed_at = Some(self.run.fence);
            batch.object(ObjectKind::Group, object);
        }
        self.merge(batch, 0).await
    }

    /// Like [`remove_members`](Self::remove_members), for groups and users.
    async fn remove_objects(&self, action: DriftAction) -> Result<(), ReconcileError> {
        let fence = Some(self.run.fence);
        if action == DriftAction::Applied {
            let mut batch = Batch::default();
            let mut directory = Object::new(self.key.clone());
            directory.listed_at = fence;
            batch.object(ObjectKind::Directory, directory);
            self.merge(batch, 0).await?;
        }
        for kind in [ObjectKind::Group, ObjectKind::User] {
            let mut after = String::new();
            loop {
                let Shared { pool, .. } = &*self.run.shared;
                let mut connection = pool.acquire().await?;
                let ids =
                    self.absent().objects(&mut connection.conn(), kind, &after, CHUNK).await?;
                drop(connection);
                let Some(last) = ids.last() else { break };
                after.clone_from(last);
                let mut batch = Batch::default();
                for id in ids {
                    let mut object = Object::new(id);
                    object.absent_at = fence;
                    batch.object(kind, object);
                }
                self.removed(batch, action).await?;
            }
        }
        Ok(())
    }

    async fn removed(&self, batch: Batch, action: DriftAction) -> Result<(), ReconcileError> {
        match action {
            DriftAction::Applied => self.merge(batch, 0).await,
            _ => self.run.preview(batch, action).await,
        }
    }
}

fn number(ids: &[String]) -> i64 {
    i64::try_from(ids.len()).unwrap_or(i64::MAX)
}
