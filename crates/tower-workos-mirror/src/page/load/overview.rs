//! The state of everything.

use tower_workos::{DirectoryId, Timestamp};

use super::{ROWS, directory::states, verdict::verdict};
use crate::{
    error::MirrorError,
    mirror::Mirror,
    page::{
        facts::{DeadLetterFacts, DeadLetters, LastEvent, Overview, Repair},
        queue::Queues,
    },
    read::{Columns, RepairStatus, statuses},
    sql::value::{
        Kind::{Int, Text},
        Value,
    },
    text::{self, micros},
};

/// For how long deleted directories are shown.
const DELETED: i64 = 30 * 24 * 60 * 60 * 1_000_000;

pub(in crate::page) async fn overview(
    mirror: &Mirror,
    queues: &Queues,
    after: &str,
) -> Result<Overview, MirrorError> {
    let now = Timestamp::now();
    let repairs = repairs(mirror).await?;
    let dead_letters = dead_letters(mirror).await?;
    let queues = queues.states().await;
    let arguments = vec![
        text::stored_id(after).into_owned().into(),
        micros(now).saturating_sub(DELETED).into(),
    ];
    let condition = "d.id > $1 AND (d.deleted_at IS NULL OR d.deleted_at > $2)";
    let mut directories = states(mirror, condition, arguments, ROWS + 1).await?;
    let is_last = directories.len() <= ROWS;
    directories.truncate(ROWS);
    let next = directories.last().filter(|_| !is_last).map(|it| it.id.clone());
    let disconnected = disconnected(mirror).await?;
    let verdict = verdict(now, &repairs, &queues, dead_letters.count, &disconnected);
    let last_event = last_event(mirror).await?;
    Ok(Overview { now, verdict, repairs, queues, dead_letters, last_event, directories, next })
}

async fn repairs(mirror: &Mirror) -> Result<Vec<Repair>, MirrorError> {
    let mut connection = mirror.shared.pool.acquire().await?;
    let statuses = statuses(&mut connection.conn(), &mirror.shared.names, "", &[]).await?;
    let repair = |(environment, is_polled, status): (String, bool, RepairStatus)| Repair {
        environment,
        is_polled,
        last_success: status.last_success,
        last_run: status.last_run,
        is_complete: status.is_complete,
        drift: status.drift,
        drained_at: status.events_drained_at,
    };
    Ok(statuses.into_iter().map(repair).collect())
}

async fn dead_letters(mirror: &Mirror) -> Result<DeadLetters, MirrorError> {
    let names = &mirror.shared.names;
    let mut connection = mirror.shared.pool.acquire().await?;
    let mut conn = connection.conn();
    let sql = names
        .sql("SELECT count(*) FROM (SELECT 1 FROM {p}mirror_dead_letter LIMIT 100000) counted");
    let rows = conn.rows(sql, &[], &[Int]).await?;
    let count = rows.first().and_then(|row| row.first()?.as_int()).unwrap_or(0);
    let sql = names.sql(
        "SELECT event_id, name, reason, arrived_at FROM {p}mirror_dead_letter ORDER BY seq DESC LIMIT 5",
    );
    let rows = conn.rows(sql, &[], &[Text, Text, Text, Int]).await?;
    let latest = rows.into_iter().filter_map(|row| {
        let mut row = Columns(row.into_iter());
        Some(DeadLetterFacts {
            event_id: row.text(),
            name: row.text(),
            reason: row.text()?,
            arrived_at: row.time()?,
        })
    });
    Ok(DeadLetters { count: u64::try_from(count).unwrap_or(0), latest: latest.collect() })
}

async fn last_event(mirror: &Mirror) -> Result<Option<LastEvent>, MirrorError> {
    let sql = mirror.shared.names.sql(
        "SELECT name, happened_at, arrived_at FROM {p}mirror_applied ORDER BY arrived_at DESC LIMIT 1",
    );
    let mut connection = mirror.shared.pool.acquire().await?;
    let row = connection.conn().rows(sql, &[], &[Text, Int, Int]).await?.pop();
    Ok(row.and_then(|row| {
        let mut row = Columns(row.into_iter());
        let (name, happened_at) = (row.text()?, row.time());
        Some(LastEvent { name, happened_at, arrived_at: row.time()? })
    }))
}

/// Some of the directories that WorkOS can't read at the provider.
async fn disconnected(mirror: &Mirror) -> Result<Vec<(DirectoryId, String)>, MirrorError> {
    let sql = mirror.shared.names.sql(
        "SELECT id, coalesce(name, id) FROM {p}directories WHERE state = 'invalid_credentials' ORDER BY id LIMIT 5",
    );
    let rows = mirror.shared.pool.acquire().await?.conn().rows(sql, &[], &[Text, Text]).await?;
    let pair = |row: crate::sql::rows::Row| {
        let mut texts = row.into_iter().map(Value::into_text);
        Some((DirectoryId::from(texts.next()??), texts.next()??))
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}
