//! What shares a transaction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use sqlx::{postgres::PgPoolOptions, sqlite::SqlitePoolOptions};
use tower_workos_mirror::{Mirror, MirrorErrorKind};

use crate::{
    database::{Database, Lock},
    requests::{created, send, send_all, status, webhook},
};

#[tokio::test]
async fn requests_at_the_same_time_share_transactions() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let bodies = (0..256).map(|user| created(&format!("user_{user}"))).collect();
        for response in send_all(&webhook(&mirror), bodies).await {
            assert_eq!(response.status(), StatusCode::OK);
        }
        assert_eq!(database.users().await, 256);
        let transactions = database.transactions().await;
        assert!(transactions <= 4, "{transactions}");
        database.drop().await;
    }
}

#[tokio::test]
async fn a_batch_has_a_maximum() {
    for database in Database::all().await {
        let mirror = database.mirror_with(|it| it.batch(10)).await;
        let bodies = (0..40).map(|user| created(&format!("user_{user}"))).collect();
        send_all(&webhook(&mirror), bodies).await;
        assert_eq!(database.users().await, 40);
        assert!(database.transactions().await >= 4);
        database.drop().await;
    }
}

/// An event that the database can't store becomes a dead letter. The others of its batch are applied.
#[tokio::test]
async fn an_event_that_cannot_be_stored() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        database
            .execute(if database.is_postgres() {
                // The code for text that is not valid in the encoding.
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22021'; END $$; \
                 CREATE TRIGGER test BEFORE INSERT ON workos_mirror_user FOR EACH ROW \
                 WHEN (NEW.id = 'user_7') EXECUTE FUNCTION fail()"
            } else {
                // Longer than any value may be.
                "CREATE TRIGGER test BEFORE INSERT ON workos_mirror_user WHEN NEW.id = 'user_7' \
                 BEGIN SELECT zeroblob(2147483647); END"
            })
            .await;
        let bodies = (0..20).map(|user| created(&format!("user_{user}"))).collect();
        for response in send_all(&webhook(&mirror), bodies).await {
            assert_eq!(response.status(), StatusCode::OK);
        }
        assert_eq!(database.users().await, 19);
        let letters = mirror.dead_letters(None, 10).await.unwrap();
        let [letter] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!(letter.event_id.as_ref().unwrap(), &"event_user_7");
        assert_eq!(letter.name.as_deref(), Some("dsync.user.created"));
        let code = if database.is_postgres() { "22021" } else { "18" };
        assert_eq!(letter.reason, format!("the database can't store this event (code {code})"));
        assert!(letter.issued_at.is_some());

        let replayed = mirror.replay_dead_letters().await.unwrap();
        assert_eq!((replayed.applied, replayed.unreadable), (0, 1));
        database
            .execute(if database.is_postgres() {
                "DROP TRIGGER test ON workos_mirror_user"
            } else {
                "DROP TRIGGER test"
            })
            .await;
        let replayed = mirror.replay_dead_letters().await.unwrap();
        assert_eq!((replayed.applied, replayed.unreadable), (1, 0));
        assert_eq!(database.users().await, 20);
        database.drop().await;
    }
}

/// A violated constraint can be the database's own fault, so it is not acknowledged: WorkOS sends the event again. The
/// others are applied.
#[tokio::test]
async fn an_event_that_fails() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        database
            .execute(if database.is_postgres() {
                "ALTER TABLE workos_mirror_user ADD CONSTRAINT test CHECK (id <> 'user_7')"
            } else {
                "CREATE TRIGGER test BEFORE INSERT ON workos_mirror_user WHEN NEW.id = 'user_7' \
                 BEGIN SELECT RAISE(ABORT, 'no'); END"
            })
            .await;
        let bodies = (0..20).map(|user| created(&format!("user_{user}"))).collect();
        let start = Instant::now();
        let responses = send_all(&webhook(&mirror), bodies).await;
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        let failed: Vec<_> = responses.iter().filter(|it| it.status() != StatusCode::OK).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(database.users().await, 19);
        assert!(mirror.dead_letters(None, 10).await.unwrap().is_empty());
        database.drop().await;
    }
}

#[tokio::test]
async fn a_full_queue() {
    for database in Database::all().await {
        let mirror = database.mirror_with(|it| it.queue(2)).await;
        let webhook = webhook(&mirror);
        let lock = Lock::acquire(&database).await;
        let spawn = |user: String| {
            let webhook = webhook.clone();
            tokio::spawn(async move { send(&webhook, created(&user)).await })
        };
        // The task takes the first one, then waits for the lock.
        let first = spawn("user_0".into());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let waiting = [spawn("user_1".into()), spawn("user_2".into())];
        tokio::time::sleep(Duration::from_millis(50)).await;

        let start = Instant::now();
        let response = send(&webhook, created("user_3")).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.extensions().get(), Some(&MirrorErrorKind::Overloaded));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["status"], 503);

        lock.release().await;
        assert_eq!(first.await.unwrap().status(), StatusCode::OK);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(database.users().await, 3);
        assert_eq!(status(&webhook, created("user_3")).await, StatusCode::OK);
        database.drop().await;
    }
}

/// Panics when a connection is acquired, this many times.
async fn panicking(database: &Database, panics: &Arc<AtomicU32>) -> Mirror {
    let panics = Arc::clone(panics);
    let check = move || {
        let left = panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1));
        assert!(left.is_err(), "this panic is part of the test");
    };
    macro_rules! mirror {
        ($options:ty, $connect:expr) => {{
            let (idle, new) = (check.clone(), check);
            let pool = <$options>::new()
                .max_connections(1)
                .before_acquire(move |_, _| {
                    idle();
                    Box::pin(async { Ok(true) })
                })
                .after_connect(move |_, _| {
                    new();
                    Box::pin(async { Ok(()) })
                });
            Mirror::new(pool.connect_with($connect).await.unwrap())
        }};
    }
    let mirror = if database.is_postgres() {
        mirror!(PgPoolOptions, database.schema().options(&[]))
    } else {
        mirror!(SqlitePoolOptions, database.sqlite_options())
    };
    mirror.migrate().await.unwrap();
    mirror
}

#[tokio::test]
async fn a_panic() {
    for database in Database::all().await {
        let panics = Arc::new(AtomicU32::new(0));
        let mirror = panicking(&database, &panics).await;
        let webhook = webhook(&mirror);
        assert_eq!(status(&webhook, created("user_0")).await, StatusCode::OK);
        // One panic is survived.
        panics.store(1, Ordering::SeqCst);
        assert_eq!(status(&webhook, created("user_1")).await, StatusCode::OK);
        // If the panics don't end, requests fail, and later ones work.
        panics.store(u32::MAX, Ordering::SeqCst);
        assert_eq!(status(&webhook, created("user_2")).await, StatusCode::SERVICE_UNAVAILABLE);
        panics.store(0, Ordering::SeqCst);
        assert_eq!(status(&webhook, created("user_2")).await, StatusCode::OK);
        assert_eq!(database.users().await, 3);
        database.drop().await;
    }
}
