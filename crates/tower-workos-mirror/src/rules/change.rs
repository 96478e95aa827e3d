//! What a batch changes: the rows to write, and the changes to report.

use std::collections::{HashMap, HashSet};

use crate::{
    change::ChangeKind,
    rules::{
        batch::{Batch, MemberKey},
        document::{Document, ObjectKind},
        member::Member,
        object::{Cause, Object, ends_access},
    },
};

/// A change before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) kind: ChangeKind,
    pub(crate) directory_id: Option<String>,
    pub(crate) group_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) fields: Vec<&'static str>,
    pub(crate) cause: Option<Cause>,
}

/// The rows that differ from the stored ones, and the changes to what the tables show.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) directories: Vec<Object>,
    pub(crate) groups: Vec<Object>,
    pub(crate) users: Vec<Object>,
    pub(crate) members: Vec<(MemberKey, Member)>,
    /// The objects whose indexed columns changed, new ones included.
    pub(crate) indexed: HashSet<(ObjectKind, String)>,
    pub(crate) changes: Vec<Draft>,
}

/// Merges facts into the stored rows. `before` contains the rows of everything that the facts are about, and of the
/// directories that the facts or those rows name.
pub(crate) fn settle(before: &mut Batch, facts: Batch) -> Outcome {
    let mut outcome = Outcome::default();
    let Batch { directories, groups, users, members } = facts;

    let mut dead = Dead::default();
    // When the contents of each directory, and the members of each group, were last listed.
    let mut directories_listed = Lists::default();
    let mut groups_listed = Lists::default();
    for directory in before.directories.values() {
        if directory.deleted.is_some() {
            dead.0.insert(directory.id.clone());
        }
        directories_listed.add(directory);
    }
    for facts in sorted(directories) {
        let (was, now) = merged(&mut before.directories, facts, |_| {});
        if now.object.deleted.is_some() {
            dead.0.insert(now.object.id.clone());
        }
        directories_listed.add(&now.object);
        directory_changes(was.as_ref(), &now, &mut outcome.changes);
        if is_reindexed(ObjectKind::Directory, was.as_ref(), &now.object) {
            outcome.indexed.insert((ObjectKind::Directory, now.object.id.clone()));
        }
        outcome.directories.extend(now.if_changed(was));
    }

    // Ids of groups and users that are gone for good: none of their memberships is reported.
    let mut gone = Gone::default();
    for (kind, facts) in [(ObjectKind::Group, groups), (ObjectKind::User, users)] {
        let (rows, written, gone) = match kind {
            ObjectKind::Group => (&mut before.groups, &mut outcome.groups, &mut gone.groups),
            _ => (&mut before.users, &mut outcome.users, &mut gone.users),
        };
        for facts in sorted(facts) {
            let (was, now) = merged(rows, facts, |object| {
                if dead.owns(object) {
                    object.erase_documents(kind);
                }
                if object.deleted.is_none() {
                    object.compare_with_list(directories_listed.of(object.directory_id.as_ref()));
                }
            });
            if kind == ObjectKind::Group {
                groups_listed.add(&now.object);
            }
            if now.object.deleted.is_some() || dead.owns(&now.object) {
                gone.insert(now.object.id.clone());
            }
            object_changes(kind, was.as_ref(), &now, &dead, &mut outcome.changes);
            if is_reindexed(kind, was.as_ref(), &now.object) {
                outcome.indexed.insert((kind, now.object.id.clone()));
            }
            written.extend(now.if_changed(was));
        }
    }

    for (key, facts) in members {
        let was = before.members.remove(&key).unwrap_or_default();
        // The operation of a list has no event.
        let cause = facts.operation.as_ref().filter(|it| !it.event.is_empty());
        let cause = cause.map(|it| (it.at, it.event.clone()));
        let mut now = was.clone();
        now.merge(facts);
        now.compare_with_list(groups_listed.of(Some(&key.0)));
        if now == was {
            continue;
        }
        let is_gone = gone.groups.contains(&key.0) || gone.users.contains(&key.1);
        if was.is_joined() != now.is_joined() && !is_gone {
            let kind = if now.is_joined() {
                ChangeKind::MembershipAdded
            } else {
                ChangeKind::MembershipRemoved
            };
            outcome.changes.push(Draft {
                kind,
                directory_id: None,
                group_id: Some(key.0.clone()),
                user_id: Some(key.1.clone()),
                fields: Vec::new(),
                cause,
            });
        }
        outcome.members.push((key, now));
    }
    outcome
}

fn is_reindexed(kind: ObjectKind, was: Option<&Object>, now: &Object) -> bool {
    let Some(was) = was else { return true };
    was.directory_id != now.directory_id
        || was.deleted != now.deleted
        || was.absent_at != now.absent_at
        || !match (was.document(), now.document()) {
            (Some(was), Some(now)) => was.is_indexed_like(now, kind),
            (None, None) => true,
            _ => false,
        }
}

/// A set of ids.
type Ids = HashSet<String>;

#[derive(Default)]
struct Gone {
    groups: Ids,
    users: Ids,
}

/// The directories that are deleted after the batch.
#[derive(Default)]
struct Dead(Ids);

impl Dead {
    fn owns(&self, object: &Object) -> bool {
        object.directory_id.as_ref().is_some_and(|id| self.0.contains(id))
    }
}

/// The fences of complete lists, by id.
#[derive(Default)]
struct Lists(HashMap<String, i64>);

impl Lists {
    fn add(&mut self, object: &Object) {
        if let Some(listed_at) = object.listed_at {
            self.0.insert(object.id.clone(), listed_at);
        }
    }

    fn of(&self, id: Option<&String>) -> Option<i64> {
        self.0.get(id?).copied()
    }
}

/// An object after the merge.
struct Now {
    object: Object,
    cause: Option<Cause>,
}

impl Now {
    fn if_changed(self, was: Option<Object>) -> Option<Object> {
        (was.as_ref() != Some(&self.object)).then_some(self.object)
    }
}

fn merged(
    rows: &mut HashMap<String, Object>,
    mut facts: Object,
    complete: impl Fn(&mut Object),
) -> (Option<Object>, Now) {
    let cause = facts.cause.take();
    let was = rows.remove(&facts.id);
    let mut object = match &was {
        Some(was) => {
            let mut object = was.clone();
            object.merge(facts);
            object
        }
        None => {
            let mut object = facts;
            if object.deleted.is_some() {
                object.erase();
            }
            object
        }
    };
    complete(&mut object);
    (was, Now { object, cause })
}

fn sorted(objects: HashMap<String, Object>) -> Vec<Object> {
    let mut objects: Vec<_> = objects.into_values().collect();
    objects.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    objects
}

fn directory_changes(was: Option<&Object>, now: &Now, changes: &mut Vec<Draft>) {
    let kind = ObjectKind::Directory;
    let is_open = |it: &Object| !it.is_gone() && !ends_access(it.state(kind));
    let is_seen = |it: &Object| it.is_present();
    // A directory that was never seen counts as present: its users may have arrived before it.
    let (was_open, now_open) = (was.is_none_or(is_open), is_open(&now.object));
    let (was_seen, now_seen) = (was.is_some_and(is_seen), is_seen(&now.object));
    let fields = match was {
        Some(was) if was_seen && now_seen => fields(was, &now.object, kind),
        _ => Vec::new(),
    };
    let mut push = |kind, fields| {
        changes.push(Draft {
            kind,
            directory_id: Some(now.object.id.clone()),
            group_id: None,
            user_id: None,
            fields,
            cause: now.cause.clone(),
        });
    };
    if !was_seen && now_seen {
        push(ChangeKind::DirectoryCreated, Vec::new());
    }
    if was_open && !now_open {
        push(ChangeKind::DirectoryRevoked, fields.clone());
    } else if !was_open && now_open {
        push(ChangeKind::DirectoryRestored, fields.clone());
    } else if !fields.is_empty() {
        push(ChangeKind::DirectoryUpdated, fields);
    }
    // Also reported if the directory was never seen, because its users are no longer listed.
    if !was.is_some_and(Object::is_gone) && now.object.is_gone() {
        push(ChangeKind::DirectoryDeleted, Vec::new());
    }
}

fn object_changes(
    kind: ObjectKind,
    was: Option<&Object>,
    now: &Now,
    dead: &Dead,
    changes: &mut Vec<Draft>,
) {
    // `DirectoryDeleted` already reported what disappeared with its directory.
    let was = was.filter(|was| was.is_present() && !dead.owns(was));
    let is_seen = now.object.is_present() && !dead.owns(&now.object);
    let is_active = |it: &Object| kind == ObjectKind::User && it.state(kind) == Some("active");
    let was_active = was.is_some_and(is_active);
    let now_active = is_seen && is_active(&now.object);
    let is_user = kind == ObjectKind::User;
    let mut push = |kind, fields| {
        let id = Some(now.object.id.clone());
        let (group_id, user_id) = if is_user { (None, id) } else { (id, None) };
        changes.push(Draft {
            kind,
            directory_id: now.object.directory_id.clone(),
            group_id,
            user_id,
            fields,
            cause: now.cause.clone(),
        });
    };
    match was {
        None if !is_seen => {}
        None => {
            push(
                if is_user { ChangeKind::UserCreated } else { ChangeKind::GroupCreated },
                Vec::new(),
            );
            if now_active {
                push(ChangeKind::UserGranted, Vec::new());
            }
        }
        Some(_) if !is_seen => {
            if was_active {
                push(ChangeKind::UserRevoked, Vec::new());
            }
            push(
                if is_user { ChangeKind::UserDeleted } else { ChangeKind::GroupDeleted },
                Vec::new(),
            );
        }
        Some(was) => {
            let fields = fields(was, &now.object, kind);
            if now_active != was_active {
                let granted = ChangeKind::UserGranted;
                push(if now_active { granted } else { ChangeKind::UserRevoked }, fields);
            } else if !fields.is_empty() {
                let updated = ChangeKind::UserUpdated;
                push(if is_user { updated } else { ChangeKind::GroupUpdated }, fields);
            }
        }
    }
}

/// Returns the names of the columns whose values differ.
fn fields(was: &Object, now: &Object, kind: ObjectKind) -> Vec<&'static str> {
    let owner = (was.directory_id != now.directory_id).then_some("directory_id");
    let documents = match (was.shown(kind), now.shown(kind)) {
        (Some(was), Some(now)) => was.differences(&now, kind),
        (None, Some(now)) => Document::empty(kind).differences(&now, kind),
        (_, None) => Vec::new(),
    };
    owner.into_iter().chain(documents).collect()
}
