//! One run at a time for each directory, across all processes.

use std::time::Duration;

use crate::{
    error::MirrorError,
    mirror::Shared,
    reconcile::{error::ReconcileError, stage},
    sql::{
        conn::Conn,
        names::Names,
        value::{Kind::Text, Value},
    },
};

/// How long a lease lasts. A run renews its leases; those of a process that was killed expire.
const LEASE: Duration = Duration::from_secs(20);
/// How often a run renews its leases.
pub(super) const RENEW: Duration = Duration::from_secs(5);

fn lease() -> Value {
    i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX).into()
}

/// Acquires a lease, unless another run has it. The database's clock decides, because those of the processes can differ.
pub(super) async fn acquire(
    conn: &mut Conn<'_>,
    names: &Names,
    subject: &str,
    run: &str,
) -> Result<bool, sqlx::Error> {
    let now = Names::now(conn);
    let sql = names.sql(&format!(
        "INSERT INTO {{p}}mirror_run AS r (subject, run, expires_at) VALUES ($1, $2, {now} + $3) \
         ON CONFLICT (subject) DO UPDATE SET (run, expires_at) = (excluded.run, excluded.expires_at) \
         WHERE r.expires_at < {now} OR r.run = excluded.run"
    ));
    Ok(conn.execute(sql, &[subject.into(), run.into(), lease()]).await? > 0)
}

/// Fails if another run has the lease, because this one did not renew it in time.
pub(super) async fn check(
    conn: &mut Conn<'_>,
    names: &Names,
    subject: &str,
    run: &str,
) -> Result<(), ReconcileError> {
    let now = Names::now(conn);
    let sql = names.sql(&format!(
        "UPDATE {{p}}mirror_run SET expires_at = {now} + $3 WHERE subject = $1 AND run = $2"
    ));
    match conn.execute(sql, &[subject.into(), run.into(), lease()]).await? {
        0 => Err(ReconcileError::busy()),
        _ => Ok(()),
    }
}

/// Renews all leases of a run.
pub(super) async fn renew(shared: &Shared, run: &str) -> Result<(), MirrorError> {
    let mut connection = shared.pool.acquire().await?;
    let mut conn = connection.conn();
    let now = Names::now(&conn);
    let sql = format!("UPDATE {{p}}mirror_run SET expires_at = {now} + $2 WHERE run = $1");
    conn.execute(shared.names.sql(&sql), &[run.into(), lease()]).await?;
    Ok(())
}

/// Releases a lease, and removes what the run staged under it.
pub(super) async fn release(
    shared: &Shared,
    subject: &str,
    run: &str,
) -> Result<(), ReconcileError> {
    stage::clear(shared, subject, run).await?;
    let mut connection = shared.pool.acquire().await?;
    let sql = shared.names.sql("DELETE FROM {p}mirror_run WHERE subject = $1 AND run = $2");
    connection.conn().execute(sql, &[subject.into(), run.into()]).await?;
    Ok(())
}

/// Releases all leases of a run that failed, and removes what it staged.
pub(super) async fn release_all(shared: &Shared, run: &str) -> Result<(), ReconcileError> {
    let sql = shared.names.sql("SELECT subject FROM {p}mirror_run WHERE run = $1");
    let mut connection = shared.pool.acquire().await?;
    let rows = connection.conn().rows(sql, &[run.into()], &[Text]).await?;
    drop(connection);
    for subject in rows.into_iter().flatten().filter_map(Value::into_text) {
        release(shared, &subject, run).await?;
    }
    Ok(())
}
