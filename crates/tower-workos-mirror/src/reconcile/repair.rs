//! What the tables contain about directories and earlier runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tower_workos::Timestamp;

use crate::{
    mirror::Shared,
    reconcile::{
        directories::Known,
        error::ReconcileError,
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
};

/// The subject of the lease for all directories of an environment.
pub(super) fn subject(environment: &str) -> String {
    format!("environment {environment}")
}

/// The directories that exist according to the tables, by id.
pub(super) async fn known_directories(
    shared: &Shared,
) -> Result<BTreeMap<String, Known>, ReconcileError> {
    let sql = shared.names.sql(
        "SELECT id, environment, evidence_at, compared_at FROM {p}mirror_directory \
         WHERE deleted_at IS NULL AND evidence_at >= coalesce(absent_at, evidence_at)",
    );
    let mut connection = shared.pool.acquire().await?;
    let mut conn = connection.conn();
    let kinds = [Text, Text, Int, Int];
    let mut rows = conn.rows(sql, &[], &kinds).await?;
    rows.extend(conn.rows(shared.names.sql(&unseen()), &[], &kinds).await?);
    let known = |row: Vec<Value>| {
        let mut values = row.into_iter();
        let (id, environment) = (values.next()?.into_text()?, values.next()?.into_text());
        let mut time = || values.next().and_then(|it| it.as_int());
        let (evidence_at, compared_at) = (time(), time());
        Some((id, Known { environment, evidence_at, compared_at }))
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
    // Checked first, because there are usually none, and the evidence needs all their users.
    let has_no_row = "NOT EXISTS (SELECT 1 FROM {p}mirror_directory d WHERE d.id = o.id)";
    format!(
        "WITH RECURSIVE {}, {}, evidence (id, at) AS (SELECT o.id, {groups} FROM group_owner o WHERE {has_no_row} \
         UNION ALL SELECT o.id, {users} FROM user_owner o WHERE {has_no_row}) \
         SELECT e.id, NULL, max(e.at), NULL FROM evidence e WHERE e.at IS NOT NULL GROUP BY e.id",
        owners("group"),
        owners("user"),
    )
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

/// What is known about earlier runs.
pub(super) struct Earlier {
    /// Whether the tables contain something, and no run has compared all of it yet.
    pub(super) is_first: bool,
    /// Whether a run has ended with a report.
    pub(super) was_run: bool,
}

pub(super) async fn earlier(shared: &Shared, environment: &str) -> Result<Earlier, ReconcileError> {
    let sql = "SELECT first_at, finished_at FROM {p}mirror_repair WHERE environment = $1";
    let sql = shared.names.sql(sql);
    let mut connection = shared.pool.acquire().await?;
    let row = connection.conn().rows(sql, &[environment.into()], &[Int, Int]).await?.pop();
    drop(connection);
    let mut times = row.unwrap_or_default().into_iter().map(|it| it.as_int());
    let (first_at, finished_at) = (times.next().flatten(), times.next().flatten());
    let is_first = first_at.is_none() && !is_empty(shared).await?;
    Ok(Earlier { is_first, was_run: finished_at.is_some() })
}

/// Remembers that a directory was compared by the run that has its lease.
pub(super) async fn compared(
    shared: &Shared,
    directory: &str,
    run: &str,
) -> Result<(), ReconcileError> {
    let Shared { pool, names, settings, .. } = shared;
    let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
    let mut conn = transaction.conn();
    lease::check(&mut conn, names, directory, run).await?;
    let now = Names::now(&conn);
    let sql = format!("UPDATE {{p}}mirror_directory SET compared_at = {now} WHERE id = $1");
    conn.execute(names.sql(&sql), &[directory.into()]).await?;
    transaction.commit().await?;
    Ok(())
}

#[derive(Serialize)]
struct Summary<'r> {
    is_complete: bool,
    directories: usize,
    counts: &'r [DriftCount],
    requests: u64,
    /// Of the latest run that merged every list.
    fence: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
struct EarlierSummary {
    #[serde(default)]
    fence: Option<Timestamp>,
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
    let was_merged = was_compared && !has(&[DirectoryOutcome::Incomplete]);
    let succeeded = was_merged && !has(&[DirectoryOutcome::Breaker]);
    let Shared { pool, names, settings, .. } = shared;
    let mut transaction = Transaction::begin(pool, names, settings.timeout).await?;
    let mut conn = transaction.conn();
    lease::check(&mut conn, names, &subject(environment), run).await?;
    let sql = names.sql("SELECT report FROM {p}mirror_repair WHERE environment = $1");
    let row = conn.rows(sql, &[environment.into()], &[Text]).await?.pop().unwrap_or_default();
    let earlier = row.first().and_then(Value::as_text).unwrap_or_default();
    let earlier: EarlierSummary = serde_json::from_str(earlier).unwrap_or_default();
    let summary = Summary {
        is_complete: report.is_complete(),
        directories: report.directories.len(),
        counts: &report.counts,
        requests: report.requests,
        fence: if was_merged { Some(report.fence) } else { earlier.fence },
    };
    let summary = serde_json::to_string(&summary).unwrap_or_default();
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
