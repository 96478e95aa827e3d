//! The changes in a directory after its first sync.

use super::{
    life::{Event, Life, Step},
    names::{DEPARTMENTS, GROUPS, LAST_NAMES, ROLES, TITLES},
    world::{Directory, Group, User, other_place},
};

/// Makes a change in the directory with this index. Returns `None` if there is nothing to change.
type Change = fn(&mut Life, usize) -> Option<Event>;

/// Each change and its frequency, out of [`TRIES`].
const CHANGES: [(Change, u64); 10] = [
    (Life::move_user, 24),
    (Life::promote, 12),
    (Life::hire_or_leave, 26),
    (Life::join_another, 9),
    (Life::quit_group, 9),
    (Life::change_department, 6),
    (Life::rename_user, 5),
    (Life::change_role, 3),
    (Life::rename_group, 3),
    (Life::group_comes_or_goes, 2),
];
const TRIES: u64 = 99;

/// One in this many changes deletes a directory.
const DIRECTORY_ENDS: u64 = 2000;

/// A shorter life may end without a deleted directory.
const SHORT_LIFE: u64 = 50;

impl Life {
    /// Makes a change in some directory. The loop ends, because hiring is always possible.
    pub(super) fn change(&mut self) -> Event {
        if let Some(event) = self.maybe_delete_directory() {
            return event;
        }
        loop {
            let place = self.random.index(self.directories.len()).unwrap_or(0);
            let mut choice = self.random.below(TRIES);
            let change = CHANGES.iter().find(|(_, weight)| {
                let found = choice < *weight;
                choice = choice.saturating_sub(*weight);
                found
            });
            if let Some(event) = change.and_then(|(change, _)| change(self, place)) {
                return event;
            }
        }
    }

    /// Deletes a directory and plans a new one: at random, and at least once, after four fifths of the life.
    fn maybe_delete_directory(&mut self) -> Option<Event> {
        let due = !self.deleted_one
            && self.plan.events >= SHORT_LIFE
            && self.made >= self.plan.events / 5 * 4;
        if !due && self.random.below(DIRECTORY_ENDS) > 0 {
            return None;
        }
        let place = self.random.index(self.directories.len())?;
        let mut directory = self.directories.swap_remove(place);
        self.deleted_one = true;
        self.users -= directory.users.len();
        directory.updated_at = self.now;
        let place = self.directories.len();
        self.plan_sync(u32::try_from(place).unwrap_or(0));
        Some(self.event("dsync.deleted", |writer, _| writer.directory_deleted(&directory)))
    }

    /// Keeps the number of users close to the planned one.
    fn hire_or_leave(&mut self, place: usize) -> Option<Event> {
        let planned = usize::try_from(self.plan.users).unwrap_or(usize::MAX);
        let hires = if self.users < planned { 5 } else { 3 };
        if self.random.below(10) < hires { self.hire(place) } else { self.leave(place) }
    }

    /// Deletes or deactivates an active user. Deletes or reactivates an inactive one.
    fn leave(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        let active = self.directories.get(place)?.users.get(user)?.active;
        let choice = self.random.below(10);
        match active {
            true if choice < 4 => self.update(place, user, |user, _| user.active = false),
            false if choice < 2 => self.update(place, user, |user, _| user.active = true),
            _ => self.delete_user(place, user),
        }
    }

    fn delete_user(&mut self, place: usize, user: usize) -> Option<Event> {
        let directory = self.directories.get_mut(place)?;
        let mut user = directory.users.swap_remove(user);
        self.users -= 1;
        user.updated_at = self.now;
        Some(self.event("dsync.user.deleted", |writer, life| {
            if let Some(directory) = life.directories.get(place) {
                writer.user_deleted(directory, &user);
            }
        }))
    }

    fn rename_user(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        self.update(place, user, |user, random| {
            user.last_name = other_place(random, LAST_NAMES.len(), user.last_name);
        })
    }

    fn promote(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        self.update(place, user, |user, random| {
            user.title = other_place(random, TITLES.len(), user.title);
        })
    }

    fn change_department(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        self.update(place, user, |user, random| {
            user.department = other_place(random, DEPARTMENTS.len(), user.department);
            user.title = other_place(random, TITLES.len(), user.title);
        })
    }

    fn change_role(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        self.update(place, user, |user, random| {
            user.role = other_place(random, ROLES.len(), user.role);
        })
    }

    fn update(
        &mut self,
        place: usize,
        user: usize,
        change: impl FnOnce(&mut User, &mut super::random::Random),
    ) -> Option<Event> {
        let it = self.directories.get_mut(place)?.users.get_mut(user)?;
        let before = it.clone();
        change(it, &mut self.random);
        it.updated_at = self.now;
        Some(self.event("dsync.user.updated", |writer, life| {
            if let Some((directory, user)) = life.user(place, user) {
                writer.user_updated(directory, user, &before);
            }
        }))
    }

    /// Moves a user from one group to another.
    fn move_user(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        let from = self.some_membership(place, user)?;
        let to = self.some_other_group(place, user)?;
        self.next.push_back(Step::Join { directory: place, user, group: to });
        self.quit(place, user, from)
    }

    fn join_another(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        let group = self.some_other_group(place, user)?;
        self.join(place, user, group)
    }

    fn quit_group(&mut self, place: usize) -> Option<Event> {
        let user = self.some_user(place)?;
        let group = self.some_membership(place, user)?;
        self.quit(place, user, group)
    }

    pub(super) fn join(&mut self, place: usize, user: usize, serial: u64) -> Option<Event> {
        let directory = self.directories.get_mut(place)?;
        directory.users.get_mut(user)?.groups.push(serial);
        Some(self.membership_event("dsync.group.user_added", place, user, serial))
    }

    fn quit(&mut self, place: usize, user: usize, serial: u64) -> Option<Event> {
        let directory = self.directories.get_mut(place)?;
        directory.users.get_mut(user)?.groups.retain(|&group| group != serial);
        Some(self.membership_event("dsync.group.user_removed", place, user, serial))
    }

    fn membership_event(
        &mut self,
        name: &'static str,
        place: usize,
        user: usize,
        serial: u64,
    ) -> Event {
        self.event(name, |writer, life| {
            if let Some((directory, user)) = life.user(place, user)
                && let Some(group) = directory.group(serial)
            {
                writer.membership(directory, user, group);
            }
        })
    }

    fn rename_group(&mut self, place: usize) -> Option<Event> {
        let directory = self.directories.get_mut(place)?;
        let group = self.random.index(directory.groups.len())?;
        let it = directory.groups.get_mut(group)?;
        let before = it.clone();
        it.name = other_place(&mut self.random, GROUPS.len(), it.name);
        it.updated_at = self.now;
        Some(self.event("dsync.group.updated", |writer, life| {
            let directory = life.directories.get(place);
            if let Some((directory, group)) =
                directory.and_then(|it| Some((it, it.groups.get(group)?)))
            {
                writer.group_updated(directory, group, &before);
            }
        }))
    }

    /// Keeps the number of a directory's groups close to the planned one.
    fn group_comes_or_goes(&mut self, place: usize) -> Option<Event> {
        let planned = self.plan.groups / self.plan.directories.max(1);
        let directory = self.directories.get_mut(place)?;
        let few = directory.groups.len() <= usize::try_from(planned).unwrap_or(usize::MAX);
        if few {
            return self.create_group(place);
        }
        let group = self.random.index(directory.groups.len())?;
        let mut group: Group = directory.groups.remove(group);
        group.updated_at = self.now;
        Some(self.event("dsync.group.deleted", |writer, life| {
            if let Some(directory) = life.directories.get(place) {
                writer.group(directory, &group);
            }
        }))
    }

    fn user(&self, place: usize, user: usize) -> Option<(&Directory, &User)> {
        let directory = self.directories.get(place)?;
        Some((directory, directory.users.get(user)?))
    }

    fn some_user(&mut self, place: usize) -> Option<usize> {
        self.random.index(self.directories.get(place)?.users.len())
    }

    /// Picks one of the user's groups. Removes the deleted ones from the user first.
    fn some_membership(&mut self, place: usize, user: usize) -> Option<u64> {
        let directory = self.directories.get_mut(place)?;
        let mut groups = std::mem::take(&mut directory.users.get_mut(user)?.groups);
        groups.retain(|&serial| directory.group(serial).is_some());
        let serial = self.random.index(groups.len()).and_then(|place| groups.get(place).copied());
        directory.users.get_mut(user)?.groups = groups;
        serial
    }

    /// Picks a group that the user is not in.
    fn some_other_group(&mut self, place: usize, user: usize) -> Option<u64> {
        let directory = self.directories.get(place)?;
        let group = self.random.index(directory.groups.len())?;
        let serial = directory.groups.get(group)?.serial;
        let joined = directory.users.get(user)?.groups.contains(&serial);
        (!joined).then_some(serial)
    }
}
