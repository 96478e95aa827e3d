use sqlx::{PgConnection, Postgres, error::DatabaseError};

use crate::{
    database::{Binds, Fault, Statements},
    store::SqlStore,
};

/// Remembers events in a PostgreSQL database (12 or later), for any number of replicas and across crashes.
///
/// ```no_run
/// # use std::{error::Error, time::Duration};
/// use sqlx::postgres::PgPoolOptions;
/// use tower_workos::DedupeLayer;
/// use tower_workos_sqlx::PostgresStore;
///
/// # async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
/// let pool = PgPoolOptions::new()
///     // Less than the sender waits for a response.
///     .acquire_timeout(Duration::from_secs(2))
///     .connect("postgres://app@localhost/app")
///     .await?;
/// let store = PostgresStore::new(pool);
/// store.migrate().await?;
/// let dedupe = DedupeLayer::new("workos", store);
/// # let _ = dedupe;
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// - Each call is one statement in its own transaction, usually one round trip. (A pool with sqlx's default
///   `test_before_acquire(true)` adds another one.) Committed changes survive a crash to the degree that the database's
///   settings promise (`synchronous_commit`, replication).
/// - Times come from the database's clock, so the replicas' clocks don't matter.
/// - **A claim never waits for another transaction.** A key that an open transaction has claimed or completed is in
///   flight. Completions and releases wait for at most a second.
/// - A claim of a key that is done or in flight only reads.
/// - It works with any `default_transaction_isolation`. Its statements need `READ COMMITTED`; if that isn't the default,
///   each call takes three round trips, because it begins and commits such a transaction.
///
/// # One transaction with the handler's changes
///
/// A handler whose tables are in the same database can complete its claim in the transaction that changes them. Then
/// either both are committed or neither is, even after a crash: no change is lost, and none happens twice.
///
/// ```
/// use axum::{Extension, http::StatusCode};
/// use tower_workos::{
///     DirectoryEvent,
///     dedupe::{Claimed, Completion},
/// };
/// use tower_workos_sqlx::{CompleteIn, PostgresStore};
///
/// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// async fn handle(
///     claimed: &Claimed<PostgresStore>,
///     event: &DirectoryEvent,
/// ) -> Result<Completion, BoxError> {
///     let mut tx = claimed.store().begin().await?;
///     sqlx::query("INSERT INTO seen (event_id) VALUES ($1)")
///         .bind(event.id().as_str())
///         .execute(&mut *tx)
///         .await?;
///     let completion = claimed.complete_in(&mut tx).await?;
///     if completion == Completion::Completed {
///         tx.commit().await?;
///     }
///     Ok(completion)
/// }
///
/// async fn on_event(
///     Extension(claimed): Extension<Claimed<PostgresStore>>,
///     event: DirectoryEvent,
/// ) -> StatusCode {
///     match handle(&claimed, &event).await {
///         Ok(Completion::Completed) => StatusCode::OK,
///         Ok(Completion::Stale) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
///     }
/// }
/// # fn main() { let _ = on_event; }
/// ```
///
/// [`begin`](Self::begin) begins a `READ COMMITTED` transaction. `complete_in` also works with any other isolation level.
/// But with `REPEATABLE READ` or `SERIALIZABLE`, it or the commit may fail with SQLSTATE 40001 because of another event's
/// transaction: roll back and respond with 503.
///
/// The statement is:
///
/// ```sql
/// UPDATE tower_workos_dedupe
/// SET done = true, until = clock_timestamp() + $retention
/// WHERE namespace = $namespace AND event_id = $id AND token = $token
///   AND (done OR until > clock_timestamp()); -- one row: Completed; none: Stale
/// ```
///
/// # Time-outs
///
/// A sender that gets no response within seconds disconnects, and delivers the event again. Set the pool's
/// `acquire_timeout` (30 s by default) to less than that, so that a delivery fails while the sender is still waiting for
/// the response. [`DedupeLayer::store_timeout`](tower_workos::DedupeLayer::store_timeout) limits how long the *layer*
/// waits, but not your handler's own `begin()`. Handlers share the pool with the store: it needs a connection for each
/// concurrent handler, and some for the store.
pub type PostgresStore = SqlStore<Postgres>;

/// The start of each statement. If the statement is its own transaction, this sets the transaction's lock time-out, and
/// `rules.met` says whether the transaction has the isolation level that the statement needs.
macro_rules! rules {
    ($lock_timeout:literal) => {
        concat!(
            "WITH rules AS MATERIALIZED (
    SELECT NOT $5 OR (
        set_config('lock_timeout', '",
            $lock_timeout,
            "', true) IS NOT NULL
        AND current_setting('transaction_isolation') = 'read committed'
    ) AS met
), "
        )
    };
}

impl Statements for Postgres {
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED";

    // Not `CREATE INDEX IF NOT EXISTS`: even if the index exists, as it does if the table is older than the migrations,
    // that waits for all open transactions that have changed the table.
    const MIGRATIONS: &'static [&'static str] = &["\
CREATE TABLE IF NOT EXISTS tower_workos_dedupe (
    namespace TEXT NOT NULL,
    event_id TEXT NOT NULL,
    token BYTEA NOT NULL,
    done BOOLEAN NOT NULL,
    until TIMESTAMPTZ NOT NULL, -- the end of the lease or, once done, of the retention
    PRIMARY KEY (namespace, event_id)
);
DO $$ BEGIN
    IF to_regclass('tower_workos_dedupe_until') IS NULL THEN
        CREATE INDEX tower_workos_dedupe_until ON tower_workos_dedupe (until);
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS tower_workos_dedupe_migrations (
    version BIGINT PRIMARY KEY,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO tower_workos_dedupe_migrations (version) VALUES (1) ON CONFLICT DO NOTHING;
"];

    const LOOK: Option<&'static str> = None;

    // All parts read the same snapshot, which is taken before anything is locked:
    //
    // - `known` is what was committed: "done" remains true, and "held" was true at that moment.
    // - An insert would wait for a transaction that has inserted the same key. Hence `turn`: a claim inserts only if
    //   it gets the key's advisory lock, which it keeps until the end of its transaction. If another claim has
    //   inserted the key and committed since the snapshot, the insert does nothing, and the verdict is "undecided".
    // - Only one transaction can lock an expired row. If another one has changed it since the snapshot, PostgreSQL
    //   checks `until` again, in the row's newest version; if another one has it locked, SKIP LOCKED finds nothing.
    // - The lease begins after that, hence `clock_timestamp()`.
    // - The insert can still wait for a transaction that has changed the row since the snapshot, or that doesn't use the
    //   advisory lock. It then fails soon, so that the lease, whose end is already computed, isn't much too short.
    const CLAIM: &'static str = concat!(
        rules!("100ms"),
        "known AS MATERIALIZED (
    SELECT done, until, until > clock_timestamp() AS live FROM tower_workos_dedupe
    WHERE namespace = $1 AND event_id = $2
), turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtextextended(
        $1 || chr(1) || $2, 'tower_workos_dedupe'::regclass::oid::bigint
    )) AS ours
    FROM rules WHERE met AND NOT EXISTS (SELECT FROM known)
), inserted AS (
    INSERT INTO tower_workos_dedupe (namespace, event_id, token, done, until)
    SELECT $1, $2, $3, false, clock_timestamp() + $4 * interval '1 millisecond'
    FROM turn WHERE ours
    ON CONFLICT (namespace, event_id) DO NOTHING
    RETURNING 1
), taken AS (
    UPDATE tower_workos_dedupe AS held
    SET token = $3, done = false, until = clock_timestamp() + $4 * interval '1 millisecond'
    FROM (
        SELECT namespace, event_id FROM tower_workos_dedupe
        WHERE namespace = $1 AND event_id = $2 AND until <= clock_timestamp()
        AND (SELECT met FROM rules) AND (SELECT NOT live FROM known)
        FOR UPDATE SKIP LOCKED
    ) AS expired
    WHERE held.namespace = expired.namespace AND held.event_id = expired.event_id
    RETURNING 1
)
SELECT CASE
    WHEN NOT met THEN 'isolation'
    WHEN EXISTS (SELECT FROM inserted) OR EXISTS (SELECT FROM taken) THEN 'acquired'
    WHEN live AND done THEN 'done'
    WHEN live THEN 'held'
    WHEN NOT ours THEN 'locked'
    ELSE 'undecided'
END, coalesce((extract(epoch FROM until - clock_timestamp()) * 1000)::bigint, 0)
FROM rules LEFT JOIN known ON true LEFT JOIN turn ON true"
    );

    const COMPLETE: &'static str = concat!(
        rules!("1s"),
        "completed AS (
    UPDATE tower_workos_dedupe
    SET done = true, until = clock_timestamp() + $4 * interval '1 millisecond'
    WHERE namespace = $1 AND event_id = $2 AND token = $3
    AND (done OR until > clock_timestamp()) AND (SELECT met FROM rules)
    RETURNING 1
)
SELECT CASE
    WHEN NOT met THEN 'isolation'
    WHEN EXISTS (SELECT FROM completed) THEN 'completed'
    ELSE 'stale'
END, 0::bigint FROM rules"
    );

    const CONFIRM: &'static str = concat!(
        rules!("1s"),
        "completed AS (
    SELECT FROM tower_workos_dedupe
    WHERE namespace = $1 AND event_id = $2 AND token = $3 AND done
)
SELECT CASE
    WHEN NOT met THEN 'isolation'
    WHEN EXISTS (SELECT FROM completed) THEN 'completed'
    ELSE 'stale'
END, 0::bigint FROM rules"
    );

    // Waits for a transaction that completes the claim, because it may be rolled back.
    const RELEASE: &'static str = concat!(
        rules!("1s"),
        "released AS (
    DELETE FROM tower_workos_dedupe
    WHERE namespace = $1 AND event_id = $2 AND token = $3 AND NOT done
    AND (SELECT met FROM rules)
    RETURNING 1
)
SELECT CASE WHEN NOT met THEN 'isolation' ELSE 'released' END, 0::bigint FROM rules"
    );

    const PURGE: &'static str = concat!(
        rules!("1s"),
        "purged AS (
    DELETE FROM tower_workos_dedupe WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tower_workos_dedupe
        WHERE until <= statement_timestamp() AND (SELECT met FROM rules)
        LIMIT $4 FOR UPDATE SKIP LOCKED
    ))
    RETURNING 1
)
SELECT CASE WHEN NOT met THEN 'isolation' ELSE 'purged' END, (SELECT count(*) FROM purged)
FROM rules"
    );

    const CONFLICT: &'static str = "the transaction conflicts with a concurrent one; roll it back, and run it again or \
        answer 503 (under READ COMMITTED, as begin() begins it, this is rare)";

    async fn rows(
        connection: &mut PgConnection,
        sql: &'static str,
        binds: &Binds<'_>,
    ) -> Result<Vec<(String, i64)>, sqlx::Error> {
        sqlx::query_as(sql)
            .bind(&*binds.namespace)
            .bind(&*binds.id)
            .bind(binds.token)
            .bind(binds.number)
            .bind(binds.alone)
            .fetch_all(connection)
            .await
    }

    async fn version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
        let exist: bool = sqlx::query_scalar(
            "SELECT to_regclass('tower_workos_dedupe') IS NOT NULL \
             AND to_regclass('tower_workos_dedupe_migrations') IS NOT NULL",
        )
        .fetch_one(&mut *connection)
        .await?;
        if !exist {
            return Ok(0);
        }
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM tower_workos_dedupe_migrations")
            .fetch_one(connection)
            .await
    }

    // One lock per schema, so that the tables of several schemas can be migrated at the same time.
    async fn lock_migrations(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(\
             'tower_workos_dedupe_migrations' || chr(1) || coalesce(current_schema(), ''), 0)) \
             AND set_config('lock_timeout', '200ms', true) IS NOT NULL",
        )
        .fetch_one(connection)
        .await
    }

    async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    fn fault(error: &dyn DatabaseError) -> Fault {
        match error.code().as_deref() {
            // serialization_failure, deadlock_detected
            Some("40001" | "40P01") => Fault::Conflict,
            // lock_not_available
            Some("55P03") => Fault::Locked,
            // undefined_table, undefined_column
            Some("42P01" | "42703") => Fault::NotMigrated,
            _ => Fault::Other,
        }
    }
}
