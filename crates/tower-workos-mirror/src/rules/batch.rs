//! Facts that are applied together: at most one row for each object.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use tower_workos::DirectoryEvent;

use crate::rules::{
    document::ObjectKind,
    facts,
    member::Member,
    object::{EventVersion, Object},
};

/// The group's and the user's id.
pub(crate) type MemberKey = (String, String);

/// What is known about some objects: the facts of a batch, or the rows of the tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) directories: HashMap<String, Object>,
    pub(crate) groups: HashMap<String, Object>,
    pub(crate) users: HashMap<String, Object>,
    /// Sorted, so that changes are reported in the same order every time.
    pub(crate) members: BTreeMap<MemberKey, Member>,
}

impl Batch {
    /// Merges the facts of these events. The order of the events does not matter. Backwards is faster, because the
    /// batch then usually contains a later version already.
    pub(crate) fn of(events: &[DirectoryEvent]) -> Self {
        let mut batch = Self::default();
        for event in events.iter().rev() {
            facts::add(&mut batch, event);
        }
        batch
    }

    /// Whether the batch has a later version of an object, so that this one does not matter.
    pub(crate) fn is_beaten(&self, kind: ObjectKind, id: &str, version: &EventVersion) -> bool {
        let objects = match kind {
            ObjectKind::Directory => &self.directories,
            ObjectKind::Group => &self.groups,
            ObjectKind::User => &self.users,
        };
        let known = objects.get(id).and_then(|object| object.event.as_ref());
        known.is_some_and(|(known, _)| known >= version)
    }

    fn objects_mut(&mut self, kind: ObjectKind) -> &mut HashMap<String, Object> {
        match kind {
            ObjectKind::Directory => &mut self.directories,
            ObjectKind::Group => &mut self.groups,
            ObjectKind::User => &mut self.users,
        }
    }

    pub(crate) fn object(&mut self, kind: ObjectKind, facts: Object) {
        match self.objects_mut(kind).entry(facts.id.clone()) {
            Entry::Occupied(mut known) => known.get_mut().merge(facts),
            Entry::Vacant(entry) => {
                entry.insert(facts);
            }
        }
    }

    pub(crate) fn member(&mut self, group: String, user: String, facts: Member) {
        self.members.entry((group, user)).or_default().merge(facts);
    }

    /// The directories that the facts name.
    pub(crate) fn directory_ids(&self) -> Vec<String> {
        let owners = self.users.values().chain(self.groups.values());
        let mut ids: Vec<_> = owners.filter_map(|object| object.directory_id.clone()).collect();
        ids.extend(self.directories.keys().cloned());
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
