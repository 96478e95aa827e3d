//! The jobs that graphile_worker has given to this worker.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Postgres;
use crate::{
    engine::{Claim, Delivery, Outcome},
    error::InboxError,
};

/// How long a loaded item is kept that graphile_worker's local queue has returned to the table. It does so after a second.
const UNUSED: Duration = Duration::from_secs(60);

/// A claimed job. Its lock in graphile_worker's table is the claim: only its holder can end the job.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(super) job: i64,
    pub(super) worker: Arc<str>,
    /// The job's count of attempts, which is different for each claim.
    pub(super) claim: i16,
    /// `None` if the job belongs to no row that is waiting. Then it is deleted.
    pub(super) row: Option<Row>,
}

/// The row of a job, and the number of its attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) token: i64,
    pub(super) attempts: i32,
}

/// A job that has ended.
#[derive(Clone)]
pub(super) struct End {
    pub(super) ticket: Ticket,
    /// As in the table.
    pub(super) state: i16,
    /// After how many microseconds it is attempted again.
    pub(super) micros: i64,
    pub(super) error: Option<String>,
}

enum Stage {
    /// Its item is being loaded, or is being handled.
    Busy,
    Loaded {
        at: Instant,
        ticket: Ticket,
        delivery: Option<Delivery>,
    },
    Ended(End),
}

/// All jobs whose lock this worker holds, as far as it knows.
#[derive(Default)]
pub(super) struct Jobs(Mutex<HashMap<i64, Stage>>);

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Stage>> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn claimed(&self, jobs: impl Iterator<Item = i64>) {
        let mut stages = self.lock();
        stages
            .retain(|_, stage| !matches!(stage, Stage::Loaded { at, .. } if at.elapsed() > UNUSED));
        stages.extend(jobs.map(|job| (job, Stage::Busy)));
    }

    pub(super) fn loaded(&self, ticket: Ticket, delivery: Option<Delivery>) {
        let stage = Stage::Loaded { at: Instant::now(), delivery, ticket: ticket.clone() };
        self.lock().insert(ticket.job, stage);
    }

    /// Takes the item of a job that begins. `Err` if it was not loaded.
    pub(super) fn begin(&self, job: i64) -> Result<(Ticket, Option<Delivery>), ()> {
        let mut stages = self.lock();
        match stages.insert(job, Stage::Busy) {
            Some(Stage::Loaded { ticket, delivery, .. }) => Ok((ticket, delivery)),
            other => {
                stages.remove(&job);
                stages.extend(other.map(|stage| (job, stage)));
                Err(())
            }
        }
    }

    pub(super) fn ended(&self, end: End) {
        self.lock().insert(end.ticket.job, Stage::Ended(end));
    }

    pub(super) fn forget(&self, job: i64) {
        self.lock().remove(&job);
    }

    /// Whether no item is being handled, and no end is being stored.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().values().all(|stage| matches!(stage, Stage::Loaded { .. }))
    }

    pub(super) fn known(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// Those of these jobs that have ended.
    pub(super) fn ends(&self, jobs: &[i64]) -> Vec<End> {
        let stages = self.lock();
        let end = |job| match stages.get(job) {
            Some(Stage::Ended(end)) => Some(end.clone()),
            _ => None,
        };
        jobs.iter().filter_map(end).collect()
    }
}

impl End {
    pub(super) fn new(ticket: Ticket, outcome: Option<Outcome>) -> Self {
        let (state, after, error) = match outcome {
            None | Some(Outcome::Done) => (2, Duration::ZERO, None),
            Some(Outcome::Retry { after, error }) => (0, after, Some(error)),
            Some(Outcome::Dead { error }) => (1, Duration::ZERO, Some(error)),
        };
        // About 3000 years, which is before the end of PostgreSQL's calendar.
        let micros =
            i64::try_from(after.as_micros()).unwrap_or(i64::MAX).min(100_000_000_000_000_000);
        Self { ticket, state, micros, error: error.map(|error| text(&error)) }
    }
}

/// PostgreSQL's text can't contain this character.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A job as graphile_worker's table contains it.
pub(super) struct Claimed {
    pub(super) ticket: Ticket,
    pub(super) seq: i64,
    pub(super) token: i64,
}

impl Postgres {
    /// Loads the items of these jobs.
    pub(super) async fn load(&self, jobs: &Jobs, claimed: &[Claimed]) -> Result<(), sqlx::Error> {
        use sqlx::Row as _;

        let numbers: Vec<_> = claimed.iter().map(|claimed| claimed.seq).collect();
        let sql = self.sql().await?;
        let query = sqlx::query(sqlx::AssertSqlSafe(&*sql.load)).bind(numbers);
        let rows = query.fetch_all(&self.pool).await?;
        let mut items = HashMap::with_capacity(rows.len());
        for row in &rows {
            let (seq, token): (i64, i64) = (row.try_get("seq")?, row.try_get("token")?);
            if row.try_get::<i16, _>("state")? == 0 {
                items.insert((seq, token), row);
            }
        }
        for Claimed { ticket, seq, token } in claimed {
            let mut ticket = ticket.clone();
            let mut delivery = None;
            if let Some(row) = items.get(&(*seq, *token)) {
                let attempts: i32 = row.try_get("attempts")?;
                let attempts = attempts.saturating_add(i32::from(ticket.claim));
                ticket.row = Some(Row { seq: *seq, token: *token, attempts });
                let body: Option<Vec<u8>> = row.try_get("body")?;
                let claim = Claim::Job { sql: Arc::clone(&sql), ticket: ticket.clone() };
                delivery = Some(Delivery {
                    key: row.try_get("key")?,
                    name: row.try_get("name")?,
                    body: body.unwrap_or_default().into(),
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    // A failed attempt makes a new job.
                    cut_short: u32::try_from(ticket.claim.saturating_sub(1)).unwrap_or(0),
                    stored_at: row.try_get("stored_at")?,
                    claim,
                });
            }
            jobs.loaded(ticket, delivery);
        }
        Ok(())
    }

    /// Ends rows and deletes their jobs, unless another worker has taken them over. All or nothing, and safe to repeat.
    pub(super) async fn end(&self, ends: &[End]) -> Result<(), sqlx::Error> {
        let column = |value: fn(&Row) -> i64| {
            let values = ends.iter().map(|end| end.ticket.row.as_ref().map(value));
            values.collect::<Vec<_>>()
        };
        let attempts = ends.iter().map(|end| end.ticket.row.map(|row| row.attempts));
        let sql = self.sql().await?;
        sqlx::query(sqlx::AssertSqlSafe(&*sql.end))
            .bind(ends.iter().map(|end| end.ticket.job).collect::<Vec<_>>())
            .bind(ends.iter().map(|end| &*end.ticket.worker).collect::<Vec<_>>())
            .bind(ends.iter().map(|end| end.ticket.claim).collect::<Vec<_>>())
            .bind(column(|row| row.seq))
            .bind(column(|row| row.token))
            .bind(attempts.collect::<Vec<_>>())
            .bind(ends.iter().map(|end| end.state).collect::<Vec<_>>())
            .bind(ends.iter().map(|end| end.micros).collect::<Vec<_>>())
            .bind(ends.iter().map(|end| end.error.as_deref()).collect::<Vec<_>>())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Releases jobs of this worker that it does not know: the response to their claim was lost.
    pub(super) async fn release_lost(
        &self,
        jobs: &Jobs,
        worker: &str,
        lease: Duration,
    ) -> Result<(), InboxError> {
        let micros = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
        let sql = self.sql().await?;
        let query = sqlx::query(sqlx::AssertSqlSafe(&*sql.release)).bind(worker).bind(micros);
        query.bind(jobs.known()).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_contains_nothing_that_postgresql_rejects() {
        let ticket = Ticket { job: 1, worker: "worker".into(), claim: 1, row: None };
        let outcome = Outcome::Retry { after: Duration::MAX, error: "a\0b".to_owned() };
        let end = End::new(ticket, Some(outcome));
        assert_eq!((end.state, end.micros), (0, 100_000_000_000_000_000));
        assert_eq!(end.error.as_deref(), Some("a\u{fffd}b"));
    }
}
