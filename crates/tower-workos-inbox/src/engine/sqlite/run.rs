//! The worker's loop.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tokio::{
    select,
    task::{Id, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{Held, Sqlite};
use crate::{
    engine::{Claim, Delivery, Outcome, Run},
    error::{InboxError, InboxErrorKind},
    time::{after, now},
};

/// The pause after a failure of the database, which doubles up to the second one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long a worker that stops tries to store that jobs have ended. Then they are delivered again.
const LAST: Duration = Duration::from_secs(5);

/// A claimed job.
#[derive(Clone, Copy)]
struct Ticket {
    seq: i64,
    token: i64,
}

/// Both clocks at one time. The table uses the one that can be set.
struct Clock {
    steady: Instant,
    wall: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { steady: Instant::now(), wall: now() }
    }
}

impl Clock {
    /// Whether the wall clock has gone forward by more than a second more than the other one since then.
    fn has_jumped(&self) -> bool {
        now() > after(self.wall, self.steady.elapsed() + Duration::from_secs(1))
    }
}

pub(super) struct Loop {
    engine: Sqlite,
    run: Run,
    running: JoinSet<Outcome>,
    tickets: HashMap<Id, Ticket>,
    /// Jobs that have ended, which the table does not show yet.
    ended: Vec<(Ticket, Outcome)>,
    renewed: Instant,
    clock: Clock,
    is_failing: bool,
}

/// Marks a job as done. The caller binds the row and the token.
pub(super) fn done(table: &str) -> String {
    format!("UPDATE {table} SET state = 2, body = NULL, error = NULL WHERE seq = $1 AND token = $2")
}

impl Loop {
    pub(super) fn new(engine: Sqlite, run: Run) -> Self {
        Self {
            engine,
            run,
            running: JoinSet::new(),
            tickets: HashMap::new(),
            ended: Vec::new(),
            renewed: Instant::now(),
            clock: Clock::default(),
            is_failing: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), InboxError> {
        let mut stop = self.run.stop.clone();
        let mut pause = PAUSE.0;
        let mut last: Option<Instant> = None;
        // When to look for jobs again.
        let mut due = Instant::now();
        loop {
            let is_stopping = *stop.borrow();
            // Also after a failure, which skips the wait below.
            while let Some(ended) = self.running.try_join_next_with_id() {
                self.collect(ended);
            }
            if is_stopping && self.running.is_empty() && self.ended.is_empty() {
                return Ok(());
            }
            let free = if is_stopping { 0 } else { self.run.concurrency - self.running.len() };
            let is_due = free > 0 && due <= Instant::now();
            let must_renew =
                !self.running.is_empty() && self.renewed.elapsed() >= self.run.lease / 3;
            if is_due || must_renew || !self.ended.is_empty() {
                match self.turn(free, must_renew).await {
                    Ok(next) => {
                        self.succeeded();
                        pause = PAUSE.0;
                        due = Instant::now() + next;
                    }
                    Err(error) if error.kind() == InboxErrorKind::NotMigrated => return Err(error),
                    Err(error) => {
                        self.failed(&error);
                        if is_stopping && self.running.is_empty() {
                            let patience = *last.get_or_insert(Instant::now() + LAST);
                            if patience <= Instant::now() {
                                return Ok(());
                            }
                        }
                        sleep(pause).await;
                        pause = (pause * 2).min(PAUSE.1);
                        due = Instant::now();
                        continue;
                    }
                }
                last = None;
            }
            if is_stopping && self.running.is_empty() {
                continue;
            }
            let renewal = self.renewed + self.run.lease / 3;
            let is_full = self.running.len() >= self.run.concurrency;
            select! {
                Some(ended) = self.running.join_next_with_id() => self.collect(ended),
                _ = stop.wait_for(|it| *it), if !is_stopping => {}
                () = self.run.wake.notified(), if !is_full && !is_stopping => due = Instant::now(),
                () = sleep_until(due), if !is_full && !is_stopping => {}
                () = sleep_until(renewal), if !self.running.is_empty() => {}
            }
        }
    }

    fn collect(&mut self, ended: Result<(Id, Outcome), tokio::task::JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            // The future does not panic.
            Err(error) => {
                let outcome =
                    Outcome::Retry { after: PAUSE.1, error: "the handler panicked".to_owned() };
                (error.id(), outcome)
            }
        };
        if let Some(ticket) = self.tickets.remove(&id) {
            self.ended.push((ticket, outcome));
        }
    }

    /// Ends jobs, renews leases and claims up to `free` jobs. Returns after how long to look for more.
    async fn turn(&mut self, free: usize, must_renew: bool) -> Result<Duration, InboxError> {
        // Most of the time an idle worker finds nothing, and must not lock the database for it.
        let has_job = free > 0 && self.next().await?.is_some_and(|next| next <= now());
        let mut deliveries = Vec::new();
        if has_job || must_renew || !self.ended.is_empty() {
            let writing = Arc::clone(&self.engine.writing);
            // Before the connection: with a pool of one connection, the other order would be a deadlock.
            let _writing = writing.lock().await;
            let mut conn = self.engine.pool.acquire().await?;
            let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
            self.end(&mut transaction).await?;
            // If the clock was set forward or the machine slept, the leases of what runs here have expired, and would be claimed.
            let must_renew = must_renew || self.clock.has_jumped();
            if must_renew {
                self.renew(&mut transaction).await?;
            }
            if free > 0 {
                deliveries = self.claim(&mut transaction, free).await?;
            }
            transaction.commit().await?;
            self.ended.clear();
            if must_renew {
                self.renewed = Instant::now();
                self.clock = Clock::default();
            }
        }
        let is_full = deliveries.len() >= free;
        if self.running.is_empty() {
            self.renewed = Instant::now();
        }
        for (ticket, delivery) in deliveries {
            let handle = self.run.handle.clone();
            let id = self.running.spawn(handle.handle(delivery)).id();
            self.tickets.insert(id, ticket);
        }
        // If there are more, the next free place is filled at once.
        Ok(if is_full { Duration::ZERO } else { self.engine.poll_interval })
    }

    /// When the next job is due.
    async fn next(&self) -> Result<Option<i64>, InboxError> {
        let sql =
            format!("SELECT min(run_at) FROM {} WHERE queue = $1 AND state = 0", self.engine.table);
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(&self.engine.names.queue);
        Ok(query.fetch_one(&self.engine.pool).await?)
    }

    async fn end(&self, conn: &mut SqliteConnection) -> Result<(), InboxError> {
        let table = &self.engine.table;
        let done = done(table);
        let retry = format!(
            "UPDATE {table} SET run_at = $3, error = $4, open_claims = 0 WHERE seq = $1 AND token = $2 AND state = 0"
        );
        let dead = format!(
            "UPDATE {table} SET state = 1, error = $3 WHERE seq = $1 AND token = $2 AND state = 0"
        );
        for (ticket, outcome) in &self.ended {
            let query = match outcome {
                Outcome::Done => {
                    sqlx::query(AssertSqlSafe(&*done)).bind(ticket.seq).bind(ticket.token)
                }
                Outcome::Retry { after: wait, error } => sqlx::query(AssertSqlSafe(&*retry))
                    .bind(ticket.seq)
                    .bind(ticket.token)
                    .bind(after(now(), *wait))
                    .bind(error),
                Outcome::Dead { error } => sqlx::query(AssertSqlSafe(&*dead))
                    .bind(ticket.seq)
                    .bind(ticket.token)
                    .bind(error),
            };
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }

    async fn renew(&self, conn: &mut SqliteConnection) -> Result<(), InboxError> {
        let sql = format!(
            "UPDATE {} SET run_at = $3 WHERE seq = $1 AND token = $2 AND state = 0",
            self.engine.table
        );
        let end = after(now(), self.run.lease);
        for ticket in self.tickets.values() {
            let query = sqlx::query(AssertSqlSafe(&*sql)).bind(ticket.seq).bind(ticket.token);
            query.bind(end).execute(&mut *conn).await?;
        }
        Ok(())
    }

    async fn claim(
        &self,
        conn: &mut SqliteConnection,
        limit: usize,
    ) -> Result<Vec<(Ticket, Delivery)>, InboxError> {
        let table = &self.engine.table;
        // An item that kills the process again and again does so more and more rarely.
        let sql = format!(
            "UPDATE {table} SET token = token + 1, attempts = attempts + 1, open_claims = open_claims + 1, \
             run_at = $2 + $3 * (1 << min(open_claims, 5)) \
             WHERE seq IN (SELECT seq FROM {table} WHERE queue = $1 AND state = 0 AND run_at <= $2 \
                           ORDER BY run_at LIMIT $4) \
             RETURNING seq, token, key, name, body, attempts, open_claims, stored_at"
        );
        let now = now();
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&self.engine.names.queue)
            .bind(now)
            .bind(after(0, self.run.lease))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(conn)
            .await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let ticket = Ticket { seq: row.try_get("seq")?, token: row.try_get("token")? };
            let body: Option<Vec<u8>> = row.try_get("body")?;
            let attempts: i64 = row.try_get("attempts")?;
            let open_claims: i64 = row.try_get("open_claims")?;
            let table = self.engine.table.clone();
            let key: String = row.try_get("key")?;
            let delivery = Delivery {
                key: key.clone(),
                name: row.try_get("name")?,
                body: body.unwrap_or_default().into(),
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                cut_short: u32::try_from(open_claims - 1).unwrap_or(0),
                stored_at: row.try_get("stored_at")?,
                claim: Claim::Row(Arc::new(Held {
                    table,
                    queue: self.engine.names.queue.clone(),
                    key,
                    seq: ticket.seq,
                    token: ticket.token,
                })),
            };
            claimed.push((ticket, delivery));
        }
        Ok(claimed)
    }

    fn succeeded(&mut self) {
        if self.is_failing {
            self.is_failing = false;
            tracing::info!(target: "tower_workos_inbox::worker", "the worker works again");
        }
    }

    fn failed(&mut self, error: &InboxError) {
        if !self.is_failing {
            self.is_failing = true;
            let error = error.without_payload();
            tracing::warn!(
                target: "tower_workos_inbox::worker", %error, "the worker can't reach its tables: trying again"
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;
    use tokio::sync::watch;

    use super::*;
    use crate::{
        engine::{BoxFuture, Handle, Settings},
        names::Names,
        payload::Item,
        time::before,
    };

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_wall_clock_that_was_set_forward_has_jumped() {
        let jumped = |steady: Duration, wall: Duration| {
            let now = Clock::default();
            let clock = Clock {
                steady: now.steady.checked_sub(steady).unwrap(),
                wall: before(now.wall, wall),
            };
            clock.has_jumped()
        };
        assert!(!Clock::default().has_jumped());
        assert!(!jumped(MINUTE, MINUTE));
        assert!(jumped(Duration::ZERO, MINUTE));
        assert!(jumped(MINUTE, 2 * MINUTE));
        // It was set back, or was adjusted a little.
        assert!(!jumped(MINUTE, Duration::ZERO));
        assert!(!jumped(MINUTE, MINUTE + Duration::from_millis(100)));
        assert!(jumped(MINUTE, MINUTE + Duration::from_millis(1100)));
    }

    struct Hang;

    impl Handle for Hang {
        fn handle(self: Arc<Self>, _: Delivery) -> BoxFuture<'static, Outcome> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_worker_claims_no_job_of_its_own_after_a_jump() {
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        let names = Names::new(None, String::new(), "inbox".to_owned()).unwrap();
        let settings = Settings { poll_interval: MINUTE, retention: MINUTE, replicas: 1 };
        let engine = Sqlite::new(pool.clone(), names, &settings);
        engine.migrate().await.unwrap();
        let (_stop, stopping) = watch::channel(false);
        let run = Run {
            handle: Arc::new(Hang),
            concurrency: 2,
            lease: MINUTE / 2,
            wake: Arc::default(),
            stop: stopping,
        };
        let mut worker = Loop::new(engine.clone(), run);
        let item = |key: &str| Item {
            key: key.to_owned(),
            name: String::new(),
            body: "{}".into(),
            dead: None,
        };
        engine.store(&[item("a")]).await.unwrap();
        worker.turn(2, false).await.unwrap();
        // A clock that is set forward makes all recorded times earlier.
        let jump = sqlx::query("UPDATE inbox_job SET run_at = run_at - 60000000");
        jump.execute(&pool).await.unwrap();
        worker.clock.wall = before(worker.clock.wall, MINUTE);
        engine.store(&[item("b")]).await.unwrap();
        worker.turn(1, false).await.unwrap();
        let attempts: Vec<(String, i64)> =
            sqlx::query_as("SELECT key, attempts FROM inbox_job ORDER BY key")
                .fetch_all(&pool)
                .await
                .unwrap();
        assert_eq!(attempts, [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    }
}
