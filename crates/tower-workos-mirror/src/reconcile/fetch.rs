//! One object from the API.

use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId};

use crate::{
    Directory, Group, Reconciler, User,
    api::page::Found,
    apply::merge,
    mirror::Shared,
    reconcile::error::ReconcileError,
    rules::{batch::Batch, document::ObjectKind, listed},
    sql::transaction::Transaction,
};

impl Reconciler {
    /// Fetches a user from the API, merges it into the mirror, and returns what the mirror shows. Call it, for example, if
    /// a user logs in whom the mirror does not know yet.
    ///
    /// Returns `None` if neither the API nor the mirror has the user. A 404 alone does not remove the user, because the
    /// key of another environment leads to the same response.
    ///
    /// # Errors
    ///
    /// If the API or the database fails.
    pub async fn fetch_user(&self, id: &DirectoryUserId) -> Result<Option<User>, ReconcileError> {
        let found = self.api.user(None, id.as_str()).await?;
        self.merge_found(ObjectKind::User, found).await?;
        Ok(self.mirror.user(id).await?)
    }

    /// Like [`fetch_user`](Self::fetch_user), for a group. Its members are not fetched.
    ///
    /// # Errors
    ///
    /// If the API or the database fails.
    pub async fn fetch_group(
        &self,
        id: &DirectoryGroupId,
    ) -> Result<Option<Group>, ReconcileError> {
        let found = self.api.group(None, id.as_str()).await?;
        self.merge_found(ObjectKind::Group, found).await?;
        Ok(self.mirror.group(id).await?)
    }

    /// Like [`fetch_user`](Self::fetch_user), for a directory. Its users and groups are not fetched.
    ///
    /// # Errors
    ///
    /// If the API or the database fails.
    pub async fn fetch_directory(
        &self,
        id: &DirectoryId,
    ) -> Result<Option<Directory>, ReconcileError> {
        let found = self.api.directory(id.as_str()).await?;
        self.merge_found(ObjectKind::Directory, found).await?;
        Ok(self.mirror.directory(id).await?)
    }

    async fn merge_found(&self, kind: ObjectKind, found: Found) -> Result<(), ReconcileError> {
        let Some(item) = found.item else { return Ok(()) };
        let date = found.date.ok_or_else(ReconcileError::no_date)?;
        let fence = listed::fence(date, self.settings.margin);
        let mut batch = Batch::default();
        if listed::add(&mut batch, kind, &item.json, fence, None).is_err() {
            return Ok(());
        }
        let shared = &*self.mirror.shared;
        let Shared { pool, names, settings, .. } = shared;
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let changes = merge(&mut transaction.conn(), shared, batch, &[]).await?;
        transaction.commit().await?;
        shared.committed(&changes);
        Ok(())
    }
}
