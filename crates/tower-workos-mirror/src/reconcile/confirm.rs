//! Whether the API confirms that something is absent.

use std::sync::atomic::Ordering;

use crate::{
    api::page::Item,
    reconcile::{
        error::ReconcileError,
        removal::{Absences, FLOOR},
        stage::Kind,
        walk::{Walk, is_missing},
    },
    rules::{batch::Batch, listed},
};

/// If a list lacked at most this many objects that exist, they are requested again later.
const SECOND_LOOKS: usize = 5;

impl Walk<'_> {
    /// Asks the API for each absent object, or for the lists once more if there are many. Returns what contradicts the
    /// absences.
    pub(super) async fn contradiction_of(
        &mut self,
        absences: &Absences,
    ) -> Result<Option<&'static str>, ReconcileError> {
        if absences.members > FLOOR
            && let Some(reason) = self.list_members_again().await?
        {
            return Ok(Some(reason));
        }
        let needed = absences.objects();
        if needed == 0 {
            return Ok(None);
        }
        let take = |left: i64| (left >= needed).then(|| left - needed);
        let taken = self.run.confirmations.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_ok() { self.confirm(absences).await } else { self.list_again(absences).await }
    }

    /// Lists the members of those groups once more that lost many.
    async fn list_members_again(&mut self) -> Result<Option<&'static str>, ReconcileError> {
        let mut connection = self.run.shared.pool.acquire().await?;
        let groups = self.absent().shrunken(&mut connection.conn(), FLOOR).await?;
        drop(connection);
        for group in &groups {
            match self.list_members_of(group, true).await {
                Err(error) if is_missing(&error) => {}
                result => result?,
            }
        }
        let mut connection = self.run.shared.pool.acquire().await?;
        if !groups.is_empty() && self.absent().is_member_again(&mut connection.conn()).await? {
            return Ok(Some("two lists in succession differ"));
        }
        Ok(self.contradiction)
    }

    async fn confirm(
        &mut self,
        absences: &Absences,
    ) -> Result<Option<&'static str>, ReconcileError> {
        let mut found = Vec::new();
        for (kind, ids) in [(Kind::Group, &absences.groups), (Kind::User, &absences.users)] {
            for id in ids {
                found.extend(self.look(kind, id).await?.map(|item| (kind, item)));
            }
        }
        // Perhaps it was deleted before the list was read, and the response came from a replica that lags behind.
        if (1..=SECOND_LOOKS).contains(&found.len()) {
            self.run.api.sleep(self.run.settings.margin).await;
            for (kind, item) in std::mem::take(&mut found) {
                found.extend(self.look(kind, &item.id).await?.map(|item| (kind, item)));
            }
        }
        if found.is_empty() {
            return Ok(None);
        }
        let fence = self.run.fence;
        for (kind, item) in found {
            let (mut batch, directory) = (Batch::default(), Some(self.directory));
            if listed::add(&mut batch, kind.object(), &item.json, fence, directory).is_ok() {
                self.merge(batch, 1).await?;
            }
        }
        Ok(Some("a list lacks something that exists: the next run compares it again"))
    }

    /// Returns the group or user if the API has it.
    async fn look(&self, kind: Kind, id: &str) -> Result<Option<Item>, ReconcileError> {
        let directory = Some(self.directory);
        let found = match kind {
            Kind::Group => self.run.api.group(directory, id).await?,
            _ => self.run.api.user(directory, id).await?,
        };
        Ok(found.item)
    }

    async fn list_again(
        &mut self,
        absences: &Absences,
    ) -> Result<Option<&'static str>, ReconcileError> {
        for (kind, ids) in [(Kind::Group, &absences.groups), (Kind::User, &absences.users)] {
            if ids.is_empty() {
                continue;
            }
            self.list(kind, true).await?;
            let mut connection = self.run.shared.pool.acquire().await?;
            if self.absent().is_listed_again(&mut connection.conn(), kind.object()).await? {
                return Ok(Some("two lists in succession differ"));
            }
        }
        Ok(self.contradiction)
    }
}
