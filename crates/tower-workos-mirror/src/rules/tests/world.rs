//! Tables in memory: the rules without a database.

use std::collections::BTreeMap;

use tower_workos::DirectoryEvent;

use crate::{
    rules::{
        batch::Batch,
        change::{Draft, settle},
        document::{Document, ObjectKind},
        member::Member,
        object::{Object, ends_access},
        tests::fold::{Fold, Ids, Views, owned},
    },
    sql::rows,
};

/// The rows, and the fold of the changes.
#[derive(Default)]
pub(super) struct World {
    pub(super) rows: Batch,
    pub(super) fold: Fold,
    /// How many rows the last batch wrote.
    pub(super) written: usize,
}

impl World {
    /// The world after these events, applied one by one.
    pub(super) fn after<'a>(events: impl IntoIterator<Item = &'a DirectoryEvent>) -> Self {
        let mut world = Self::default();
        for event in events {
            world.apply(std::slice::from_ref(event));
        }
        world
    }

    pub(super) fn apply(&mut self, events: &[DirectoryEvent]) -> Vec<Draft> {
        self.settle(Batch::of(events))
    }

    pub(super) fn settle(&mut self, facts: Batch) -> Vec<Draft> {
        let mut before = Batch {
            directories: self.rows.directories.clone(),
            groups: self.rows.groups.clone(),
            users: self.rows.users.clone(),
            members: self.rows.members.clone(),
        };
        let outcome = settle(&mut before, facts);
        let objects = outcome.directories.len() + outcome.groups.len() + outcome.users.len();
        self.written = objects + outcome.members.len();
        for (kind, objects) in [
            (ObjectKind::Directory, outcome.directories),
            (ObjectKind::Group, outcome.groups),
            (ObjectKind::User, outcome.users),
        ] {
            let rows = self.rows.objects_of(kind);
            for object in objects {
                assert!(object.cause.is_none());
                // Converted to a row and back, as in a table.
                let stored = rows::object(kind, rows::object_row(kind, object.clone()));
                assert!(stored.as_ref() == Some(&object), "{kind:?} {}", object.id);
                rows.insert(object.id.clone(), object);
            }
        }
        self.rows.members.extend(outcome.members);
        for draft in &outcome.changes {
            let ids = Ids {
                directory: draft.directory_id.as_deref(),
                group: draft.group_id.as_deref(),
                user: draft.user_id.as_deref(),
            };
            self.fold.apply(draft.kind.as_str(), ids);
        }
        outcome.changes
    }

    /// The facts of a complete list: it is dated, and all that was in the tables is compared with it.
    pub(super) fn complete(&self, kind: ObjectKind, id: &str, at: i64) -> Batch {
        let mut batch = Batch::default();
        let mut object = Object::new(id);
        object.listed_at = Some(at);
        batch.object(kind, object);
        if kind == ObjectKind::Group {
            for (group, user) in self.rows.members.keys().filter(|(group, _)| group == id) {
                batch.member(group.clone(), user.clone(), Member::default());
                batch.object(ObjectKind::User, Object::new(user.clone()));
            }
            return batch;
        }
        for (kind, objects) in
            [(ObjectKind::Group, &self.rows.groups), (ObjectKind::User, &self.rows.users)]
        {
            for object in objects.values().filter(|it| it.directory_id.as_deref() == Some(id)) {
                batch.object(kind, Object::new(object.id.clone()));
            }
        }
        batch
    }

    /// What is absent is a function of the evidence and the complete lists, whichever came first.
    pub(super) fn assert_absences(&self) {
        let Batch { directories, groups, users, members } = &self.rows;
        for object in groups.values().chain(users.values()).filter(|it| it.is_present()) {
            let owner = object.directory_id.as_ref().and_then(|id| directories.get(id));
            let listed_at = owner.and_then(|directory| directory.listed_at);
            assert!(object.evidence_at >= listed_at, "{} is absent", object.id);
        }
        for ((group, user), member) in members.iter().filter(|(_, member)| member.is_joined()) {
            let listed_at = groups.get(group).and_then(|group| group.listed_at);
            let at = member.operation.as_ref().map(|operation| operation.at);
            assert!(at >= listed_at, "{user} is not in {group}");
        }
    }

    /// What the SQL views select.
    pub(super) fn views(&self) -> Views {
        let Batch { directories, groups, users, members } = &self.rows;
        let owner = |object: &Object| directories.get(object.directory_id.as_ref()?);
        let is_listed = |object: &Object| {
            object.is_present()
                && owner(object).is_none_or(|directory| {
                    directory.deleted.is_none()
                        && (directory.absent_at.is_none()
                            || directory.evidence_at >= directory.absent_at)
                })
        };
        let listed = |objects: &std::collections::HashMap<String, Object>| {
            let listed = objects.values().filter(|object| is_listed(object));
            listed.map(|object| owned(&object.id, object.directory_id.as_deref())).collect()
        };
        let has_access = |user: &&Object| {
            let directory = owner(user).and_then(|it| it.state(ObjectKind::Directory));
            is_listed(user)
                && user.state(ObjectKind::User) == Some("active")
                && !ends_access(directory)
        };
        let members = members.iter().filter(|((group, user), member)| {
            member.is_joined()
                && groups.get(group).is_some_and(is_listed)
                && users.get(user).is_some_and(is_listed)
        });
        Views {
            directories: directories
                .values()
                .filter(|directory| directory.is_present())
                .map(|directory| directory.id.clone())
                .collect(),
            groups: listed(groups),
            users: listed(users),
            access: users.values().filter(has_access).map(|user| user.id.clone()).collect(),
            memberships: members.map(|((group, user), _)| format!("{group} {user}")).collect(),
        }
    }

    /// The documents that are shown, by id.
    pub(super) fn documents(&self) -> BTreeMap<String, Document> {
        let views = self.views();
        let shown = |object: &Object, listed: &std::collections::BTreeSet<String>| {
            listed.contains(&owned(&object.id, object.directory_id.as_deref()))
        };
        let users = self.rows.users.values().filter(|user| shown(user, &views.users));
        let groups = self.rows.groups.values().filter(|group| shown(group, &views.groups));
        let directories = self.rows.directories.values();
        let directories = directories.filter(|it| views.directories.contains(&it.id));
        users
            .chain(groups)
            .chain(directories)
            .filter_map(|object| Some((object.id.clone(), object.document()?.clone())))
            .collect()
    }

    pub(super) fn user(&self, id: &str) -> &Object {
        self.rows.users.get(id).expect("a row")
    }
}

impl Batch {
    fn objects_of(&mut self, kind: ObjectKind) -> &mut std::collections::HashMap<String, Object> {
        match kind {
            ObjectKind::Directory => &mut self.directories,
            ObjectKind::Group => &mut self.groups,
            ObjectKind::User => &mut self.users,
        }
    }
}
