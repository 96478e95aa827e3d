//! How events change who has access.

use crate::event::{
    data::EventData, directory::Directory, directory_event::DirectoryEvent, group::DirectoryGroup,
    user::DirectoryUser,
};

/// How an event changes who has access, as [`DirectoryEvent::access_change`] returns it.
///
/// [`Revoked`](Self::Revoked), [`DirectoryRevoked`](Self::DirectoryRevoked) and [`GroupRevoked`](Self::GroupRevoked)
/// can be acted on immediately by ending sessions, in any order and any number of times. An application that stores who has
/// access must not store changes as they arrive: a late [`Granted`](Self::Granted), [`Changed`](Self::Changed) or
/// [`MembershipAdded`](Self::MembershipAdded) would give former employees their access back. See
/// [the rules](crate::ordering).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AccessChange<'a> {
    /// The person is active as of this event. Their attributes or roles may have changed, and with them what they can do.
    /// It can arrive after the person's deletion, so don't create a user from it.
    Changed(&'a DirectoryUser),
    /// Everybody in this directory loses access. No event follows for its users, groups and memberships.
    DirectoryRevoked(&'a Directory),
    /// The group's name or attributes changed.
    GroupChanged(&'a DirectoryGroup),
    /// The group's members lose everything that the group gave them. No event follows for its memberships.
    GroupRevoked(&'a DirectoryGroup),
    /// The person is active as of this event: created active, or active again. It can arrive after the person's deletion:
    /// see [the rules](crate::ordering) before you grant anything.
    Granted(&'a DirectoryUser),
    /// The person joined the group. This never means "create the user": it can arrive after the user's deletion.
    #[non_exhaustive]
    MembershipAdded {
        /// The person, as of the event.
        user: &'a DirectoryUser,
        /// The group, as of the event.
        group: &'a DirectoryGroup,
    },
    /// The person left the group, perhaps because they were deleted. This never means "create the user".
    #[non_exhaustive]
    MembershipRemoved {
        /// The person, as of the event.
        user: &'a DirectoryUser,
        /// The group, as of the event.
        group: &'a DirectoryGroup,
    },
    /// The person no longer has access: deleted, or in any state other than `active`.
    Revoked(&'a DirectoryUser),
}

impl DirectoryEvent {
    /// How this event affects somebody's access. `None` if it does not affect anybody's, or if this version does not know
    /// the event.
    ///
    /// # Former employees
    ///
    /// Depending on how a WorkOS environment is set up, a person who leaves arrives as `dsync.user.deleted`
    /// **or as `dsync.user.updated` whose user is `inactive`**. An application that handles only the first
    /// lets former employees in. Both are [`AccessChange::Revoked`] here.
    ///
    /// # The rules
    ///
    /// Only an explicit `active` grants. A state that is absent, `null`, unreadable or unknown to this version
    /// revokes: a person who is locked out by mistake complains, but a former employee who still has access does not.
    ///
    /// | event | user's state | result |
    /// |---|---|---|
    /// | `dsync.user.created` | `active` | [`Granted`](AccessChange::Granted) |
    /// | | anything else | [`Revoked`](AccessChange::Revoked) |
    /// | `dsync.user.updated` | `active`, and a different one before | [`Granted`](AccessChange::Granted) |
    /// | | `active` | [`Changed`](AccessChange::Changed) |
    /// | | anything else | [`Revoked`](AccessChange::Revoked) |
    /// | `dsync.user.deleted` | any | [`Revoked`](AccessChange::Revoked) |
    /// | `dsync.group.user_added` | `active`, or absent | [`MembershipAdded`](AccessChange::MembershipAdded) |
    /// | | anything else | [`Revoked`](AccessChange::Revoked) |
    /// | `dsync.group.user_removed` | any | [`MembershipRemoved`](AccessChange::MembershipRemoved) |
    /// | `dsync.group.updated` | | [`GroupChanged`](AccessChange::GroupChanged) |
    /// | `dsync.group.deleted` | | [`GroupRevoked`](AccessChange::GroupRevoked) |
    /// | `dsync.deleted` | | [`DirectoryRevoked`](AccessChange::DirectoryRevoked) |
    /// | any other | | `None` |
    ///
    /// - In `dsync.group.user_added`, an absent state does not revoke: it says nothing about the person, and joining a
    ///   group gives nobody access. An application that stores memberships reads them from [`data`](Self::data), which also
    ///   contains the membership of a person who is not active.
    /// - `dsync.group.user_removed` is a removal from the group in any state. If it were a
    ///   [`Revoked`](AccessChange::Revoked), an application could forget to remove the membership, and a person who is
    ///   reactivated would get the group's rights back. The user's own event contains the state.
    /// - Of the directory events, only `dsync.deleted` revokes. `dsync.activated` says nothing about any person.
    ///
    /// # Late events
    ///
    /// The result depends on this event alone, which doesn't show whether it is late: a [`Granted`](AccessChange::Granted)
    /// may arrive after the deletion of the same user. Revoking is safe in any
    /// order. Granting needs versions and tombstones: see [the rules](crate::ordering) and the complete example there.
    ///
    /// ```
    /// use tower_workos::{AccessChange, DirectoryEvent};
    ///
    /// fn act(event: &DirectoryEvent) {
    ///     match event.access_change() {
    ///         Some(AccessChange::Revoked(user)) => { /* end the sessions of user.id */ }
    ///         Some(AccessChange::DirectoryRevoked(directory)) => { /* and those of everybody in directory.id */ }
    ///         Some(AccessChange::GroupRevoked(group)) => { /* remove the rights of group.id from all sessions */ }
    ///         // If sessions hold roles or group rights: this person may have lost one.
    ///         Some(AccessChange::Changed(user) | AccessChange::MembershipRemoved { user, .. }) => {
    ///             /* end the sessions of user.id; don't take roles from this event, which may be late */
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn access_change(&self) -> Option<AccessChange<'_>> {
        let if_active = |user, change| {
            if DirectoryUser::is_active(user) { change } else { AccessChange::Revoked(user) }
        };
        Some(match self.data() {
            EventData::DirectoryDeleted(directory) => AccessChange::DirectoryRevoked(directory),
            EventData::GroupDeleted(group) => AccessChange::GroupRevoked(group),
            EventData::GroupUpdated(change) => AccessChange::GroupChanged(&change.group),
            EventData::GroupUserAdded(membership) => {
                let (user, group) = (&membership.user, &membership.group);
                let is_unreadable =
                    self.unreadable_fields().iter().any(|path| path == "data.user.state");
                let is_absent = user.state.is_none() && !is_unreadable;
                if is_absent || user.is_active() {
                    AccessChange::MembershipAdded { user, group }
                } else {
                    AccessChange::Revoked(user)
                }
            }
            EventData::GroupUserRemoved(membership) => {
                AccessChange::MembershipRemoved { user: &membership.user, group: &membership.group }
            }
            EventData::UserCreated(user) => if_active(user, AccessChange::Granted(user)),
            EventData::UserDeleted(user) => AccessChange::Revoked(user),
            EventData::UserUpdated(change) if change.is_reactivation() => {
                AccessChange::Granted(&change.user)
            }
            EventData::UserUpdated(change) => {
                if_active(&change.user, AccessChange::Changed(&change.user))
            }
            EventData::DirectoryActivated(_)
            | EventData::GroupCreated(_)
            | EventData::TokenCreated(_)
            | EventData::TokenRevoked(_)
            | EventData::Unknown(_) => return None,
        })
    }
}
