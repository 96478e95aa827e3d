//! Queries.

mod filter;
mod model;
mod page;
mod repair;
#[cfg(feature = "page")]
mod search;
mod select;
mod state;

#[cfg(feature = "reconcile")]
pub(crate) use self::repair::{ENVIRONMENT, Summary};
pub use self::{
    filter::{DirectoryFilter, GroupFilter, Person, UserFilter},
    model::{Directory, Group, Membership, User},
    page::{Listing, Page},
    repair::{DriftSummary, RepairStatus},
    state::State,
};
#[cfg(feature = "page")]
pub(crate) use self::{model::Columns, repair::statuses, search::Position};

use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId, OrganizationId};

use self::{
    model::Record,
    select::{MEMBER, Select, USER, USERS_DIRECTORY},
};
use crate::{
    error::MirrorError,
    mirror::Mirror,
    sql::{rows::Row, value::Kind},
};

/// Queries. Each returns what the last committed transaction wrote. None returns anything about a deleted user or a user in
/// a deleted directory, except that [`users_ever_in`](Self::users_ever_in) returns their ids.
///
/// All of them fail with a [`MirrorError`] if the database fails.
impl Mirror {
    /// Returns a user, or `None` if there is no user with this id or it was deleted.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn user(&self, id: &DirectoryUserId) -> Result<Option<User>, MirrorError> {
        let mut select = Select::users();
        select.id("u.id =", id.as_str());
        Ok(self.list(select, "u.id", 1).await?.pop())
    }

    /// Returns a group, or `None` if there is no group with this id or it was deleted.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn group(&self, id: &DirectoryGroupId) -> Result<Option<Group>, MirrorError> {
        let mut select = Select::groups();
        select.id("g.id =", id.as_str());
        Ok(self.list(select, "g.id", 1).await?.pop())
    }

    /// Returns a directory, or `None` if there is no directory with this id or it was deleted.
    ///
    /// A directory whose `dsync.activated` has not arrived is not listed, but its users are.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn directory(&self, id: &DirectoryId) -> Result<Option<Directory>, MirrorError> {
        let mut select = Select::directories();
        select.id("d.id =", id.as_str());
        Ok(self.list(select, "d.id", 1).await?.pop())
    }

    /// Returns whether this user has access: the user is `active` and the directory gives access.
    ///
    /// A person who returns, or whose organization moves to another provider, gets another user id. Call
    /// [`has_access_by`](Self::has_access_by) before you lock somebody out.
    ///
    /// # Errors
    ///
    /// If the database fails. That says nothing about the user.
    pub async fn has_access(&self, user: &DirectoryUserId) -> Result<bool, MirrorError> {
        let mut select = Select::access();
        select.id("u.id =", user.as_str());
        self.any(select).await
    }

    /// Returns whether this person has access as any user of the organization, in any of its directories.
    ///
    /// An organization that moves from one provider to another has two directories for a while, with the same people
    /// under different user ids. A person who returns has a new id, too. This method finds the person under all ids.
    /// Call it before you end a session because of [`UserRevoked`](crate::ChangeKind::UserRevoked) or
    /// [`DirectoryRevoked`](crate::ChangeKind::DirectoryRevoked).
    ///
    /// A user's organization is the one that WorkOS sends with the user, otherwise that of the user's directory.
    ///
    /// ```
    /// # async fn example(mirror: &tower_workos_mirror::Mirror) -> Result<(), tower_workos_mirror::MirrorError> {
    /// use tower_workos_mirror::Person;
    ///
    /// let stays = mirror.has_access_by("org_1", Person::email("ada@example.com")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the database fails. That says nothing about the person.
    pub async fn has_access_by(
        &self,
        organization: impl Into<OrganizationId>,
        person: Person,
    ) -> Result<bool, MirrorError> {
        let Some(filter) = UserFilter::new().organization(organization).person(person) else {
            return Ok(false);
        };
        let mut select = Select::access();
        filter.restrict(&mut select, false);
        self.any(select).await
    }

    /// Returns a page of the users that the filter selects, sorted by id.
    ///
    /// ```
    /// # async fn example(mirror: &tower_workos_mirror::Mirror) -> Result<(), tower_workos_mirror::MirrorError> {
    /// use tower_workos_mirror::{Page, UserFilter};
    ///
    /// let filter = UserFilter::new().organization("org_1").access(true);
    /// let mut page = Some(Page::new(100));
    /// while let Some(this) = page {
    ///     let users = mirror.users(&filter, this).await?;
    ///     for user in users.items {
    ///         println!("{}", user.id);
    ///     }
    ///     page = users.next;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn users(
        &self,
        filter: &UserFilter,
        page: Page<DirectoryUserId>,
    ) -> Result<Listing<User, DirectoryUserId>, MirrorError> {
        let (selects, key) = filter.select(page.after.as_ref().map(DirectoryUserId::as_str));
        self.listing(selects, key, page.limit(), |user: &User| user.id.clone()).await
    }

    /// Returns a page of the members of a group, sorted by id. It is empty if there is no such group.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn members_of(
        &self,
        group: &DirectoryGroupId,
        page: Page<DirectoryUserId>,
    ) -> Result<Listing<User, DirectoryUserId>, MirrorError> {
        self.users(&UserFilter::new().group(group.clone()), page).await
    }

    /// Returns all groups of a user, sorted by id. The list is empty if there is no such user.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn groups_of(&self, user: &DirectoryUserId) -> Result<Vec<Group>, MirrorError> {
        let mut select = Select::groups();
        select.from = format!("{MEMBER} m CROSS JOIN {}", select.from);
        let user = select.bind_id(user.as_str());
        let listed = select::live("u");
        select.conditions.push(format!(
            "m.user_id = (SELECT u.id FROM {USER} u {USERS_DIRECTORY} WHERE u.id = {user} AND {listed})"
        ));
        select.conditions.push(format!("g.id = m.group_id AND {}", select::JOINED));
        self.list(select, "m.group_id", usize::MAX).await
    }

    /// Returns a page of the groups that the filter selects, sorted by id.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn groups(
        &self,
        filter: &GroupFilter,
        page: Page<DirectoryGroupId>,
    ) -> Result<Listing<Group, DirectoryGroupId>, MirrorError> {
        let selects = filter.select(page.after.as_ref().map(DirectoryGroupId::as_str));
        self.listing(selects, "g.id", page.limit(), |group: &Group| group.id.clone()).await
    }

    /// Returns a page of the directories that the filter selects, sorted by id.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn directories(
        &self,
        filter: &DirectoryFilter,
        page: Page<DirectoryId>,
    ) -> Result<Listing<Directory, DirectoryId>, MirrorError> {
        let select = filter.select(page.after.as_ref().map(DirectoryId::as_str));
        self.listing(vec![select], "d.id", page.limit(), |it: &Directory| it.id.clone()).await
    }

    /// Returns a page of the ids of all users that were ever seen in a directory, sorted. It includes deleted users,
    /// also if the directory was deleted.
    ///
    /// Use it to handle [`DirectoryRevoked`](crate::ChangeKind::DirectoryRevoked), which names no users.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn users_ever_in(
        &self,
        directory: &DirectoryId,
        page: Page<DirectoryUserId>,
    ) -> Result<Listing<DirectoryUserId, DirectoryUserId>, MirrorError> {
        let mut select = Select::new("u.id", &[Kind::Text], format!("{USER} u"));
        select.id("u.directory_id =", directory.as_str());
        if let Some(after) = &page.after {
            select.id("u.id >", after.as_str());
        }
        self.listing(vec![select], "u.id", page.limit(), DirectoryUserId::clone).await
    }

    async fn any(&self, select: Select) -> Result<bool, MirrorError> {
        Ok(!self.rows(vec![select], "1", 1).await?.is_empty())
    }

    async fn list<T: Record>(
        &self,
        select: Select,
        key: &str,
        limit: usize,
    ) -> Result<Vec<T>, MirrorError> {
        Ok(self.rows(vec![select], key, limit).await?.into_iter().map(T::of_row).collect())
    }

    async fn listing<T: Record, I>(
        &self,
        selects: Vec<Select>,
        key: &str,
        limit: usize,
        id: impl Fn(&T) -> I,
    ) -> Result<Listing<T, I>, MirrorError> {
        // One more row shows whether there is another page.
        let rows = self.rows(selects, key, limit + 1).await?;
        let is_last = rows.len() <= limit;
        let items: Vec<T> = rows.into_iter().take(limit).map(T::of_row).collect();
        let last = items.last().filter(|_| !is_last).map(id);
        Ok(Listing { next: last.map(|last| Page::new(limit).after(last)), items })
    }

    async fn rows(
        &self,
        selects: Vec<Select>,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Row>, MirrorError> {
        let mut connection = self.shared.pool.acquire().await?;
        let mut conn = connection.conn();
        Ok(Select::run(selects, &mut conn, &self.shared.names, key, limit).await?)
    }
}
