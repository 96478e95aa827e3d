//! What only PostgreSQL has: graphile_worker, its faults, and transactions.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tower::service_fn;
use tower_workos::DirectoryEvent;
use tower_workos_inbox::{Completion, Inbox, Job, QueueStatus, Retry, Stored};

use crate::{
    gated::Gated,
    support::{Handled, Kind, Place, events, run, until},
};

/// Runs a test in a place of its own.
macro_rules! postgres_tests {
    ($($test:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if let Some(place) = Place::new(Kind::Postgres).await {
                    test::$test(&place).await;
                    place.remove().await;
                }
            }
        )*
    };
}

pub(crate) use postgres_tests;

postgres_tests!(
    a_backlog_is_worked_off,
    a_claim_whose_response_was_lost_is_released,
    a_handler_completes_its_job_in_a_transaction,
    a_row_without_a_job_gets_one,
    a_small_pool_is_enough,
    a_worker_that_lost_its_lock_changes_nothing,
    an_attempt_that_was_cut_short_counts,
    connections_that_are_killed_cost_nothing,
    items_of_a_transaction_that_is_rolled_back_are_not_stored,
);

pub(crate) async fn execute(pool: &PgPool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(pool).await.unwrap();
}

pub(crate) async fn count(pool: &PgPool, sql: impl Into<String>) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.into())).fetch_one(pool).await.unwrap()
}

impl Place {
    fn jobs(&self) -> String {
        format!("{}$inbox_graphile_worker._private_jobs", self.prefix)
    }

    /// A pool whose connections have a name.
    async fn named(&self, connections: u32) -> PgPool {
        let options: PgConnectOptions = self.url.parse().unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(3));
        pool.connect_with(options.application_name(&self.prefix)).await.unwrap()
    }
}

pub(crate) async fn is_empty(inbox: &Inbox) -> bool {
    inbox.status().await.unwrap() == QueueStatus::default()
}

mod test {
    use super::*;

    /// Without a notification for each job, graphile_worker alone takes 16 of them a second.
    pub(super) async fn a_backlog_is_worked_off(place: &Place) {
        let inbox = place.inbox().await;
        let mut transaction = place.postgres().await.begin().await.unwrap();
        let stored = inbox.store_in(&mut transaction, &events(1500)).await.unwrap();
        assert_eq!(stored, vec![Stored::New; 1500]);
        transaction.commit().await.unwrap();
        let handled = Handled::default();
        let running = run(inbox.worker(handled.service()));
        until("all are handled", async || handled.len() == 1500).await;
        until("nothing is left", async || is_empty(&inbox).await).await;
        running.stop().await;
        let jobs = format!("SELECT count(*) FROM {}", place.jobs());
        assert_eq!((handled.len(), count(&place.postgres().await, jobs).await), (1500, 0));
    }

    pub(super) async fn a_claim_whose_response_was_lost_is_released(place: &Place) {
        let (inbox, pool) = (place.inbox().await, place.postgres().await);
        let handled = Handled::default();
        let running = run(inbox.worker(handled.service()).lease(Duration::from_secs(1)));
        let workers = format!("{}$inbox_graphile_worker._private_workers", place.prefix);
        let registered = format!("SELECT count(*) FROM {workers}");
        until("it is registered", async || count(&pool, &*registered).await == 1).await;
        let mut transaction = pool.begin().await.unwrap();
        inbox.store_in(&mut transaction, &events(1)).await.unwrap();
        let claim = format!(
            "UPDATE {} SET attempts = 1, locked_at = now(), locked_by = (SELECT id FROM {workers})",
            place.jobs()
        );
        sqlx::raw_sql(AssertSqlSafe(claim)).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        until("it is handled", async || handled.len() == 1).await;
        running.stop().await;
    }

    pub(super) async fn a_handler_completes_its_job_in_a_transaction(place: &Place) {
        let (inbox, pool) = (place.inbox().await, place.postgres().await);
        let effects = format!("{}inbox_effects", place.prefix);
        execute(&pool, format!("CREATE TABLE {effects} (id text)")).await;
        let results = Arc::new(Mutex::new(Vec::new()));
        let service = {
            let (pool, effects, results) = (pool.clone(), effects.clone(), Arc::clone(&results));
            service_fn(move |job: Job<DirectoryEvent>| {
                let (pool, effects) = (pool.clone(), effects.clone());
                let results = Arc::clone(&results);
                async move {
                    let mut transaction = pool.begin().await.unwrap();
                    let insert = format!("INSERT INTO {effects} VALUES ($1)");
                    let insert = sqlx::query(AssertSqlSafe(insert)).bind(job.key());
                    insert.execute(&mut *transaction).await.unwrap();
                    let completion = job.complete_in(&mut transaction).await.unwrap();
                    results.lock().unwrap().push(completion);
                    if job.attempts() == 1 {
                        transaction.rollback().await.unwrap();
                        return Err::<(), _>(io::Error::other("rolled back"));
                    }
                    transaction.commit().await.unwrap();
                    // After the commit, the job is done whatever the handler returns.
                    let mut transaction = pool.begin().await.unwrap();
                    let completion = job.complete_in(&mut transaction).await.unwrap();
                    results.lock().unwrap().push(completion);
                    Err(io::Error::other("after the commit"))
                }
            })
        };
        let retry = Retry::default().wait(Duration::from_millis(5), Duration::from_millis(10));
        let running = run(inbox.job_worker(service).retry(retry));
        inbox.store(&events(1)[0]).await.unwrap();
        until("it is done", async || is_empty(&inbox).await).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        running.stop().await;
        assert_eq!(
            *results.lock().unwrap(),
            [Completion::Completed, Completion::Completed, Completion::Stale]
        );
        assert_eq!(count(&pool, format!("SELECT count(*) FROM {effects}")).await, 1);
        execute(&pool, format!("DROP TABLE {effects}")).await;
    }

    pub(super) async fn a_row_without_a_job_gets_one(place: &Place) {
        let (inbox, pool) = (place.inbox().await, place.postgres().await);
        for event in events(2) {
            inbox.store(&event).await.unwrap();
        }
        execute(&pool, format!("DELETE FROM {} WHERE id = 1", place.jobs())).await;
        inbox.purge().await.unwrap();
        inbox.purge().await.unwrap();
        assert_eq!(count(&pool, format!("SELECT count(*) FROM {}", place.jobs())).await, 2);
        let handled = Handled::default();
        let running = run(inbox.worker(handled.service()));
        until("both are handled", async || is_empty(&inbox).await).await;
        running.stop().await;
        assert_eq!(handled.sorted(), ["event_00000", "event_00001"]);
    }

    pub(super) async fn a_small_pool_is_enough(place: &Place) {
        for connections in [1, 2] {
            let name = format!("small{connections}");
            let pool = place.named(connections).await;
            let inbox = Inbox::builder(pool).prefix(&place.prefix).name(name).build().unwrap();
            inbox.migrate().await.unwrap();
            let handled = Handled::default();
            let running = run(inbox.worker(handled.service()));
            for event in events(50) {
                inbox.store(&event).await.unwrap();
            }
            until("all are handled", async || handled.len() == 50).await;
            until("nothing is left", async || is_empty(&inbox).await).await;
            running.stop().await;
        }
    }

    pub(super) async fn a_worker_that_lost_its_lock_changes_nothing(place: &Place) {
        let (first, second) = (place.inbox().await, place.inbox().await);
        let pool = place.postgres().await;
        first.store(&events(1)[0]).await.unwrap();
        let stalled = Gated::run(&first, &pool, "too late");
        until("it has begun", async || stalled.begun() == 1).await;
        let jobs = place.jobs();
        // What happens if its heartbeats don't reach the database.
        execute(&pool, format!("UPDATE {jobs} SET locked_by = NULL, locked_at = NULL")).await;
        let other = Gated::run(&second, &pool, "in time");
        until("the other one has begun", async || other.begun() == 1).await;
        let owner = format!("SELECT locked_by FROM {jobs}");
        let owner: String =
            sqlx::query_scalar(AssertSqlSafe(owner)).fetch_one(&pool).await.unwrap();

        assert_eq!(stalled.finish().await, [(1, Completion::Stale)]);
        let same = format!("SELECT count(*) FROM {jobs} WHERE locked_by = '{owner}'");
        assert_eq!(count(&pool, same).await, 1);
        let status = first.status().await.unwrap();
        assert_eq!((status.depth, status.dead), (1, 0));
        assert_eq!(other.finish().await, [(2, Completion::Completed)]);
        let [letter] = &second.dead_letters(0, 10).await.unwrap()[..] else { panic!("one letter") };
        assert_eq!((letter.error.as_str(), letter.attempts), ("in time", 2));
    }

    pub(super) async fn an_attempt_that_was_cut_short_counts(place: &Place) {
        let (first, second) = (place.inbox().await, place.inbox().await);
        let pool = place.postgres().await;
        first.store(&events(1)[0]).await.unwrap();
        let killed = Gated::run(&first, &pool, "never");
        until("it has begun", async || killed.begun() == 1).await;
        // The lock of a process that was killed.
        let jobs = place.jobs();
        let workers = format!("{}$inbox_graphile_worker._private_workers", place.prefix);
        execute(&pool, format!("UPDATE {jobs} SET locked_by = 'killed'")).await;
        let insert =
            format!("INSERT INTO {workers} VALUES ('killed', now() - interval '1 minute')");
        execute(&pool, insert).await;
        let other = Gated::run(&second, &pool, "in time");
        until("the other one has begun", async || other.begun() == 1).await;
        assert_eq!(other.finish().await, [(2, Completion::Completed)]);
        assert_eq!(killed.finish().await, [(1, Completion::Stale)]);
    }

    pub(super) async fn connections_that_are_killed_cost_nothing(place: &Place) {
        let inbox = Inbox::builder(place.named(8).await).prefix(&place.prefix).build().unwrap();
        inbox.migrate().await.unwrap();
        let (handled, pool) = (Handled::default(), place.postgres().await);
        let running = run(inbox.worker(handled.service()).lease(Duration::from_secs(2)));
        let events = events(300);
        for chunk in events.chunks(30) {
            let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = ";
            assert!(count(&pool, format!("{kill}'{}'", place.prefix)).await > 0);
            for event in chunk {
                // Only the connection was lost, so another attempt succeeds.
                while inbox.store(event).await.is_err() {}
            }
        }
        until("nothing is left", async || {
            inbox.status().await.is_ok_and(|status| status == QueueStatus::default())
        })
        .await;
        running.stop().await;
        let mut ids = handled.sorted();
        ids.dedup();
        assert_eq!(ids.len(), 300);
    }

    pub(super) async fn items_of_a_transaction_that_is_rolled_back_are_not_stored(place: &Place) {
        let (inbox, pool) = (place.inbox().await, place.postgres().await);
        let events = events(3);
        let mut transaction = pool.begin().await.unwrap();
        let stored = inbox.store_in(&mut transaction, &events).await.unwrap();
        assert_eq!(stored, [Stored::New; 3]);
        transaction.rollback().await.unwrap();
        assert!(is_empty(&inbox).await);
        assert_eq!(count(&pool, format!("SELECT count(*) FROM {}", place.jobs())).await, 0);
        let twice = [events[0].clone(), events[0].clone()];
        let mut transaction = pool.begin().await.unwrap();
        let stored = inbox.store_in(&mut transaction, &twice).await.unwrap();
        assert_eq!(stored, [Stored::New, Stored::Duplicate]);
        transaction.commit().await.unwrap();
        assert_eq!(inbox.store(&events[0]).await.unwrap(), Stored::Duplicate);
        assert_eq!(inbox.store(&events[1]).await.unwrap(), Stored::New);
        assert_eq!(count(&pool, format!("SELECT count(*) FROM {}", place.jobs())).await, 2);
    }
}
