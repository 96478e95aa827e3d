//! The directories, users, groups and memberships at one time.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    change::Change,
    item::{Id, Item, Kind, Place},
};

/// What exists. The last change wins, whatever the times in the objects say.
#[derive(Clone, Default)]
pub(crate) struct Store {
    directories: BTreeMap<Place, ()>,
    contents: HashMap<Id, Contents>,
    users: HashMap<Id, User>,
    groups: HashMap<Id, Group>,
    /// Deleted ids, which never come back.
    gone: HashSet<Id>,
}

/// A directory.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    /// `None` if only its users or groups are known.
    pub(crate) item: Option<Arc<Item>>,
    pub(crate) users: BTreeMap<Place, ()>,
    pub(crate) groups: BTreeMap<Place, ()>,
    /// How many of the users are active.
    pub(crate) active: usize,
}

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) item: Arc<Item>,
    /// The groups, sorted.
    pub(crate) groups: Vec<Place>,
}

#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) item: Arc<Item>,
    pub(crate) members: BTreeMap<Place, ()>,
}

impl Store {
    pub(crate) fn directories(&self) -> &BTreeMap<Place, ()> {
        &self.directories
    }

    pub(crate) fn directory(&self, id: &str) -> Option<&Contents> {
        self.contents.get(id)
    }

    pub(crate) fn user(&self, id: &str) -> Option<&User> {
        self.users.get(id)
    }

    pub(crate) fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(super) fn item(&self, id: &str) -> Option<&Arc<Item>> {
        let user = || self.users.get(id).map(|user| &user.item);
        let group = || self.groups.get(id).map(|group| &group.item);
        user().or_else(group).or_else(|| self.contents.get(id)?.item.as_ref())
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Added { user, group } => {
                self.put(user);
                self.put(group);
                self.add(&user.id, &group.id);
            }
            Change::Gone(id) => self.delete(id),
            Change::Item(item) => self.put(item),
            Change::Removed { user, group } => {
                // A removal does not create the objects that it names.
                if self.users.contains_key(&user.id) {
                    self.put(user);
                }
                if self.groups.contains_key(&group.id) {
                    self.put(group);
                }
                self.remove(&user.id, &group.id);
            }
        }
    }

    /// Creates or replaces an object, unless it, or its directory, was deleted.
    fn put(&mut self, item: &Arc<Item>) {
        if self.gone.contains(&item.id) || self.gone.contains(&item.directory) {
            return;
        }
        match item.kind {
            Kind::Directory => {
                self.contents.entry(Arc::clone(&item.id)).or_default().item =
                    Some(Arc::clone(item));
                self.directories.insert(item.place(), ());
            }
            Kind::User => {
                let before = self
                    .users
                    .get_mut(&item.id)
                    .map(|user| std::mem::replace(&mut user.item, Arc::clone(item)));
                match before {
                    Some(before) => self.leave_directory(&before),
                    None => {
                        let user = User { item: Arc::clone(item), groups: Vec::new() };
                        self.users.insert(Arc::clone(&item.id), user);
                    }
                }
                let contents = self.contents.entry(Arc::clone(&item.directory)).or_default();
                contents.users.insert(item.place(), ());
                contents.active += usize::from(item.active);
            }
            Kind::Group => {
                let before = self
                    .groups
                    .get_mut(&item.id)
                    .map(|group| std::mem::replace(&mut group.item, Arc::clone(item)));
                match before {
                    Some(before) => self.leave_directory(&before),
                    None => {
                        let group = Group { item: Arc::clone(item), members: BTreeMap::new() };
                        self.groups.insert(Arc::clone(&item.id), group);
                    }
                }
                let contents = self.contents.entry(Arc::clone(&item.directory)).or_default();
                contents.groups.insert(item.place(), ());
            }
        }
    }

    fn leave_directory(&mut self, item: &Item) {
        let Some(contents) = self.contents.get_mut(&item.directory) else { return };
        match item.kind {
            Kind::Directory => {}
            Kind::User => {
                contents.users.remove(&item.place());
                contents.active = contents.active.saturating_sub(usize::from(item.active));
            }
            Kind::Group => {
                contents.groups.remove(&item.place());
            }
        }
    }

    fn add(&mut self, user: &Id, group: &Id) {
        let (Some(user), Some(group)) = (self.users.get_mut(user), self.groups.get_mut(group))
        else {
            return;
        };
        let place = group.item.place();
        if let Err(index) = user.groups.binary_search(&place) {
            user.groups.insert(index, place);
        }
        group.members.insert(user.item.place(), ());
    }

    fn remove(&mut self, user: &Id, group: &Id) {
        if let (Some(user), Some(group)) = (self.users.get_mut(user), self.groups.get_mut(group)) {
            user.groups.retain(|(_, id)| *id != group.item.id);
            group.members.remove(&user.item.place());
        }
    }

    fn delete(&mut self, id: &Id) {
        self.gone.insert(Arc::clone(id));
        if let Some(user) = self.users.remove(id) {
            self.leave_directory(&user.item);
            for (_, group) in &user.groups {
                if let Some(group) = self.groups.get_mut(group) {
                    group.members.remove(&user.item.place());
                }
            }
        }
        if let Some(group) = self.groups.remove(id) {
            self.leave_directory(&group.item);
            for (_, user) in group.members.into_keys() {
                if let Some(user) = self.users.get_mut(&user) {
                    user.groups.retain(|(_, id)| *id != group.item.id);
                }
            }
        }
        if let Some(contents) = self.contents.remove(id) {
            if let Some(item) = &contents.item {
                self.directories.remove(&item.place());
            }
            let parts = contents.users.into_keys().chain(contents.groups.into_keys());
            for (_, id) in parts {
                self.users.remove(&id);
                self.groups.remove(&id);
                self.gone.insert(id);
            }
        }
    }
}
