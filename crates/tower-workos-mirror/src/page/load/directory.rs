//! Directories.

use tower_workos::{DirectoryId, EventId, Timestamp};

use crate::{
    error::MirrorError,
    mirror::Mirror,
    page::facts::{Count, DirectoryFacts, DirectoryState, LastEvent},
    read::{Columns, Directory},
    sql::{
        rows::Row,
        value::{
            Kind::{self, Int, Text},
            Value,
        },
    },
    text,
    upkeep::DELETED_BY,
};

/// How many rows are counted at most.
const COUNTED: u64 = 10_000;

/// Everything about a directory. `None` if its id never occurred.
pub(in crate::page) async fn directory(
    mirror: &Mirror,
    id: &DirectoryId,
) -> Result<Option<DirectoryFacts>, MirrorError> {
    let Some(state) = state(mirror, id).await? else { return Ok(None) };
    // The views would filter each row of a directory that is not listed, or that gives no access.
    let is_listed = state.deleted.is_none() && state.absent_since.is_none();
    let gives_access = is_listed && state.listed.as_ref().is_none_or(|it| it.gives_access);
    let count = async |view: &str, is_any: bool| {
        if is_any { count(mirror, id, view).await } else { Ok(Count { number: 0, is_more: false }) }
    };
    Ok(Some(DirectoryFacts {
        now: Timestamp::now(),
        users: count("users", is_listed).await?,
        users_with_access: count("access", gives_access).await?,
        groups: count("groups", is_listed).await?,
        state,
    }))
}

/// `None` if the id never occurred.
pub(super) async fn state(
    mirror: &Mirror,
    id: &DirectoryId,
) -> Result<Option<DirectoryState>, MirrorError> {
    let id = text::stored_id(id.as_str()).into_owned();
    Ok(states(mirror, "d.id = $1", vec![id.into()], 1).await?.pop())
}

/// The directories that meet a condition, sorted by id.
pub(super) async fn states(
    mirror: &Mirror,
    condition: &str,
    arguments: Vec<Value>,
    limit: usize,
) -> Result<Vec<DirectoryState>, MirrorError> {
    let last = |column| {
        format!(
            "(SELECT a.{column} FROM {{p}}mirror_applied a WHERE a.directory_id = d.id \
             ORDER BY a.arrived_at DESC LIMIT 1)"
        )
    };
    let columns = [
        "d.id".to_owned(),
        "d.organization_id".to_owned(),
        "d.name".to_owned(),
        "d.type".to_owned(),
        "d.state".to_owned(),
        "d.domains".to_owned(),
        "d.created_at".to_owned(),
        "d.updated_at".to_owned(),
        // As in the view.
        "(SELECT CAST(CASE WHEN v.gives_access THEN 1 ELSE 0 END AS bigint) FROM {p}directories v WHERE v.id = d.id)"
            .to_owned(),
        "d.deleted_at".to_owned(),
        "d.deleted_by".to_owned(),
        "CASE WHEN d.absent_at IS NULL OR d.evidence_at >= d.absent_at THEN NULL ELSE d.absent_at END".to_owned(),
        "d.compared_at".to_owned(),
        last("name"),
        last("happened_at"),
        last("arrived_at"),
    ];
    let kinds: [Kind; 16] =
        [Text, Text, Text, Text, Text, Text, Int, Int, Int, Int, Text, Int, Int, Text, Int, Int];
    let sql = mirror.shared.names.sql(&format!(
        "SELECT {} FROM {{p}}mirror_directory d WHERE {condition} ORDER BY d.id LIMIT {limit}",
        columns.join(", ")
    ));
    let rows = mirror.shared.pool.acquire().await?.conn().rows(sql, &arguments, &kinds).await?;
    Ok(rows.into_iter().map(of_row).collect())
}

fn of_row(row: Row) -> DirectoryState {
    // A directory that no view contains has no such value.
    let gives_access = row.get(8).and_then(Value::as_int);
    let mut row = Columns(row.into_iter());
    let directory = Directory {
        id: row.id(),
        organization_id: row.text(),
        name: row.text(),
        directory_type: row.name(),
        state: row.name(),
        domains: row.json(),
        created_at: row.time(),
        updated_at: row.time(),
        gives_access: row.flag(),
    };
    let (deleted_at, deleted_by) = (row.time(), row.text().filter(is_event));
    let (absent_since, compared_at) = (row.time(), row.time());
    let (name, happened_at, arrived_at) = (row.text(), row.time(), row.time());
    DirectoryState {
        id: directory.id.clone(),
        listed: gives_access.is_some().then_some(directory),
        deleted: deleted_at.map(|at| (at, deleted_by)),
        absent_since: absent_since.filter(|_| deleted_at.is_none()),
        last_event: name.zip(arrived_at).map(|(name, arrived_at)| LastEvent {
            name,
            happened_at,
            arrived_at,
        }),
        compared_at,
    }
}

/// What was absent from the API for so long that it counts as deleted has a word instead of an event's id.
pub(super) fn is_event(deleted_by: &EventId) -> bool {
    deleted_by.as_str() != DELETED_BY
}

async fn count(mirror: &Mirror, id: &DirectoryId, view: &str) -> Result<Count, MirrorError> {
    let sql = mirror.shared.names.sql(&format!(
        "SELECT count(*) FROM (SELECT 1 FROM {{p}}{view} WHERE directory_id = $1 LIMIT {}) counted",
        COUNTED + 1
    ));
    let id = text::stored_id(id.as_str()).into_owned();
    let rows = mirror.shared.pool.acquire().await?.conn().rows(sql, &[id.into()], &[Int]).await?;
    let number = rows.first().and_then(|row| row.first()?.as_int()).unwrap_or(0);
    let number = u64::try_from(number).unwrap_or(0);
    Ok(Count { number: number.min(COUNTED), is_more: number > COUNTED })
}
