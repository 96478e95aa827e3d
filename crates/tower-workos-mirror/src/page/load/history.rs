//! What happened to a user.

use std::{cmp::Reverse, collections::HashMap};

use tower_workos::{DirectoryId, DirectoryUserId, EventId, Timestamp};

use super::{ROWS, labels::parameters};
use crate::{
    change::Change,
    error::MirrorError,
    feed::page::latest,
    mirror::Mirror,
    page::facts::{Entry, EventFacts},
    read::Columns,
    sql::{
        rows::Row,
        value::Kind::{Int, Text},
    },
    text::micros,
};

/// How many changes of the events of a page are read at most. Most events change one or two things.
const CHANGES: usize = 20 * ROWS;

/// A page of what happened to a user and the user's directory, the latest first, and where the next page begins.
///
/// An event about the user is an entry even if it changed nothing, because it was late, stale or repeated. Its changes are part
/// of its entry. The other changes are those of the directory, and those that a comparison with the API found.
pub(super) async fn history(
    mirror: &Mirror,
    user: &DirectoryUserId,
    directory: Option<&DirectoryId>,
    before: &str,
) -> Result<(Vec<Entry>, Option<String>), MirrorError> {
    let before = Position::from_text(before).unwrap_or_default();
    let events = events(mirror, user, &before).await?;
    let others = other_changes(mirror, user, directory, before.seq).await?;
    let names = names(mirror, &others).await?;
    let has_more = events.len().saturating_add(others.len()) > ROWS;

    // Both are sorted. The page consists of the later ones.
    let (mut events, mut others) = (events.into_iter().peekable(), others.into_iter().peekable());
    let (mut position, mut entries) = (before, Vec::<Entry>::new());
    for _ in 0..ROWS {
        let is_event = match (events.peek(), others.peek()) {
            (Some(event), Some(change)) => event.arrived_at > change.recorded_at,
            (event, _) => event.is_some(),
        };
        if is_event {
            let Some(event) = events.next() else { break };
            position.at = micros(event.arrived_at);
            position.event = event.id.as_str().to_owned();
            entries.push(event.into_entry());
        } else {
            let Some(change) = others.next() else { break };
            position.seq = change.seq;
            add(&mut entries, change, &names);
        }
    }
    attach(mirror, user, &mut entries).await?;
    mark_late(mirror, user, &mut entries).await?;
    Ok((entries, has_more.then(|| position.to_text())))
}

/// Where a page begins: before this event, and before this change.
struct Position {
    at: i64,
    event: String,
    seq: i64,
}

impl Default for Position {
    fn default() -> Self {
        Self { at: i64::MAX, event: String::new(), seq: i64::MAX }
    }
}

impl Position {
    fn to_text(&self) -> String {
        format!("{}.{}.{}", self.at, self.seq, self.event)
    }

    /// `None` if [`to_text`](Self::to_text) did not write the text.
    fn from_text(text: &str) -> Option<Self> {
        let (at, rest) = text.split_once('.')?;
        let (seq, event) = rest.split_once('.')?;
        // PostgreSQL can't compare a text that contains NUL.
        let event = (!event.contains('\0')).then(|| event.to_owned())?;
        Some(Self { at: at.parse().ok()?, event, seq: seq.parse().ok()? })
    }
}

struct Event {
    id: EventId,
    name: String,
    happened_at: Option<Timestamp>,
    arrived_at: Timestamp,
}

impl Event {
    fn into_entry(self) -> Entry {
        let Self { id, name, happened_at, arrived_at } = self;
        let event = EventFacts { id, name: Some(name), happened_at, is_late: false };
        Entry { event: Some(event), at: arrived_at, changes: Vec::new() }
    }
}

/// The events about the user, the latest first, and one more than a page has.
async fn events(
    mirror: &Mirror,
    user: &DirectoryUserId,
    before: &Position,
) -> Result<Vec<Event>, MirrorError> {
    // The first condition finds the start in the index.
    let sql = mirror.shared.names.sql(&format!(
        "SELECT event_id, name, happened_at, arrived_at FROM {{p}}mirror_applied \
         WHERE user_id = $1 AND arrived_at <= $2 AND (arrived_at < $2 OR event_id < $3) \
         ORDER BY arrived_at DESC, event_id DESC LIMIT {}",
        ROWS + 1
    ));
    let arguments = [user.as_str().into(), before.at.into(), before.event.as_str().into()];
    let mut connection = mirror.shared.pool.acquire().await?;
    let rows = connection.conn().rows(sql, &arguments, &[Text, Text, Int, Int]).await?;
    let event = |row: Row| {
        let mut row = Columns(row.into_iter());
        Some(Event {
            id: row.text()?,
            name: row.text()?,
            happened_at: row.time(),
            arrived_at: row.time()?,
        })
    };
    Ok(rows.into_iter().filter_map(event).collect())
}

/// The changes of the user that no event about the user caused, and those of the directory: the latest first, and one more than
/// a page has.
async fn other_changes(
    mirror: &Mirror,
    user: &DirectoryUserId,
    directory: Option<&DirectoryId>,
    before: i64,
) -> Result<Vec<Change>, MirrorError> {
    let condition = "user_id = $1 AND seq < $2 AND (event_id IS NULL OR NOT EXISTS \
        (SELECT 1 FROM {p}mirror_applied a WHERE a.event_id = c.event_id AND a.user_id = $1))";
    let arguments = vec![user.as_str().into(), before.into()];
    let mut changes = latest(mirror, condition, arguments, ROWS + 1).await?;
    if let Some(directory) = directory {
        let condition = "directory_id = $1 AND user_id IS NULL AND group_id IS NULL AND seq < $2";
        let arguments = vec![directory.as_str().into(), before.into()];
        changes.extend(latest(mirror, condition, arguments, ROWS + 1).await?);
    }
    changes.sort_by_key(|change| Reverse(change.seq));
    changes.truncate(ROWS + 1);
    Ok(changes)
}

/// Adds a change to the entry of the same event, or of the same comparison, if that is the last one.
fn add(entries: &mut Vec<Entry>, change: Change, names: &HashMap<EventId, String>) {
    if let Some(last) = entries.last_mut() {
        let is_same = match (&last.event, &change.event_id) {
            (Some(event), Some(id)) => event.id == *id,
            (None, None) => last.at == change.recorded_at,
            _ => false,
        };
        if is_same {
            last.changes.push(change);
            return;
        }
    }
    let event = change.event_id.clone().map(|id| EventFacts {
        name: names.get(&id).cloned(),
        happened_at: change.happened_at,
        is_late: false,
        id,
    });
    entries.push(Entry { event, at: change.recorded_at, changes: vec![change] });
}

/// Adds what each event about the user changed.
async fn attach(
    mirror: &Mirror,
    user: &DirectoryUserId,
    entries: &mut [Entry],
) -> Result<(), MirrorError> {
    let ids = entries.iter().filter(|entry| entry.changes.is_empty());
    let ids = ids.filter_map(|entry| entry.event.as_ref().map(|event| event.id.as_str()));
    let Some((parameters, ids)) = parameters(ids, 2) else { return Ok(()) };
    let condition = format!("user_id = $1 AND event_id IN ({parameters})");
    let arguments = [user.as_str().into()].into_iter().chain(ids).collect();
    for change in latest(mirror, &condition, arguments, CHANGES).await? {
        let same = entries
            .iter_mut()
            .find(|entry| entry.event.as_ref().map(|event| &event.id) == change.event_id.as_ref());
        if let Some(entry) = same {
            entry.changes.push(change);
        }
    }
    for entry in entries {
        entry.changes.sort_by_key(|change| change.seq);
    }
    Ok(())
}

/// Marks the events that arrived after a later one. The order of events that were stored in the same transaction is not known.
async fn mark_late(
    mirror: &Mirror,
    user: &DirectoryUserId,
    entries: &mut [Entry],
) -> Result<(), MirrorError> {
    let Some(oldest) = entries.last().map(|entry| entry.at) else { return Ok(()) };
    let sql = mirror.shared.names.sql(
        "SELECT max(happened_at) FROM {p}mirror_applied WHERE user_id = $1 AND arrived_at < $2",
    );
    let arguments = [user.as_str().into(), micros(oldest).into()];
    let mut connection = mirror.shared.pool.acquire().await?;
    let rows = connection.conn().rows(sql, &arguments, &[Int]).await?;
    let mut latest = rows.into_iter().next().and_then(|row| Columns(row.into_iter()).time());
    // From the first to the last. Those of the same time are compared with the ones before them only.
    let (mut at, mut pending) = (oldest, None);
    for entry in entries.iter_mut().rev() {
        if entry.at != at {
            latest = latest.max(pending);
            at = entry.at;
        }
        if let Some(event) = &mut entry.event {
            event.is_late = event.happened_at.is_some() && event.happened_at < latest;
            pending = pending.max(event.happened_at);
        }
    }
    Ok(())
}

/// The names of the events that caused these changes.
async fn names(
    mirror: &Mirror,
    changes: &[Change],
) -> Result<HashMap<EventId, String>, MirrorError> {
    let ids = changes.iter().filter_map(|change| Some(change.event_id.as_ref()?.as_str()));
    let Some((parameters, ids)) = parameters(ids, 1) else { return Ok(HashMap::new()) };
    let sql = mirror.shared.names.sql(&format!(
        "SELECT event_id, name FROM {{p}}mirror_applied WHERE event_id IN ({parameters})"
    ));
    let mut connection = mirror.shared.pool.acquire().await?;
    let rows = connection.conn().rows(sql, &ids, &[Text, Text]).await?;
    let name = |row: Row| {
        let mut row = Columns(row.into_iter());
        Some((row.text()?, row.text()?))
    };
    Ok(rows.into_iter().filter_map(name).collect())
}
