//! Dead letters as rows of their table.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tower_workos::{DirectoryEvent, EventId, ParseError, Timestamp};

use crate::{
    dead_letter::DeadLetter,
    error::MirrorError,
    sql::{
        conn::Conn,
        names::Names,
        value::{
            Kind::{Bytes as Blob, Int, Text},
            Value,
        },
    },
    text::{id, key, micros, timestamp},
};

/// A dead letter that is not stored yet.
#[derive(Clone)]
pub(crate) struct Letter {
    event_id: Option<String>,
    pub(crate) name: Option<String>,
    reason: String,
    body: Bytes,
    issued_at: Option<Timestamp>,
}

impl Letter {
    /// A body that can't be read.
    pub(crate) fn of_error(error: &ParseError, issued_at: Option<Timestamp>) -> Self {
        Self {
            event_id: error.id().map(|event| id(event.as_str()).into_owned()),
            name: error.name().map(|name| key(name).into_owned()),
            reason: error.reason().to_string(),
            body: error.raw().clone(),
            issued_at,
        }
    }

    /// An event that can't be stored.
    pub(crate) fn of_event(event: &DirectoryEvent, reason: String) -> Self {
        Self {
            event_id: Some(id(event.id().as_str()).into_owned()),
            name: Some(key(event.name()).into_owned()),
            reason,
            body: event.raw().clone(),
            issued_at: event.issued_at(),
        }
    }
}

/// Stores a letter, unless one with the same body exists: WorkOS can send a delivery several times.
pub(crate) async fn insert(
    conn: &mut Conn<'_>,
    names: &Names,
    letter: &Letter,
) -> Result<(), MirrorError> {
    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(&letter.body) {
        // Writing to a `String` can't fail.
        let _ = write!(hash, "{byte:02x}").is_ok();
    }
    let sql = "INSERT INTO {p}mirror_dead_letter (event_id, name, reason, body, body_hash, issued_at, arrived_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (body_hash) DO NOTHING";
    let values = [
        letter.event_id.clone().into(),
        letter.name.clone().into(),
        letter.reason.clone().into(),
        letter.body.to_vec().into(),
        hash.into(),
        letter.issued_at.map(micros).into(),
        micros(Timestamp::now()).into(),
    ];
    conn.execute(names.sql(sql), &values).await?;
    Ok(())
}

/// Returns the letters after a number, oldest first.
pub(crate) async fn select(
    conn: &mut Conn<'_>,
    names: &Names,
    after: i64,
    limit: u32,
) -> Result<Vec<DeadLetter>, MirrorError> {
    let sql = "SELECT seq, event_id, name, reason, body, issued_at, arrived_at FROM {p}mirror_dead_letter \
               WHERE seq > $1 ORDER BY seq LIMIT $2";
    let kinds = [Int, Text, Text, Text, Blob, Int, Int];
    let rows = conn.rows(names.sql(sql), &[after.into(), i64::from(limit).into()], &kinds).await?;
    Ok(rows.into_iter().filter_map(letter).collect())
}

fn letter(row: Vec<Value>) -> Option<DeadLetter> {
    let mut values = row.into_iter();
    Some(DeadLetter {
        seq: values.next()?.as_int()?,
        event_id: values.next()?.into_text().map(EventId::from),
        name: values.next()?.into_text(),
        reason: values.next()?.into_text()?,
        body: match values.next()? {
            Value::Bytes(body) => body?.into(),
            Value::Int(_) | Value::Text(_) => return None,
        },
        issued_at: values.next()?.as_int().map(timestamp),
        arrived_at: values.next()?.as_int().map(timestamp)?,
    })
}

/// Deletes a letter. Returns whether it existed.
pub(crate) async fn delete(
    conn: &mut Conn<'_>,
    names: &Names,
    seq: i64,
) -> Result<bool, MirrorError> {
    let sql = names.sql("DELETE FROM {p}mirror_dead_letter WHERE seq = $1");
    Ok(conn.execute(sql, &[seq.into()]).await? > 0)
}

impl DeadLetter {
    /// The event, if this version can read it. It counts as signed when the letter's delivery was signed.
    pub(super) fn event(&self) -> Option<DirectoryEvent> {
        let body = str::from_utf8(&self.body).ok()?;
        // The serialized form of an event with a signature.
        let stored = json!({ "body": body, "issued_at": self.issued_at, "secret_index": 0 });
        serde_json::from_value(stored).ok()
    }
}
