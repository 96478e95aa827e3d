//! Recorded deliveries and documented bodies. They are not part of this repository, but in `../shared`. If that is absent, the
//! tests say so and pass, or fail with `REQUIRE_SHARED=1`.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;
use tower_workos::{
    DirectoryEvent, EventData, Rejection, SignatureHeader, Verifier, VerifyError,
    VerifyWebhookLayer, WebhookSecret, testing::ManualClock,
};

use crate::support::{at, send};

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(env::var_os("REQUIRE_SHARED").is_none(), "../shared/{name} does not exist");
    // The test runner would hide the output of `eprintln!` in a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: ../shared/{name} does not exist");
    None
}

#[tokio::test]
async fn recorded_deliveries_verify_with_their_clock() {
    let Some(path) = shared("vectors/signatures.json") else { return };
    let vectors: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let text = |key: &str| vector[key].as_str().unwrap();
        let header: SignatureHeader = text("header").parse().unwrap();
        let secret = WebhookSecret::new(text("secret")).unwrap();
        let clock = ManualClock::new(header.issued_at());
        let verifier = Verifier::new(secret).clock(clock.clone());
        let body = Bytes::from(text("body").to_owned());
        let genuine = vector["verifies"].as_bool().unwrap();
        assert_eq!(verifier.verify(&header, &body).is_ok(), genuine, "{}", text("name"));

        // Through the layer as well, if the body is an event.
        let request = || {
            http::Request::post("/")
                .header("workos-signature", text("header"))
                .body(Full::new(body.clone()))
                .unwrap()
        };
        let layer = VerifyWebhookLayer::new(verifier.clone());
        let outcome = send(&layer, request()).await;
        match DirectoryEvent::parse(body.clone()) {
            Ok(event) => assert_eq!(outcome.event().name(), event.name()),
            Err(error) => {
                let rejection = Rejection::from(VerifyError::from(error));
                assert_eq!(outcome.rejection, Some(rejection));
            }
        }
        // Later, it is stale.
        clock.advance(Duration::from_secs(181));
        assert_eq!(send(&layer, request()).await.status, 401);
        assert_eq!(header.issued_at(), at(header.issued_at().as_unix_millis()));
    }
}

#[test]
fn documented_bodies_parse_to_their_variants() {
    let Some(path) = shared("samples") else { return };
    let mut files: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let body = Bytes::from(fs::read(&file).unwrap());
        let event = DirectoryEvent::parse(body.clone()).unwrap();
        let expected: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event.name(), expected["event"]);
        assert_eq!(event.id().as_str(), expected["id"]);
        assert_eq!(event.raw(), &body);
        assert!(event.created_at().is_some());
        let data = &expected["data"];
        let right = match event.data() {
            EventData::DirectoryActivated(it) | EventData::DirectoryDeleted(it) => {
                it.id.as_str() == data["id"] && it.name.as_deref() == data["name"].as_str()
            }
            EventData::GroupCreated(it) | EventData::GroupDeleted(it) => {
                it.id.as_str() == data["id"]
            }
            EventData::GroupUpdated(it) => it.group.id.as_str() == data["id"],
            EventData::GroupUserAdded(it) | EventData::GroupUserRemoved(it) => {
                it.user.id.as_str() == data["user"]["id"]
                    && it.group.id.as_str() == data["group"]["id"]
            }
            EventData::UserCreated(it) | EventData::UserDeleted(it) => {
                it.id.as_str() == data["id"] && it.email.as_deref() == data["email"].as_str()
            }
            EventData::UserUpdated(it) => it.user.id.as_str() == data["id"],
            _ => false,
        };
        assert!(right, "{}: {:?}", file.display(), event.data());
    }
}
