//! Events as part of the application's transactions, and transactions of other kinds.

use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use tower_workos_mirror::{Mirror, MirrorErrorKind};

use crate::{
    both,
    databases::{Database, on_both, on_postgres, on_sqlite, postgres_options},
    event, group,
    shown::{check, state},
    user,
};

#[tokio::test]
async fn apply_in_commits_and_rolls_back_with_the_application() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        database.run("CREATE TABLE mine (id text PRIMARY KEY)").await;
        let hired = event("1", "user.created", 1, &user("u", "active", 1));
        macro_rules! both_outcomes {
            ($pool:expr, $begin:expr) => {
                for commit in [false, true] {
                    let mut transaction = $pool.begin_with($begin).await.unwrap();
                    let sql = "INSERT INTO mine VALUES ('u')";
                    sqlx::query(sql).execute(&mut *transaction).await.unwrap();
                    let changes = mirror.apply_in(&mut transaction, &hired).await.unwrap();
                    assert_eq!(changes.len(), 2);
                    // A second event in the same transaction sees the first.
                    assert_eq!(mirror.apply_in(&mut transaction, &hired).await.unwrap(), []);
                    if commit {
                        transaction.commit().await.unwrap();
                    } else {
                        transaction.rollback().await.unwrap();
                    }
                    let count = usize::from(commit);
                    for (table, rows) in [
                        ("mine", 1),
                        ("workos_users", 1),
                        ("workos_mirror_change", 2),
                        ("workos_mirror_applied", 1),
                    ] {
                        assert_eq!(database.count(table).await, rows * count, "{table}");
                    }
                }
            };
        }
        match database {
            Database::Postgres { pool, .. } => both_outcomes!(pool, "BEGIN"),
            Database::Sqlite { pool, .. } => both_outcomes!(pool, "BEGIN IMMEDIATE"),
        }
    })
    .await;
}

#[tokio::test]
async fn apply_in_explains_isolation_levels() {
    on_postgres(async |database| {
        let mirror = database.mirror().await;
        let Database::Postgres { pool, .. } = database else { return };
        let hired = event("1", "user.created", 1, &user("u", "active", 1));
        for (level, is_accepted) in
            [("READ COMMITTED", true), ("REPEATABLE READ", false), ("SERIALIZABLE", false)]
        {
            let begin = sqlx::AssertSqlSafe(format!("BEGIN ISOLATION LEVEL {level}"));
            let mut transaction = pool.begin_with(begin).await.unwrap();
            let applied = mirror.apply_in(&mut transaction, &hired).await;
            if is_accepted {
                assert_eq!(applied.unwrap().len(), 2);
                transaction.rollback().await.unwrap();
                continue;
            }
            let error = applied.unwrap_err();
            assert_eq!(error.kind(), MirrorErrorKind::Transaction, "{level}");
            assert!(error.to_string().contains("apply_in needs a READ COMMITTED transaction"));
            // The application can still commit what it did.
            transaction.commit().await.unwrap();
            assert_eq!(database.count("workos_users").await, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn apply_in_explains_deferred_transactions() {
    on_sqlite(async |database| {
        let mirror = database.mirror().await;
        let Database::Sqlite { pool, .. } = database else { return };
        let mut transaction = pool.begin().await.unwrap();
        let read = "SELECT count(*) FROM workos_users";
        sqlx::query(read).fetch_one(&mut *transaction).await.unwrap();
        let hired = event("1", "user.created", 1, &user("u", "active", 1));
        mirror.apply(&hired).await.unwrap();
        let left = event("2", "user.updated", 2, &user("u", "inactive", 2));
        let error = mirror.apply_in(&mut transaction, &left).await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::Transaction);
        assert!(error.to_string().contains("BEGIN IMMEDIATE"), "{error}");
        transaction.rollback().await.unwrap();

        // Without the other writer, it succeeds.
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query(read).fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(mirror.apply_in(&mut transaction, &left).await.unwrap().len(), 1);
        transaction.commit().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_can_be_serializable_by_default() {
    on_postgres(async |database| {
        let isolation = ("default_transaction_isolation", "serializable");
        let options = postgres_options().options([("search_path", database.schema()), isolation]);
        let pool = PgPoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
        let mirror = Mirror::builder(pool.clone()).schema(database.schema()).build().unwrap();
        mirror.migrate().await.unwrap();
        let events = (0..120_u8).map(|number| {
            let second = number % 60;
            let user = user(
                &format!("u{}", number % 7),
                if number % 2 == 0 { "active" } else { "inactive" },
                second,
            );
            let name = if number % 3 == 0 { "group.user_added" } else { "group.user_removed" };
            event(&number.to_string(), name, second, &both(&user, &group("g", second)))
        });
        let events: Vec<_> = events.collect();
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let (mirror, events) = (mirror.clone(), events.clone());
            writers.spawn(async move {
                let mut changes = Vec::new();
                // Each writer applies most of the events, so that they collide.
                for event in events.iter().skip(writer).chain(events.iter().take(writer)) {
                    changes.extend(mirror.apply(event).await.unwrap());
                }
                changes
            });
        }
        let changes = writers.join_all().await.concat();
        check(database, &state(&events), &changes, false).await;
        pool.close().await;
    })
    .await;
}

#[tokio::test]
async fn without_tables_the_error_names_migrate() {
    on_both(async |database| {
        let mirror = database.builder().build().unwrap();
        let hired = event("1", "user.created", 1, &user("u", "active", 1));
        let token = event("2", "token.created", 1, &user("u", "active", 1));
        let mut errors = vec![
            mirror.apply(&hired).await.unwrap_err(),
            mirror.apply_all(&[token, hired.clone()]).await.unwrap_err(),
        ];
        macro_rules! apply_in {
            ($pool:expr) => {{
                let mut transaction = $pool.begin().await.unwrap();
                errors.push(mirror.apply_in(&mut transaction, &hired).await.unwrap_err());
            }};
        }
        match database {
            Database::Postgres { pool, .. } => apply_in!(pool),
            Database::Sqlite { pool, .. } => apply_in!(pool),
        }
        for error in errors {
            assert_eq!(error.kind(), MirrorErrorKind::NotMigrated);
            assert!(error.to_string().contains("call Mirror::migrate"), "{error}");
        }
        mirror.migrate().await.unwrap();
        mirror.apply(&hired).await.unwrap();
    })
    .await;
}
