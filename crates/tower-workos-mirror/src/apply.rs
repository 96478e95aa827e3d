//! Applies events inside a transaction that holds the lock.

use std::collections::{HashMap, HashSet};

use tower_workos::{
    DirectoryEvent, DirectoryGroupId, DirectoryId, DirectoryUserId, EventData, EventId, Timestamp,
};

use crate::{
    change::Change,
    error::MirrorError,
    mirror::Shared,
    outbox,
    rules::{
        batch::Batch,
        change::{Draft, Outcome, settle},
        document::ObjectKind,
        object::Object,
        object::UNKNOWN,
    },
    sql::{
        conn::Conn,
        read::rows_before,
        rows::{Row, member_row, object_row},
        table::Table,
        value::Value,
        write::write,
    },
    text::{id, micros, plain, timestamp},
};

/// Merges events into the tables and returns the net changes.
pub(crate) async fn apply(
    conn: &mut Conn<'_>,
    shared: &Shared,
    events: &[DirectoryEvent],
) -> Result<Vec<Change>, MirrorError> {
    merge(conn, shared, Batch::of(events), events).await
}

/// Merges facts into the tables and returns the net changes. It is the only function that writes to the feed. `events` are those that the facts come from: none, if they come
/// from the API.
pub(crate) async fn merge(
    conn: &mut Conn<'_>,
    shared: &Shared,
    facts: Batch,
    events: &[DirectoryEvent],
) -> Result<Vec<Change>, MirrorError> {
    let names = &shared.names;
    let mut before = rows_before(conn, names, &facts).await?;
    let outcome = settle(&mut before, facts);
    // As precise as in the tables, so that the returned changes equal those of the feed.
    let now = timestamp(micros(Timestamp::now()));
    let Outcome { directories, groups, users, members, indexed, changes } = outcome;
    let mut caused = HashMap::new();
    for (_, event) in changes.iter().filter_map(|draft| draft.cause.as_ref()) {
        *caused.entry(event.as_str()).or_insert(0) += 1;
    }
    let applied = events.iter().map(|event| applied_row(event, now, &caused));
    let mut tables = vec![
        (Table::Applied, distinct(applied)),
        (Table::Member, members.into_iter().map(|(key, member)| member_row(key, member)).collect()),
        (Table::Change, changes.iter().map(|draft| change_row(draft, now)).collect()),
    ];
    let objects = [
        (ObjectKind::Directory, directories),
        (ObjectKind::Group, groups),
        (ObjectKind::User, users),
    ];
    for (kind, objects) in objects {
        // PostgreSQL compares the values itself.
        let all = conn.is_postgres();
        let (whole, unindexed): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object: &Object| all || indexed.contains(&(kind, object.id.clone())));
        let rows = |objects: Vec<_>| objects.into_iter().map(|it| object_row(kind, it)).collect();
        tables.push((Table::Object(kind), rows(whole)));
        tables.push((Table::Unindexed(kind), rows(unindexed)));
    }
    let written = write(conn, names, tables).await?;
    let changes =
        changes.into_iter().zip(written.numbers).map(|(draft, seq)| change(draft, seq, now));
    let changes: Vec<_> = changes.collect();
    outbox::store(conn, shared, &written.outboxes, &changes).await?;
    Ok(changes)
}

/// PostgreSQL can't insert the same key twice in one statement.
fn distinct(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut seen = HashSet::new();
    rows.filter(|row| {
        row.first().and_then(Value::as_text).is_some_and(|id| seen.insert(id.to_owned()))
    })
    .collect()
}

fn applied_row(event: &DirectoryEvent, now: Timestamp, caused: &HashMap<&str, i64>) -> Row {
    let event_id = id(event.id().as_str()).into_owned();
    let caused = caused.get(event_id.as_str()).copied().unwrap_or(0);
    let (group, user) = match event.data() {
        EventData::GroupCreated(group) | EventData::GroupDeleted(group) => (Some(&group.id), None),
        EventData::GroupUpdated(it) => (Some(&it.group.id), None),
        EventData::GroupUserAdded(it) | EventData::GroupUserRemoved(it) => {
            (Some(&it.group.id), Some(&it.user.id))
        }
        EventData::UserCreated(user) | EventData::UserDeleted(user) => (None, Some(&user.id)),
        EventData::UserUpdated(it) => (None, Some(&it.user.id)),
        _ => (None, None),
    };
    let text = |text: Option<&str>| Value::from(text.map(|text| id(text).into_owned()));
    vec![
        event_id.into(),
        plain(event.name()).unwrap_or_default().into(),
        text(event.directory_id().map(DirectoryId::as_str)),
        text(group.map(DirectoryGroupId::as_str)),
        text(user.map(DirectoryUserId::as_str)),
        event.created_at().map(micros).into(),
        micros(now).into(),
        caused.into(),
    ]
}

fn change_row(draft: &Draft, now: Timestamp) -> Row {
    let (happened_at, event_id) = draft.cause.clone().unzip();
    vec![
        draft.kind.as_str().into(),
        draft.directory_id.clone().into(),
        draft.group_id.clone().into(),
        draft.user_id.clone().into(),
        (!draft.fields.is_empty()).then(|| draft.fields.join(",")).into(),
        event_id.into(),
        happened_at.filter(|at| *at > UNKNOWN).into(),
        micros(now).into(),
    ]
}

fn change(draft: Draft, seq: i64, now: Timestamp) -> Change {
    let (happened_at, event_id) = draft.cause.unzip();
    Change {
        seq,
        kind: draft.kind,
        directory_id: draft.directory_id.map(DirectoryId::from),
        group_id: draft.group_id.map(DirectoryGroupId::from),
        user_id: draft.user_id.map(DirectoryUserId::from),
        fields: draft.fields.into_iter().map(str::to_owned).collect(),
        event_id: event_id.map(EventId::from),
        happened_at: happened_at.filter(|at| *at > UNKNOWN).map(timestamp),
        recorded_at: now,
    }
}
