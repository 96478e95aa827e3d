//! The state of the repair, for a health check.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_workos::Timestamp;

use crate::{
    Mirror, MirrorError,
    reconcile::builder::ENVIRONMENT,
    sql::{
        names::Names,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
    text::{micros, timestamp},
};

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

#[derive(Default, Deserialize)]
struct Summary {
    #[serde(default)]
    is_complete: bool,
    #[serde(default)]
    counts: Vec<DriftSummary>,
    #[serde(default)]
    fence: Option<Timestamp>,
}

impl Mirror {
    /// Returns the state of the repair of the environment `default`.
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
        let now = Names::now(&conn);
        let names = &self.shared.names;
        let sql = names.sql(
            "SELECT succeeded_at, finished_at, report FROM {p}mirror_repair WHERE environment = $1",
        );
        let row = conn.rows(sql, &[environment.into()], &[Int, Int, Text]).await?.pop();
        let mut status = RepairStatus::default();
        if let Some(row) = row {
            let mut values = row.into_iter();
            let mut time = || values.next().and_then(|it| it.as_int()).map(timestamp);
            (status.last_success, status.last_run) = (time(), time());
            let report = values.next().and_then(Value::into_text).unwrap_or_default();
            let summary: Summary = serde_json::from_str(&report).unwrap_or_default();
            (status.is_complete, status.drift) = (summary.is_complete, summary.counts);
        }
        let sql = names.sql(&format!(
            "SELECT drained_at, {now} - drained_at FROM {{p}}mirror_poll WHERE stream = $1"
        ));
        let row =
            conn.rows(sql, &[environment.into()], &[Int, Int]).await?.pop().unwrap_or_default();
        let mut values = row.into_iter().map(|it| it.as_int());
        status.events_drained_at = values.next().flatten().map(timestamp);
        let age = values.next().flatten();
        // The clocks of the API and of the database can differ.
        status.events_age_seconds = age.map(|age| u64::try_from(age / 1_000_000).unwrap_or(0));
        Ok(status)
    }
}

/// What is known about the latest runs.
pub(super) struct Latest {
    /// How long ago the latest successful run ended.
    pub(super) succeeded: Option<Duration>,
    /// How long ago the latest run ended.
    pub(super) finished: Option<Duration>,
    /// The fence of the latest run that merged every list.
    fence: Option<i64>,
    /// Where the stream of events begins.
    stream: Option<i64>,
}

impl Latest {
    pub(super) async fn load(mirror: &Mirror, environment: &str) -> Result<Self, MirrorError> {
        let mut connection = mirror.shared.pool.acquire().await?;
        let mut conn = connection.conn();
        let now = Names::now(&conn);
        let sql = mirror.shared.names.sql(&format!(
            "SELECT {now} - succeeded_at, {now} - finished_at, report, \
             (SELECT started_at FROM {{p}}mirror_poll WHERE stream = $1) \
             FROM {{p}}mirror_repair WHERE environment = $1"
        ));
        let row = conn.rows(sql, &[environment.into()], &[Int, Int, Text, Int]).await?.pop();
        let mut values = row.unwrap_or_default().into_iter();
        let mut age = || {
            let age = values.next().as_ref().and_then(Value::as_int)?;
            Some(Duration::from_micros(u64::try_from(age).unwrap_or(0)))
        };
        let (succeeded, finished) = (age(), age());
        let report = values.next().and_then(Value::into_text).unwrap_or_default();
        let summary: Summary = serde_json::from_str(&report).unwrap_or_default();
        let stream = values.next().as_ref().and_then(Value::as_int);
        Ok(Self { succeeded, finished, fence: summary.fence.map(micros), stream })
    }

    /// Whether lists were merged that are later than the start of the stream of events, so that no event is missing in
    /// between. Both begin at the API's time of their first response, minus a margin.
    pub(super) fn covers(&self, margin: Duration, poller_margin: Duration) -> bool {
        let add = |time: i64, margin: Duration| {
            time.saturating_add(i64::try_from(margin.as_micros()).unwrap_or(i64::MAX))
        };
        let Some(stream) = self.stream else { return true };
        let stream = add(stream, poller_margin);
        self.fence.is_some_and(|fence| add(fence, margin) >= stream)
    }
}
