//! What the views and the changes show, compared with `dsync_cli::directory::State`.

use std::collections::BTreeSet;

use dsync_cli::directory::{Snapshot, State};
use tower_workos::{DirectoryEvent, Timestamp};
use tower_workos_mirror::Change;

use crate::{
    databases::{Database, Texts},
    fold::{Fold, Ids, Views, owned},
};

/// The state that these events lead to.
pub(crate) fn state<'a>(events: impl IntoIterator<Item = &'a DirectoryEvent>) -> Snapshot {
    let mut state = State::default();
    events.into_iter().for_each(|event| state.apply(event));
    state.snapshot()
}

pub(crate) fn expected(snapshot: &Snapshot) -> Views {
    let members = snapshot.memberships.iter();
    Views {
        directories: snapshot.directories.iter().map(|it| it.id.clone()).collect(),
        groups: snapshot
            .groups
            .iter()
            .map(|it| owned(&it.id, it.directory_id.as_deref()))
            .collect(),
        users: snapshot.users.iter().map(|it| owned(&it.id, it.directory_id.as_deref())).collect(),
        access: snapshot.access.iter().cloned().collect(),
        memberships: members.map(|it| format!("{} {}", it.group_id, it.user_id)).collect(),
    }
}

pub(crate) async fn views(database: &Database) -> Views {
    let pairs = async |view: &str| -> BTreeSet<String> {
        let rows = database.texts(&["id", "directory_id"], view).await;
        let rows = rows.iter().map(|row| match &**row {
            [Some(id), directory] => owned(id, directory.as_deref()),
            _ => panic!("a row without an id"),
        });
        rows.collect()
    };
    let all = async |column, view| database.column(column, view).await.into_iter().collect();
    let views = Views {
        directories: all("id", "workos_directories").await,
        groups: pairs("workos_groups").await,
        users: pairs("workos_users").await,
        access: all("user_id", "workos_access").await,
        memberships: all("group_id || ' ' || user_id", "workos_memberships").await,
    };
    let has_access: BTreeSet<String> = all("id", "workos_users WHERE has_access").await;
    assert_eq!(has_access, views.access, "the views contradict each other");
    let contradictions = "workos_users u LEFT JOIN workos_directories d ON d.id = u.directory_id \
        WHERE u.has_access <> (coalesce(u.state = 'active', false) AND coalesce(d.gives_access, true))";
    assert_eq!(database.count(contradictions).await, 0, "the views contradict each other");
    views
}

/// Changes as text, sorted by number.
fn lines(changes: &[Change]) -> Vec<Texts> {
    let text = |id: Option<&str>| id.map(str::to_owned);
    let mut changes: Vec<_> = changes.iter().collect();
    changes.sort_unstable_by_key(|change| change.seq);
    let line = |change: &&Change| {
        vec![
            Some(change.kind.to_string()),
            text(change.directory_id.as_ref().map(AsRef::as_ref)),
            text(change.group_id.as_ref().map(AsRef::as_ref)),
            text(change.user_id.as_ref().map(AsRef::as_ref)),
            (!change.fields.is_empty()).then(|| change.fields.join(",")),
            text(change.event_id.as_ref().map(AsRef::as_ref)),
            Some(change.seq.to_string()),
        ]
    };
    changes.iter().map(line).collect()
}

fn fold(changes: &[Texts]) -> Views {
    let mut fold = Fold::default();
    for change in changes {
        let [Some(kind), directory, group, user, ..] = &**change else {
            panic!("a change without a kind")
        };
        let ids =
            Ids { directory: directory.as_deref(), group: group.as_deref(), user: user.as_deref() };
        fold.apply(kind, ids);
    }
    fold.views()
}

/// Panics unless the views show the state, and the folds of the returned changes and of the feed are the views.
///
/// If the events contradict each other about directories, memberships of users who moved are not in the feed.
pub(crate) async fn check(
    database: &Database,
    snapshot: &Snapshot,
    returned: &[Change],
    contradict: bool,
) {
    let views = views(database).await;
    assert_eq!(views, expected(snapshot), "the views differ from the state");

    let columns = ["kind", "directory_id", "group_id", "user_id", "fields", "event_id", "seq"];
    let mut stored = database.texts(&columns, "workos_mirror_change").await;
    stored
        .sort_unstable_by_key(|row| row.last().cloned().flatten().unwrap().parse::<i64>().unwrap());
    let returned = lines(returned);
    assert_eq!(stored, returned, "the feed differs from the returned changes");
    let (mut views, mut folded) = (views, fold(&stored));
    if contradict {
        views.memberships.clear();
        folded.memberships.clear();
    }
    assert_eq!(folded, views, "the fold of the changes differs from the views");
    if !contradict {
        check_fields(database, snapshot).await;
    }
}

/// An absent text and an empty one are equal.
fn text(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

async fn check_fields(database: &Database, snapshot: &Snapshot) {
    let updated_at = if database.is_postgres() {
        "to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    } else {
        "updated_at"
    };
    let held = async |columns: &[&str], view| -> Vec<Vec<String>> {
        let columns: Vec<_> = columns.iter().copied().chain([updated_at]).collect();
        let rows = database.texts(&columns, view).await;
        let rows = rows.into_iter().map(|row| {
            let mut row: Vec<_> = row.into_iter().map(Option::unwrap_or_default).collect();
            let updated = row.pop().unwrap();
            row.push(time(updated.parse().ok()));
            row
        });
        rows.collect()
    };
    let users = snapshot.users.iter().map(|it| {
        let fields = [&it.idp_id, &it.email, &it.first_name, &it.last_name, &it.name];
        let fields = fields.into_iter().chain([&it.state, &it.role, &it.job_title]);
        let fields = fields.map(|field| text(field.as_ref()));
        [it.id.clone()].into_iter().chain(fields).chain([time(it.updated_at)]).collect()
    });
    let columns = "id idp_id email first_name last_name name state role";
    let columns: Vec<_> = columns.split(' ').chain(["custom_attributes ->> 'job_title'"]).collect();
    assert_eq!(held(&columns, "workos_users").await, users.collect::<Vec<Vec<_>>>());

    let groups = snapshot.groups.iter().map(|it| {
        vec![it.id.clone(), text(it.idp_id.as_ref()), text(it.name.as_ref()), time(it.updated_at)]
    });
    let columns = ["id", "idp_id", "name"];
    assert_eq!(held(&columns, "workos_groups").await, groups.collect::<Vec<_>>());

    let directories = snapshot.directories.iter().map(|it| {
        let fields = [&it.organization_id, &it.name, &it.directory_type, &it.state];
        let fields = fields.map(|field| text(field.as_ref()));
        [it.id.clone()].into_iter().chain(fields).chain([time(it.updated_at)]).collect()
    });
    // The state of the mirror can't be NULL if it was sent.
    let columns = ["id", "organization_id", "name", "type", "nullif(state, 'unreadable')"];
    assert_eq!(held(&columns, "workos_directories").await, directories.collect::<Vec<Vec<_>>>());
}
