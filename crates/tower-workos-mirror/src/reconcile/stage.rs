//! What the lists contained, in a table, until it is merged: a directory can be larger than the memory.

use bytes::Bytes;

use crate::{
    mirror::Shared,
    reconcile::{error::ReconcileError, lease, retry::retried, run, turn::Turns},
    rules::document::ObjectKind,
    sql::{
        conn::Conn,
        names::Names,
        transaction::Transaction,
        value::{Kind::Text, Value},
    },
    text::{id, plain},
};

/// A kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Group,
    Member,
    User,
    /// A group whose members were listed completely.
    Walked,
    /// Ids of the second lists.
    GroupAgain,
    MemberAgain,
    UserAgain,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::GroupAgain => "group again",
            Self::Member => "member",
            Self::MemberAgain => "member again",
            Self::User => "user",
            Self::UserAgain => "user again",
            Self::Walked => "walked",
        }
    }

    pub(super) fn object(self) -> ObjectKind {
        if self == Self::Group { ObjectKind::Group } else { ObjectKind::User }
    }
}

/// A row, without the directory and the kind.
pub(super) struct Staged {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) item: Option<String>,
}

impl Staged {
    pub(super) fn item(object: &str, json: &Bytes) -> Self {
        // JSON is UTF-8 and has no NUL, or the page could not have been read.
        let item = plain(&String::from_utf8_lossy(json));
        Self { id: id(object).into_owned(), user: String::new(), item }
    }

    pub(super) fn id(object: &str) -> Self {
        Self { id: id(object).into_owned(), user: String::new(), item: None }
    }

    pub(super) fn member(group: &str, user: &str) -> Self {
        Self { id: id(group).into_owned(), user: id(user).into_owned(), item: None }
    }
}

/// The numbers of rows in one statement: each number is a statement that the connection prepares and keeps.
const CHUNKS: [usize; 2] = [25, 1];

/// Adds rows. Those that exist stay as they are.
pub(super) async fn put(
    conn: &mut Conn<'_>,
    names: &Names,
    directory: &str,
    kind: Kind,
    rows: &[Staged],
) -> Result<(), sqlx::Error> {
    let mut rows = rows.iter();
    while let Some(&size) = CHUNKS.iter().find(|size| rows.len() >= **size) {
        let mut sql = names
            .sql("INSERT INTO {p}mirror_stage (directory_id, kind, id, user_id, item) VALUES ");
        let mut arguments: Vec<Value> = vec![directory.into(), kind.name().into()];
        for (place, row) in rows.by_ref().take(size).enumerate() {
            let first = 3 * place + 3;
            let comma = if place == 0 { "" } else { ", " };
            sql.push_str(&format!("{comma}($1, $2, ${first}, ${}, ${})", first + 1, first + 2));
            arguments.extend([
                row.id.clone().into(),
                row.user.clone().into(),
                row.item.clone().into(),
            ]);
        }
        sql.push_str(" ON CONFLICT DO NOTHING");
        conn.execute(sql, &arguments).await?;
    }
    Ok(())
}

/// The number of rows that a transaction removes.
const BITE: i64 = 500;

/// Removes everything that was staged for a directory, in small transactions. The run must have the directory's lease.
pub(super) async fn clear(
    shared: &Shared,
    directory: &str,
    run: &str,
) -> Result<(), ReconcileError> {
    let Shared { pool, names, settings, .. } = shared;
    const AFTER: &str =
        "FROM {p}mirror_stage WHERE directory_id = $1 AND (kind, id, user_id) > ($2, $3, $4)";
    let next = names.sql(&format!(
        "SELECT kind, id, user_id {AFTER} ORDER BY kind, id, user_id LIMIT 1 OFFSET {BITE}"
    ));
    let until = names.sql(&format!("DELETE {AFTER} AND (kind, id, user_id) <= ($5, $6, $7)"));
    let all = names.sql(&format!("DELETE {AFTER}"));
    let bite = async |place: &mut Vec<Value>| -> Result<bool, ReconcileError> {
        let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
        let mut conn = transaction.conn();
        lease::check(&mut conn, names, directory, run).await?;
        let mut arguments = vec![directory.into()];
        arguments.append(&mut place.clone());
        let end = conn.rows(next.clone(), &arguments, &[Text, Text, Text]).await?.pop();
        let sql = if end.is_some() { &until } else { &all };
        arguments.extend(end.iter().flatten().cloned());
        conn.execute(sql.clone(), &arguments).await?;
        transaction.commit().await?;
        // PostgreSQL would otherwise step over the removed rows again, until a vacuum.
        let is_last = end.is_none();
        *place = end.unwrap_or_default();
        Ok(is_last)
    };
    if first(shared, directory, true).await?.is_some() {
        let (turns, mut place) = (Turns::default(), vec!["".into(); 3]);
        while !retried!(turns.take(bite(&mut place)))? {}
    }
    Ok(())
}

/// Removes what runs of killed processes have left, also for directories that are not listed any more.
pub(super) async fn clear_abandoned(shared: &Shared, run: &str) -> Result<(), ReconcileError> {
    let mut place = String::new();
    while let Some(directory) = first(shared, &place, false).await? {
        if run::acquire(shared, &directory, run).await? {
            lease::release(shared, &directory, run).await?;
        }
        place = directory;
    }
    Ok(())
}

/// The first directory after this one, or this one, for which something is staged.
async fn first(
    shared: &Shared,
    directory: &str,
    itself: bool,
) -> Result<Option<String>, ReconcileError> {
    let comparison = if itself { "=" } else { ">" };
    let sql = shared.names.sql(&format!(
        "SELECT min(directory_id) FROM {{p}}mirror_stage WHERE directory_id {comparison} $1"
    ));
    let mut connection = shared.pool.acquire().await?;
    let row = connection.conn().rows(sql, &[directory.into()], &[Text]).await?.pop();
    Ok(row.and_then(|row| row.into_iter().next()?.into_text()))
}

/// The next rows after this one.
pub(super) async fn page(
    conn: &mut Conn<'_>,
    names: &Names,
    directory: &str,
    kind: Kind,
    after: &(String, String),
    limit: i64,
) -> Result<Vec<Staged>, sqlx::Error> {
    let sql = names.sql(
        "SELECT id, user_id, item FROM {p}mirror_stage \
         WHERE directory_id = $1 AND kind = $2 AND (id, user_id) > ($3, $4) ORDER BY id, user_id LIMIT $5",
    );
    let arguments = [
        directory.into(),
        kind.name().into(),
        after.0.as_str().into(),
        after.1.as_str().into(),
        limit.into(),
    ];
    let rows = conn.rows(sql, &arguments, &[Text, Text, Text]).await?;
    let staged = |row: Vec<Value>| {
        let mut values = row.into_iter().map(Value::into_text);
        let (id, user) = (values.next()??, values.next()??);
        Some(Staged { id, user, item: values.next()? })
    };
    Ok(rows.into_iter().filter_map(staged).collect())
}
