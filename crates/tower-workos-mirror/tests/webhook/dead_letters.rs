//! Genuine deliveries that can't be applied.

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use tower_workos::{
    DirectoryEvent, RejectionKind, Timestamp, WebhookSecret,
    testing::{Signer, sample},
};
use tower_workos_mirror::{ChangeKind, Mirror, MirrorErrorKind, Replay};

use crate::{
    database::Database,
    requests::{T0, created, secret, send, status, webhook},
};

/// Genuine, but it lacks the user's id.
const UNREADABLE: &str =
    r#"{"id":"event_x","event":"dsync.user.deleted","data":{"name":"payload_canary"}}"#;

#[tokio::test]
async fn an_unreadable_body_is_kept_once() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let webhook = webhook(&mirror);
        let at = Timestamp::from(std::time::SystemTime::now());
        let at = Timestamp::from_unix_millis_saturating(at.as_unix_millis() - 60_000);
        for time in [at, Timestamp::now()] {
            let delivery = Signer::new(secret()).at(time).sign(UNREADABLE);
            let request: Request<Full<_>> = delivery.into_request("/").unwrap();
            let response = webhook.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let rejection = response.extensions().get::<tower_workos::Rejection>().unwrap();
            assert_eq!(rejection.kind(), RejectionKind::InvalidPayload);
            assert!(response.headers().is_empty());
            assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
        let letters = mirror.dead_letters(None, 10).await.unwrap();
        let [letter] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!(letter.event_id.as_ref().unwrap(), &"event_x");
        assert_eq!(letter.name.as_deref(), Some("dsync.user.deleted"));
        assert_eq!(letter.body, UNREADABLE);
        assert_eq!(letter.reason, "`data.id` is missing or not a non-empty string");
        assert_eq!(letter.issued_at, Some(at));
        assert!(!format!("{letter:?}").contains("canary"));
        assert!(format!("{letter:?}").contains("event_x"));
        database.drop().await;
    }
}

#[tokio::test]
async fn a_forged_body_is_rejected() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let other = WebhookSecret::new("whsec_other").unwrap();
        for body in [created("user_0"), UNREADABLE.into()] {
            let delivery = Signer::new(other.clone()).sign(body);
            let request: Request<Full<_>> = delivery.into_request("/").unwrap();
            let response = webhook(&mirror).oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!(str::from_utf8(&body).unwrap().contains("Signature mismatch"));
        }
        assert_eq!(database.users().await, 0);
        assert_eq!(database.int("SELECT count(*) FROM workos_mirror_applied").await, 0);
        assert!(mirror.dead_letters(None, 10).await.unwrap().is_empty());
        database.drop().await;
    }
}

/// If it can't be kept, WorkOS has to send it again.
#[tokio::test]
async fn a_letter_that_cannot_be_stored() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        database.execute("DROP TABLE workos_mirror_dead_letter").await;
        let response = send(&webhook(&mirror), UNREADABLE).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.extensions().get(), Some(&MirrorErrorKind::NotMigrated));
        database.drop().await;
    }
}

/// Stores a body as if an older version could not read it.
async fn keep(mirror: &Mirror, database: &Database, unreadable: &str, body: &str, at: Timestamp) {
    let error = DirectoryEvent::parse(unreadable.to_owned().into()).unwrap_err();
    mirror.add_dead_letter(&error, Some(at)).await.unwrap();
    let value = if database.is_postgres() {
        format!("convert_to('{body}', 'UTF8')")
    } else {
        format!("CAST('{body}' AS BLOB)")
    };
    let last = "(SELECT max(seq) FROM workos_mirror_dead_letter)";
    let sql = format!("UPDATE workos_mirror_dead_letter SET body = {value} WHERE seq = {last}");
    database.execute(&sql).await;
}

#[tokio::test]
async fn letters_are_replayed() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let at = Timestamp::from_unix_millis_saturating(T0);
        // Without `created_at`, as before 2023: the event's time is the signature's.
        let user = r#"{"id":"event_a","event":"dsync.user.created","data":{"id":"user_a","state":"active"}}"#;
        keep(&mirror, &database, UNREADABLE, user, at).await;
        keep(&mirror, &database, "[1]", "[1]", at).await;
        let group = sample::GROUP_CREATED.builder().id("event_b").body();
        keep(&mirror, &database, "[2]", str::from_utf8(&group).unwrap(), at).await;
        let letters = mirror.dead_letters(None, 10).await.unwrap();
        let [first, second, third] = letters.as_slice() else { panic!("{letters:?}") };

        // Pages.
        let page = mirror.dead_letters(None, 1).await.unwrap();
        assert_eq!(page, std::slice::from_ref(first));
        let page = mirror.dead_letters(Some(first.seq), 1).await.unwrap();
        assert_eq!(page, std::slice::from_ref(second));

        let replay = mirror.replay_dead_letter(first.seq).await.unwrap();
        let Replay::Applied(changes) = replay else { panic!("{replay:?}") };
        assert!(changes.iter().any(|change| change.kind == ChangeKind::UserGranted));
        assert!(changes.iter().all(|change| change.happened_at == Some(at)), "{changes:?}");
        assert_eq!(database.users().await, 1);
        assert_eq!(mirror.replay_dead_letter(first.seq).await.unwrap(), Replay::Missing);
        assert_eq!(mirror.replay_dead_letter(second.seq).await.unwrap(), Replay::Unreadable);

        let summary = mirror.replay_dead_letters().await.unwrap();
        assert_eq!((summary.applied, summary.unreadable), (1, 1));
        assert_eq!(database.int("SELECT count(*) FROM workos_groups").await, 1);
        let left = mirror.dead_letters(None, 10).await.unwrap();
        assert_eq!(left, std::slice::from_ref(second));
        assert!(third.seq > second.seq);
        assert!(mirror.delete_dead_letter(second.seq).await.unwrap());
        assert!(!mirror.delete_dead_letter(second.seq).await.unwrap());
        database.drop().await;
    }
}

/// The letter is deleted in the transaction that applies its event.
#[tokio::test]
async fn a_letter_whose_replay_fails_is_kept() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let body = String::from_utf8(created("user_0").to_vec()).unwrap();
        keep(&mirror, &database, UNREADABLE, &body, Timestamp::now()).await;
        database.execute("ALTER TABLE workos_mirror_change RENAME TO away").await;
        let error = mirror.replay_dead_letters().await.unwrap_err();
        assert_eq!(error.kind(), MirrorErrorKind::NotMigrated);
        assert_eq!(mirror.dead_letters(None, 10).await.unwrap().len(), 1);
        database.execute("ALTER TABLE away RENAME TO workos_mirror_change").await;
        assert_eq!(mirror.replay_dead_letters().await.unwrap().applied, 1);
        assert_eq!(database.users().await, 1);
        database.drop().await;
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_have_ids_but_no_payload() {
    for database in Database::all().await {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let mirror = database.mirror().await;
        let webhook = webhook(&mirror);
        assert_eq!(status(&webhook, UNREADABLE).await, StatusCode::OK);
        let named = sample::USER_CREATED.builder().id("event_y").data("first_name", "first_canary");
        assert_eq!(status(&webhook, named.clone()).await, StatusCode::OK);
        database.execute("DROP TABLE workos_mirror_change").await;
        let named = named.id("event_z").user("user_z");
        assert_eq!(status(&webhook, named).await, StatusCode::SERVICE_UNAVAILABLE);
        drop(guard);
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let of = |id: &str| {
            let is_ours = |line: &&str| line.contains("tower_workos_mirror::webhook");
            log.lines().filter(is_ours).filter(|line| line.contains(id)).count()
        };
        assert_eq!([of("event_x"), of("event_y"), of("event_z")], [1, 1, 1], "{log}");
        assert!(log.contains("tower_workos_mirror::writer"));
        for secret in ["canary", "northwind", "whsec"] {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None);
        }
        database.drop().await;
    }
}
