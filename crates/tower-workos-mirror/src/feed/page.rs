//! Reads pages of the feed.

use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId, EventId};

use crate::{
    change::{Change, ChangeKind},
    error::MirrorError,
    feed::error::FeedError,
    mirror::{Mirror, Shared},
    sql::{
        conn::Conn,
        names::Names,
        value::{
            Kind::{self, Int, Text},
            Value,
        },
    },
    text::timestamp,
};

/// The maximum number of changes in a page.
const MOST: u32 = 1000;

/// What the feed contains. Both numbers are positions, for [`Mirror::changes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedRange {
    /// The position before the oldest change that was not purged.
    pub start: i64,
    /// The number of the latest change.
    pub end: i64,
}

impl Mirror {
    /// Returns the positions of the start and the end of the feed.
    ///
    /// To make a copy of the tables and keep it up to date, get the end, read the views, then read the changes after that
    /// end. The views may already contain the first of these changes.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn feed_range(&self) -> Result<FeedRange, MirrorError> {
        let Shared { pool, names, .. } = &*self.shared;
        Ok(range(&mut pool.acquire().await?.conn(), names).await?)
    }

    /// Reads at most `limit` changes (1 to 1000) that follow this position. A position is the [`seq`](Change::seq) of
    /// the last change that was read, or comes from [`feed_range`](Self::feed_range). Returns none at the end of the
    /// feed.
    ///
    /// No change appears later with a lower number than one that was read. A number that
    /// [`apply_in`](Self::apply_in) returned is a position only after the commit.
    ///
    /// # Errors
    ///
    /// [`FeedError`] if there may be a gap between the position and the next change, or if the database fails.
    pub async fn changes_page(&self, after: i64, limit: u32) -> Result<Vec<Change>, FeedError> {
        let limit = limit.clamp(1, MOST);
        Ok(self.read_page(&Position::After(after), limit).await?.unwrap_or_default().1)
    }

    /// The position and the changes that follow it; `None` if there is no such consumer.
    pub(crate) async fn read_page(
        &self,
        position: &Position,
        limit: u32,
    ) -> Result<Option<(i64, Vec<Change>)>, FeedError> {
        let Shared { pool, names, .. } = &*self.shared;
        let (after, argument) = match position {
            Position::After(after) => ("CAST($1 AS bigint)", Value::from(*after)),
            Position::Of(stream) => (
                "(SELECT after FROM {p}mirror_cursor WHERE stream = $1)",
                Value::from(stream.as_str()),
            ),
        };
        // One statement, which sees one state of the database. With two, a purge in between could delete rows unnoticed.
        let sql = names.sql(&format!(
            "SELECT r.start, r.latest, r.after, c.seq, c.kind, c.directory_id, c.group_id, c.user_id, c.fields, \
             c.event_id, c.happened_at, c.recorded_at \
             FROM (SELECT {START} AS start, {LATEST} AS latest, {after} AS after) r \
             LEFT JOIN (SELECT * FROM {{p}}mirror_change WHERE seq > {after} ORDER BY seq LIMIT $2) c ON 1 = 1 \
             ORDER BY c.seq"
        ));
        let arguments = [argument, i64::from(limit).into()];
        let rows = pool.acquire().await?.conn().rows(sql, &arguments, &PAGE_KINDS).await?;
        let int = |column: usize| rows.first().and_then(|row| row.get(column)?.as_int());
        let Some(after) = int(2) else { return Ok(None) };
        let purged = int(0).unwrap_or(0);
        let last = purged.max(int(1).unwrap_or(0));
        if after < purged {
            return Err(FeedError::Purged { after, purged });
        }
        if after > last {
            return Err(FeedError::Ahead { after, last });
        }
        let changes = rows.into_iter().filter_map(|row| change(row.into_iter().skip(3)));
        Ok(Some((after, changes.collect())))
    }
}

/// Changes that meet a condition on the table of changes, the latest first.
#[cfg(feature = "page")]
pub(crate) async fn latest(
    mirror: &Mirror,
    condition: &str,
    arguments: Vec<Value>,
    limit: usize,
) -> Result<Vec<Change>, MirrorError> {
    let Shared { pool, names, .. } = &*mirror.shared;
    let sql = names.sql(&format!(
        "SELECT seq, kind, directory_id, group_id, user_id, fields, event_id, happened_at, recorded_at \
         FROM {{p}}mirror_change c WHERE {condition} ORDER BY seq DESC LIMIT {limit}"
    ));
    let [_, _, _, kinds @ ..] = PAGE_KINDS;
    let rows = pool.acquire().await?.conn().rows(sql, &arguments, &kinds).await?;
    Ok(rows.into_iter().filter_map(|row| change(row.into_iter())).collect())
}

const PAGE_KINDS: [Kind; 12] = [Int, Int, Int, Int, Text, Text, Text, Text, Text, Text, Int, Int];

/// Where a reader is.
pub(crate) enum Position {
    After(i64),
    /// The position that is stored for this stream.
    Of(String),
}

/// The position of the stream `purged` is the number of the last purged change.
const START: &str = "coalesce((SELECT after FROM {p}mirror_cursor WHERE stream = 'purged'), 0)";
const LATEST: &str = "coalesce((SELECT max(seq) FROM {p}mirror_change), 0)";

pub(crate) async fn range(conn: &mut Conn<'_>, names: &Names) -> Result<FeedRange, sqlx::Error> {
    let sql = names.sql(&format!("SELECT {START}, {LATEST}"));
    let rows = conn.rows(sql, &[], &[Int, Int]).await?;
    let int = |column: usize| rows.first().and_then(|row| row.get(column)?.as_int()).unwrap_or(0);
    Ok(FeedRange { start: int(0), end: int(0).max(int(1)) })
}

/// `None` for the row of an empty page.
fn change(mut values: impl Iterator<Item = Value>) -> Option<Change> {
    let seq = values.next()?.as_int()?;
    let mut text = || values.next().and_then(Value::into_text);
    let kind = text()?;
    let (directory, group, user) = (text(), text(), text());
    let (fields, event) = (text(), text());
    let mut time = || values.next().and_then(|value| value.as_int()).map(timestamp);
    Some(Change {
        seq,
        kind: ChangeKind::from_name(&kind).unwrap_or(ChangeKind::Other),
        directory_id: directory.map(DirectoryId::from),
        group_id: group.map(DirectoryGroupId::from),
        user_id: user.map(DirectoryUserId::from),
        fields: fields.map(|it| it.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        event_id: event.map(EventId::from),
        happened_at: time(),
        recorded_at: time()?,
    })
}
