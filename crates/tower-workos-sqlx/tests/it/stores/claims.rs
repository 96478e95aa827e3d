//! Claims during other transactions.

use std::{error::Error, time::Duration};

use sqlx::{PgPool, Row};
use tokio::task::JoinSet;
use tower_workos::{
    DedupeStore,
    dedupe::{Claim, Completion, DedupeKey},
    testing::conformance,
};
use tower_workos_sqlx::{PostgresStore, SqliteStore};

use super::{LONG, acquire, done, key, promptly};
use crate::databases::{self, Schema};

async fn assert_in_flight<St: DedupeStore>(store: &St, key: &DedupeKey, what: &str) {
    match promptly(store.claim(key, LONG)).await.unwrap() {
        Claim::InFlight { .. } => {}
        Claim::Acquired(_) => panic!("{what}: acquired"),
        Claim::Done => panic!("{what}: done"),
    }
}

/// Makes a lease expire without waiting for it.
async fn expire(pool: &PgPool, key: &DedupeKey) {
    let expired =
        sqlx::query("UPDATE tower_workos_dedupe SET until = clock_timestamp() WHERE event_id = $1")
            .bind(key.id().as_str())
            .execute(pool)
            .await
            .unwrap();
    assert_eq!(expired.rows_affected(), 1);
}

#[tokio::test]
async fn a_claim_does_not_wait_for_open_transactions() {
    let Some(schema) = Schema::create().await else { return };
    let (store, pool) = (schema.store().await, schema.pool().await);
    for commit in [false, true] {
        let end = async |tx: sqlx::Transaction<'static, sqlx::Postgres>, key: &DedupeKey| {
            if commit {
                tx.commit().await.unwrap();
                assert_eq!(store.claim(key, LONG).await.unwrap(), Claim::Done);
            } else {
                tx.rollback().await.unwrap();
            }
        };

        let claimed = key(&format!("event_claimed_{commit}"));
        let mut tx = store.begin().await.unwrap();
        let claim = PostgresStore::claim_in(&mut tx, &claimed, LONG).await.unwrap();
        let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
        assert_in_flight(&store, &claimed, "claimed in a transaction").await;
        let completion = PostgresStore::complete_in(&mut tx, &claimed, &token, LONG).await;
        assert_eq!(completion.unwrap(), Completion::Completed);
        assert_in_flight(&store, &claimed, "claimed and completed in a transaction").await;
        end(tx, &claimed).await;
        if !commit {
            acquire(&store, &claimed, LONG).await;
        }

        let completed = key(&format!("event_completed_{commit}"));
        let token = acquire(&store, &completed, LONG).await;
        let mut tx = store.begin().await.unwrap();
        let completion = PostgresStore::complete_in(&mut tx, &completed, &token, LONG).await;
        assert_eq!(completion.unwrap(), Completion::Completed);
        assert_in_flight(&store, &completed, "completed in a transaction").await;
        end(tx, &completed).await;

        let overdue = key(&format!("event_overdue_{commit}"));
        let token = acquire(&store, &overdue, Duration::from_secs(1)).await;
        let mut tx = store.begin().await.unwrap();
        let completion = PostgresStore::complete_in(&mut tx, &overdue, &token, LONG).await;
        assert_eq!(completion.unwrap(), Completion::Completed);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_in_flight(&store, &overdue, "completed in a transaction that outlasts the lease")
            .await;
        end(tx, &overdue).await;
        if !commit {
            acquire(&store, &overdue, LONG).await;
        }

        let taken = key(&format!("event_taken_{commit}"));
        let slow = acquire(&store, &taken, LONG).await;
        expire(&pool, &taken).await;
        let mut tx = store.begin().await.unwrap();
        let claim = PostgresStore::claim_in(&mut tx, &taken, LONG).await.unwrap();
        let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
        assert_in_flight(&store, &taken, "an expired lease taken over in a transaction").await;
        let late = promptly(store.complete(&taken, &slow, LONG)).await.unwrap();
        assert_eq!(late, Completion::Stale);
        let completion = PostgresStore::complete_in(&mut tx, &taken, &token, LONG).await;
        assert_eq!(completion.unwrap(), Completion::Completed);
        end(tx, &taken).await;
    }
    schema.drop().await;
}

#[tokio::test]
async fn two_open_transactions_do_not_both_claim() {
    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    let (mut first, mut second) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    let claim = PostgresStore::claim_in(&mut first, &key("event_1"), LONG).await.unwrap();
    assert!(matches!(claim, Claim::Acquired(_)), "{claim:?}");
    let claim = promptly(PostgresStore::claim_in(&mut second, &key("event_1"), LONG)).await;
    assert!(matches!(claim.unwrap(), Claim::InFlight { .. }));
    // The claim did not change how long the application's own statements wait for locks.
    let lock_timeout: String =
        sqlx::query_scalar("SHOW lock_timeout").fetch_one(&mut *second).await.unwrap();
    assert_eq!(lock_timeout, "0");
    drop((first, second));
    schema.drop().await;
}

/// The lock is not one that the store takes, for example one of an older version.
#[tokio::test]
async fn calls_wait_only_briefly_for_other_locks() {
    let Some(schema) = Schema::create().await else { return };
    let store = schema.store().await;
    let token = acquire(&store, &key("event_held"), LONG).await;
    let mut tx = store.begin().await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO tower_workos_dedupe VALUES ('', 'event_new', '', false, now() + interval '1 hour'); \
         SELECT FROM tower_workos_dedupe WHERE event_id = 'event_held' FOR UPDATE",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    assert_in_flight(&store, &key("event_new"), "inserted by somebody else").await;
    assert_in_flight(&store, &key("event_held"), "locked by somebody else").await;
    let error = promptly(store.complete(&key("event_held"), &token, LONG)).await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("lock timeout"), "{error:?}");
    let error = promptly(store.release(&key("event_held"), &token)).await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("lock timeout"), "{error:?}");
    tx.rollback().await.unwrap();
    let completion = store.complete(&key("event_held"), &token, LONG).await.unwrap();
    assert_eq!(completion, Completion::Completed);
    schema.drop().await;
}

/// Three duplicates return immediately, so that the handler gets its second connection.
#[tokio::test]
async fn duplicates_leave_connections_to_the_handler() {
    let Some(schema) = Schema::create().await else { return };
    schema.store().await;
    let store = PostgresStore::new(schema.pool_with(4, ("lock_timeout", "0")).await);
    let mut tx = store.begin().await.unwrap();
    let claim = PostgresStore::claim_in(&mut tx, &key("event_1"), LONG).await.unwrap();
    let Claim::Acquired(token) = claim else { panic!("{claim:?}") };
    let mut duplicates = JoinSet::new();
    for _ in 0..3 {
        duplicates.spawn(store.claim(&key("event_1"), LONG));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = promptly(store.pool().acquire()).await.unwrap();
    drop(second);
    let completion = PostgresStore::complete_in(&mut tx, &key("event_1"), &token, LONG).await;
    assert_eq!(completion.unwrap(), Completion::Completed);
    for duplicate in promptly(duplicates.join_all()).await {
        assert!(matches!(duplicate.unwrap(), Claim::InFlight { .. }));
    }
    tx.commit().await.unwrap();
    schema.drop().await;
}

/// A lease that began while the claim waited would have expired by the time the claim is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_waited_for_a_transaction_has_a_full_lease() {
    const LEASE: Duration = Duration::from_secs(1);
    const INSERT: &str = "INSERT INTO tower_workos_dedupe \
        VALUES ('', 'event_inserted', '', false, now() + interval '1 hour')";
    const LOCK: &str =
        "SELECT FROM tower_workos_dedupe WHERE event_id = 'event_expired' FOR UPDATE";
    let Some(schema) = Schema::create().await else { return };
    let (store, pool) = (schema.store().await, schema.pool().await);
    acquire(&store, &key("event_expired"), LONG).await;
    expire(&pool, &key("event_expired")).await;
    for event in ["event_claimed", "event_inserted", "event_expired"] {
        let key = key(event);
        let mut tx = store.begin().await.unwrap();
        match event {
            "event_claimed" => {
                let claim = PostgresStore::claim_in(&mut tx, &key, LONG).await.unwrap();
                assert!(matches!(claim, Claim::Acquired(_)), "{claim:?}");
            }
            "event_inserted" => drop(sqlx::query(INSERT).execute(&mut *tx).await.unwrap()),
            _ => drop(sqlx::query(LOCK).execute(&mut *tx).await.unwrap()),
        }
        let claim = tokio::spawn(store.claim(&key, LEASE));
        tokio::time::sleep(LEASE + Duration::from_millis(200)).await;
        tx.rollback().await.unwrap();
        let [first, second] =
            [promptly(claim).await.unwrap(), store.claim(&key, LONG).await].map(Result::unwrap);
        let both = matches!((&first, &second), (Claim::Acquired(_), Claim::Acquired(_)));
        assert!(!both, "{event}: two holders");
    }
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_in_sqlite_begins_once_the_claim_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = databases::sqlite_store(&folder.path().join("dedupe.db")).await;
    let writer = store.begin().await.unwrap();
    let claim = tokio::spawn(store.claim(&key("event_1"), LONG));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let moment: i64 = sqlx::query_scalar("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)")
        .fetch_one(store.pool())
        .await
        .unwrap();
    writer.rollback().await.unwrap();
    assert!(matches!(claim.await.unwrap().unwrap(), Claim::Acquired(_)));
    let until: i64 = sqlx::query_scalar("SELECT until FROM tower_workos_dedupe")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert!(until >= moment + 600_000, "{}", until - moment);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_store_fulfills_the_contract_with_any_default_isolation() {
    let Some(schema) = Schema::create().await else { return };
    schema.store().await;
    for isolation in ["serializable", "repeatable read"] {
        let pool = schema.pool_with(8, ("default_transaction_isolation", isolation)).await;
        let default: String =
            sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&pool).await.unwrap();
        assert_eq!(default, isolation);
        let store = PostgresStore::new(pool);
        conformance::check(store.clone()).await;
        let mut events = JoinSet::new();
        for index in 0..400 {
            let store = store.clone();
            let key = key(&format!("event_{isolation}_{index}"));
            events.spawn(async move { done(&store, &key).await });
        }
        events.join_all().await;
        store.purge().await.unwrap();
    }
    schema.drop().await;
}

#[tokio::test]
async fn duplicates_in_postgres_write_nothing() {
    let Some(schema) = Schema::create().await else { return };
    let (store, pool) = (schema.store().await, schema.pool().await);
    done(&store, &key("event_done")).await;
    acquire(&store, &key("event_held"), LONG).await;
    // A lock or a new version of the row would change these.
    let versions = async || -> Vec<(String, String, String)> {
        sqlx::query("SELECT ctid::text, xmin::text, xmax::text FROM tower_workos_dedupe ORDER BY 1")
            .fetch_all(&pool)
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    };
    let before = versions().await;
    for _ in 0..500 {
        assert_eq!(store.claim(&key("event_done"), LONG).await.unwrap(), Claim::Done);
        let claim = store.claim(&key("event_held"), LONG).await.unwrap();
        assert!(matches!(claim, Claim::InFlight { .. }));
    }
    assert_eq!(versions().await, before);
    schema.drop().await;
}

#[tokio::test]
async fn duplicates_in_sqlite_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dedupe.db");
    let store = databases::sqlite_store(&file).await;
    done(&store, &key("event_done")).await;
    acquire(&store, &key("event_held"), LONG).await;
    // This holds the lock that a write would need.
    let writer = SqliteStore::new(databases::sqlite_pool(&file).await).begin().await.unwrap();
    for _ in 0..50 {
        assert_eq!(promptly(store.claim(&key("event_done"), LONG)).await.unwrap(), Claim::Done);
        assert_in_flight(&store, &key("event_held"), "held").await;
    }
    writer.rollback().await.unwrap();
}
