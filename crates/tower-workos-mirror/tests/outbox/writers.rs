//! Everything that writes to the feed also stores the jobs.

use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_workos::{
    DirectoryEvent, WebhookSecret,
    testing::{Signer, sample},
};
use tower_workos_mirror::{EventsPoller, Mirror, Reconciler, Replay};

use crate::{
    assert_enqueued,
    databases::{Database, on_both},
    emulated::{client, record, start},
    feed, jobs, joined, left,
};

pub(crate) fn secret() -> WebhookSecret {
    WebhookSecret::new("whsec_outbox_test").unwrap()
}

pub(crate) fn request(event: &DirectoryEvent) -> Request<Full<bytes::Bytes>> {
    Signer::new(secret()).sign(event.raw().clone()).into_request("/").unwrap()
}

/// A mirror that has not called `outbox` itself, as in another process.
async fn other(database: &Database) -> Mirror {
    let mirror = database.mirror().await;
    mirror.outbox("sessions").await.unwrap();
    drop(mirror);
    database.builder().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries() {
    on_both(async |database| {
        let mirror = other(database).await;
        let webhook = mirror.webhook(secret());
        for event in [joined("u1"), joined("u2"), left("u1")] {
            let response = webhook.clone().oneshot(request(&event)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
        assert_eq!(feed(&mirror).await.len(), 6);
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_through_the_layer() {
    on_both(async |database| {
        let mirror = other(database).await;
        let inner = service_fn(async |_: Request<Full<bytes::Bytes>>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<bytes::Bytes>::default()))
        });
        let mut request = request(&joined("u1"));
        request.extensions_mut().insert(joined("u1"));
        let response = mirror.layer().layer(inner).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_and_apply_all() {
    on_both(async |database| {
        let mirror = other(database).await;
        let changes = mirror.apply(&joined("u1")).await.unwrap();
        assert_eq!(jobs(database, "sessions").await, changes);
        mirror.apply_all(&[joined("u2"), joined("u3")]).await.unwrap();
        assert_eq!(feed(&mirror).await.len(), 6);
        assert_enqueued(database, &mirror, 0).await;
        // More than are stored at once.
        let many: Vec<_> = (0..700).map(|n| joined(&format!("many_{n}"))).collect();
        mirror.apply_all(&many).await.unwrap();
        assert_eq!(jobs(database, "sessions").await.len(), 6 + 1400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_in() {
    on_both(async |database| {
        let mirror = other(database).await;
        macro_rules! applied {
            ($pool:expr, $begin:expr) => {{
                let mut transaction = $pool.begin_with($begin).await.unwrap();
                mirror.apply_in(&mut transaction, &joined("u1")).await.unwrap();
                transaction.rollback().await.unwrap();
                assert_eq!(jobs(database, "sessions").await, []);
                let mut transaction = $pool.begin_with($begin).await.unwrap();
                mirror.apply_in(&mut transaction, &joined("u2")).await.unwrap();
                transaction.commit().await.unwrap();
            }};
        }
        match database {
            Database::Postgres { pool, .. } => applied!(pool, "BEGIN"),
            Database::Sqlite { pool, .. } => applied!(pool, "BEGIN IMMEDIATE"),
        }
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_dead_letters() {
    on_both(async |database| {
        let mirror = other(database).await;
        let body = r#"{"id":"event_x","event":"dsync.user.deleted","data":{}}"#;
        let error = DirectoryEvent::parse(body.into()).unwrap_err();
        mirror.add_dead_letter(&error, None).await.unwrap();
        assert_eq!(jobs(database, "sessions").await, []);
        // As if this version could read it.
        let readable = String::from_utf8(joined("u1").raw().to_vec()).unwrap();
        let body = if database.is_postgres() {
            format!("convert_to('{readable}', 'UTF8')")
        } else {
            format!("CAST('{readable}' AS BLOB)")
        };
        database.run(&format!("UPDATE workos_mirror_dead_letter SET body = {body}")).await;
        let seq = mirror.dead_letters(None, 1).await.unwrap()[0].seq;
        let Replay::Applied(changes) = mirror.replay_dead_letter(seq).await.unwrap() else {
            panic!("it was not applied")
        };
        assert_eq!(changes.len(), 2);
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_poller() {
    on_both(async |database| {
        let mirror = other(database).await;
        let (emulator, clock) = start().await;
        record(&emulator, &clock, "d", 1);
        let api = client(&emulator);
        let poller = EventsPoller::new(mirror.clone(), api);
        poller.drain().await.unwrap();
        record(&emulator, &clock, "d2", 2);
        clock.advance(std::time::Duration::from_secs(120));
        assert!(poller.drain().await.unwrap().events > 0);
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler() {
    on_both(async |database| {
        let mirror = other(database).await;
        let (emulator, clock) = start().await;
        record(&emulator, &clock, "d", 3);
        clock.advance(std::time::Duration::from_secs(120));
        let reconciler = Reconciler::new(mirror.clone(), client(&emulator));
        // A dry run changes nothing.
        reconciler.dry_run().await.unwrap();
        assert_eq!(jobs(database, "sessions").await, []);
        assert!(reconciler.run().await.unwrap().is_complete());
        assert_enqueued(database, &mirror, 0).await;

        // Somebody whom the API does not have, and who is removed.
        let before = feed(&mirror).await.len();
        let stray = sample::USER_CREATED.builder().directory("d").user("stray").at(clock.now());
        mirror.apply(&stray.event()).await.unwrap();
        clock.advance(std::time::Duration::from_secs(120));
        assert!(reconciler.run().await.unwrap().is_complete());
        let feed = feed(&mirror).await;
        let kinds: Vec<_> = feed[before..].iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["user_created", "user_granted", "user_revoked", "user_deleted"]);
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_fetched() {
    on_both(async |database| {
        let mirror = other(database).await;
        let (emulator, clock) = start().await;
        record(&emulator, &clock, "d", 1);
        clock.advance(std::time::Duration::from_secs(120));
        let reconciler = Reconciler::new(mirror.clone(), client(&emulator));
        let user = reconciler.fetch_user(&"d_u0".to_owned().into()).await.unwrap();
        assert!(user.is_some());
        assert_enqueued(database, &mirror, 0).await;
    })
    .await;
}
