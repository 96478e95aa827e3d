//! Facts of the pages about users, groups and changes.

use std::collections::HashMap;

use tower_workos::{DirectoryId, DirectoryUserId, EventId};

use super::{KINDS, NOW, World, before, id, time};
use crate::{
    change::{Change, ChangeKind},
    page::facts::{
        Access, ChangeList, Count, DirectoryFacts, Entry, EventFacts, GroupFacts, GroupList,
        Labels, Reason, UserFacts, UserList, UserQuery,
    },
    read::User,
};

impl World<'_> {
    pub(in super::super) fn directory_facts(&self, number: usize) -> DirectoryFacts {
        let count = |number, is_more| Count { number, is_more };
        DirectoryFacts {
            now: time(NOW),
            state: self.directory(number),
            users: count(10_000, true),
            users_with_access: count(9871, false),
            groups: count(42, false),
        }
    }

    fn choices(&self) -> Vec<(DirectoryId, String)> {
        (0..4).map(|it| (id("directory", it).into(), self.text("Acme Okta"))).collect()
    }

    /// The reader's own query is not long.
    fn query(&self, usual: &str) -> String {
        self.text(usual).chars().take(20).collect()
    }

    pub(in super::super) fn users(&self, count: usize) -> UserList {
        UserList {
            query: UserQuery {
                q: self.query("a"),
                directory: self.query(""),
                group: self.query(&id("directory_group", 0)),
                access: "no".into(),
                after: id("directory_user", 0),
            },
            users: (0..count).map(|it| self.user(it)).collect(),
            next: Some(id("directory_user", count)),
            labels: self.labels(),
            choices: self.choices(),
            unlisted: (count == 0).then(|| id("directory_user", 9).into()),
        }
    }

    pub(in super::super) fn groups(&self, count: usize) -> GroupList {
        GroupList {
            directory: self.query(""),
            groups: (0..count).map(|it| self.group(it)).collect(),
            next: Some(id("directory_group", count)),
            labels: self.labels(),
            choices: self.choices(),
        }
    }

    pub(in super::super) fn group_facts(&self, count: usize) -> GroupFacts {
        GroupFacts {
            group: self.group(0),
            members: (0..count).map(|it| self.user(it)).collect(),
            next: Some(id("directory_user", count)),
            labels: self.labels(),
        }
    }

    pub(in super::super) fn change(&self, seq: i64, kind: ChangeKind) -> Change {
        let name = kind.as_str();
        let number = usize::try_from(seq).unwrap_or(0) % 8;
        let is_member = name.starts_with("membership");
        let is_user = name.starts_with("user");
        Change {
            seq,
            kind,
            directory_id: (!is_member).then(|| id("directory", number % 4).into()),
            group_id: (is_member || name.starts_with("group"))
                .then(|| id("directory_group", number % 5).into()),
            user_id: (is_member || is_user).then(|| id("directory_user", number).into()),
            fields: match self.0 {
                Some(text) => vec![text.to_owned()],
                None if name.ends_with("updated") => {
                    vec!["first_name".into(), "custom_attributes".into()]
                }
                None => Vec::new(),
            },
            event_id: (number != 3).then(|| id("event", number).into()),
            happened_at: (number != 3).then(|| before(5000 - seq)),
            recorded_at: before(if number == 5 { 1300 - seq } else { 4990 - seq }),
        }
    }

    pub(in super::super) fn changes(&self, count: i64) -> ChangeList {
        let kind =
            |seq: i64| KINDS.get(usize::try_from(seq * 5).unwrap_or(0) % KINDS.len()).copied();
        ChangeList {
            changes: (0..count)
                .filter_map(|it| Some(self.change(4711 - it, kind(4711 - it)?)))
                .collect(),
            older: Some(4711 - count),
            is_live: true,
            labels: self.labels(),
        }
    }

    pub(in super::super) fn user_facts(&self, reason: Reason) -> UserFacts {
        let is_known = !matches!(reason, Reason::Deleted | Reason::Absent | Reason::NotSeen);
        let event = |number, name: &str, age, is_late| {
            Some(EventFacts {
                id: EventId::from(id("event", number)),
                name: Some(self.text(name)),
                happened_at: Some(before(age)),
                is_late,
            })
        };
        let entry = |event, age, kinds: &[ChangeKind]| Entry {
            event,
            at: before(age),
            changes: kinds.iter().map(|kind| self.change(4704, *kind)).collect(),
        };
        let revoked = [ChangeKind::UserUpdated, ChangeKind::UserRevoked];
        let created = [ChangeKind::UserCreated, ChangeKind::UserGranted];
        UserFacts {
            now: time(NOW),
            id: DirectoryUserId::from(id("directory_user", 0)),
            access: Access {
                has_access: reason == Reason::Active,
                reason,
                at: Some(before(7000)),
                event: Some(id("event", 1).into()),
            },
            user: is_known.then(|| User {
                has_access: false,
                state: Some("inactive".into()),
                ..self.user(0)
            }),
            directory: Some(self.directory(0)),
            groups: (0..5).map(|it| self.group(it)).collect(),
            others: vec![self.user(8)],
            history: vec![
                entry(event(2, "dsync.user.updated", 17_920, true), 6900, &[]),
                entry(event(1, "dsync.user.updated", 7000, false), 6998, &revoked),
                entry(None, 90_000, &[ChangeKind::UserUpdated]),
                entry(
                    event(5, "dsync.group.user_added", 200_000, false),
                    199_999,
                    &[ChangeKind::MembershipAdded],
                ),
                entry(event(6, "dsync.user.created", 200_060, false), 200_060, &created),
            ],
            older: Some("4000".into()),
            labels: Labels { users: HashMap::new(), ..self.labels() },
        }
    }
}
