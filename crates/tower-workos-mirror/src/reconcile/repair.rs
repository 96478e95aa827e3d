//! What the tables know about earlier runs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    api::{client::ApiClient, page::Pages},
    mirror::Shared,
    reconcile::{
        directories::Known,
        error::{ReconcileError, ReconcileErrorKind},
        lease,
        report::{DirectoryOutcome, DriftCount, ReconcileReport},
    },
    sql::{
        names::Names,
        transaction::Transaction,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
    text::id,
};

/// The subject of the lease for all directories of an environment.
pub(super) fn subject(environment: &str) -> String {
    format!("environment {environment}")
}

pub(crate) fn wrong_environment() -> ReconcileError {
    let message = "the API key sees none of the directories in the mirror, so it belongs to another environment: check \
                   WORKOS_API_KEY. If it is right, call allow_new_environment once";
    ReconcileError::new(ReconcileErrorKind::Environment, message)
}

/// The directories that exist according to the tables, by id.
pub(super) async fn known_directories(
    shared: &Shared,
) -> Result<BTreeMap<String, Known>, ReconcileError> {
    let sql = shared.names.sql(
        "SELECT id, environment, evidence_at FROM {p}mirror_directory \
         WHERE deleted_at IS NULL AND evidence_at >= coalesce(absent_at, evidence_at)",
    );
    let mut connection = shared.pool.acquire().await?;
    let mut conn = connection.conn();
    let mut rows = conn.rows(sql, &[], &[Text, Text, Int]).await?;
    rows.extend(conn.rows(shared.names.sql(&unseen()), &[], &[Text, Text, Int]).await?);
    let known = |row: Vec<Value>| {
        let mut values = row.into_iter();
        let (id, environment) = (values.next()?.into_text()?, values.next()?.into_text());
        Some((id, Known { environment, evidence_at: values.next()?.as_int() }))
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Selects directories that have no row, although they have users or groups: the event that connected them was lost. It
/// looks up each directory in an index, and does not read all users.
fn unseen() -> String {
    let owners = |table| {
        format!(
            "{table}_owner (id) AS (SELECT min(directory_id) FROM {{p}}mirror_{table} UNION ALL \
             SELECT (SELECT min(t.directory_id) FROM {{p}}mirror_{table} t WHERE t.directory_id > o.id) \
             FROM {table}_owner o WHERE o.id IS NOT NULL)"
        )
    };
    let evidence = |table| {
        format!(
            "(SELECT max(t.evidence_at) FROM {{p}}mirror_{table} t WHERE t.directory_id = o.id \
             AND t.deleted_at IS NULL AND t.evidence_at >= coalesce(t.absent_at, t.evidence_at))"
        )
    };
    let (groups, users) = (evidence("group"), evidence("user"));
    // First, because there are usually none, and the evidence is that of all their users.
    let has_no_row = "NOT EXISTS (SELECT 1 FROM {p}mirror_directory d WHERE d.id = o.id)";
    format!(
        "WITH RECURSIVE {}, {}, evidence (id, at) AS (SELECT o.id, {groups} FROM group_owner o WHERE {has_no_row} \
         UNION ALL SELECT o.id, {users} FROM user_owner o WHERE {has_no_row}) \
         SELECT e.id, NULL, max(e.at) FROM evidence e WHERE e.at IS NOT NULL GROUP BY e.id",
        owners("group"),
        owners("user"),
    )
}

/// Fails if the mirror has directories of this environment, and the key sees none of them.
pub(crate) async fn check_environment(
    shared: &Shared,
    api: &ApiClient,
    environment: &str,
) -> Result<(), ReconcileError> {
    let known = known_directories(shared).await?;
    let mut ours = known
        .into_iter()
        .filter(|(_, it)| it.environment.as_deref().is_none_or(|it| it == environment))
        .map(|(id, _)| id)
        .peekable();
    if ours.peek().is_none() {
        return Ok(());
    }
    let ours: std::collections::HashSet<_> = ours.collect();
    let mut pages = Pages::new(usize::MAX);
    let mut after = None;
    loop {
        let page = api.directories(after.as_deref()).await?;
        if page.items.iter().any(|item| ours.contains(&*id(&item.id))) {
            return Ok(());
        }
        after = pages.advance(page.after)?;
        if after.is_none() {
            return Err(wrong_environment());
        }
    }
}

/// Whether the tables contain nothing.
pub(crate) async fn is_empty(shared: &Shared) -> Result<bool, ReconcileError> {
    let sql = shared.names.sql(
        "SELECT (SELECT min(id) FROM {p}mirror_directory), (SELECT min(id) FROM {p}mirror_user), \
         (SELECT min(id) FROM {p}mirror_group)",
    );
    let mut connection = shared.pool.acquire().await?;
    let row = connection.conn().rows(sql, &[], &[Text, Text, Text]).await?.pop();
    Ok(row.unwrap_or_default().iter().all(|value| value.as_text().is_none()))
}

/// Whether the tables contain something, and no run has compared it yet.
pub(super) async fn is_first(shared: &Shared, environment: &str) -> Result<bool, ReconcileError> {
    let sql = shared.names.sql("SELECT first_at FROM {p}mirror_repair WHERE environment = $1");
    let mut connection = shared.pool.acquire().await?;
    let row = connection.conn().rows(sql, &[environment.into()], &[Int]).await?.pop();
    drop(connection);
    let is_new = row.unwrap_or_default().first().and_then(Value::as_int).is_none();
    Ok(is_new && !is_empty(shared).await?)
}

#[derive(Serialize)]
struct Summary<'r> {
    is_complete: bool,
    directories: usize,
    counts: &'r [DriftCount],
    requests: u64,
}

/// Remembers a run.
pub(super) async fn store(
    shared: &Shared,
    environment: &str,
    run: &str,
    report: &ReconcileReport,
) -> Result<(), ReconcileError> {
    let has = |outcomes: &[DirectoryOutcome]| {
        report.directories.iter().any(|it| outcomes.contains(&it.outcome))
    };
    let was_compared = !has(&[DirectoryOutcome::Failed, DirectoryOutcome::Busy]);
    let succeeded =
        was_compared && !has(&[DirectoryOutcome::Incomplete, DirectoryOutcome::Breaker]);
    let summary = Summary {
        is_complete: report.is_complete(),
        directories: report.directories.len(),
        counts: &report.counts,
        requests: report.requests,
    };
    let summary = serde_json::to_string(&summary).unwrap_or_default();
    let Shared { pool, names, settings, .. } = shared;
    let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
    let mut conn = transaction.conn();
    lease::check(&mut conn, names, &subject(environment), run).await?;
    let now = Names::now(&conn);
    let time = |is_set: bool| if is_set { now.as_str() } else { "NULL" };
    let sql = names.sql(&format!(
        "INSERT INTO {{p}}mirror_repair AS r (environment, first_at, succeeded_at, finished_at, report) \
         VALUES ($1, {}, {}, {now}, $2) ON CONFLICT (environment) DO UPDATE SET \
         first_at = coalesce(r.first_at, excluded.first_at), \
         succeeded_at = coalesce(excluded.succeeded_at, r.succeeded_at), \
         finished_at = excluded.finished_at, report = excluded.report",
        time(was_compared),
        time(succeeded),
    ));
    conn.execute(sql, &[environment.into(), summary.into()]).await?;
    transaction.commit().await?;
    Ok(())
}
