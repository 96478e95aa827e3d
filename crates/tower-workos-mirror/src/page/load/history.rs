//! What happened to a user.

use std::collections::HashMap;

use tower_workos::{DirectoryId, DirectoryUserId, EventId, Timestamp};

use super::ROWS;
use crate::{
    change::Change,
    error::MirrorError,
    feed::page::latest,
    mirror::Mirror,
    page::facts::{Entry, EventFacts},
    read::Columns,
    sql::value::{
        Kind::{Int, Text},
        Value,
    },
    text::micros,
};

/// How many changes are read for a page of entries. Most events change one thing.
const CHANGES: usize = 4 * ROWS;

/// A page of what happened to a user and the user's directory, the latest first, and where the next page begins.
///
/// An event about the user is an entry even if it changed nothing, because it was late, stale or repeated. A change is part of
/// the entry of its event. A change without an event was found by a comparison with the API.
pub(super) async fn history(
    mirror: &Mirror,
    user: &DirectoryUserId,
    directory: Option<&DirectoryId>,
    before: &str,
) -> Result<(Vec<Entry>, Option<String>), MirrorError> {
    let before: i64 = before.parse().unwrap_or(i64::MAX);
    let events = events(mirror, user, before).await?;
    let mut changes = latest(
        mirror,
        "user_id = $1 AND recorded_at < $2",
        vec![user.as_str().into(), before.into()],
        CHANGES,
    )
    .await?;
    let (all, oldest) = (changes.len(), changes.last().map(|change| change.recorded_at));
    if let Some(directory) = directory {
        let condition =
            "directory_id = $1 AND user_id IS NULL AND group_id IS NULL AND recorded_at < $2";
        let arguments = vec![directory.as_str().into(), before.into()];
        changes.extend(latest(mirror, condition, arguments, ROWS).await?);
    }
    let names = names(mirror, &events, &changes).await?;
    // What is older than this was not read completely.
    let unread = events.get(ROWS).map(|event| event.arrived_at);
    let unread = unread.max((all == CHANGES).then_some(oldest).flatten());
    let mut entries = merge(events, changes, &names);
    let Some(unread) = unread else { return Ok((entries, None)) };
    // The page ends between two times, so that each entry is on exactly one page.
    if entries.iter().any(|entry| entry.at > unread) {
        entries.retain(|entry| entry.at > unread);
    }
    let older = entries.last().map(|entry| micros(entry.at).to_string());
    Ok((entries, older))
}

struct Event {
    id: EventId,
    name: String,
    happened_at: Option<Timestamp>,
    arrived_at: Timestamp,
    is_late: bool,
}

async fn events(
    mirror: &Mirror,
    user: &DirectoryUserId,
    before: i64,
) -> Result<Vec<Event>, MirrorError> {
    // Late: an event that arrived before it happened after it. The order of events that were stored in the same transaction
    // is not known.
    let sql = mirror.shared.names.sql(&format!(
        "SELECT a.event_id, a.name, a.happened_at, a.arrived_at, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM {{p}}mirror_applied b WHERE b.user_id = a.user_id \
             AND b.arrived_at < a.arrived_at AND b.happened_at > a.happened_at) THEN 1 ELSE 0 END AS bigint) \
         FROM {{p}}mirror_applied a WHERE a.user_id = $1 AND a.arrived_at < $2 \
         ORDER BY a.arrived_at DESC, a.event_id DESC LIMIT {}",
        ROWS + 1
    ));
    let arguments = [user.as_str().into(), before.into()];
    let mut connection = mirror.shared.pool.acquire().await?;
    let rows = connection.conn().rows(sql, &arguments, &[Text, Text, Int, Int, Int]).await?;
    let event = |row: crate::sql::rows::Row| {
        let mut row = Columns(row.into_iter());
        Some(Event {
            id: row.text()?,
            name: row.text()?,
            happened_at: row.time(),
            arrived_at: row.time()?,
            is_late: row.flag(),
        })
    };
    Ok(rows.into_iter().filter_map(event).collect())
}

/// The names of the events of changes that are not among these events.
async fn names(
    mirror: &Mirror,
    events: &[Event],
    changes: &[Change],
) -> Result<HashMap<EventId, (String, Timestamp)>, MirrorError> {
    let mut ids: Vec<&EventId> = changes.iter().filter_map(|it| it.event_id.as_ref()).collect();
    ids.retain(|id| events.iter().all(|event| event.id != **id));
    ids.sort_unstable_by_key(|id| id.as_str());
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let parameters: Vec<_> = (1..=ids.len()).map(|number| format!("${number}")).collect();
    let sql = mirror.shared.names.sql(&format!(
        "SELECT event_id, name, arrived_at FROM {{p}}mirror_applied WHERE event_id IN ({})",
        parameters.join(", ")
    ));
    let arguments: Vec<Value> = ids.into_iter().map(|id| id.as_str().into()).collect();
    let mut connection = mirror.shared.pool.acquire().await?;
    let rows = connection.conn().rows(sql, &arguments, &[Text, Text, Int]).await?;
    let name = |row: crate::sql::rows::Row| {
        let mut row = Columns(row.into_iter());
        Some((row.text()?, (row.text()?, row.time()?)))
    };
    Ok(rows.into_iter().filter_map(name).collect())
}

/// One entry for each event, and one for all changes without an event that were stored at the same time.
fn merge(
    events: Vec<Event>,
    changes: Vec<Change>,
    names: &HashMap<EventId, (String, Timestamp)>,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = events
        .into_iter()
        .map(|event| Entry {
            event: Some(EventFacts {
                id: event.id,
                name: Some(event.name),
                happened_at: event.happened_at,
                is_late: event.is_late,
            }),
            at: event.arrived_at,
            changes: Vec::new(),
        })
        .collect();
    let mut changes = changes;
    changes.sort_by_key(|change| change.seq);
    for change in changes {
        let same = entries.iter_mut().find(|entry| match (&entry.event, &change.event_id) {
            (Some(event), Some(id)) => event.id == *id,
            (None, None) => entry.at == change.recorded_at,
            _ => false,
        });
        if let Some(entry) = same {
            entry.changes.push(change);
            continue;
        }
        let event = change.event_id.clone().map(|id| EventFacts {
            name: names.get(&id).map(|(name, _)| name.clone()),
            happened_at: change.happened_at,
            is_late: false,
            id,
        });
        entries.push(Entry { event, at: change.recorded_at, changes: vec![change] });
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    entries
}
