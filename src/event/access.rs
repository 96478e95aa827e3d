//! What an event means for somebody's access.

use crate::event::{Directory, DirectoryEvent, DirectoryGroup, DirectoryUser, EventData};

/// What an event means for somebody's access; from [`DirectoryEvent::access_change`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AccessChange<'a> {
    /// The person keeps access, but what decides about its extent (attributes, roles or groups) may have
    /// changed.
    Changed(&'a DirectoryUser),
    /// Everybody in this directory loses access. No event follows for its users and groups.
    DirectoryEnded(&'a Directory),
    /// The person has no access any more: deleted, inactive, suspended, or in a state unknown to this
    /// version.
    Ended(&'a DirectoryUser),
    /// The group's name or attributes changed; what its members may do changes where rights hang on those.
    GroupChanged(&'a DirectoryGroup),
    /// Whatever this group gave its members ends. No event follows for its memberships.
    GroupEnded(&'a DirectoryGroup),
    /// The person has access from now on: created, or active again.
    Granted(&'a DirectoryUser),
}

impl DirectoryEvent {
    /// Whether this grants, changes or ends somebody's access; `None` where it does nothing of the kind, or
    /// is an event that this version does not know.
    ///
    /// # The trap
    ///
    /// Depending on how a WorkOS environment is set up, a person who leaves arrives as `dsync.user.deleted`
    /// **or as `dsync.user.updated` whose user is `inactive`**. An application that acts on the first alone
    /// lets former employees in. Both are [`AccessChange::Ended`] here, as is any other event whose user is
    /// not [active](DirectoryUser::is_active): someone added to a group while deactivated, for instance.
    ///
    /// Each event is judged by itself. Deliveries come late, twice and out of order: compare the user's
    /// `updated_at` with the one last acted on before acting on a [`Granted`](AccessChange::Granted).
    ///
    /// ```
    /// use tower_workos::{AccessChange, DirectoryEvent};
    ///
    /// fn act(event: &DirectoryEvent) {
    ///     match event.access_change() {
    ///         Some(AccessChange::Granted(user) | AccessChange::Changed(user)) => { /* upsert user.id */ }
    ///         Some(AccessChange::Ended(user)) => { /* end the sessions of user.id */ }
    ///         Some(AccessChange::DirectoryEnded(directory)) => { /* and of all users of directory.id */ }
    ///         Some(AccessChange::GroupEnded(group)) => { /* take away what group.id gave */ }
    ///         _ => {}
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn access_change(&self) -> Option<AccessChange<'_>> {
        let unless_ended = |user, change| {
            if DirectoryUser::is_active(user) { change } else { AccessChange::Ended(user) }
        };
        Some(match self.data() {
            EventData::DirectoryDeleted(directory) => AccessChange::DirectoryEnded(directory),
            EventData::GroupDeleted(group) => AccessChange::GroupEnded(group),
            EventData::GroupUpdated(change) => AccessChange::GroupChanged(&change.group),
            EventData::GroupUserAdded(membership) | EventData::GroupUserRemoved(membership) => {
                unless_ended(&membership.user, AccessChange::Changed(&membership.user))
            }
            EventData::UserCreated(user) => unless_ended(user, AccessChange::Granted(user)),
            EventData::UserDeleted(user) => AccessChange::Ended(user),
            EventData::UserUpdated(change) if change.is_reactivation() => {
                AccessChange::Granted(&change.user)
            }
            EventData::UserUpdated(change) => {
                unless_ended(&change.user, AccessChange::Changed(&change.user))
            }
            EventData::DirectoryActivated(_)
            | EventData::GroupCreated(_)
            | EventData::TokenCreated(_)
            | EventData::TokenRevoked(_)
            | EventData::Unknown(_) => return None,
        })
    }
}
