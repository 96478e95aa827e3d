//! A reader sees each change once, in order.

use std::time::Duration;

use sqlx::{Executor as _, postgres::PgPoolOptions};
use tokio::time::sleep;
use tower_workos_mirror::{ChangeKind, FeedError, MirrorPool};

use crate::{
    SOON,
    database::{on_both, on_postgres, postgres_options},
    group, joined, numbers, soon, take,
};

/// The classic fault of outboxes: a transaction with a lower number commits later than one with a higher number.
#[tokio::test]
async fn transactions_commit_in_the_order_of_their_numbers() {
    on_both(async |database| {
        let (first, second) = (database.mirror().await, database.mirror().await);
        let mut reader = database
            .builder(database.pool(4).await)
            .poll_interval(Duration::from_millis(5))
            .build()
            .unwrap()
            .changes(0);

        // A transaction of an application has taken numbers, but has not committed yet.
        let (waits, read) = match first.pool() {
            MirrorPool::Postgres(pool) => {
                let mut transaction = pool.begin().await.unwrap();
                let early = first.apply_in(&mut transaction, &joined("early")).await.unwrap();
                let waits = tokio::spawn(async move { second.apply(&joined("late")).await });
                sleep(Duration::from_millis(300)).await;
                // This must not read any change with a number above those of the open transaction.
                let read = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
                assert!(read.is_err() && !waits.is_finished());
                transaction.commit().await.unwrap();
                (waits, early)
            }
            MirrorPool::Sqlite(pool) => {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                let early = first.apply_in(&mut transaction, &joined("early")).await.unwrap();
                let waits = tokio::spawn(async move { second.apply(&joined("late")).await });
                let read = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
                assert!(read.is_err() && !waits.is_finished());
                transaction.commit().await.unwrap();
                (waits, early)
            }
            _ => return,
        };
        let late = soon(waits).await.unwrap().unwrap();
        let expected = [read, late].concat();
        assert_eq!(expected.len(), 4);
        assert_eq!(take(&mut reader, 4).await, expected);
        assert!(numbers(&expected).is_sorted_by(|a, b| a < b));
    })
    .await;
}

/// Shows what the lock prevents: two transactions take numbers without it, which the mirror never does.
#[tokio::test]
async fn without_the_lock_a_reader_skips() {
    on_postgres(async |database| {
        let mirror = database.mirror().await;
        let MirrorPool::Postgres(pool) = mirror.pool() else { return };
        let insert =
            "INSERT INTO workos_mirror_change (kind, recorded_at) VALUES ('user_created', 0)";
        let mut first = pool.begin().await.unwrap();
        first.execute(insert).await.unwrap();
        let mut second = pool.begin().await.unwrap();
        second.execute(insert).await.unwrap();
        second.commit().await.unwrap();
        assert_eq!(numbers(&mirror.changes_page(0, 10).await.unwrap()), [2]);
        first.commit().await.unwrap();
        assert_eq!(mirror.changes_page(2, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn numbers_are_never_used_again() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let before = mirror.apply(&joined("a")).await.unwrap();
        database.execute("DELETE FROM workos_mirror_change").await;
        let after = mirror.apply(&joined("b")).await.unwrap();
        assert!(after[0].seq > before[1].seq, "{before:?} {after:?}");
    })
    .await;
}

#[tokio::test]
async fn pages_have_the_changes_that_were_returned() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let mut changes = mirror.apply_all(&[joined("a"), group("g")]).await.unwrap();
        changes.extend(mirror.apply(&group("h")).await.unwrap());
        assert_eq!(mirror.changes_page(0, 100).await.unwrap(), changes);
        assert_eq!(mirror.changes_page(changes[0].seq, 2).await.unwrap(), changes[1..3]);
        let end = mirror.feed_range().await.unwrap().end;
        assert_eq!(end, changes[3].seq);
        assert_eq!(mirror.changes_page(end, 2).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_reader_ahead_of_the_feed_does_not_wait() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        let end = mirror.apply(&joined("a")).await.unwrap()[1].seq;
        let mut changes = mirror.changes(end + 1);
        match soon(changes.next()).await {
            Some(Err(FeedError::Ahead { after, last, .. })) => {
                assert_eq!((after, last), (end + 1, end));
            }
            other => panic!("{other:?}"),
        }
        assert!(soon(changes.next()).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_kind_of_a_later_version_is_other() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        database
            .execute(
                "INSERT INTO workos_mirror_change (kind, user_id, recorded_at) VALUES ('user_promoted', 'u', 0)",
            )
            .await;
        let page = mirror.changes_page(0, 10).await.unwrap();
        assert_eq!(page[0].kind, ChangeKind::Other);
        assert_eq!(page[0].user_id.as_ref().unwrap().as_str(), "u");
    })
    .await;
}

#[tokio::test]
async fn a_stream_continues_after_an_error() {
    on_both(async |database| {
        let mirror = database.builder(database.pool(4).await);
        let mirror = mirror.poll_interval(Duration::from_millis(50)).build().unwrap();
        database.execute("ALTER TABLE workos_mirror_cursor RENAME TO away").await;
        let mut changes = mirror.changes(0);
        for _ in 0..2 {
            assert!(matches!(soon(changes.next()).await, Some(Err(FeedError::Mirror(_)))));
        }
        database.execute("ALTER TABLE away RENAME TO workos_mirror_cursor").await;
        mirror.apply(&joined("a")).await.unwrap();
        let next = async {
            loop {
                if let Some(Ok(change)) = changes.next().await {
                    return change;
                }
            }
        };
        assert_eq!(tokio::time::timeout(SOON, next).await.unwrap().kind, ChangeKind::UserCreated);
    })
    .await;
}

/// Some databases have this as their default.
#[tokio::test]
async fn readers_and_writers_work_under_serializable() {
    on_postgres(async |database| {
        let mut mirrors = Vec::new();
        for _ in 0..3 {
            let options =
                postgres_options().options([("default_transaction_isolation", "serializable")]);
            let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
            let builder = database.builder(pool.into()).retention(Duration::ZERO);
            mirrors.push(builder.build().unwrap());
        }
        let mut reader = mirrors[0].changes(0);
        let writes = mirrors.iter().enumerate().map(|(writer, mirror)| {
            let mirror = mirror.clone();
            tokio::spawn(async move {
                for n in 0..30 {
                    mirror.apply(&group(&format!("g{writer}_{n}"))).await.unwrap();
                }
            })
        });
        let writes: Vec<_> = writes.collect();
        let read = take(&mut reader, 90).await;
        assert!(numbers(&read).is_sorted_by(|a, b| a < b));
        for write in writes {
            write.await.unwrap();
        }
        let (one, two) = tokio::join!(mirrors[1].upkeep(), mirrors[2].upkeep());
        assert_eq!(one.unwrap().changes + two.unwrap().changes, 90);
    })
    .await;
}
