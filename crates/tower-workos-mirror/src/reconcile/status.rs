//! What is known about the latest runs.

use std::time::Duration;

use crate::{
    Mirror, MirrorError,
    read::Summary,
    sql::{
        names::Names,
        value::{
            Kind::{Int, Text},
            Value,
        },
    },
    text::micros,
};

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
