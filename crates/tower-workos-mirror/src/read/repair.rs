//! The state of the repair, for a health check.

use serde::{Deserialize, Serialize};
use tower_workos::Timestamp;

use crate::{
    error::MirrorError,
    mirror::Mirror,
    sql::{
        conn::Conn,
        names::Names,
        rows::Row,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
    text::timestamp,
};

/// The environment of a reconciler that has no other name.
pub(crate) const ENVIRONMENT: &str = "default";

/// The state of the repair, for a health check. It is stored in the mirror's tables, so it is the same for all replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RepairStatus {
    /// When the latest successful run ended: the outcome of each directory was
    /// [`Complete`](crate::DirectoryOutcome::Complete), [`FirstRun`](crate::DirectoryOutcome::FirstRun) or
    /// [`Environment`](crate::DirectoryOutcome::Environment).
    pub last_success: Option<Timestamp>,
    /// When the latest run ended that returned a report. Dry runs do not count.
    pub last_run: Option<Timestamp>,
    /// Whether the report of that run [was complete](crate::ReconcileReport::is_complete).
    pub is_complete: bool,
    /// The differences that were found by that run.
    pub drift: Vec<DriftSummary>,
    /// When the Events API was last read to its end.
    pub events_drained_at: Option<Timestamp>,
    /// How many seconds ago that was. It grows if the poller is stopped or fails.
    pub events_age_seconds: Option<u64>,
}

/// How many differences of a kind a run found: see [`DriftCount`](crate::DriftCount).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DriftSummary {
    /// The name of the change that repairs them.
    pub kind: String,
    /// What the run did about them.
    pub action: String,
    /// How many there were.
    pub count: u64,
}

/// What is stored about the report of a run.
#[derive(Default, Deserialize)]
pub(crate) struct Summary {
    #[serde(default)]
    is_complete: bool,
    #[serde(default)]
    counts: Vec<DriftSummary>,
    /// Before any response of the API that the run used.
    #[cfg(feature = "reconcile")]
    #[serde(default)]
    pub(crate) fence: Option<Timestamp>,
}

impl Mirror {
    /// Returns the state of the repair of the environment `default`.
    ///
    /// It is read from the mirror's tables. So a process that does not repair them can show it, too.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn repair_status(&self) -> Result<RepairStatus, MirrorError> {
        self.repair_status_of(ENVIRONMENT).await
    }

    /// Returns the state of the repair of an [environment](crate::ReconcilerBuilder::environment).
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn repair_status_of(&self, environment: &str) -> Result<RepairStatus, MirrorError> {
        let mut connection = self.shared.pool.acquire().await?;
        let mut conn = connection.conn();
        let only = "WHERE e.environment = $1";
        let found = statuses(&mut conn, &self.shared.names, only, &[environment.into()]).await?;
        Ok(found.into_iter().next().map(|(_, _, status)| status).unwrap_or_default())
    }
}

/// The state of the repair of several environments: their names, and whether the Events API is polled.
pub(crate) async fn statuses(
    conn: &mut Conn<'_>,
    names: &Names,
    condition: &str,
    arguments: &[Value],
) -> Result<Vec<(String, bool, RepairStatus)>, sqlx::Error> {
    let now = Names::now(conn);
    let sql = names.sql(&format!(
        "SELECT e.environment, p.stream, r.report, r.succeeded_at, r.finished_at, p.drained_at, {now} - p.drained_at \
         FROM (SELECT environment FROM {{p}}mirror_repair UNION SELECT stream FROM {{p}}mirror_poll) e \
         LEFT JOIN {{p}}mirror_repair r ON r.environment = e.environment \
         LEFT JOIN {{p}}mirror_poll p ON p.stream = e.environment {condition} ORDER BY e.environment"
    ));
    let rows = conn.rows(sql, arguments, &[Text, Text, Text, Int, Int, Int, Int]).await?;
    let status = |row: Row| {
        let mut values = row.into_iter();
        let mut text = || values.next().and_then(Value::into_text);
        let environment = text().unwrap_or_default();
        let is_polled = text().is_some();
        let report = text().unwrap_or_default();
        let Summary { is_complete, counts: drift, .. } =
            serde_json::from_str(&report).unwrap_or_default();
        let mut int = || values.next().and_then(|it| it.as_int());
        let mut time = || int().map(timestamp);
        let (last_success, last_run, events_drained_at) = (time(), time(), time());
        // The clocks of the API and of the database can differ.
        let events_age_seconds = int().map(|age| u64::try_from(age / 1_000_000).unwrap_or(0));
        let status = RepairStatus {
            last_success,
            last_run,
            is_complete,
            drift,
            events_drained_at,
            events_age_seconds,
        };
        (environment, is_polled, status)
    };
    Ok(rows.into_iter().map(status).collect())
}
