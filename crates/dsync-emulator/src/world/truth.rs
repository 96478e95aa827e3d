//! The state of a store, in the format in which applications report theirs.

use serde_json::{Map, Value};

use super::{item::Item, store::Store};
use crate::directory::{DirectoryRecord, GroupRecord, MembershipRecord, Snapshot, UserRecord};

impl Store {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let contents = || self.directories().keys().filter_map(|(_, id)| self.directory(id));
        for directory in contents().filter_map(|contents| contents.item.as_deref()) {
            let fields = Fields::of(directory);
            snapshot.directories.push(DirectoryRecord {
                id: directory.id.to_string(),
                organization_id: fields.text("organization_id"),
                name: fields.text("name"),
                directory_type: fields.text("type"),
                state: directory.state.as_deref().map(str::to_owned),
                updated_at: fields.time("updated_at"),
            });
        }
        for group in self.groups() {
            let id = group.item.id.to_string();
            for (_, user_id) in group.members.keys() {
                let (group_id, user_id) = (id.clone(), user_id.to_string());
                snapshot.memberships.push(MembershipRecord { group_id, user_id });
            }
            let fields = Fields::of(&group.item);
            snapshot.groups.push(GroupRecord {
                id,
                directory_id: directory_id(&group.item),
                idp_id: fields.text("idp_id"),
                name: fields.text("name"),
                updated_at: fields.time("updated_at"),
            });
        }
        for user in self.users() {
            let user = &user.item;
            let directory = self.directory(&user.directory).and_then(|it| it.item.as_ref());
            if user.active && directory.is_none_or(|directory| directory.active) {
                snapshot.access.push(user.id.to_string());
            }
            let fields = Fields::of(user);
            snapshot.users.push(UserRecord {
                id: user.id.to_string(),
                directory_id: directory_id(user),
                idp_id: fields.text("idp_id"),
                email: fields.text("email"),
                first_name: fields.text("first_name"),
                last_name: fields.text("last_name"),
                name: fields.text("name"),
                state: fields.text("state"),
                role: fields.inner("role").and_then(|role| role.text("slug")),
                job_title: fields.inner("custom_attributes").and_then(|it| it.text("job_title")),
                department_name: fields
                    .inner("custom_attributes")
                    .and_then(|it| it.text("department_name")),
                updated_at: fields.time("updated_at"),
            });
        }
        snapshot.sorted()
    }
}

fn directory_id(item: &Item) -> Option<String> {
    Some(item.directory.to_string()).filter(|id| !id.is_empty())
}

/// The members of an item.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(item: &Item) -> Self {
        Self(serde_json::from_slice(&item.complete()).unwrap_or_default())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn time(&self, name: &str) -> Option<tower_workos::Timestamp> {
        self.0.get(name)?.as_str()?.parse().ok()
    }

    fn inner(&self, name: &str) -> Option<Self> {
        self.0.get(name)?.as_object().cloned().map(Self)
    }
}
