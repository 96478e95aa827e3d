//! Genuine bodies that can't be read: what is logged, and what the application gets.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use tower_workos::{
    Rejection, SIGNATURE_HEADER, Verifier, VerifyWebhookLayer,
    testing::{ManualClock, Signer, sample},
};

use crate::support::{NOW, at, delivery, layer, other_secret, secret, send};

/// The lines that the layer logs for deliveries of these bodies.
fn log_of(bodies: &[Bytes]) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let secret = secret();
    {
        let _here = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
        let layer = VerifyWebhookLayer::new(Verifier::new(secret).clock(ManualClock::new(at(NOW))));
        for body in bodies {
            runtime.block_on(send(&layer, delivery::<Full<Bytes>>(body.clone())));
        }
    }
    let log = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    log.lines().filter(|line| line.contains("tower_workos::")).map(str::to_owned).collect()
}

#[test]
fn a_rejection_is_logged_once_with_its_hint() {
    let deleted =
        br#"{"id":"event_\n1","event":"dsync.user.deleted","data":{"email":"payload_canary"}}"#;
    let lines = log_of(&["{}".into(), sample::USER_CREATED.into(), Bytes::from_static(deleted)]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for part in [
        "WARN tower_workos::rejection",
        "kind=\"InvalidPayload\"",
        "status=422",
        "reason=the signed body is not a readable event: `id` is missing or not a non-empty string",
        "hint=\"keep the body",
    ] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    assert!(!lines[0].contains("event_id") && !lines[0].contains("event_name"), "{}", lines[0]);
    for part in [
        r"event_id=event_\n1 event_name=dsync.user.deleted ",
        r#"reason=the signed body is not a readable event: event "event_\n1" (dsync.user.deleted): `data.id` is"#,
    ] {
        assert!(lines[1].contains(part), "{part} in {}", lines[1]);
    }
}

#[test]
fn unreadable_fields_are_logged_once_with_their_event() {
    let odd = r#"{"id":"event_\n1","event":"dsync.user.deleted",
        "data":{"id":"u","name":["payload_canary"],"roles":["payload_canary"],"payload_canary":{}}}"#;
    let lines = log_of(&[odd.into(), sample::USER_CREATED.into()]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "WARN tower_workos::event",
        r"event_id=event_\n1 event_name=dsync.user.deleted fields=data.name, data.roles[0]",
        "can't be read",
    ] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

#[tokio::test]
async fn the_application_gets_dead_letters() {
    let body =
        r#"{"id":"event_1","event":"dsync.user.deleted","data":{"id":7,"email":"payload_canary"}}"#;
    let (letters, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let layer = layer().rejection_response(move |rejection: &Rejection| {
        if let Some(event) = rejection.parse_error() {
            letters.send(event.clone()).unwrap();
        }
        rejection.to_response()
    });
    let outcome = send(&layer, delivery::<Full<Bytes>>(body)).await;
    assert_eq!(outcome.status, 422);
    let letter = receiver.recv().await.unwrap();
    assert_eq!((letter.id(), letter.name()), (Some(&"event_1".into()), Some("dsync.user.deleted")));
    assert_eq!(
        (letter.path(), letter.raw()),
        (Some("data.id"), &Bytes::from_static(body.as_bytes()))
    );
    assert_eq!(letter.reason().to_string(), "`data.id` is missing or not a non-empty string");
    // The same is in the response's extensions, and no text shows the payload.
    let rejection = outcome.rejection.unwrap();
    assert_eq!(rejection.parse_error(), Some(&letter));
    for text in [
        format!("{rejection:?} {letter:?}"),
        format!("{rejection} {letter}"),
        outcome_text(&outcome.body),
    ] {
        assert!(!text.contains("payload_canary"), "{text}");
    }
    // A body that was not verified is not a dead letter.
    let mut forged = delivery::<Full<Bytes>>(body);
    forged.headers_mut().insert(
        SIGNATURE_HEADER,
        Signer::new(other_secret()).at(at(NOW)).sign(body).signature().parse().unwrap(),
    );
    let outcome = send(&layer, forged).await;
    assert_eq!(outcome.rejection.unwrap().parse_error(), None);
    assert!(receiver.try_recv().is_err());
}

fn outcome_text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// A log in memory.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
